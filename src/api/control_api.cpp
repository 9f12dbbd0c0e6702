#include "api/control_api.hpp"

#include "api/call_commands.hpp"
#include "api/json_reply.hpp"
#include "api/place_call.hpp"
#include "api/turns.hpp"
#include "net/http_server.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

namespace oavc::api {

namespace json = boost::json;
using Kind = pipeline::CallEvent::Kind;

namespace {

constexpr std::string_view calls_path = "/api/v1/calls";

/// Milliseconds with one decimal: 0.1 ms is finer than anything that is measured here.
double rounded_ms(microseconds d) { return std::round(to_ms(d) * 10.0) / 10.0; }

std::int64_t unix_ms(std::chrono::system_clock::time_point at) {
    return std::chrono::duration_cast<milliseconds>(at.time_since_epoch()).count();
}

/// Boost.JSON serialises any bytes; a transcript is UTF-8 already, a carrier's header may not be.
std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80                    ? 1
                                   : lead >= 0xC2 && lead <= 0xDF ? 2
                                   : lead >= 0xE0 && lead <= 0xEF ? 3
                                   : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                                  : 0;
        bool valid = length > 0 && i + length <= text.size();
        for (std::size_t k = 1; valid && k < length; ++k) {
            valid = (static_cast<unsigned char>(text[i + k]) & 0xC0U) == 0x80U;
        }
        if (valid && length > 2) {  // overlong forms and surrogates (RFC 3629 §4)
            const auto second = static_cast<unsigned char>(text[i + 1]);
            valid = !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second > 0x9F) &&
                    !(lead == 0xF0 && second < 0x90) && !(lead == 0xF4 && second > 0x8F);
        }
        if (!valid) {
            out += "\xEF\xBF\xBD";
            ++i;
            continue;
        }
        out += text.substr(i, length);
        i += length;
    }
    return out;
}

json::object latency_json(const pipeline::TurnLatency& latency) {
    return {
        {"endpointing_ms", rounded_ms(latency.endpointing)},
        {"stt_ms", rounded_ms(latency.stt)},
        {"llm_ms", rounded_ms(latency.llm)},
        {"tts_ms", rounded_ms(latency.tts)},
        {"playout_ms", rounded_ms(latency.playout)},
        {"heard_ms", rounded_ms(latency.heard)},
    };
}

std::string_view state_of(const CallSummary& call) {
    if (call.over) return "over";
    return call.answered ? "answered" : "ringing";
}

json::object summary_json(const CallSummary& call) {
    json::object out{
        {"session", printable(call.session.value)},
        {"via", printable(call.via)},
        {"native_id", printable(call.native_id)},
        {"from", printable(call.from)},
        {"to", printable(call.to)},
        {"direction", call.outgoing ? "outgoing" : "incoming"},
        {"state", state_of(call)},
        {"started_ms", unix_ms(call.started)},
        {"duration_ms", call.duration.count()},
        {"events", call.events},
    };
    if (call.over) out["end_reason"] = printable(call.end_reason);
    if (call.forgotten > 0) out["forgotten_events"] = call.forgotten;
    return out;
}

json::object event_json(const LoggedEvent& logged) {
    const auto& event = logged.event;
    json::object out{
        {"number", logged.number},
        {"kind", pipeline::to_string(event.kind)},
        {"at_ms", unix_ms(event.at)},
        {"since_start_ms", event.since_start.count()},
        {"turn", event.turn},
    };
    if (!event.text.empty()) out["text"] = printable(event.text);
    if (event.kind == Kind::heard) out["interrupted"] = event.interrupted;
    if (event.kind == Kind::reply_started) out["latency"] = latency_json(event.latency);
    if (event.kind == Kind::barge_in) out["reaction_ms"] = rounded_ms(event.reaction);
    return out;
}

json::array transcript_json(const std::vector<TurnRecord>& turns) {
    json::array out;
    for (const TurnRecord& turn : turns) {
        if (!turn.caller_said.empty()) {
            out.push_back({{"who", "caller"}, {"text", printable(turn.caller_said)}});
        }
        const std::string& said = turn.heard.empty() ? turn.connector_said : turn.heard;
        if (said.empty()) continue;
        json::object line{{"who", "connector"}, {"text", printable(said)}};
        if (turn.interrupted) line["interrupted"] = true;
        out.push_back(std::move(line));
    }
    return out;
}

json::array turns_json(const std::vector<TurnRecord>& turns) {
    json::array out;
    for (const TurnRecord& turn : turns) {
        json::object item{
            {"turn", turn.number},
            {"caller_said", printable(turn.caller_said)},
            {"connector_said", printable(turn.connector_said)},
            {"heard", printable(turn.heard)},
            {"interrupted", turn.interrupted},
        };
        if (turn.latency) item["latency"] = latency_json(*turn.latency);
        if (turn.reaction) item["reaction_ms"] = rounded_ms(*turn.reaction);
        out.push_back(std::move(item));
    }
    return out;
}

/// The value of `key` in a query; nullopt when it is not there.
std::optional<std::string_view> query_value(std::string_view query, std::string_view key) {
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        const auto pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        const auto equals = pair.find('=');
        if (pair.substr(0, equals) != key) continue;
        return equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
    }
    return std::nullopt;
}

/// Absent: 0. Anything that is not a plain number: nullopt.
std::optional<std::uint64_t> number_in(std::string_view query, std::string_view key) {
    const auto text = query_value(query, key);
    if (!text) return 0;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
    return value;
}

std::optional<net::HttpResponse> refusal(const Config& config, const net::HttpRequest& request) {
    if (config.token.empty()) {
        if (request.peer_is_loopback) return std::nullopt;
        return json_problem(
            403,
            "The control API answers local clients only. To reach it from elsewhere, set [api] "
            "token "
            "and send it as 'Authorization: Bearer <token>'."
        );
    }
    constexpr std::string_view scheme = "bearer ";
    const std::string_view given = request.header("Authorization");
    const bool bearer = given.size() > scheme.size() &&
                        std::equal(scheme.begin(), scheme.end(), given.begin(), [](char a, char b) {
                            return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + 32) : b);
                        });
    if (bearer && equal_in_constant_time(given.substr(scheme.size()), config.token)) {
        return std::nullopt;
    }
    auto response =
        json_problem(401, "Send the token of [api] token as 'Authorization: Bearer <token>'.");
    response.headers["WWW-Authenticate"] = "Bearer";
    return response;
}

net::HttpResponse no_such_call() {
    return json_problem(404, "No such call: it never came, or is older than those kept.");
}

}  // namespace

std::string percent_decoded(std::string_view text) {
    const auto digit = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escape = text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
                            digit(text[i + 2]) >= 0;
        if (!escape) {
            out += text[i];
            continue;
        }
        out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
        i += 2;
    }
    return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
    // The length is no secret; every byte is looked at whatever the earlier ones were.
    unsigned difference = a.size() == b.size() ? 0U : 1U;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const char other = b.empty() ? '\0' : b[i % b.size()];
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
    }
    return difference == 0;
}

ControlApi::ControlApi(
    Config config,
    const CallLog& log,
    pipeline::CallCommands* commands,
    pipeline::OutgoingCalls* outgoing
)
    : config_{std::move(config)}, log_{log}, commands_{commands}, outgoing_{outgoing} {}

void ControlApi::register_on(net::HttpServer& server) {
    const auto handler = [this](async::Shard& shard, net::HttpRequest request) {
        return handle(shard, std::move(request));
    };
    server.handle("GET", std::string{calls_path}, handler);
    server.handle_prefix("GET", std::string{calls_path} + "/", handler);
    if (commands_ != nullptr) {
        server.handle_prefix("POST", std::string{calls_path} + "/", handler);
    }
    if (outgoing_ == nullptr) return;
    server.handle(
        "POST",
        std::string{calls_path},
        [this](async::Shard& shard, net::HttpRequest request) {
            return place(shard, std::move(request));
        }
    );
}

asio::awaitable<net::HttpResponse> ControlApi::place(async::Shard& shard, net::HttpRequest request)
    const {
    if (auto refused = refusal(config_, request)) co_return std::move(*refused);
    auto response = co_await place_call(shard, std::move(request), *outgoing_);
    co_return response;
}

asio::awaitable<net::HttpResponse> ControlApi::handle(async::Shard& shard, net::HttpRequest request)
    const {
    if (auto refused = refusal(config_, request)) co_return std::move(*refused);

    std::string_view rest =
        request.path().substr(std::min(calls_path.size(), request.path().size()));
    if (rest.empty() || rest == "/") {
        json::array calls;
        for (const CallSummary& call : log_.list())
            calls.push_back(summary_json(call));
        json::object body{{"calls", std::move(calls)}};
        co_return json_reply(200, body);
    }
    rest.remove_prefix(1);
    const auto slash = rest.find('/');
    const std::string id = percent_decoded(rest.substr(0, slash));
    const std::string_view part =
        slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);

    if (request.method == "POST") {
        auto answer = co_await command(shard, id, part, request.body);
        co_return answer;
    }
    if (part.empty()) {
        const auto page = log_.find(id);
        if (!page) co_return no_such_call();
        const auto turns = turns_of(page->events);
        json::object body = summary_json(page->call);
        body["transcript"] = transcript_json(turns);
        body["turns"] = turns_json(turns);
        co_return json_reply(200, body);
    }
    if (part != "events")
        co_return json_problem(404, "Known are /api/v1/calls/{id} and …/{id}/events.");

    const auto after = number_in(request.query(), "after");
    const auto wait = number_in(request.query(), "wait_ms");
    if (!after || !wait) co_return json_problem(400, "after and wait_ms are whole numbers ≥ 0.");
    const auto limit = milliseconds{static_cast<std::int64_t>(
        std::min<std::uint64_t>(*wait, static_cast<std::uint64_t>(longest_wait.count()))
    )};
    std::optional<CallPage> page;
    if (limit == 0ms) {
        page = log_.find(id, *after, CallLog::max_page);
    } else {
        page = co_await log_.wait(id, *after, limit);
    }
    if (!page) co_return no_such_call();
    json::array events;
    for (const LoggedEvent& logged : page->events)
        events.push_back(event_json(logged));
    const std::uint64_t next = page->events.empty() ? *after : page->events.back().number;
    json::object body = summary_json(page->call);
    body["next"] = next;
    // Nothing will follow `next`: the watcher can stop.
    body["complete"] = page->call.over && next >= page->call.events;
    body["events"] = std::move(events);
    co_return json_reply(200, body);
}

asio::awaitable<net::HttpResponse> ControlApi::command(
    async::Shard& shard, std::string id, std::string_view verb, std::string_view body
) const {
    auto wish = parse_call_command(verb, body);
    if (!wish && wish.error().empty()) {
        co_return json_problem(
            404, "A call can be told: hangup, transfer, hold, resume, digits, say."
        );
    }
    if (!wish) co_return json_problem(400, wish.error());
    const auto page = log_.find(id, 0, 1);
    if (!page) co_return no_such_call();
    const auto outcome = co_await commands_->command(shard, std::move(id), *wish);
    co_return command_answer(*wish, outcome);
}

}  // namespace oavc::api
