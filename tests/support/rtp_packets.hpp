#pragma once

#include "media/codec.hpp"
#include "media/g711.hpp"
#include "media/rtp.hpp"
#include "media/rtp_receiver.hpp"
#include "media/telephone_event.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

namespace oavc::test {

using Bytes = std::vector<std::byte>;

/// A valid packet with everything RFC 3550 §5.1 allows: two CSRCs, an extension of three words,
/// four octets of padding around a payload of 0xAB 0xCD.
inline Bytes rtp_with_csrc_extension_and_padding() {
    Bytes packet;
    const auto put = [&packet](std::initializer_list<unsigned> octets) {
        for (const unsigned octet : octets)
            packet.push_back(static_cast<std::byte>(octet));
    };
    put({0x80 | 0x20 | 0x10 | 2, 0x80 | 8, 0x12, 0x34});
    put({0xDE, 0xAD, 0xBE, 0xEF, 0xCA, 0xFE, 0xBA, 0xBE});
    put({0, 0, 0, 1, 0, 0, 0, 2});                                      // CSRCs
    put({0xBE, 0xDE, 0x00, 0x03, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3});  // extension
    put({0xAB, 0xCD, 0, 0, 0, 4});                                      // payload, padding
    return packet;
}

/// A sine of `samples` samples, beginning at sample `from` of an endless one.
inline std::vector<media::Sample> tone(
    double hz,
    std::size_t samples,
    double amplitude = 8'000,
    std::size_t from = 0,
    double rate = 8'000
) {
    std::vector<media::Sample> out(samples);
    for (std::size_t i = 0; i < samples; ++i) {
        const double phase = 2 * std::numbers::pi * hz * static_cast<double>(from + i) / rate;
        out[i] = static_cast<media::Sample>(std::lround(amplitude * std::sin(phase)));
    }
    return out;
}

/// A sender that can be told to do anything. Each call makes one datagram and moves on.
struct PacketMaker {
    std::uint16_t sequence{1000};
    std::uint32_t timestamp{160'000};
    media::Ssrc ssrc{0x1111'1111};
    media::PayloadType type{0};

    Bytes packet(std::span<const std::byte> payload, bool marker = false) {
        Bytes out(media::rtp_header_size + payload.size());
        media::RtpPacketView view{type, marker, sequence, {timestamp}, ssrc, payload};
        (void)media::build_rtp(view, out);
        ++sequence;
        return out;
    }

    /// `samples` payload bytes that all decode to the same level: packets can be told apart.
    Bytes constant(media::Sample level, std::size_t samples = 160) {
        const Bytes payload(samples, std::byte{media::g711::ulaw_encode(level)});
        auto out = packet(payload);
        timestamp += static_cast<std::uint32_t>(samples);
        return out;
    }

    Bytes audio(media::Samples samples) {
        Bytes payload(samples.size());
        media::g711::ulaw_encode(samples, payload);
        auto out = packet(payload);
        timestamp += static_cast<std::uint32_t>(samples.size());
        return out;
    }

    /// An RFC 4733 packet at the current timestamp, which does not move.
    Bytes event(media::PayloadType event_type, media::TelephoneEvent event, bool marker = false) {
        std::array<std::byte, 4> payload{};
        (void)media::build_telephone_event(event, payload);
        const auto audio_type = std::exchange(type, event_type);
        auto out = packet(payload, marker);
        type = audio_type;
        return out;
    }
};

/// Keeps all that an RtpReceiver emits.
struct RecordingSink final : media::RtpSink {
    struct Frame {
        std::vector<media::Sample> samples;
        TimePoint arrived;
        bool concealed;
    };
    std::vector<Frame> frames;
    std::string digits;

    void on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept override {
        frames.push_back({{frame.samples.begin(), frame.samples.end()}, arrived, concealed});
    }
    void on_digit(char digit) noexcept override { digits += digit; }

    std::vector<media::Sample> audio() const {
        std::vector<media::Sample> all;
        for (const auto& frame : frames)
            all.insert(all.end(), frame.samples.begin(), frame.samples.end());
        return all;
    }
};

}  // namespace oavc::test
