#pragma once

#include "media/rtp.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace oavc::media {

/// The payload type of telephone-event in the SDP answer, and its clock: that of the codec beside
/// it (RFC 4733 §2.1).
struct TelephoneEventType {
    PayloadType type;
    RtpClockRate clock{8'000};

    constexpr TelephoneEventType(PayloadType t, RtpClockRate c = {8'000}) noexcept  // NOLINT
        : type{t}, clock{c} {}
    friend constexpr bool operator==(const TelephoneEventType&, const TelephoneEventType&) =
        default;
};

/// One report on a key that is pressed (RFC 4733 §2.3): 4 octets.
struct TelephoneEvent {
    std::uint8_t event{0};      ///< 0–9, 10 '*', 11 '#', 12–15 'A'–'D'; others are not keys
    bool end{false};            ///< the key was released
    std::uint8_t volume{10};    ///< -dBm0, 0 … 63
    std::uint16_t duration{0};  ///< since the packet's timestamp, in its units
};

/// Error: RtpErrc::truncated. What follows the first event is ignored.
Result<TelephoneEvent> parse_telephone_event(std::span<const std::byte> payload) noexcept;

Result<std::span<const std::byte>> build_telephone_event(
    const TelephoneEvent& event, std::span<std::byte> buffer
) noexcept;

/// '0'–'9', '*', '#', 'A'–'D', or nothing for events that are not keys.
std::optional<char> digit_of(std::uint8_t event) noexcept;
std::optional<std::uint8_t> event_of(char digit) noexcept;

/// Makes one digit of each press, whatever of its packets is lost: reports at the first packet of a
/// press and ignores the rest (updates, repeated ends, the segments of a long press, stragglers).
/// Never looks at the marker: it is lost with its packet, and some senders never set it.
class DigitDetector {
public:
    /// `timestamp`: of the packet, i.e. when the press (or this segment of it) began.
    std::optional<char> on_event(
        const TelephoneEvent& event, RtpTimestamp timestamp, RtpClockRate clock = {8'000}
    ) noexcept;

    /// Another source began.
    void reset() noexcept { current_.reset(); }

private:
    struct Press {
        std::uint8_t event;
        RtpTimestamp began;      ///< of its latest segment
        std::uint16_t duration;  ///< longest seen of that segment
        bool ended;
    };
    std::optional<Press> current_;
};

}  // namespace oavc::media
