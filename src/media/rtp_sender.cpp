#include "media/rtp_sender.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <utility>

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

RtpSender::RtpSender(const RtpSenderConfig& config)
    : config_{config},
      clock_start_{config.start.timestamp},
      sequence_{config.start.sequence_number},
      noise_{config.comfort_noise_dbfs.value_or(-90.0), config.start.ssrc.value} {
    set_format(config.encoding, config.payload_type, config.ptime);
}

void RtpSender::set_format(Encoding encoding, PayloadType type, milliseconds ptime) {
    auto tens = std::clamp<std::int64_t>((ptime.count() + 5) / 10, 1, max_ptime.count() / 10);
    if (encoding.codec == Codec::opus && tens % 2 == 1 && tens > 1) --tens;  // RFC 6716 §2.1.4
    if (epoch_ && encoding.clock != config_.encoding.clock) {
        clock_start_ = timestamp_of(index_ + 1);
        clock_since_ = index_ + 1;
    }
    encoder_.set(encoding);
    config_.encoding = encoding;
    config_.payload_type = type;
    config_.ptime = milliseconds{tens * 10};
    packet_samples_ = samples_in(config_.ptime, rate());
    gathered_size_ = 0;  // of the old codec
}

void RtpSender::set_telephone_event(std::optional<TelephoneEventType> type) noexcept {
    config_.telephone_event = type;
    if (type) return;
    event_.reset();
    digit_count_ = 0;
}

bool RtpSender::send_digits(std::string_view digits) noexcept {
    if (!config_.telephone_event || digits.size() > max_digits - digit_count_) return false;
    if (!std::ranges::all_of(digits, [](char digit) { return event_of(digit).has_value(); })) {
        return false;
    }
    for (const char digit : digits) {
        digits_[(first_digit_ + digit_count_) % max_digits] = event_of(digit).value_or(0);
        ++digit_count_;
    }
    return true;
}

RtpTimestamp RtpSender::timestamp_of(std::int64_t index) const noexcept {
    const auto ticks = (index - clock_since_) * config_.encoding.clock.hz / 50;
    return {clock_start_.value + static_cast<std::uint32_t>(ticks)};
}

/// Moves on to the frame of this tick.
void RtpSender::advance(TimePoint deadline) noexcept {
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
}

std::span<const std::byte> RtpSender::build(
    FrameView frame, TimePoint deadline, std::span<std::byte> buffer
) noexcept {
    advance(deadline);
    if (const auto event = send_event(buffer); !event.empty()) return event;
    if (!talking_) marker_ = true;
    talking_ = true;
    return send(
        frame.samples.first(std::min(frame.samples.size(), frame_samples())), false, buffer
    );
}

std::span<const std::byte> RtpSender::build_silence(
    TimePoint deadline, std::span<std::byte> buffer
) noexcept {
    advance(deadline);
    if (const auto event = send_event(buffer); !event.empty()) return event;
    talking_ = false;
    if (!config_.comfort_noise_dbfs) return send({}, true, buffer);
    std::array<Sample, max_frame> noise;
    const auto frame = std::span{noise}.first(frame_samples());
    noise_.fill(frame);
    return send(frame, false, buffer);
}

/// A frame, filled up with silence: at once where it makes a packet, else gathered.
std::span<const std::byte> RtpSender::send(
    Samples frame, bool silent, std::span<std::byte> buffer
) noexcept {
    static constexpr std::array<Sample, max_frame> silence{};
    if (frame.empty()) frame = Samples{silence}.first(frame_samples());
    if (frame.size() == packet_samples_ && gathered_size_ == 0) {
        return pack(frame, silent, timestamp_of(index_), buffer);
    }
    // What `next` was not asked for is dropped rather than overrun.
    if (gathered_size_ >= packet_samples_) gathered_size_ = 0;
    if (gathered_size_ == 0) gathered_timestamp_ = timestamp_of(index_);
    const auto room = std::span{gathered_}.subspan(gathered_size_, frame_samples());
    std::ranges::copy(frame, room.begin());
    std::ranges::fill(room.subspan(frame.size()), Sample{0});
    gathered_size_ += room.size();
    return next(buffer);
}

std::span<const std::byte> RtpSender::next(std::span<std::byte> buffer) noexcept {
    if (gathered_size_ < packet_samples_) return {};
    const auto all = std::span{gathered_}.first(gathered_size_);
    const auto packet = pack(all.first(packet_samples_), false, gathered_timestamp_, buffer);
    const auto rest = all.subspan(packet_samples_);
    std::ranges::copy(rest, gathered_.begin());
    gathered_size_ = rest.size();
    const auto ticks = config_.ptime.count() * config_.encoding.clock.hz / 1'000;
    gathered_timestamp_.value += static_cast<std::uint32_t>(ticks);
    return packet;
}

std::span<const std::byte> RtpSender::pack(
    Samples samples, bool silent, RtpTimestamp timestamp, std::span<std::byte> buffer
) noexcept {
    RtpPacketView packet;
    packet.payload_type = config_.payload_type;
    packet.marker = marker_;
    packet.sequence_number = sequence_;
    packet.timestamp = timestamp;
    packet.ssrc = config_.start.ssrc;
    if (!build_rtp(packet, buffer)) return {};
    const auto room = buffer.subspan(rtp_header_size);
    const auto size =
        silent ? encoder_.encode_silence(samples.size(), room) : encoder_.encode(samples, room);
    if (size == 0) return {};
    marker_ = false;
    return count(buffer, size);
}

std::span<const std::byte> RtpSender::count(
    std::span<std::byte> buffer, std::size_t payload
) noexcept {
    ++sequence_;
    ++stats_.packets;
    stats_.octets += payload;
    return buffer.first(rtp_header_size + payload);
}

/// The event packet of this tick, if a key is pressed in it.
std::span<const std::byte> RtpSender::send_event(std::span<std::byte> buffer) noexcept {
    if (!config_.telephone_event) return {};
    if (!event_) {
        if (digit_count_ == 0 || index_ < next_event_) return {};
        event_ = Event{digits_[first_digit_], index_, 0};
        first_digit_ = (first_digit_ + 1) % max_digits;
        --digit_count_;
        gathered_size_ = 0;
        talking_ = false;  // what follows is a talkspurt of its own
        marker_ = true;
    }
    const auto time = std::clamp(config_.digit_time, milliseconds{40}, milliseconds{1'000});
    const auto length = static_cast<std::int64_t>(time / frame_time);
    const auto so_far = std::min(index_ - event_->began + 1, length);
    TelephoneEvent report;
    report.event = event_->key;
    report.end = so_far == length;
    const auto duration = so_far * config_.telephone_event->clock.hz / 50;
    report.duration = static_cast<std::uint16_t>(duration);  // 1 s at 48 kHz fits

    std::array<std::byte, 4> payload;
    RtpPacketView packet;
    packet.payload_type = config_.telephone_event->type;
    packet.marker = std::exchange(marker_, false);
    packet.sequence_number = sequence_;
    packet.timestamp = timestamp_of(event_->began);
    packet.ssrc = config_.start.ssrc;
    if (build_telephone_event(report, payload)) packet.payload = payload;
    if (report.end && ++event_->ends == 3) {  // §2.5.1.4
        ++stats_.digits;
        next_event_ = event_->began + length + (config_.digit_gap + frame_time / 2) / frame_time;
        next_event_ = std::max(next_event_, index_ + 2);
        event_.reset();
    }
    if (!build_rtp(packet, buffer)) return {};
    return count(buffer, payload.size());
}

std::optional<SenderInfo> RtpSender::info(TimePoint now, NtpTime wall) const noexcept {
    if (!epoch_ || stats_.packets == 0) return std::nullopt;
    const auto since =
        std::chrono::duration_cast<microseconds>(now - *epoch_ - clock_since_ * frame_time).count();
    SenderInfo info;
    info.ntp = wall;
    info.rtp_timestamp = {
        clock_start_.value +
        static_cast<std::uint32_t>(since * config_.encoding.clock.hz / 1'000'000)};
    info.packets = static_cast<std::uint32_t>(stats_.packets);
    info.octets = static_cast<std::uint32_t>(stats_.octets);
    return info;
}

}  // namespace oavc::media
