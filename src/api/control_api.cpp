#include "api/control_api.hpp"

#include "api/call_audit.hpp"
#include "api/call_commands.hpp"
#include "api/call_json.hpp"
#include "api/event_stream.hpp"
#include "api/json_reply.hpp"
#include "api/operations.hpp"
#include "api/place_call.hpp"
#include "api/turns.hpp"
#include "net/http_server.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace oavc::api {

namespace json = boost::json;

namespace {

constexpr std::int64_t longest_deadline_s = 86'400;
constexpr std::size_t events_at_once = 64;  ///< written together to a watcher

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

/// The only member of a JSON object; null: it has others, or is none. An empty body is an empty
/// object.
std::optional<json::object> object_of(std::string_view body, std::string_view only_member) {
    if (body.empty()) return json::object{};
    error_code malformed;
    auto parsed = json::parse({body.data(), body.size()}, malformed);
    auto* const object = malformed ? nullptr : parsed.if_object();
    if (object == nullptr) return std::nullopt;
    for (const auto& [name, value] : *object) {
        if (std::string_view{name.data(), name.size()} != only_member) return std::nullopt;
    }
    return std::move(*object);
}

std::string_view name_of(log::Level level) noexcept {
    switch (level) {
        case log::Level::debug:
            return "debug";
        case log::Level::info:
            return "info";
        case log::Level::warn:
            return "warn";
        case log::Level::error:
            return "error";
        case log::Level::off:
            break;
    }
    return "off";
}

net::HttpResponse level_reply(log::Level level) {
    const auto name = name_of(level);
    return json_reply(200, {{"level", json::string_view{name.data(), name.size()}}});
}

net::HttpResponse no_such_call() {
    return json_problem(404, "No such call: it never came, or is older than those kept.");
}

net::HttpResponse not_found(const Match& found) {
    if (found.allowed.empty() || found.operation != nullptr) {
        return json_problem(404, "There is nothing at this path; see /api/v1/openapi.json.");
    }
    auto response = json_problem(405, "This path has no such method.");
    response.headers["Allow"] = found.allowed;
    return response;
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

ControlApi::ControlApi(Config config, const CallLog& log, Reach reach)
    : log_{log},
      reach_{std::move(reach)},
      document_{openapi_document(reach_.version)},
      access_{config} {}

bool ControlApi::offered(const Match& found) const noexcept {
    if (found.operation == nullptr) return false;
    switch (found.operation->does) {
        case Does::place_call:
            return reach_.outgoing != nullptr;
        case Does::tell_call:
            return reach_.commands != nullptr;
        case Does::watch:
            return reach_.feed != nullptr;
        case Does::drain:
            return static_cast<bool>(reach_.drain);
        case Does::set_level:
            return static_cast<bool>(reach_.set_level);
        case Does::list_calls:
        case Does::show_call:
        case Does::show_events:
        case Does::show_level:
        case Does::describe:
            break;
    }
    return true;
}

void ControlApi::register_on(net::HttpServer& server) {
    net::HttpHandler handler = [this](async::Shard& shard, net::HttpRequest request) {
        return handle(shard, std::move(request));
    };
    if (reach_.audit != nullptr) handler = audited(*reach_.audit, access_, std::move(handler));
    for (const Operation& operation : operations()) {
        if (!offered({&operation, {}, {}, {}})) continue;
        const auto hole = operation.path.find("{id}");
        if (operation.does == Does::watch) {
            server.handle_long(
                std::string{operation.method},
                std::string{operation.path},
                [this](async::Shard& shard, net::HttpRequest request, net::LongAnswer& answer) {
                    return watch(shard, std::move(request), answer);
                }
            );
        } else if (hole == std::string_view::npos) {
            server.handle(std::string{operation.method}, std::string{operation.path}, handler);
        }
    }
    // Calls are found by what follows.
    for (const char* const method : {"GET", "POST", "PUT"}) {
        server.handle_prefix(method, "/api/v1/calls/", handler);
    }
}

asio::awaitable<net::HttpResponse> ControlApi::handle(
    async::Shard& shard, net::HttpRequest request
) {
    const auto found = match(request.method, request.path());
    const bool there = offered(found);
    // Strangers are not told what there is.
    const auto needed = there ? found.operation->role : Role::watcher;
    if (auto refused = access_.refusal(request, needed, Clock::now())) {
        co_return std::move(*refused);
    }
    if (!there) co_return not_found(found);
    std::string id = percent_decoded(found.id);
    switch (found.operation->does) {
        case Does::list_calls: {
            json::array calls;
            for (const CallSummary& call : log_.list())
                calls.push_back(summary_json(call));
            co_return json_reply(200, {{"calls", std::move(calls)}});
        }
        case Does::show_call:
            co_return show_call(id);
        case Does::show_level:
            co_return level_reply(log::level());
        case Does::set_level:
            co_return set_level(request.body);
        case Does::drain:
            co_return drain(request.body);
        case Does::describe:
            break;
        case Does::watch:  // its handler is watch()
            co_return not_found(found);
        case Does::place_call: {
            auto answer = co_await api::place_call(shard, std::move(request), *reach_.outgoing);
            co_return answer;
        }
        case Does::show_events: {
            auto answer = co_await show_events(std::move(id), std::string{request.query()});
            co_return answer;
        }
        case Does::tell_call: {
            std::string verb{found.verb};
            auto answer =
                co_await tell_call(shard, std::move(id), std::move(verb), std::move(request.body));
            co_return answer;
        }
    }
    net::HttpResponse document;
    document.body = document_;
    document.content_type = "application/json";
    co_return document;
}

net::HttpResponse ControlApi::show_call(const std::string& id) const {
    const auto page = log_.find(id);
    if (!page) return no_such_call();
    const auto turns = turns_of(page->events);
    json::object body = summary_json(page->call);
    body["transcript"] = transcript_json(turns);
    body["turns"] = turns_json(turns);
    return json_reply(200, body);
}

asio::awaitable<net::HttpResponse> ControlApi::show_events(std::string id, std::string query)
    const {
    const auto after = number_in(query, "after");
    const auto wait = number_in(query, "wait_ms");
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
    for (const LoggedEvent& logged : page->events) {
        json::object event{{"number", logged.number}};
        for (auto& [name, value] : event_json(logged.event))
            event.emplace(name, value);
        events.push_back(std::move(event));
    }
    const std::uint64_t next = page->events.empty() ? *after : page->events.back().number;
    json::object body = summary_json(page->call);
    body["next"] = next;
    // Nothing will follow `next`: the watcher can stop.
    body["complete"] = page->call.over && next >= page->call.events;
    body["events"] = std::move(events);
    co_return json_reply(200, body);
}

asio::awaitable<net::HttpResponse> ControlApi::tell_call(
    async::Shard& shard, std::string id, std::string verb, std::string body
) const {
    auto wish = parse_call_command(verb, body);
    if (!wish) co_return json_problem(400, wish.error());
    const auto page = log_.find(id, 0, 1);
    if (!page) co_return no_such_call();
    const auto outcome = co_await reach_.commands->command(shard, std::move(id), *wish);
    co_return command_answer(*wish, outcome);
}

net::HttpResponse ControlApi::drain(std::string_view body) const {
    const auto object = object_of(body, "deadline_s");
    std::optional<std::chrono::seconds> deadline;
    bool good = object.has_value();
    if (good && !object->empty()) {
        const auto& value = object->begin()->value();
        good =
            value.is_int64() && value.get_int64() >= 0 && value.get_int64() <= longest_deadline_s;
        if (good) deadline.emplace(value.get_int64());
    }
    if (!good) {
        return json_problem(
            400, R"(The body is nothing, or {"deadline_s": a whole number from 0 to 86400}.)"
        );
    }
    const auto active = reach_.drain(deadline);
    return json_reply(202, {{"status", "draining"}, {"active_calls", active}});
}

net::HttpResponse ControlApi::set_level(std::string_view body) const {
    const auto object = object_of(body, "level");
    const auto* const name = object ? object->if_contains("level") : nullptr;
    const auto* const text = name == nullptr ? nullptr : name->if_string();
    log::Level level{};
    if (text == nullptr || !log::parse_level({text->data(), text->size()}, level)) {
        return json_problem(400, R"(The body is {"level": debug, info, warn, error or off}.)");
    }
    reach_.set_level(level);
    return level_reply(level);
}

asio::awaitable<std::optional<net::HttpResponse>> ControlApi::watch(
    async::Shard& shard, net::HttpRequest request, net::LongAnswer& answer
) {
    if (auto refused = access_.refusal(request, Role::watcher, Clock::now())) co_return refused;
    const std::string call = percent_decoded(query_value(request.query(), "call").value_or(""));
    const std::string last{request.header("Last-Event-ID")};
    if (last.size() > 100) co_return json_problem(400, "Last-Event-ID is none of ours.");
    auto& feed = *reach_.feed;
    auto news = feed.watch(shard.executor());
    if (!news) {
        auto full = json_problem(503, "Too many watch already.", "too_many_watchers");
        full.headers["Retry-After"] = "10";
        co_return full;
    }
    // Who does not resume sees what happens from now on.
    auto after = last.empty() ? std::optional{feed.latest()} : event_number(reach_.instance, last);
    net::HttpResponse head;
    head.content_type = "text/event-stream";
    head.headers["Cache-Control"] = "no-store";
    head.headers["X-Accel-Buffering"] = "no";  // nginx would hold events back
    head.body = "retry: 2000\n\n";
    if (!after || *after > feed.latest()) {
        head.body += sse_gap(0);
        after = feed.latest();
    }
    bool resuming = !last.empty();
    bool taken = co_await answer.begin(std::move(head));
    bool over = false;
    while (taken && !over) {
        const auto page = feed.read(*after, events_at_once);
        std::string text;
        if (page.missed > 0 && !resuming) {
            // It reads more slowly than calls talk: it may come back and learn what it missed.
            feed.count_dropped();
            break;
        }
        if (page.missed > 0) text = sse_gap(page.missed);
        resuming = false;
        for (const auto& item : page.items) {
            after = item->number;
            if (!call.empty() && item->session.value != call && item->native_id != call) continue;
            text += sse_event(reach_.instance, *item);
            over = !call.empty() && item->event.kind == pipeline::CallEvent::Kind::ended;
            if (over) break;
        }
        if (text.empty() && page.items.empty()) {
            const bool happened = co_await news->wait(Clock::now() + keep_alive);
            if (!happened) text = ": nothing new\n\n";
        }
        if (!text.empty()) taken = co_await answer.write(std::move(text));
    }
    co_return std::nullopt;
}

}  // namespace oavc::api
