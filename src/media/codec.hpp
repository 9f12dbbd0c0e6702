#pragma once

#include "media/frame.hpp"
#include "media/g711.hpp"
#include "media/rtp.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace oavc::media {

/// The speech codecs we speak on RTP. Both carry one byte per sample of 8 kHz PCM.
enum class Codec : std::uint8_t { pcmu, pcma };

inline constexpr std::array all_codecs{Codec::pcmu, Codec::pcma};

/// Encoding name as SDP's rtpmap has it (RFC 3551 §6).
constexpr std::string_view name(Codec codec) noexcept {
    return codec == Codec::pcmu ? "PCMU" : "PCMA";
}

/// RFC 3551 table 4.
constexpr PayloadType static_payload_type(Codec codec) noexcept {
    return codec == Codec::pcmu ? PayloadType{0} : PayloadType{8};
}

constexpr RtpClockRate clock_rate(Codec) noexcept { return {8'000}; }
constexpr SampleRate sample_rate(Codec) noexcept { return narrowband; }

/// Samples that `bytes` of payload decode to.
constexpr std::size_t samples_in_payload(Codec, std::size_t bytes) noexcept { return bytes; }

/// The payload byte of digital silence.
constexpr std::byte silence(Codec codec) noexcept {
    return codec == Codec::pcmu ? g711::ulaw_silence : g711::alaw_silence;
}

/// "pcmu", 8000 → Codec::pcmu: encoding names compare without case (RFC 8866 §6.6).
constexpr std::optional<Codec> codec_from_rtpmap(
    std::string_view encoding, RtpClockRate rate
) noexcept {
    constexpr auto same = [](char a, char b) {
        const auto lower = [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        };
        return lower(a) == lower(b);
    };
    for (const Codec codec : all_codecs) {
        const auto ours = name(codec);
        if (rate == clock_rate(codec) && std::ranges::equal(encoding, ours, same)) return codec;
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

/// Converts min(in.size(), out.size()) samples and returns how many (one byte per sample).
inline std::size_t encode(Codec codec, Samples in, std::span<std::byte> out) noexcept {
    return codec == Codec::pcmu ? g711::ulaw_encode(in, out) : g711::alaw_encode(in, out);
}

inline std::size_t decode(
    Codec codec, std::span<const std::byte> in, std::span<Sample> out
) noexcept {
    return codec == Codec::pcmu ? g711::ulaw_decode(in, out) : g711::alaw_decode(in, out);
}

}  // namespace oavc::media
