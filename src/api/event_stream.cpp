#include "api/event_stream.hpp"

#include "api/call_json.hpp"
#include "net/json_text.hpp"

#include <fmt/format.h>

#include <charconv>

namespace oavc::api {

std::string sse_event(std::string_view instance, const FeedItem& item) {
    boost::json::object data{
        {"call", printable(item.session.value)},
        {"via", printable(item.via)},
        {"native_id", printable(item.native_id)},
        {"direction", item.outgoing ? "outgoing" : "incoming"},
    };
    for (auto& [name, value] : event_json(item.event))
        data.emplace(name, value);
    // JSON escapes line ends, so that the data is one line.
    return fmt::format(
        "id: {}-{}\nevent: {}\ndata: {}\n\n",
        instance,
        item.number,
        pipeline::to_string(item.event.kind),
        net::json_text(data)
    );
}

std::string sse_gap(std::uint64_t missed) {
    if (missed == 0) return "event: gap\ndata: {}\n\n";
    return fmt::format("event: gap\ndata: {{\"missed\":{}}}\n\n", missed);
}

std::optional<std::uint64_t> event_number(std::string_view instance, std::string_view id) noexcept {
    const auto dash = id.rfind('-');
    if (dash == std::string_view::npos || id.substr(0, dash) != instance) return std::nullopt;
    const auto digits = id.substr(dash + 1);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return number;
}

}  // namespace oavc::api
