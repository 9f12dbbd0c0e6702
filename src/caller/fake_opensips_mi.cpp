#include "base/random.hpp"
#include "caller/fake_opensips.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

// The MI commands.

namespace oavc::caller {

namespace json = boost::json;

namespace {

/// "Thu Jan  1 00:00:00 1970", as ctime(3) prints.
std::string date(std::chrono::system_clock::time_point at) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    const auto size = std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", &parts);
    return {text.data(), size};
}

/// A parameter as text: strings, and numbers where a string is wanted.
std::string text_of(const json::object& params, std::string_view name) {
    const auto* value = params.if_contains(name);
    if (value == nullptr) return {};
    if (value->is_string()) return std::string{value->get_string()};
    return json::serialize(*value);
}

/// A parameter as integer: numbers, and numeric strings.
std::optional<std::int64_t> number_of(const json::object& params, std::string_view name) {
    const auto* value = params.if_contains(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_int64()) return value->get_int64();
    if (value->is_uint64()) return std::numeric_limits<std::int64_t>::max();
    if (!value->is_string()) return std::nullopt;
    const std::string_view text{value->get_string()};
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

/// The value of a header line "Name: value" among CRLF-separated lines.
std::string header_value(std::string_view headers, std::string_view name) {
    while (!headers.empty()) {
        const auto end = std::min(headers.find("\r\n"), headers.size());
        const auto line = headers.substr(0, end);
        headers.remove_prefix(std::min(end + 2, headers.size()));
        const auto colon = line.find(':');
        if (colon == std::string_view::npos || line.substr(0, colon) != name) continue;
        const auto begin = line.find_first_not_of(' ', colon + 1);
        return begin == std::string_view::npos ? std::string{} : std::string{line.substr(begin)};
    }
    return {};
}

}  // namespace

struct FakeOpenSips::Answer {
    json::value result;  ///< when `code` is 0
    int code{0};
    std::string_view message;
    std::string_view data;
    bool too_large{false};  ///< for a datagram: OpenSIPS cannot send it, and says nothing

    static Answer ok() { return {"OK", 0, {}, {}}; }
    static Answer error(int code, std::string_view message, std::string_view data = {}) {
        return {nullptr, code, message, data};
    }
    static Answer invalid(std::string_view data) { return error(-32602, "Invalid params", data); }
};

FakeOpenSips::FakeOpenSips(TimePoint started)
    : started_{started}, up_since_{date(std::chrono::system_clock::now())} {}

std::optional<std::string> FakeOpenSips::on_mi(std::string_view request, TimePoint now) {
    if (request.empty()) return std::nullopt;
    json::stream_parser parser;
    boost::system::error_code error;
    parser.write_some(request.data(), request.size(), error);  // what follows the value is ignored
    if (error || !parser.done()) return "400 Parse_error";
    const json::value value = parser.release();

    const auto* const call = value.if_object();
    json::value id = nullptr;
    bool wants_answer = true;
    if (call != nullptr) {
        const auto* const given = call->if_contains("id");
        wants_answer = given != nullptr;
        if (given != nullptr) id = *given;
        if (id.is_object() || id.is_array()) return "500 Internal error";
        if (id.is_int64()) {
            id = std::min<std::int64_t>(id.get_int64(), std::numeric_limits<std::int32_t>::max());
        }
    }
    const auto* const version = call == nullptr ? nullptr : call->if_contains("jsonrpc");
    const auto* const method = call == nullptr ? nullptr : call->if_contains("method");
    const auto* const params = call == nullptr ? nullptr : call->if_contains("params");
    const bool valid = version != nullptr && version->is_string() &&
                       version->get_string() == "2.0" && method != nullptr && method->is_string() &&
                       (params == nullptr || params->is_object() || params->is_array());

    Answer answer;
    if (!valid) {
        answer = Answer::error(-32600, "Invalid Request");
    } else {
        json::object named;
        if (params != nullptr && params->is_object()) named = params->get_object();
        if (params != nullptr && params->is_array()) {
            // Positions in the order of the documentation; only these two are worth it here.
            static constexpr std::array<std::string_view, 3> names{"event", "socket", "expire"};
            const auto& list = params->get_array();
            for (std::size_t i = 0; i < list.size() && i < names.size(); ++i)
                named[names[i]] = list[i];
        }
        answer = dispatch(std::string_view{method->get_string()}, named, now);
    }
    if (!wants_answer) return std::nullopt;
    if (answer.too_large) return std::nullopt;

    // Written by hand: the order of members is that of OpenSIPS.
    std::string out = R"({"jsonrpc":"2.0",)";
    if (answer.code == 0) {
        out += "\"result\":" + json::serialize(answer.result);
    } else {
        out += fmt::format(R"("error":{{"code":{},"message":"{}")", answer.code, answer.message);
        if (!answer.data.empty()) out += fmt::format(R"(,"data":"{}")", answer.data);
        out += '}';
    }
    out += ",\"id\":" + json::serialize(id) + '}';
    return out;
}

namespace {

using Names = std::vector<std::string_view>;

/// What MI says about a set of parameter names; empty when it is fine.
std::string_view wrong_names(
    const json::object& params, const Names& mandatory, const Names& optional
) {
    for (const auto name : mandatory) {
        if (!params.contains(name)) return "Too few or too many parameters";
    }
    for (const auto& [key, value] : params) {
        const auto is = [&key = key](std::string_view name) { return name == key; };
        if (std::none_of(mandatory.begin(), mandatory.end(), is) &&
            std::none_of(optional.begin(), optional.end(), is)) {
            return "Named parameters do not match";
        }
    }
    if (params.contains("content_type") && !params.contains("body")) {
        return "Named parameters do not match";
    }
    return {};
}

std::string_view null_parameter(const json::object& params) {
    for (const auto& [key, value] : params) {
        if (value.is_string() || value.is_number()) continue;
        if (key == "reason") return "Bad type for parameter 'reason'";
        if (key == "body") return "Bad type for parameter 'body'";
        return "Bad type for parameter 'key'";
    }
    return {};
}

}  // namespace

FakeOpenSips::Answer FakeOpenSips::dispatch(
    std::string_view method, const json::object& params, TimePoint now
) {
    struct Command {
        std::string_view name;
        Names mandatory;
        Names optional;
        Answer (*run)(FakeOpenSips&, const json::object&, TimePoint);
    };
    static const std::array commands{
        Command{
            "event_subscribe",
            {"event", "socket"},
            {"expire"},
            [](FakeOpenSips& self, const json::object& p, TimePoint t) {
                return self.subscribe(p, t);
            }},
        Command{
            "subscribers_list",
            {},
            {"event"},
            [](FakeOpenSips& self, const json::object& p, TimePoint t) {
                return self.list_subscribers(p, t);
            }},
        Command{
            "ua_session_reply",
            {"key", "method", "code", "reason"},
            {"body", "content_type", "extra_headers"},
            [](FakeOpenSips& self, const json::object& p, TimePoint t) {
                return self.reply(p, t);
            }},
        Command{
            "ua_session_update",
            {"key", "method"},
            {"body", "content_type", "extra_headers"},
            [](FakeOpenSips& self, const json::object& p, TimePoint t) {
                return self.update(p, t);
            }},
        Command{
            "ua_session_client_start",
            {"ruri", "to", "from"},
            {"proxy", "body", "content_type", "extra_headers", "flags", "socket"},
            [](FakeOpenSips& self, const json::object& p, TimePoint) { return self.start(p); }},
        Command{
            "ua_session_terminate",
            {"key"},
            {"extra_headers"},
            [](FakeOpenSips& self, const json::object& p, TimePoint) { return self.terminate(p); }},
        Command{
            "ua_session_list",
            {},
            {"key"},
            [](FakeOpenSips& self, const json::object& p, TimePoint) {
                return self.list_sessions(p);
            }},
        Command{
            "b2be_list",
            {},
            {},
            [](FakeOpenSips& self, const json::object& p, TimePoint) {
                return self.list_sessions(p);
            }},
        Command{
            "version",
            {},
            {},
            [](FakeOpenSips&, const json::object&, TimePoint) {
                return Answer{
                    json::object{{"Server", "OpenSIPS (3.6.8 (x86_64/linux))"}}, 0, {}, {}};
            }},
        Command{
            "uptime",
            {},
            {},
            [](FakeOpenSips& self, const json::object&, TimePoint t) {
                const auto up = std::chrono::duration_cast<std::chrono::seconds>(t - self.started_);
                return Answer{
                    json::object{
                        {"Now", date(std::chrono::system_clock::now())},
                        {"Up since", self.up_since_},
                        {"Up time", fmt::format("{} [sec]", up.count())},
                    },
                    0,
                    {},
                    {}};
            }},
    };
    const auto command = std::find_if(commands.begin(), commands.end(), [method](const Command& c) {
        return c.name == method;
    });
    if (command == commands.end()) return Answer::error(-32601, "Method not found");
    const auto wrong = wrong_names(params, command->mandatory, command->optional);
    if (!wrong.empty()) return Answer::invalid(wrong);
    const auto null = null_parameter(params);
    if (!null.empty()) return Answer::invalid(null);
    return command->run(*this, params, now);
}

FakeOpenSips::Answer FakeOpenSips::subscribe(const json::object& params, TimePoint now) {
    const std::string socket = text_of(params, "socket");
    const bool has_port = std::count(socket.begin(), socket.end(), ':') >= 2;
    if (text_of(params, "event") != "E_UA_SESSION" || !socket.starts_with("udp:") || !has_port) {
        return Answer::error(400, "Bad parameter value");
    }
    std::chrono::seconds expire{3600};
    if (params.contains("expire")) {
        const auto given = number_of(params, "expire");
        if (!given) return Answer::invalid("Bad type for parameter 'expire'");
        if (*given < 0) return Answer::invalid("Negative expire value");
        expire = std::chrono::seconds{*given};
    }
    const auto known =
        std::find_if(subscribers_.begin(), subscribers_.end(), [&socket](const Subscriber& s) {
            return s.socket == socket;
        });
    if (known != subscribers_.end()) {
        known->expire = expire;
        known->since = now;
    } else if (subscribers_.size() < max_subscribers) {
        subscribers_.push_back({socket, expire, now});
    } else {
        return Answer::error(500, "Internal error");
    }
    return Answer::ok();
}

FakeOpenSips::Answer FakeOpenSips::list_subscribers(const json::object& params, TimePoint now)
    const {
    json::array list;
    for (const Subscriber& subscriber : subscribers_) {
        const auto left = std::chrono::duration_cast<std::chrono::seconds>(
            subscriber.since + subscriber.expire - now
        );
        if (left.count() < 0) continue;
        list.push_back({
            {"socket", subscriber.socket},
            {"expire", subscriber.expire.count()},
            {"ttl", left.count() > 0 ? json::value(left.count()) : json::value("expired")},
        });
    }
    json::object event;
    if (!list.empty()) {
        event = {{"name", "E_UA_SESSION"}, {"id", 6}, {"Subscribers", std::move(list)}};
    }
    if (params.contains("event")) return {json::object{{"Event", std::move(event)}}, 0, {}, {}};
    json::array events;
    if (!event.empty()) events.emplace_back(std::move(event));
    return {json::object{{"Events", std::move(events)}}, 0, {}, {}};
}

bool FakeOpenSips::has_subscriber(TimePoint now) const {
    return std::any_of(subscribers_.begin(), subscribers_.end(), [now](const Subscriber& s) {
        return s.since + s.expire >= now;
    });
}

FakeOpenSips::Answer FakeOpenSips::reply(const json::object& params, TimePoint now) {
    const auto code = number_of(params, "code");
    if (!code) return Answer::invalid("Bad type for parameter 'code'");
    const auto found = sessions_.find(text_of(params, "key"));
    const auto failed = Answer::error(500, "Failed to send reply");
    if (found == sessions_.end()) return failed;
    Session& session = found->second;
    const std::string method = text_of(params, "method");
    if (session.pending != method) {
        return *code == session.last_code ? Answer::ok() : failed;
    }
    Outcome outcome;
    outcome.key = found->first;
    outcome.code = static_cast<int>(std::clamp<std::int64_t>(*code, 0, 999));
    outcome.reason = text_of(params, "reason");
    outcome.body = text_of(params, "body");
    session.last_code = outcome.code;
    if (outcome.code < 200) {
        if (method == "INVITE" && session.state == State::fresh) session.state = State::early;
        outcome.kind = Outcome::Kind::provisional;
        outcomes_.push_back(std::move(outcome));
        return Answer::ok();
    }
    on_final_reply(found, outcome, method, now);
    return Answer::ok();
}

FakeOpenSips::Answer FakeOpenSips::update(const json::object& params, TimePoint now) {
    const auto found = sessions_.find(text_of(params, "key"));
    const auto failed = Answer::error(500, "Failed to send sequential request");
    if (found == sessions_.end()) return failed;
    Session& session = found->second;
    const std::string& key = found->first;
    const std::string method = text_of(params, "method");
    if (session.state < State::confirmed || session.state == State::over) return failed;
    // The defect of 3.6.8: extra_headers without a body never reach the message.
    const std::string headers =
        params.contains("body") ? text_of(params, "extra_headers") : std::string{};

    if (const auto refusal = refusals_.extract(method); !refusal.empty()) {
        raise(key, "REJECTED", refusal.mapped(), "Refused", method, "", "", {}, now);
        return Answer::ok();
    }
    if (method == "BYE") {
        raise(key, "ANSWERED", 200, "OK", "BYE", "", "", {}, now);
        outcomes_.push_back({Outcome::Kind::hung_up, key, 200, "BYE", {}});
        sessions_.erase(found);
        return Answer::ok();
    }
    if (method == "REFER") {
        const std::string target = header_value(headers, "Refer-To");
        if (target.empty()) {
            raise(key, "REJECTED", 400, "Bad Request", "REFER", "", "", {}, now);
            return Answer::ok();
        }
        raise(key, "ANSWERED", 202, "Accepted", "REFER", "", "", {}, now);
        outcomes_.push_back({Outcome::Kind::transfer, key, 202, "REFER", target});
        notify(key, session, false, now);
        return Answer::ok();
    }
    const std::string body = text_of(params, "body");
    if (method == "INVITE") {
        // OpenSIPS sends no second INVITE into one that is still open (RFC 3261 §14.1).
        if (session.pending == "INVITE") return failed;
        outcomes_.push_back({Outcome::Kind::held, key, 200, "INVITE", body});
    } else if (method == "INFO") {
        const auto at = body.find('=');
        const auto digit = at == std::string::npos ? std::string{} : body.substr(at + 1, 1);
        outcomes_.push_back({Outcome::Kind::key, key, 200, "INFO", digit});
    }
    // The phone says yes to everything, with its own SDP to a re-INVITE.
    raise(
        key, "ANSWERED", 200, "OK", method, method == "INVITE" ? session.call.sdp : "", "", {}, now
    );
    return Answer::ok();
}

FakeOpenSips::Answer FakeOpenSips::start(const json::object& params) {
    // Neither `socket` nor the modparam advertised_contact: OpenSIPS has no Contact to send.
    if (text_of(params, "socket").empty()) return Answer::error(500, "Failed to start session");
    const auto user_of = [](std::string_view uri) {
        const auto begin = uri.find("sip:");
        if (begin != std::string_view::npos) uri.remove_prefix(begin + 4);
        return std::string{uri.substr(0, uri.find('@'))};
    };
    const auto key = new_key();
    Session session;
    session.outgoing = true;
    session.call.from_user = user_of(text_of(params, "to"));
    session.call.to_user = user_of(text_of(params, "from"));
    session.call_id = key;
    session.from_tag = random_hex(6);
    session.to_tag = random_hex(6);
    session.cseq = 0;
    sessions_.emplace(key, std::move(session));
    outcomes_.push_back(
        {Outcome::Kind::called, key, 0, text_of(params, "ruri"), text_of(params, "body")}
    );
    return {json::value(key), 0, {}, {}};
}

FakeOpenSips::Answer FakeOpenSips::terminate(const json::object& params) {
    const auto found = sessions_.find(text_of(params, "key"));
    const auto failed = Answer::error(500, "Failed to terminate session");
    if (found == sessions_.end()) return failed;
    const Session& session = found->second;
    const bool unanswered = session.state < State::confirmed;
    if (unanswered && !session.cancelled && !session.outgoing) return failed;
    if (unanswered && session.outgoing) {
        outcomes_.push_back({Outcome::Kind::cancelled, found->first, 0, "CANCEL", {}});
    } else if (unanswered) {
        outcomes_.push_back({Outcome::Kind::rejected, found->first, 408, "Request Timeout", {}});
    } else if (session.state != State::over) {
        outcomes_.push_back({Outcome::Kind::hung_up, found->first, 200, "BYE", {}});
    }
    sessions_.erase(found);
    return Answer::ok();
}

FakeOpenSips::Answer FakeOpenSips::list_sessions(const json::object& params) const {
    const auto element = [](const Session& session) {
        const auto contact =
            fmt::format("sip:{}@{}:5070", session.call.from_user, session.call.host);
        json::object out{
            {"dlg", 1},
            {"logic_key", ""},
            {"mod_name", "b2b_entities"},
            {"state", static_cast<int>(session.state)},
            {"last_invite_cseq", 1},
            {"last_method", 0},
        };
        if (session.last_code != 0) out["last_reply_code"] = session.last_code;
        out["db_flag"] = 2;
        out["ruri"] = fmt::format("sip:{}@{}:5060", session.call.to_user, session.call.host);
        out["callid"] = session.call_id;
        out["from"] = "\"Test caller\"";
        out["from_uri"] = contact;
        out["from_tag"] = session.from_tag;
        out["to"] = "";
        out["to_uri"] = out["ruri"];
        out["to_tag"] = session.to_tag;
        out["cseq"] = json::object{{"caller", session.cseq}, {"callee", 1}};
        out["contact"] = json::object{{"caller", contact}, {"callee", ""}};
        out["send_sock"] = session.call.host;
        if (session.outgoing) {
            // The connector is the one who calls.
            std::swap(out["from_uri"], out["to_uri"]);
            std::swap(out["from_tag"], out["to_tag"]);
            out.erase("ruri");
        }
        return out;
    };
    if (params.contains("key")) {
        const std::string key = text_of(params, "key");
        if (!key.starts_with("B2B.")) return Answer::error(400, "Bad format for b2b key");
        const auto found = sessions_.find(key);
        if (found == sessions_.end()) return Answer::error(404, "Entity not found");
        return {element(found->second), 0, {}, {}};
    }
    // An element takes some 500 bytes. Checked before thousands of them are made.
    constexpr std::size_t most_in_a_datagram = 130;
    if (sessions_.size() > most_in_a_datagram) {
        Answer answer;
        answer.too_large = true;
        return answer;
    }
    json::array list;
    for (const auto& [key, session] : sessions_)
        list.emplace_back(element(session));
    return {std::move(list), 0, {}, {}};
}

}  // namespace oavc::caller
