#include "caller/server_watch.hpp"

#include "async/deadline.hpp"
#include "net/http_client.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <fmt/format.h>

#include <utility>

namespace oavc::caller {

namespace json = boost::json;

namespace {

constexpr std::size_t max_events = 10'000;
constexpr auto long_poll = 5'000ms;

std::string text_at(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string{value->get_string()}
                                                  : std::string{};
}

std::uint64_t count_at(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    if (value == nullptr) return 0;
    if (value->is_uint64()) return value->get_uint64();
    return value->is_int64() && value->get_int64() > 0
               ? static_cast<std::uint64_t>(value->get_int64())
               : 0;
}

double number_at(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    if (value == nullptr) return 0;
    if (value->is_double()) return value->get_double();
    return value->is_int64() ? static_cast<double>(value->get_int64()) : 0;
}

bool flag_at(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    return value != nullptr && value->is_bool() && value->get_bool();
}

ServerEvent event_from(const json::object& object) {
    ServerEvent event;
    event.number = count_at(object, "number");
    event.kind = text_at(object, "kind");
    event.since_start =
        milliseconds{static_cast<std::int64_t>(number_at(object, "since_start_ms"))};
    event.turn = static_cast<std::uint32_t>(count_at(object, "turn"));
    event.text = text_at(object, "text");
    event.interrupted = flag_at(object, "interrupted");
    const auto* const latency = object.if_contains("latency");
    if (latency != nullptr && latency->is_object()) {
        const auto& parts = latency->get_object();
        Stages stages;
        stages.endpointing_ms = number_at(parts, "endpointing_ms");
        stages.stt_ms = number_at(parts, "stt_ms");
        stages.llm_ms = number_at(parts, "llm_ms");
        stages.tts_ms = number_at(parts, "tts_ms");
        stages.playout_ms = number_at(parts, "playout_ms");
        event.stages = stages;
    }
    return event;
}

std::string path_escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        out += plain ? std::string{c} : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

Result<EventsPage> parse_events_page(std::string_view body) {
    boost::system::error_code error;
    const json::value value = json::parse({body.data(), body.size()}, error);
    if (error) return error;
    const auto* const object = value.if_object();
    const auto* const events = object == nullptr ? nullptr : object->if_contains("events");
    if (events == nullptr || !events->is_array()) return error_code{json::error::not_array};
    EventsPage page;
    page.session = text_at(*object, "session");
    page.next = count_at(*object, "next");
    page.complete = flag_at(*object, "complete");
    for (const auto& item : events->get_array()) {
        if (item.is_object()) page.events.push_back(event_from(item.get_object()));
    }
    return page;
}

ServerWatch::ServerWatch(
    async::Shard& shard,
    Config config,
    std::string native_id,
    std::function<void(const ServerEvent&)> on_event
)
    : shard_{shard},
      config_{std::move(config)},
      native_id_{std::move(native_id)},
      on_event_{std::move(on_event)} {}

asio::awaitable<void> ServerWatch::run() {
    std::uint64_t after = 0;
    for (int failures = 0; failures < 20 && events_.size() < max_events;) {
        net::HttpClientRequest request;
        request.url = fmt::format(
            "{}/api/v1/calls/{}/events?after={}&wait_ms={}",
            config_.base_url,
            path_escaped(native_id_),
            after,
            long_poll.count()
        );
        request.tls.ca_file = config_.ca_file;
        if (!config_.token.empty()) request.headers["Authorization"] = "Bearer " + config_.token;
        const auto response =
            co_await net::http_request(shard_, std::move(request), long_poll + 5s);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) co_return;
        if (response.has_error()) {
            problem_ = fmt::format("{}: {}", config_.base_url, response.error().message());
        } else if (response->status == 401 || response->status == 403) {
            problem_ = fmt::format(
                "the server's control API refuses us ({}): give it [api] token", response->status
            );
            co_return;
        } else if (response->status != 200) {
            problem_ = response->status == 404
                           ? "the server knows no such call"
                           : fmt::format("the control API answered {}", response->status);
        } else {
            const auto page = parse_events_page(response->body);
            if (page.has_value()) {
                problem_.clear();
                failures = 0;
                session_ = page->session;
                after = page->next;
                for (const ServerEvent& event : page->events) {
                    events_.push_back(event);
                    if (on_event_) on_event_(event);
                }
                complete_ = page->complete;
                if (complete_) co_return;
                continue;
            }
            problem_ = "the control API's answer is not understood";
        }
        ++failures;
        const bool waited = co_await async::sleep_for(250ms);
        if (!waited) co_return;
    }
}

}  // namespace oavc::caller
