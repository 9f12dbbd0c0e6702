#include "media/telephone_event.hpp"

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "media/wrap.hpp"

#include <algorithm>
#include <string_view>

namespace oavc::media {
namespace {

constexpr std::string_view keys = "0123456789*#ABCD";  // RFC 4733 §3.2

// Timestamps older than this are not stragglers but a sender that set its clock back.
constexpr auto straggler_limit = milliseconds{5'000};

// A press whose next report begins no later than this after the last seen one goes on: senders
// that advance the timestamp while the key is held. A real pause between two presses is longer.
constexpr auto continuation_slack = milliseconds{20};

constexpr std::int32_t units(milliseconds time, RtpClockRate clock) noexcept {
    return static_cast<std::int32_t>(time.count() * clock.hz / 1'000);
}

}  // namespace

Result<TelephoneEvent> parse_telephone_event(std::span<const std::byte> payload) noexcept {
    ByteReader in{payload};
    TelephoneEvent event;
    event.event = in.u8();
    const unsigned flags = in.u8();
    event.duration = in.u16();
    if (in.truncated()) return RtpErrc::truncated;
    event.end = (flags & 0x80) != 0;
    event.volume = static_cast<std::uint8_t>(flags & 0x3F);
    return event;
}

Result<std::span<const std::byte>> build_telephone_event(
    const TelephoneEvent& event, std::span<std::byte> buffer
) noexcept {
    ByteWriter out{buffer};
    out.u8(event.event);
    out.u8(static_cast<std::uint8_t>((event.end ? 0x80 : 0) | (event.volume & 0x3F)));
    out.u16(event.duration);
    if (out.overflowed()) return RtpErrc::no_room;
    return out.written();
}

std::optional<char> digit_of(std::uint8_t event) noexcept {
    if (event >= keys.size()) return std::nullopt;
    return keys[event];
}

std::optional<std::uint8_t> event_of(char digit) noexcept {
    const auto index =
        keys.find(digit >= 'a' && digit <= 'd' ? static_cast<char>(digit - 32) : digit);
    if (index == std::string_view::npos) return std::nullopt;
    return static_cast<std::uint8_t>(index);
}

std::optional<char> DigitDetector::on_event(
    const TelephoneEvent& event, RtpTimestamp timestamp, RtpClockRate clock
) noexcept {
    const auto digit = digit_of(event.event);
    if (!digit) return std::nullopt;

    if (current_) {
        const auto after = wrap_distance(current_->began.value, timestamp.value);
        if (after == 0 && event.event == current_->event) {
            current_->duration = std::max(current_->duration, event.duration);
            current_->ended |= event.end;
            return std::nullopt;
        }
        if (after < 0 && after > -units(straggler_limit, clock)) return std::nullopt;
        // §2.5.1.3: a press longer than the duration field can say goes on in a further segment
        // that begins where the full one ended. What begins within a press belongs to it as well.
        const bool within = after < current_->duration;
        const auto slack = units(continuation_slack, clock);
        const bool follows =
            !current_->ended && (after <= current_->duration + slack || after == 0xFFFF);
        const bool continues = after > 0 && event.event == current_->event && (within || follows);
        if (continues) {
            *current_ = {event.event, timestamp, event.duration, event.end};
            return std::nullopt;
        }
    }
    current_ = Press{event.event, timestamp, event.duration, event.end};
    return digit;
}

}  // namespace oavc::media
