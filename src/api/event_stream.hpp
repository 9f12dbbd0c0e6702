#pragma once

#include "api/event_feed.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::api {

// Server-sent events (HTML Living Standard §9.2), sans-I/O.

/// "id: 4f1c-17\nevent: caller_said\ndata: {…}\n\n".
std::string sse_event(std::string_view instance, const FeedItem& item);

/// Tells a watcher that events are missing between its last one and the next: `missed` of them, or
/// an unknown number (0) because its last one was of another process. It should ask for the calls
/// anew.
std::string sse_gap(std::uint64_t missed);

/// The number in a `Last-Event-ID`. Nothing: of another instance, or none of ours.
std::optional<std::uint64_t> event_number(std::string_view instance, std::string_view id) noexcept;

}  // namespace oavc::api
