#include "transports/opensips/mi_protocol.hpp"

#include "base/bytes.hpp"
#include "sip/text.hpp"
#include "transports/opensips/json_text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace oavc::transports::opensips {

namespace json = boost::json;

namespace {

/// `name` and `value` as one header line. A line end inside would let a caller's text add headers.
void append_header_line(std::string& out, std::string_view name, std::string_view value) {
    const auto append = [&](std::string_view text) {
        for (const char c : text) {
            if (c != '\r' && c != '\n' && c != '\0') out += c;
        }
    };
    append(name);
    out += ": ";
    append(value);
    out += "\r\n";
}

/// Adds body, content_type and extra_headers in the only combinations that work: headers need a
/// body, "" at least, and "" needs content_type "" lest OpenSIPS call it SDP.
void add_content(
    MiCommand& command, const std::optional<MiBody>& body, const std::vector<MiHeader>& headers
) {
    if (body) {
        command.parameters.push_back({"body", body->text});
        if (body->media_type != "application/sdp") {  // what OpenSIPS adds by itself
            std::string line;
            append_header_line(line, "Content-Type", body->media_type);
            command.parameters.push_back({"content_type", std::move(line)});
        }
    }
    if (headers.empty()) return;
    if (!body) {
        command.parameters.push_back({"body", std::string{}});
        command.parameters.push_back({"content_type", std::string{}});
    }
    std::string lines;
    for (const auto& header : headers)
        append_header_line(lines, header.name, header.value);
    command.parameters.push_back({"extra_headers", std::move(lines)});
}

/// A member of an object as text; empty when it is not there or no text.
std::string text_member(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return {};
    return std::string{value->get_string()};
}

std::optional<std::int64_t> number_member(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_int64()) return value->get_int64();
    return std::nullopt;
}

/// The To tag of an answered call may carry a leg index as a sixth part (OpenSIPS 4.0); the key
/// does not.
std::string key_of_tag(std::string tag) {
    std::size_t dots = 0;
    for (std::size_t i = 0; i < tag.size(); ++i) {
        if (tag[i] == '.' && ++dots == 5) {
            tag.resize(i);
            break;
        }
    }
    return tag;
}

std::optional<MiSession> parse_session(const json::value& value) {
    const auto* object = value.if_object();
    if (object == nullptr) return std::nullopt;
    MiSession session;
    session.state = static_cast<int>(
        std::clamp<std::int64_t>(number_member(*object, "state").value_or(0), 0, 100)
    );
    auto incoming = key_of_tag(text_member(*object, "to_tag"));
    auto outgoing = text_member(*object, "callid");
    session.call_id = outgoing;
    // A caller chooses its Call-ID, so the To tag, which is OpenSIPS's own, decides.
    const bool is_incoming = looks_like_key(incoming) && incoming.starts_with("B2B.");
    session.outgoing = !is_incoming;
    session.key = is_incoming ? std::move(incoming) : std::move(outgoing);
    if (!looks_like_key(session.key)) return std::nullopt;
    session.from_uri = text_member(*object, "from_uri");
    session.to_uri = text_member(*object, "to_uri");
    if (const auto* contact = object->if_contains("contact");
        contact != nullptr && contact->is_object()) {
        session.contact = text_member(contact->get_object(), "caller");
    }
    return session;
}

void parse_result(const json::value& result, MiResponse& response) {
    if (const auto* text = result.if_string()) {
        response.message = std::string{*text};
    } else if (const auto* list = result.if_array()) {
        for (const auto& element : *list) {
            if (response.sessions.size() == max_listed_sessions) break;
            if (auto session = parse_session(element))
                response.sessions.push_back(std::move(*session));
        }
    } else if (const auto* object = result.if_object()) {
        response.up_since = text_member(*object, "Up since");
        auto seconds = std::string_view{};
        const auto up_time = text_member(*object, "Up time");
        seconds = up_time;
        response.up_seconds = sip::parse_number<std::int64_t>(sip::next_word(seconds));
        if (auto session = parse_session(result)) response.sessions.push_back(std::move(*session));
    }
}

void parse_error(const json::value& error, MiResponse& response) {
    response.code = 500;
    const auto* object = error.if_object();
    if (object == nullptr) return;
    response.code = static_cast<int>(
        std::clamp<std::int64_t>(number_member(*object, "code").value_or(500), -99'999, 99'999)
    );
    response.message = text_member(*object, "message");
    if (const auto data = text_member(*object, "data"); !data.empty())
        response.message += ": " + data;
}

/// "400 Parse_error": three digits, a space, words.
std::optional<MiResponse> parse_bare_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.remove_suffix(1);
    auto rest = text;
    const auto code = sip::parse_number<int>(sip::next_word(rest));
    if (!code || *code < 100 || *code > 999 || text.size() > 256) return std::nullopt;
    MiResponse response;
    response.code = *code;
    response.message = repaired_json(sip::trim(rest));
    return response;
}

}  // namespace

/// Keys that OpenSIPS makes are five parts joined by dots. Anything else, above all an empty one or
/// one with strange bytes, must not be sent back to it.
bool looks_like_key(std::string_view text) noexcept {
    return std::count(text.begin(), text.end(), '.') >= 4 && text.size() <= 128;
}

const std::string* MiCommand::text(std::string_view name) const noexcept {
    for (const auto& parameter : parameters) {
        if (parameter.name == name) return std::get_if<std::string>(&parameter.value);
    }
    return nullptr;
}

std::optional<std::int64_t> MiCommand::number(std::string_view name) const noexcept {
    for (const auto& parameter : parameters) {
        const auto* value = std::get_if<std::int64_t>(&parameter.value);
        if (parameter.name == name && value != nullptr) return *value;
    }
    return std::nullopt;
}

MiCommand ua_session_reply(
    std::string_view key,
    std::string_view method,
    int code,
    std::string_view reason,
    const std::optional<MiBody>& body,
    const std::vector<MiHeader>& headers
) {
    MiCommand command{
        "ua_session_reply",
        {{"key", std::string{key}},
         {"method", std::string{method}},
         {"code", std::int64_t{code}},
         {"reason", std::string{reason}}}};
    add_content(command, body, headers);
    return command;
}

MiCommand ua_session_update(
    std::string_view key,
    std::string_view method,
    const std::optional<MiBody>& body,
    const std::vector<MiHeader>& headers
) {
    MiCommand command{
        "ua_session_update", {{"key", std::string{key}}, {"method", std::string{method}}}};
    add_content(command, body, headers);
    return command;
}

MiCommand ua_session_terminate(std::string_view key) {
    return {"ua_session_terminate", {{"key", std::string{key}}}};
}

MiCommand ua_session_client_start(const MiCall& call) {
    MiCommand command{"ua_session_client_start", {}};
    command.parameters.push_back({"ruri", call.request_uri});
    command.parameters.push_back({"to", call.to});
    command.parameters.push_back({"from", call.from});
    if (!call.proxy.empty()) command.parameters.push_back({"proxy", call.proxy});
    // Without headers OpenSIPS refuses proxy, body, flags and socket together.
    const std::vector<MiHeader> allow{
        {"Allow", "INVITE, ACK, BYE, CANCEL, INFO, NOTIFY, OPTIONS, UPDATE"}};
    add_content(command, call.offer, allow);
    command.parameters.push_back({"flags", std::string{"rbh"}});
    if (!call.socket.empty()) command.parameters.push_back({"socket", call.socket});
    return command;
}

MiCommand ua_session_list() { return {"ua_session_list", {}}; }

MiCommand ua_session_list(std::string_view key) {
    return {"ua_session_list", {{"key", std::string{key}}}};
}

MiCommand event_subscribe(std::string_view event, std::string_view socket, std::int64_t expire) {
    return {
        "event_subscribe",
        {{"event", std::string{event}}, {"socket", std::string{socket}}, {"expire", expire}}};
}

MiCommand uptime() { return {"uptime", {}}; }

Result<std::string> write_mi_request(std::uint32_t id, const MiCommand& command) {
    std::string out = R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":)";
    append_json_string(out, command.method);
    if (!command.parameters.empty()) {
        out += R"(,"params":{)";
        bool first = true;
        for (const auto& parameter : command.parameters) {
            if (!std::exchange(first, false)) out += ',';
            append_json_string(out, parameter.name);
            out += ':';
            if (const auto* text = std::get_if<std::string>(&parameter.value)) {
                append_json_string(out, *text);
            } else {
                out += std::to_string(std::get<std::int64_t>(parameter.value));
            }
        }
        out += '}';
    }
    out += '}';
    if (out.size() > max_mi_request) return OpensipsErrc::too_long;
    return out;
}

std::int64_t MiSession::created() const noexcept {
    std::string_view rest = key;
    for (int part = 0; part < 3; ++part) {
        const auto dot = rest.find('.');
        if (dot == std::string_view::npos) return 0;
        rest.remove_prefix(dot + 1);
    }
    return sip::parse_number<std::int64_t>(rest.substr(0, rest.find('.'))).value_or(0);
}

Result<MiResponse> parse_mi_response(std::span<const std::byte> datagram) noexcept {
    if (datagram.size() > max_datagram) return OpensipsErrc::too_long;
    const auto text = as_text(datagram);
    if (auto bare = parse_bare_line(text)) return std::move(*bare);
    error_code error;
    const auto document = json::parse(repaired_json(text), error);
    if (error || !document.is_object()) return OpensipsErrc::not_json;
    const auto& object = document.get_object();
    MiResponse response;
    if (const auto id = number_member(object, "id"); id && *id >= 0 && *id <= 0x7FFFFFFF) {
        response.id = static_cast<std::uint32_t>(*id);
    }
    if (const auto* failure = object.if_contains("error")) {
        parse_error(*failure, response);
    } else if (const auto* result = object.if_contains("result")) {
        response.ok = true;
        parse_result(*result, response);
    } else {
        return OpensipsErrc::not_a_response;
    }
    return response;
}

}  // namespace oavc::transports::opensips
