#pragma once

#include "media/frame.hpp"
#include "media/rtp.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace oavc::media {

/// The speech codecs we speak on RTP.
///
///             PCM      RTP clock   static type   per 20 ms     source
///     pcmu    8 kHz    8000        0             160 octets    ITU-T G.711, RFC 3551 §4.5.14
///     pcma    8 kHz    8000        8             160           the same
///     g722    16 kHz   8000 (!)    9             160           ITU-T G.722 at 64 kbit/s, §4.5.2
///     opus    16 kHz   48000                     80 or so      RFC 6716, 7587; decoded to 16 kHz
///     mono l16     the clock's 8 or 16 kHz            320 or 640    RFC 3551 §4.5.11, network
///     order
enum class Codec : std::uint8_t { pcmu, pcma, g722, opus, l16 };

inline constexpr std::array all_codecs{
    Codec::pcmu, Codec::pcma, Codec::g722, Codec::opus, Codec::l16};

/// Encoding name as SDP's rtpmap has it (RFC 3551 §6, RFC 7587 §7).
constexpr std::string_view name(Codec codec) noexcept {
    switch (codec) {
        case Codec::pcmu:
            return "PCMU";
        case Codec::pcma:
            return "PCMA";
        case Codec::g722:
            return "G722";
        case Codec::opus:
            return "opus";
        case Codec::l16:
            return "L16";
    }
    return {};
}

/// A codec with its RTP clock, which tells the two L16 apart: what an rtpmap says.
struct Encoding {
    Codec codec{Codec::pcmu};
    RtpClockRate clock{8'000};

    constexpr Encoding() noexcept = default;
    /// With the clock it usually has; L16: 16 kHz.
    constexpr Encoding(Codec c) noexcept  // NOLINT(google-explicit-constructor)
        : codec{c},
          clock{
              c == Codec::opus  ? 48'000u
              : c == Codec::l16 ? 16'000u
                                : 8'000u} {}
    constexpr Encoding(Codec c, RtpClockRate rate) noexcept : codec{c}, clock{rate} {}

    friend constexpr bool operator==(const Encoding&, const Encoding&) = default;
};

/// Whether we speak it: L16 at 8 and 16 kHz (not at the 44.1 kHz of its static types), the others
/// at their one clock.
constexpr bool is_supported(Encoding encoding) noexcept {
    return encoding == Encoding{encoding.codec} ||
           encoding == Encoding{Codec::l16, RtpClockRate{8'000}};
}

/// Of the PCM that we encode and decode. Not the RTP clock.
constexpr SampleRate sample_rate(Encoding encoding) noexcept {
    switch (encoding.codec) {
        case Codec::pcmu:
        case Codec::pcma:
            return narrowband;
        case Codec::g722:
        case Codec::opus:
            return wideband;
        case Codec::l16:
            return {encoding.clock.hz};
    }
    return narrowband;
}

/// RFC 3551 table 4; none: the type must be dynamic.
constexpr std::optional<PayloadType> static_payload_type(Codec codec) noexcept {
    switch (codec) {
        case Codec::pcmu:
            return PayloadType{0};
        case Codec::pcma:
            return PayloadType{8};
        case Codec::g722:
            return PayloadType{9};
        case Codec::opus:
        case Codec::l16:
            break;
    }
    return std::nullopt;
}

/// The third part of the rtpmap, left out where it is 1. Opus says 2 for mono as well (RFC 7587
/// §7).
constexpr unsigned rtpmap_channels(Codec codec) noexcept { return codec == Codec::opus ? 2 : 1; }

/// "pcmu", 8000 → PCMU: encoding names compare without case (RFC 8866 §6.6).
constexpr std::optional<Encoding> encoding_from_rtpmap(
    std::string_view encoding, RtpClockRate clock, unsigned channels = 1
) noexcept {
    constexpr auto same = [](char a, char b) {
        const auto lower = [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        };
        return lower(a) == lower(b);
    };
    for (const Codec codec : all_codecs) {
        const Encoding ours{codec, clock};
        if (std::ranges::equal(encoding, name(codec), same) && is_supported(ours) &&
            channels == rtpmap_channels(codec)) {
            return ours;
        }
    }
    return std::nullopt;
}

/// The codec that a static payload type means without an rtpmap.
constexpr std::optional<Codec> codec_from_static(PayloadType type) noexcept {
    for (const Codec codec : all_codecs) {
        if (type == static_payload_type(codec)) return codec;
    }
    return std::nullopt;
}

}  // namespace oavc::media
