#pragma once

#include "services/detail/line_splitter.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace oavc::services {

/// One server-sent event.
struct SseEvent {
    std::string type;  ///< of its `event:` line; empty: none was given
    std::string data;  ///< its `data:` lines, joined with "\n"
};

/// Server-sent events (WHATWG HTML §9.2.6) out of a stream of bytes. Comments, ids and retry times
/// are skipped, and so are events without data. Lines end with "\n" or "\r\n". An event of more
/// than `max_event` bytes fails the stream. Sans-I/O.
class SseParser {
public:
    explicit SseParser(std::size_t max_event = std::size_t{1} << 20) noexcept
        : max_event_{max_event}, lines_{max_event} {}

    /// Bytes as they came, any split. Take the events out before the next push.
    void push(std::string_view bytes) { lines_.push(bytes); }

    /// The next whole event.
    std::optional<SseEvent> next() {
        while (!failed_) {
            const auto line = lines_.next();
            if (!line) break;
            if (!line->empty()) {
                take(*line);
            } else if (auto event = dispatch()) {
                return event;
            }
        }
        return std::nullopt;
    }

    /// At the end of the stream, after next() has given nothing: the event that no empty line
    /// ended. The standard drops it; servers that close in a hurry mean it.
    std::optional<SseEvent> finish() {
        if (const auto line = lines_.rest(); !line.empty()) take(line);
        return failed() ? std::nullopt : dispatch();
    }

    /// An event was too large: what follows cannot be trusted.
    bool failed() const noexcept { return failed_ || lines_.failed(); }

private:
    void take(std::string_view line) {
        if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF")) {
            line.remove_prefix(3);
        }
        const auto colon = line.find(':');
        const auto field = line.substr(0, colon);
        auto value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
        if (value.starts_with(' ')) value.remove_prefix(1);
        if (field == "data") {
            if (has_data_) event_.data += '\n';
            event_.data += value;
            has_data_ = true;
            if (event_.data.size() > max_event_) failed_ = true;
        } else if (field == "event") {
            event_.type = value;
        }
    }

    std::optional<SseEvent> dispatch() {
        auto event = std::exchange(event_, {});
        if (!std::exchange(has_data_, false)) return std::nullopt;
        return event;
    }

    const std::size_t max_event_;
    LineSplitter lines_;
    SseEvent event_;
    bool has_data_{false};
    bool first_line_{true};
    bool failed_{false};
};

}  // namespace oavc::services
