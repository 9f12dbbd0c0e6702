#pragma once

#include "media/audio_codec.hpp"
#include "media/rtp.hpp"
#include "support/clips.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace oavc::test {

/// A caller whose packets of 20 ms cost nothing: ten seconds of a buzz, encoded once and sent over
/// and over. L16 does not buzz: its frames carry their numbers, see `number_of`.
class LoopingCaller {
public:
    /// Each codec has a payload type of its own.
    static constexpr media::PayloadType type_of(media::Codec codec) noexcept {
        return {static_cast<std::uint8_t>(96 + static_cast<unsigned>(codec))};
    }

    LoopingCaller(media::Encoding encoding, std::uint16_t sequence, std::uint32_t timestamp)
        : sequence_{sequence}, timestamp_{timestamp} {
        set(encoding);
    }

    void set(media::Encoding encoding) {
        encoding_ = encoding;
        payloads_ = &ten_seconds(encoding);
    }

    /// The datagram of the next 20 ms; valid until the one after.
    std::span<const std::byte> next() {
        std::span<const std::byte> payload =
            (*payloads_)[static_cast<std::size_t>(sent_) % payloads_->size()];
        if (encoding_.codec == media::Codec::l16) {
            for (std::size_t i = 0; i < payload.size(); ++i)
                number_[i] = static_cast<std::byte>(i % 2 == 0 ? sent_ >> 8 & 0xFF : sent_ & 0xFF);
            payload = std::span{number_}.first(payload.size());
        }
        ++sent_;
        media::RtpPacketView packet{
            type_of(encoding_.codec), false, sequence_++, {timestamp_}, ssrc, payload};
        timestamp_ += encoding_.clock.hz / 50;
        const auto built = media::build_rtp(packet, datagram_);
        return built ? *built : std::span<const std::byte>{};
    }

    /// Of a frame of L16: which packet of the call it is, modulo 2^16.
    static std::uint16_t number_of(media::Samples frame) {
        return static_cast<std::uint16_t>(frame[frame.size() / 2]);
    }

    media::Ssrc ssrc{0x5EED};

private:
    using Payloads = std::vector<std::vector<std::byte>>;

    static const Payloads& ten_seconds(media::Encoding encoding) {
        static std::map<std::pair<media::Codec, std::uint32_t>, Payloads> all;
        auto& payloads = all[{encoding.codec, encoding.clock.hz}];
        if (!payloads.empty()) return payloads;
        static const Pcm wide = buzz(16'000 * 10, wideband);
        media::AudioEncoder encoder{encoding};
        const auto speech = resample(wide, wideband, encoder.rate());
        const auto frame = samples_in(frame_time, encoder.rate());
        for (std::size_t at = 0; at + frame <= speech.size(); at += frame) {
            std::vector<std::byte> payload(media::AudioEncoder::max_payload);
            payload.resize(encoder.encode(std::span{speech}.subspan(at, frame), payload));
            payloads.push_back(std::move(payload));
        }
        return payloads;
    }

    media::Encoding encoding_;
    std::uint16_t sequence_;
    std::uint32_t timestamp_;
    int sent_{0};
    const Payloads* payloads_{nullptr};
    std::array<std::byte, media::AudioEncoder::max_payload> number_{};
    std::array<std::byte, 2'048> datagram_{};
};

}  // namespace oavc::test
