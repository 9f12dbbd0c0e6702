#include "api/operations.hpp"

#include "net/json_text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <iterator>

namespace oavc::api {

namespace json = boost::json;

namespace {

constexpr int seen[]{200, 401, 403, 429};
constexpr int found[]{200, 401, 403, 404, 429};
constexpr int paged[]{200, 400, 401, 403, 404, 429};
constexpr int streamed[]{200, 400, 401, 403, 429, 503};
constexpr int placed[]{202, 400, 401, 403, 409, 429, 502, 503, 504};
constexpr int told[]{200, 400, 401, 403, 404, 409, 429, 501, 502};
constexpr int maybe_later[]{200, 202, 400, 401, 403, 404, 409, 429, 501, 502};
constexpr int later[]{202, 400, 401, 403, 404, 409, 429, 501, 502};
constexpr int accepted[]{202, 400, 401, 403, 429};
constexpr int changed[]{200, 400, 401, 403, 429};
constexpr int open_to_all[]{200};

constexpr Operation table[]{
    {Does::list_calls,
     "listCalls",
     "GET",
     "/api/v1/calls",
     Role::watcher,
     "The last 200 calls, newest first.",
     "",
     "",
     "Calls",
     seen},
    {Does::place_call,
     "placeCall",
     "POST",
     "/api/v1/calls",
     Role::admin,
     "Calls somebody. Answered at the carrier's first sign.",
     "DialRequest",
     "",
     "Placed",
     placed},
    {Does::show_call,
     "getCall",
     "GET",
     "/api/v1/calls/{id}",
     Role::watcher,
     "State, transcript, and turns with their latency.",
     "",
     "",
     "CallDetail",
     found},
    {Does::show_events,
     "getCallEvents",
     "GET",
     "/api/v1/calls/{id}/events",
     Role::watcher,
     "Events numbered above `after`; waits for one, at most `wait_ms` and 10 s.",
     "",
     "after wait_ms",
     "EventPage",
     paged},
    {Does::tell_call,
     "hangUp",
     "POST",
     "/api/v1/calls/{id}/hangup",
     Role::admin,
     "Hangs up at once, or after the agent's goodbye.",
     "HangUp",
     "",
     "Done",
     maybe_later},
    {Does::tell_call,
     "transfer",
     "POST",
     "/api/v1/calls/{id}/transfer",
     Role::admin,
     "Hands the caller over.",
     "Transfer",
     "",
     "Done",
     told},
    {Does::tell_call,
     "hold",
     "POST",
     "/api/v1/calls/{id}/hold",
     Role::admin,
     "Puts the other side on hold.",
     "Nothing",
     "",
     "Done",
     told},
    {Does::tell_call,
     "resume",
     "POST",
     "/api/v1/calls/{id}/resume",
     Role::admin,
     "Goes on after hold.",
     "Nothing",
     "",
     "Done",
     told},
    {Does::tell_call,
     "sendDigits",
     "POST",
     "/api/v1/calls/{id}/digits",
     Role::admin,
     "Presses keys.",
     "Digits",
     "",
     "Done",
     told},
    {Does::tell_call,
     "say",
     "POST",
     "/api/v1/calls/{id}/say",
     Role::admin,
     "Says it when nobody speaks, or at once.",
     "Say",
     "",
     "Done",
     later},
    {Does::tell_call,
     "pauseRecording",
     "POST",
     "/api/v1/calls/{id}/recording/pause",
     Role::admin,
     "Makes the recording silent on both sides.",
     "Nothing",
     "",
     "Done",
     told},
    {Does::tell_call,
     "resumeRecording",
     "POST",
     "/api/v1/calls/{id}/recording/resume",
     Role::admin,
     "Records on.",
     "Nothing",
     "",
     "Done",
     told},
    {Does::watch,
     "watchEvents",
     "GET",
     "/api/v1/events",
     Role::watcher,
     "Server-sent events of all calls, or of one (`call`), as they happen. `Last-Event-ID` "
     "resumes.",
     "",
     "call",
     "",
     streamed},
    {Does::drain,
     "drain",
     "POST",
     "/api/v1/drain",
     Role::admin,
     "Takes no new calls, lets running ones finish, then ends the process, as SIGTERM does.",
     "Drain",
     "",
     "Draining",
     accepted},
    {Does::show_level,
     "getLogLevel",
     "GET",
     "/api/v1/log-level",
     Role::watcher,
     "The least important lines that are written.",
     "",
     "",
     "LogLevel",
     seen},
    {Does::set_level,
     "setLogLevel",
     "PUT",
     "/api/v1/log-level",
     Role::admin,
     "Changes it until it is changed again, or the configuration is reloaded.",
     "LogLevel",
     "",
     "LogLevel",
     changed},
    {Does::describe,
     "describe",
     "GET",
     "/api/v1/openapi.json",
     Role::anybody,
     "This document.",
     "",
     "",
     "Document",
     open_to_all},
};

std::string_view meaning_of(int status) noexcept {
    switch (status) {
        case 200:
            return "Done.";
        case 202:
            return "Accepted: it will be done.";
        case 400:
            return "The request is wrong; `error` says where.";
        case 401:
            return "The token is missing or wrong.";
        case 403:
            return "Not with this token, not from this address, or switched off.";
        case 404:
            return "No such call.";
        case 409:
            return "Not in this state of the call, or the other side did not take it.";
        case 429:
            return "Too much of it: try again after Retry-After.";
        case 501:
            return "This call's carrier cannot do that.";
        case 502:
            return "The carrier does not work.";
        case 503:
            return "Not now: draining, or too many watchers.";
        default:
            return "No sign in time.";
    }
}

/// What the bodies look like; "Document" is this document's own.
constexpr std::string_view schemas = R"json({
"Problem": {"type": "object", "required": ["error"], "properties": {
  "error": {"type": "string", "description": "A sentence for people."},
  "code": {"type": "string", "description": "A word for programs."}}},
"Document": {"type": "object"},
"Nothing": {"type": "object", "properties": {}},
"HangUp": {"type": "object", "properties": {
  "goodbye": {"type": "boolean", "default": false}}},
"Transfer": {"type": "object", "required": ["to"], "properties": {
  "to": {"type": "string", "description": "SIP URI, number, or a name of transfer_targets."},
  "attended": {"type": "boolean", "default": false},
  "patience_s": {"type": "integer", "default": 30}}},
"Digits": {"type": "object", "required": ["digits"], "properties": {
  "digits": {"type": "string", "pattern": "^[0-9*#A-Dw]+$"}}},
"Say": {"type": "object", "required": ["text"], "properties": {
  "text": {"type": "string"}, "interrupt": {"type": "boolean", "default": false}}},
"Done": {"type": "object", "required": ["status"], "properties": {
  "status": {"type": "string", "enum": ["done", "accepted"]}}},
"Drain": {"type": "object", "properties": {
  "deadline_s": {"type": "integer", "minimum": 0, "maximum": 86400,
    "description": "Instead of [limits] drain_deadline."}}},
"Draining": {"type": "object", "required": ["status", "active_calls"], "properties": {
  "status": {"type": "string", "enum": ["draining"]}, "active_calls": {"type": "integer"}}},
"LogLevel": {"type": "object", "required": ["level"], "properties": {
  "level": {"type": "string", "enum": ["debug", "info", "warn", "error", "off"]}}},
"DialRequest": {"type": "object", "required": ["to"], "properties": {
  "to": {"type": "string"}, "from": {"type": "string"}, "agent": {"type": "string"},
  "patience_s": {"type": "integer"},
  "parameters": {"type": "object", "additionalProperties": {"type": "string"}}}},
"Placed": {"type": "object", "required": ["id", "via", "native_id", "state"], "properties": {
  "id": {"type": "string"}, "via": {"type": "string"}, "native_id": {"type": "string"},
  "state": {"type": "string", "enum": ["ringing"]}}},
"Call": {"type": "object",
  "required": ["session", "via", "native_id", "from", "to", "direction", "state", "started_ms",
    "duration_ms", "events"],
  "properties": {
  "session": {"type": "string"}, "via": {"type": "string"}, "native_id": {"type": "string"},
  "from": {"type": "string"}, "to": {"type": "string"},
  "direction": {"type": "string", "enum": ["incoming", "outgoing"]},
  "state": {"type": "string", "enum": ["ringing", "answered", "over"]},
  "started_ms": {"type": "integer"}, "duration_ms": {"type": "integer"},
  "events": {"type": "integer"}, "end_reason": {"type": "string"},
  "forgotten_events": {"type": "integer"}}},
"Calls": {"type": "object", "required": ["calls"], "properties": {
  "calls": {"type": "array", "items": {"$ref": "#/components/schemas/Call"}}}},
"CallDetail": {"allOf": [{"$ref": "#/components/schemas/Call"}, {"type": "object",
  "required": ["transcript", "turns"], "properties": {
  "transcript": {"type": "array", "items": {"type": "object"}},
  "turns": {"type": "array", "items": {"type": "object"}}}}]},
"EventPage": {"allOf": [{"$ref": "#/components/schemas/Call"}, {"type": "object",
  "required": ["next", "complete", "events"], "properties": {
  "next": {"type": "integer"}, "complete": {"type": "boolean"},
  "events": {"type": "array", "items": {"type": "object"}}}}]}
})json";

json::string_view view(std::string_view text) noexcept { return {text.data(), text.size()}; }

json::object reference(std::string_view schema) {
    return {{"$ref", "#/components/schemas/" + std::string{schema}}};
}

json::object content(std::string_view type, json::object schema) {
    json::object media{{"schema", std::move(schema)}};
    json::object out;
    out.emplace(view(type), std::move(media));
    return out;
}

json::object described(const Operation& operation) {
    json::object out{
        {"operationId", view(operation.id)},
        {"summary", view(operation.summary)},
        {"x-role", view(to_string(operation.role))},
    };
    if (operation.role == Role::anybody) out["security"] = json::array{};
    json::array parameters;
    if (operation.path.find("{id}") != std::string_view::npos) {
        parameters.push_back(json::object{
            {"name", "id"},
            {"in", "path"},
            {"required", true},
            {"description", "The connector's id of the call, or the carrier's own."},
            {"schema", {{"type", "string"}}}});
    }
    for (auto rest = operation.parameters; !rest.empty();) {
        const auto end = std::min(rest.find(' '), rest.size());
        const auto name = rest.substr(0, end);
        parameters.push_back(json::object{
            {"name", view(name)},
            {"in", "query"},
            {"schema", {{"type", name == "call" ? "string" : "integer"}}}});
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (!parameters.empty()) out["parameters"] = std::move(parameters);
    if (!operation.body.empty()) {
        out["requestBody"] =
            json::object{{"content", content("application/json", reference(operation.body))}};
    }
    json::object responses;
    for (const int status : operation.statuses) {
        json::object response{{"description", view(meaning_of(status))}};
        if (status >= 300) {
            response["content"] = content("application/json", reference("Problem"));
        } else if (operation.answer.empty()) {
            response["content"] = content("text/event-stream", {{"type", "string"}});
        } else {
            response["content"] = content("application/json", reference(operation.answer));
        }
        responses.emplace(std::to_string(status), std::move(response));
    }
    out["responses"] = std::move(responses);
    return out;
}

/// The segment at "{id}", if `path` has the form of `pattern`.
bool fits(std::string_view pattern, std::string_view path, std::string_view& id) noexcept {
    const auto hole = pattern.find("{id}");
    if (hole == std::string_view::npos) return pattern == path;
    const auto before = pattern.substr(0, hole);
    const auto after = pattern.substr(hole + 4);
    if (!path.starts_with(before)) return false;
    path.remove_prefix(before.size());
    const auto end = std::min(path.find('/'), path.size());
    if (end == 0 || path.substr(end) != after) return false;
    id = path.substr(0, end);
    return true;
}

}  // namespace

std::span<const Operation> operations() noexcept { return table; }

Match match(std::string_view method, std::string_view path) {
    if (path.ends_with('/')) path.remove_suffix(1);
    Match result;
    for (const Operation& operation : table) {
        if (!fits(operation.path, path, result.id)) continue;
        if (operation.method == method || (operation.method == "GET" && method == "HEAD")) {
            result.operation = &operation;
            const auto behind =
                result.id.empty()
                    ? path.rfind('/')
                    : static_cast<std::size_t>(result.id.data() - path.data()) + result.id.size();
            result.verb = path.substr(std::min(behind + 1, path.size()));
            return result;
        }
        result.allowed += result.allowed.empty() ? "" : ", ";
        result.allowed += operation.method;
    }
    return result;
}

std::string openapi_document(std::string_view version) {
    json::object paths;
    for (const Operation& operation : table) {
        std::string method{operation.method};
        for (char& c : method)
            c = static_cast<char>(c + ('a' - 'A'));
        auto& path = paths[view(operation.path)];
        if (path.is_null()) path = json::object{};
        path.as_object().emplace(method, described(operation));
    }
    const json::object document{
        {"openapi", "3.0.3"},
        {"info",
         {{"title", "OpenSIPS AI Voice Connector"},
          {"version", view(version)},
          {"description",
           "Control API. Any request may also be refused before it is understood: 400, 405, 413, "
           "431, and 503 when its answer takes too long."},
          {"license", {{"name", "Apache-2.0"}}}}},
        {"paths", std::move(paths)},
        {"components",
         {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}},
          {"schemas", json::parse(view(schemas))}}},
        {"security", json::array{json::object{{"bearer", json::array{}}}}},
    };
    return net::json_text(document) + "\n";
}

}  // namespace oavc::api
