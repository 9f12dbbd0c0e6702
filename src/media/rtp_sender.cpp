#include "media/rtp_sender.hpp"

#include "base/random.hpp"

#include <algorithm>

namespace oavc::media {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) noexcept {
    auto z = state += 0x9E37'79B9'7F4A'7C15;
    z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9;
    z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EB;
    return z ^ z >> 31;
}

}  // namespace

RtpStart RtpStart::random() noexcept {
    return {static_cast<std::uint16_t>(random_u32()), {random_u32()}, {random_u32()}};
}

RtpStart RtpStart::from_seed(std::uint64_t seed) noexcept {
    RtpStart start;
    start.sequence_number = static_cast<std::uint16_t>(splitmix64(seed));
    start.timestamp = {static_cast<std::uint32_t>(splitmix64(seed))};
    start.ssrc = {static_cast<std::uint32_t>(splitmix64(seed))};
    return start;
}

RtpSender::RtpSender(const RtpSenderConfig& config) noexcept
    : config_{config},
      sequence_{config.start.sequence_number},
      noise_{config.comfort_noise_dbfs.value_or(-90.0), config.start.ssrc.value} {
    set_format(config.codec, config.payload_type, config.ptime);
}

void RtpSender::set_format(Codec codec, PayloadType type, milliseconds ptime) noexcept {
    const auto tens = std::clamp<std::int64_t>((ptime.count() + 5) / 10, 1, max_ptime.count() / 10);
    config_.codec = codec;
    config_.payload_type = type;
    config_.ptime = milliseconds{tens * 10};
    packet_samples_ = samples_in(config_.ptime, rate);
    gathered_size_ = 0;  // of the old codec
}

/// Room for the frame of this tick behind what is gathered.
std::span<std::byte> RtpSender::gather(TimePoint deadline) noexcept {
    if (!epoch_) {
        epoch_ = deadline;
    } else {
        // Rounded, so that a deadline that is a little off does not shift the clock.
        const auto nearest = (deadline - *epoch_ + frame_time / 2) / frame_time;
        const auto index = std::max<std::int64_t>(nearest, index_ + 1);
        if (index != index_ + 1) {
            stats_.skipped_ticks += static_cast<std::uint64_t>(index - index_ - 1);
            gathered_size_ = 0;  // a part of a longer packet that is not contiguous any more
        }
        index_ = index;
    }
    // What `next` was not asked for is dropped rather than overrun.
    if (gathered_size_ >= packet_samples_) gathered_size_ = 0;
    if (gathered_size_ == 0) {
        const auto samples = static_cast<std::uint64_t>(index_) * frame_samples;
        gathered_timestamp_ = {config_.start.timestamp.value + static_cast<std::uint32_t>(samples)};
    }
    const auto room = std::span{gathered_}.subspan(gathered_size_, frame_samples);
    gathered_size_ += frame_samples;
    return room;
}

std::span<const std::byte> RtpSender::build(
    FrameView frame, TimePoint deadline, std::span<std::byte> buffer
) noexcept {
    const auto room = gather(deadline);
    const auto encoded = encode(config_.codec, frame.samples, room);
    std::ranges::fill(room.subspan(encoded), silence(config_.codec));
    if (!talking_) marker_ = true;
    talking_ = true;
    return next(buffer);
}

std::span<const std::byte> RtpSender::build_silence(
    TimePoint deadline, std::span<std::byte> buffer
) noexcept {
    const auto room = gather(deadline);
    if (config_.comfort_noise_dbfs) {
        std::array<Sample, frame_samples> noise;
        noise_.fill(noise);
        encode(config_.codec, noise, room);
    } else {
        std::ranges::fill(room, silence(config_.codec));
    }
    talking_ = false;
    return next(buffer);
}

std::span<const std::byte> RtpSender::next(std::span<std::byte> buffer) noexcept {
    if (gathered_size_ < packet_samples_) return {};
    RtpPacketView packet;
    packet.payload_type = config_.payload_type;
    packet.marker = marker_;
    packet.sequence_number = sequence_;
    packet.timestamp = gathered_timestamp_;
    packet.ssrc = config_.start.ssrc;
    packet.payload = std::span{gathered_}.first(packet_samples_);
    const auto built = build_rtp(packet, buffer);
    if (!built) return {};

    ++sequence_;
    ++stats_.packets;
    stats_.octets += packet_samples_;
    marker_ = false;
    gathered_timestamp_.value += static_cast<std::uint32_t>(packet_samples_);
    const auto rest = std::span{gathered_}.first(gathered_size_).subspan(packet_samples_);
    std::ranges::copy(rest, gathered_.begin());
    gathered_size_ = rest.size();
    return *built;
}

std::optional<SenderInfo> RtpSender::info(TimePoint now, NtpTime wall) const noexcept {
    if (!epoch_ || stats_.packets == 0) return std::nullopt;
    const auto since = std::chrono::duration_cast<microseconds>(now - *epoch_).count();
    SenderInfo info;
    info.ntp = wall;
    info.rtp_timestamp = {
        config_.start.timestamp.value + static_cast<std::uint32_t>(since * rate.hz / 1'000'000)};
    info.packets = static_cast<std::uint32_t>(stats_.packets);
    info.octets = static_cast<std::uint32_t>(stats_.octets);
    return info;
}

}  // namespace oavc::media
