#include "media/rtp_receiver.hpp"

#include "media/wrap.hpp"

#include <algorithm>

namespace oavc::media {
namespace {

constexpr std::int64_t max_dropout = 3'000;  // RFC 3550 §A.1: a jump further than this …
constexpr std::int64_t max_misorder = 100;   // … or further back than this is a restart

// A timestamp may run ahead of the time that has passed by this much before it is a jump.
constexpr std::int64_t timestamp_slack = samples_in(milliseconds{200}, RtpReceiver::rate);

// A change of transit time beyond this is a clock that was set, not jitter.
constexpr std::uint32_t timestamp_jump = samples_in(milliseconds{5'000}, RtpReceiver::rate);

// RFC 3551 §4.2: receivers should take packets of up to 200 ms.
constexpr std::size_t longest_packet = samples_in(milliseconds{200}, RtpReceiver::rate);

// At most this much is invented at once; what is beyond is skipped.
constexpr std::int64_t longest_fill = samples_in(milliseconds{1'000}, RtpReceiver::rate);

// A burst after a stall is over at once. Audio that is still late after this long comes from a
// sender whose clock stood still while it was silent.
constexpr auto late_patience = milliseconds{200};

// Stragglers of the previous source do not bring it back within this time …
constexpr auto source_hold = milliseconds{1'000};
// … unless the current one has been silent for this long.
constexpr auto source_silence = milliseconds{100};

constexpr std::int64_t to_samples(Clock::duration d) noexcept {
    return std::chrono::duration_cast<microseconds>(d).count() * RtpReceiver::rate.hz / 1'000'000;
}

constexpr Clock::duration to_duration(std::int64_t samples) noexcept {
    return microseconds{samples * 1'000'000 / RtpReceiver::rate.hz};
}

}  // namespace

RtpReceiver::RtpReceiver(const RtpReceiverConfig& config) noexcept { reconfigure(config); }

void RtpReceiver::start(TimePoint now) noexcept {
    if (running_) return;
    running_ = true;
    media_time_ = now;
}

void RtpReceiver::reconfigure(const RtpReceiverConfig& config) noexcept {
    config_ = config;
    config_.reorder_packets = std::clamp<std::size_t>(config_.reorder_packets, 1, max_held);
}

std::optional<Ssrc> RtpReceiver::ssrc() const noexcept {
    return has_source_ ? std::optional{ssrc_} : std::nullopt;
}

void RtpReceiver::on_packet(
    std::span<const std::byte> datagram, TimePoint now, RtpSink& sink
) noexcept {
    const auto parsed = parse_rtp(datagram);
    if (!parsed) {
        ++stats_.rejected;
        return;
    }
    Packet packet;
    packet.timestamp = parsed->timestamp;
    packet.arrived = now;
    packet.payload = parsed->payload;
    if (const auto codec = config_.payloads.find(parsed->payload_type)) {
        packet.kind = Kind::audio;
        packet.codec = *codec;
    } else if (config_.telephone_event && parsed->payload_type == *config_.telephone_event) {
        packet.kind = Kind::event;
    }

    if (!has_source_ || parsed->ssrc != ssrc_) {
        if (!accepts_source(*parsed, packet.kind, now)) {
            ++stats_.rejected;
            return;
        }
        begin_source(*parsed, now, sink);
    } else {
        const auto step = unwrap(highest_sequence_, parsed->sequence_number) - highest_sequence_;
        if (step > max_dropout || step < -max_misorder) {
            // Two in a row make a restart; one alone is a stray.
            const bool restart = bad_sequence_ == parsed->sequence_number;
            bad_sequence_ = static_cast<std::uint16_t>(parsed->sequence_number + 1);
            if (!restart || packet.kind == Kind::foreign) {
                ++stats_.rejected;
                return;
            }
            begin_source(*parsed, now, sink);
        }
    }
    packet.sequence = unwrap(highest_sequence_, parsed->sequence_number);

    if (packet.kind == Kind::foreign) ++stats_.rejected;  // yet it fills its place in the sequence
    if (packet.sequence < next_sequence_) {
        note_passed(packet, sink);
        return;
    }
    if (is_held(packet.sequence)) {
        ++stats_.duplicates;
        ++source_duplicates_;
        return;
    }

    if (last_packet_) {
        const auto gap = std::chrono::duration_cast<microseconds>(now - *last_packet_);
        stats_.max_gap = std::max(stats_.max_gap, gap);
    }
    last_packet_ = now;
    ++stats_.received;
    ++source_received_;
    if (packet.sequence < highest_sequence_) ++stats_.reordered;
    highest_sequence_ = std::max(highest_sequence_, packet.sequence);
    if (packet.kind == Kind::audio) measure_jitter(packet);

    if (packet.sequence == next_sequence_) {
        deliver(packet, sink);
    } else if (!hold(packet)) {  // too long to wait: the gap before it is given up
        for (Held* held = lowest_held(); held != nullptr; held = lowest_held()) {
            if (held->packet.sequence > packet.sequence) break;
            release_one(*held, sink);
        }
        deliver(packet, sink);
    }
    release(now, sink);
}

bool RtpReceiver::accepts_source(const RtpPacketView& packet, Kind kind, TimePoint now)
    const noexcept {
    if (kind == Kind::foreign) return false;
    if (!has_source_ || packet.ssrc != previous_ssrc_) return true;
    return now - source_began_ >= source_hold || !last_packet_ ||
           now - *last_packet_ >= source_silence;
}

void RtpReceiver::begin_source(const RtpPacketView& packet, TimePoint now, RtpSink& sink) noexcept {
    release_all(sink);
    if (has_source_) {
        lost_before_ += std::max<std::int64_t>(0, expected() - source_received_);
        if (packet.ssrc != ssrc_) previous_ssrc_ = ssrc_;
    }
    has_source_ = true;
    ssrc_ = packet.ssrc;
    source_began_ = now;
    base_sequence_ = packet.sequence_number;
    highest_sequence_ = base_sequence_;
    next_sequence_ = base_sequence_;
    passed_ = 0;
    bad_sequence_.reset();
    source_received_ = 0;
    source_duplicates_ = 0;
    expected_prior_ = 0;
    received_prior_ = 0;
    transit_.reset();
    jitter_ = 0;
    synchronised_ = false;
    late_since_.reset();
    digits_.reset();
    ++stats_.sources;
}

/// A packet whose turn is over: a duplicate, or it was given up too early.
void RtpReceiver::note_passed(const Packet& packet, RtpSink& sink) noexcept {
    const auto age = next_sequence_ - 1 - packet.sequence;
    const auto bit = age < 64 ? std::uint64_t{1} << age : 0;
    if ((passed_ & bit) != 0) {
        ++stats_.duplicates;
        ++source_duplicates_;
        return;
    }
    passed_ |= bit;
    last_packet_ = packet.arrived;
    ++stats_.received;
    ++source_received_;
    if (packet.kind == Kind::audio) ++stats_.late;
    if (packet.kind == Kind::event) deliver_event(packet, sink);  // a late digit is still a digit
}

bool RtpReceiver::is_held(std::int64_t sequence) const noexcept {
    if (held_count_ == 0) return false;
    return std::ranges::any_of(held_, [sequence](const Held& held) {
        return held.used && held.packet.sequence == sequence;
    });
}

bool RtpReceiver::hold(const Packet& packet) noexcept {
    if (held_count_ == max_held || packet.payload.size() > max_held_payload) return false;
    const auto free = std::ranges::find(held_, false, &Held::used);
    free->used = true;
    free->packet = packet;
    std::ranges::copy(packet.payload, free->bytes.begin());
    free->packet.payload = std::span{free->bytes}.first(packet.payload.size());
    ++held_count_;
    return true;
}

RtpReceiver::Held* RtpReceiver::lowest_held() noexcept {
    if (held_count_ == 0) return nullptr;
    Held* lowest = nullptr;
    for (Held& held : held_) {
        if (!held.used) continue;
        if (lowest == nullptr || held.packet.sequence < lowest->packet.sequence) lowest = &held;
    }
    return lowest;
}

/// Delivers what need not wait any longer: what is next, and what lies behind a gap that has had
/// its packets or its time.
void RtpReceiver::release(TimePoint now, RtpSink& sink) noexcept {
    while (Held* lowest = lowest_held()) {
        if (lowest->packet.sequence != next_sequence_ && held_count_ < config_.reorder_packets) {
            auto waiting_since = lowest->packet.arrived;
            for (const Held& held : held_) {
                if (held.used) waiting_since = std::min(waiting_since, held.packet.arrived);
            }
            if (now - waiting_since < config_.reorder_wait) return;
        }
        release_one(*lowest, sink);
    }
}

void RtpReceiver::release_one(Held& held, RtpSink& sink) noexcept {
    deliver(held.packet, sink);
    held.used = false;
    --held_count_;
}

void RtpReceiver::release_all(RtpSink& sink) noexcept {
    while (Held* lowest = lowest_held())
        release_one(*lowest, sink);
}

/// In order: everything before this packet has been delivered or given up.
void RtpReceiver::deliver(const Packet& packet, RtpSink& sink) noexcept {
    const auto lost = packet.sequence - next_sequence_;
    passed_ = lost + 1 < 64 ? passed_ << (lost + 1) | 1 : 1;
    next_sequence_ = packet.sequence + 1;
    switch (packet.kind) {
        case Kind::audio:
            deliver_audio(packet, lost, sink);
            break;
        case Kind::event:
            deliver_event(packet, sink);
            break;
        case Kind::foreign:
            break;
    }
}

void RtpReceiver::deliver_event(const Packet& packet, RtpSink& sink) noexcept {
    const auto event = parse_telephone_event(packet.payload);
    if (!event) {
        ++stats_.rejected;
        return;
    }
    if (const auto digit = digits_.on_event(*event, packet.timestamp)) {
        ++stats_.digits;
        sink.on_digit(*digit);
    }
}

void RtpReceiver::deliver_audio(const Packet& packet, std::int64_t lost, RtpSink& sink) noexcept {
    auto payload = packet.payload;
    const auto samples =
        static_cast<std::int64_t>(samples_in_payload(packet.codec, payload.size()));
    if (samples == 0) return;
    // Time that passed without audio, as our clock has it.
    const auto owed =
        running_ ? std::max<std::int64_t>(0, to_samples(packet.arrived - media_time_) - samples)
                 : 0;
    start(packet.arrived);
    if (!synchronised_) {
        // Another sender's timestamps mean nothing here: only whole frames that are due pass.
        const auto frames = owed / static_cast<std::int64_t>(frame_samples);
        invent(
            std::min(frames * static_cast<std::int64_t>(frame_samples), longest_fill),
            packet.arrived,
            sink
        );
        next_timestamp_ = packet.timestamp.value;
        synchronised_ = true;
        ahead_ = 0;
    }

    const auto position = unwrap(next_timestamp_, packet.timestamp.value);
    const auto offset = position - next_timestamp_;
    if (offset > 0) {  // packets are lost, or silence was not sent
        const bool plausible = offset <= owed + timestamp_slack + lost * samples;
        if (!plausible) ++stats_.resyncs;
        invent(std::min(plausible ? offset : owed, longest_fill), packet.arrived, sink);
        next_timestamp_ = position;
    } else if (offset < 0) {
        const auto overlap = -offset;
        if (!late_since_ || packet.arrived - last_late_ > late_patience)
            late_since_ = packet.arrived;
        last_late_ = packet.arrived;
        // Only what we filled in ourselves makes audio late; anything else is the sender's jump.
        if (overlap <= ahead_ && packet.arrived - *late_since_ < late_patience) {
            if (overlap >= samples) {
                ++stats_.late;
                return;
            }
            payload = payload.subspan(static_cast<std::size_t>(overlap));
        } else {
            ++stats_.resyncs;
            next_timestamp_ = position;
        }
    }
    ahead_ = 0;
    late_since_.reset();
    packet_samples_ = std::min(static_cast<std::size_t>(samples), longest_packet);
    media_time_ = std::max(media_time_, packet.arrived);
    next_timestamp_ += static_cast<std::int64_t>(payload.size());
    append(packet, payload, sink);
}

void RtpReceiver::append(
    const Packet& packet, std::span<const std::byte> payload, RtpSink& sink
) noexcept {
    while (!payload.empty()) {
        const auto free = std::span{frame_}.subspan(filled_);
        const auto part = free.first(std::min(free.size(), payload.size()));
        decode(packet.codec, payload, part);
        concealer_.on_real(part);
        payload = payload.subspan(part.size());
        filled_ += part.size();
        any_real_ = true;
        if (filled_ == frame_samples) emit(packet.arrived, sink);
    }
}

/// Adds `samples` that never arrived. The caller moves next_timestamp_.
void RtpReceiver::invent(std::int64_t samples, TimePoint when, RtpSink& sink) noexcept {
    auto left = static_cast<std::size_t>(std::max<std::int64_t>(0, samples));
    while (left > 0) {
        const auto free = std::span{frame_}.subspan(filled_);
        const auto part = free.first(std::min(free.size(), left));
        any_concealed_ |= concealer_.fill(part);
        left -= part.size();
        filled_ += part.size();
        if (filled_ == frame_samples) emit(when, sink);
    }
}

void RtpReceiver::emit(TimePoint when, RtpSink& sink) noexcept {
    last_emitted_ = std::max(last_emitted_, when);
    ++stats_.frames;
    if (!any_real_) ++(any_concealed_ ? stats_.concealed : stats_.silent);
    sink.on_frame({frame_, rate}, last_emitted_, !any_real_);
    filled_ = 0;
    any_real_ = false;
    any_concealed_ = false;
}

void RtpReceiver::on_tick(TimePoint now, RtpSink& sink) noexcept {
    release(now, sink);
    if (!running_) return;
    // A packet of 60 ms is not late because the next one is due only after 60 ms.
    const auto packet_time = to_duration(static_cast<std::int64_t>(packet_samples_));
    const auto patience =
        config_.stall_after + std::max<Clock::duration>(packet_time - frame_time, {});
    if (now - media_time_ < patience) return;
    release_all(sink);  // the gap before them is older than the stall
    if (now - media_time_ < patience) return;

    const auto due =
        to_samples(now - media_time_ - patience) + static_cast<std::int64_t>(frame_samples);
    const auto frames = due / static_cast<std::int64_t>(frame_samples);
    const auto samples = frames * static_cast<std::int64_t>(frame_samples);
    invent(std::min(samples, longest_fill), now, sink);
    media_time_ += to_duration(samples);
    next_timestamp_ += samples;
    ahead_ += samples;
}

/// RFC 3550 §A.8, in integers.
void RtpReceiver::measure_jitter(const Packet& packet) noexcept {
    const auto arrival = static_cast<std::uint32_t>(to_samples(packet.arrived.time_since_epoch()));
    const auto transit = arrival - packet.timestamp.value;
    if (transit_) {
        const std::int64_t difference = wrap_distance(*transit_, transit);
        const auto d = static_cast<std::uint32_t>(difference < 0 ? -difference : difference);
        if (d <= timestamp_jump) jitter_ += d - ((jitter_ + 8) >> 4);
    }
    transit_ = transit;
}

RtpReceiver::Stats RtpReceiver::stats() const noexcept {
    auto stats = stats_;
    auto lost = lost_before_;
    if (has_source_) lost += std::max<std::int64_t>(0, expected() - source_received_);
    stats.lost = static_cast<std::uint64_t>(lost);
    stats.jitter = microseconds{std::int64_t{jitter_ >> 4} * 1'000'000 / rate.hz};
    return stats;
}

std::optional<ReportBlock> RtpReceiver::report_block() noexcept {
    if (!has_source_) return std::nullopt;
    // §A.3: duplicates count as received, so the loss may be negative.
    const auto received = source_received_ + source_duplicates_;
    const auto expected_interval = expected() - expected_prior_;
    const auto lost_interval = expected_interval - (received - received_prior_);
    expected_prior_ = expected();
    received_prior_ = received;

    ReportBlock block;
    block.ssrc = ssrc_;
    if (expected_interval > 0 && lost_interval > 0) {
        block.fraction_lost = static_cast<std::uint8_t>(
            std::min<std::int64_t>(255, lost_interval * 256 / expected_interval)
        );
    }
    block.cumulative_lost = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(expected() - received, -0x80'0000, 0x7F'FFFF)
    );
    block.highest_sequence = static_cast<std::uint32_t>(highest_sequence_);
    block.jitter = jitter_ >> 4;
    return block;
}

}  // namespace oavc::media
