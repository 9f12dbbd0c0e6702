#include "media/rtp_receiver.hpp"

#include "media/wrap.hpp"

#include <algorithm>
#include <new>

namespace oavc::media {
namespace {

constexpr std::int64_t max_dropout = 3'000;  // RFC 3550 §A.1: a jump further than this …
constexpr std::int64_t max_misorder = 100;   // … or further back than this is a restart

constexpr PayloadType static_comfort_noise{13};  // RFC 3551 table 4

constexpr std::int64_t units_in(milliseconds time) noexcept {
    return static_cast<std::int64_t>(samples_in(time, narrowband));
}

// A timestamp may run ahead of the time that has passed by this much before it is a jump.
constexpr std::int64_t timestamp_slack = units_in(milliseconds{200});

// A change of transit time beyond this is a clock that was set, not jitter.
constexpr std::uint32_t jump_seconds = 5;

// RFC 3551 §4.2: receivers should take packets of up to 200 ms.
constexpr std::int64_t longest_packet = units_in(milliseconds{200});

// At most this much is invented at once; what is beyond is skipped.
constexpr std::int64_t longest_fill = units_in(milliseconds{1'000});

// A burst after a stall is over at once. Audio that is still late after this long comes from a
// sender whose clock stood still while it was silent.
constexpr auto late_patience = milliseconds{200};

// Stragglers of the previous source do not bring it back within this time …
constexpr auto source_hold = milliseconds{1'000};
// … unless the current one has been silent for this long.
constexpr auto source_silence = milliseconds{100};

constexpr std::int64_t to_units(Clock::duration d) noexcept {
    return std::chrono::duration_cast<microseconds>(d).count() / 125;
}

constexpr Clock::duration to_duration(std::int64_t units) noexcept {
    return microseconds{units * 125};
}

}  // namespace

RtpReceiver::RtpReceiver(const RtpReceiverConfig& config) { reconfigure(config); }

void RtpReceiver::start(TimePoint now) noexcept {
    if (running_) return;
    running_ = true;
    media_time_ = now;
}

void RtpReceiver::reconfigure(const RtpReceiverConfig& config) {
    for (const auto& entry : config.payloads.entries())
        decoder_.prepare(entry.encoding);
    config_ = config;
    config_.reorder_packets = std::clamp<std::size_t>(config_.reorder_packets, 1, max_held);
    if (!has_source_ && !config.payloads.empty()) {
        switch_to(config.payloads.entries().front().encoding);
    }
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
    if (const auto encoding = config_.payloads.find(parsed->payload_type)) {
        packet.kind = Kind::audio;
        packet.encoding = *encoding;
    } else if (config_.telephone_event && parsed->payload_type == config_.telephone_event->type) {
        packet.kind = Kind::event;
    } else if (parsed->payload_type == static_comfort_noise || parsed->payload_type == config_.comfort_noise) {
        packet.kind = Kind::noise;
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
    in_noise_ = false;
    decoder_.reset();
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
    return std::ranges::any_of(held(), [sequence](const Held& held) {
        return held.used && held.packet.sequence == sequence;
    });
}

bool RtpReceiver::hold(const Packet& packet) noexcept {
    if (held_count_ == max_held || packet.payload.size() > max_held_payload) return false;
    // Most calls never need it.
    if (!held_) held_.reset(new (std::nothrow) Held[max_held]);
    if (!held_) return false;
    const auto free = std::ranges::find(held(), false, &Held::used);
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
    for (Held& held : held()) {
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
            for (const Held& held : held()) {
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
    if (lost > 0) ++stats_.gaps;
    switch (packet.kind) {
        case Kind::audio:
        case Kind::noise:
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
    const auto clock =
        config_.telephone_event ? config_.telephone_event->clock : RtpClockRate{8'000};
    if (const auto digit = digits_.on_event(*event, packet.timestamp, clock)) {
        ++stats_.digits;
        sink.on_digit(*digit);
    }
}

/// Audio, or comfort noise: a packet of no length that says what time without packets sounds like.
void RtpReceiver::deliver_audio(const Packet& packet, std::int64_t lost, RtpSink& sink) noexcept {
    const bool audio = packet.kind == Kind::audio;
    if (audio) switch_to(packet.encoding);
    const auto units =
        audio ? static_cast<std::int64_t>(decoder_.samples_in(packet.payload) / pcm_per_unit()) : 0;
    if (audio && units == 0) {
        if (!packet.payload.empty()) ++stats_.rejected;
        return;
    }
    // Time that passed without audio, as our clock has it.
    const auto owed =
        running_ ? std::max<std::int64_t>(0, to_units(packet.arrived - media_time_) - units) : 0;
    start(packet.arrived);
    if (!synchronised_) {
        // Another sender's timestamps mean nothing here: only whole frames that are due pass.
        invent(std::min(owed / frame_units * frame_units, longest_fill), packet.arrived, sink);
        next_timestamp_ = packet.timestamp.value;
        synchronised_ = true;
        ahead_ = 0;
    }

    const auto position = unwrap(next_timestamp_, packet.timestamp.value);
    const auto offset = (position - next_timestamp_) / clock_per_unit();
    std::int64_t overlap = 0;
    if (offset > 0) {  // packets are lost, or silence was not sent
        const bool plausible =
            offset <= owed + timestamp_slack + lost * std::max(units, packet_units_);
        if (!plausible) ++stats_.resyncs;
        const auto gap = std::min(plausible ? offset : owed, longest_fill);
        const auto recovered = plausible && lost > 0 ? recover(packet, gap, sink) : 0;
        if (recovered == 0) invent(gap, packet.arrived, sink);
        next_timestamp_ = position;
    } else if (offset < 0 && !audio) {
        if (-offset <= ahead_) return begin_noise(packet);
        ++stats_.resyncs;
        next_timestamp_ = position;
    } else if (offset < 0) {
        overlap = -offset;
        if (!late_since_ || packet.arrived - last_late_ > late_patience) {
            late_since_ = packet.arrived;
            ++stats_.gaps;
        }
        last_late_ = packet.arrived;
        // Only what we filled in ourselves makes audio late; anything else is the sender's jump.
        if (overlap <= ahead_ && packet.arrived - *late_since_ < late_patience) {
            if (overlap >= units) {
                ++stats_.late;
                return;
            }
        } else {
            ++stats_.resyncs;
            next_timestamp_ = position;
            overlap = 0;
        }
    }
    ahead_ = 0;
    late_since_.reset();
    media_time_ = std::max(media_time_, packet.arrived);
    if (!audio) return begin_noise(packet);
    packet_units_ = std::min(units, longest_packet);
    next_timestamp_ += (units - overlap) * clock_per_unit();
    append(packet, static_cast<std::size_t>(overlap) * pcm_per_unit(), sink);
}

/// RFC 3389 §3: the first octet is the level in -dBov.
void RtpReceiver::begin_noise(const Packet& packet) noexcept {
    if (packet.payload.empty()) {
        ++stats_.rejected;
        return;
    }
    noise_.set_level(-static_cast<double>(std::to_integer<unsigned>(packet.payload[0]) & 0x7F));
    in_noise_ = true;
}

/// Decodes `encoding` from here on. What is gathered of a frame takes on the new rate.
void RtpReceiver::switch_to(Encoding encoding) noexcept {
    const auto before = decoder_.encoding();
    if (encoding == before) return;
    const auto rate_before = rate();
    decoder_.set(encoding);
    if (encoding.clock != before.clock) synchronised_ = false;  // its timestamps count otherwise
    if (rate() > rate_before) {
        for (std::size_t i = filled_; i-- > 0;)
            frame_[2 * i] = frame_[2 * i + 1] = frame_[i];
        filled_ *= 2;
    } else if (rate() < rate_before) {
        filled_ /= 2;
        for (std::size_t i = 0; i < filled_; ++i)
            frame_[i] = frame_[2 * i];
    }
}

/// What is still free of the frame, `most` samples at most.
std::span<Sample> RtpReceiver::room(std::size_t most) noexcept {
    const auto frame_samples = static_cast<std::size_t>(frame_units) * pcm_per_unit();
    return std::span{frame_}.subspan(filled_, std::min(most, frame_samples - filled_));
}

void RtpReceiver::filled(std::size_t samples, TimePoint when, RtpSink& sink) noexcept {
    filled_ += samples;
    if (filled_ == static_cast<std::size_t>(frame_units) * pcm_per_unit()) emit(when, sink);
}

/// Decodes a packet without its first samples.
void RtpReceiver::append(const Packet& packet, std::size_t skipped, RtpSink& sink) noexcept {
    in_noise_ = false;
    if (packet.encoding.codec == Codec::opus) return append_opus(packet, skipped, sink);
    auto left = decoder_.samples_in(packet.payload) - skipped;
    auto payload = decoder_.skip(packet.payload, skipped);
    while (left > 0) {
        const auto part = room(left);
        decoder_.decode(payload, part);
        payload = decoder_.skip(payload, part.size());
        left -= part.size();
        any_real_ = true;
        filled(part.size(), packet.arrived, sink);
    }
}

void RtpReceiver::append_opus(const Packet& packet, std::size_t skipped, RtpSink& sink) noexcept {
    std::array<Sample, AudioDecoder::max_opus_samples> pcm;
    const auto samples = decoder_.samples_in(packet.payload);
    if (decoder_.decode(packet.payload, pcm) != samples) {  // it lied about what it holds
        ++stats_.rejected;
        invent(
            static_cast<std::int64_t>((samples - skipped) / pcm_per_unit()), packet.arrived, sink
        );
        return;
    }
    copy_in(std::span{pcm}.first(samples).subspan(skipped), packet.arrived, sink);
}

void RtpReceiver::copy_in(Samples samples, TimePoint when, RtpSink& sink) noexcept {
    while (!samples.empty()) {
        const auto part = room(samples.size());
        std::ranges::copy(samples.first(part.size()), part.begin());
        samples = samples.subspan(part.size());
        any_real_ = true;
        filled(part.size(), when, sink);
    }
}

/// Fills `gap` units before a packet of Opus, the end of it from the copy that the packet carries.
/// Returns how much of it was recovered; 0: nothing has been done.
std::int64_t RtpReceiver::recover(const Packet& packet, std::int64_t gap, RtpSink& sink) noexcept {
    if (packet.kind != Kind::audio || !decoder_.carries_previous(packet.payload)) return 0;
    const auto units = std::min(packet_units_, longest_packet);
    if (gap < units) return 0;
    std::array<Sample, AudioDecoder::max_opus_samples> pcm;
    const auto end =
        std::span{pcm}.first(std::min(pcm.size(), static_cast<std::size_t>(units) * pcm_per_unit())
        );
    invent(gap - units, packet.arrived, sink);
    if (!decoder_.recover(packet.payload, end)) {
        invent(units, packet.arrived, sink);
        return units;
    }
    ++stats_.recovered;
    copy_in(end, packet.arrived, sink);
    return units;
}

/// Adds units that never arrived. The caller moves next_timestamp_.
void RtpReceiver::invent(std::int64_t units, TimePoint when, RtpSink& sink) noexcept {
    auto left = static_cast<std::size_t>(std::max<std::int64_t>(0, units)) * pcm_per_unit();
    while (left > 0) {
        const auto part = room(left);
        if (in_noise_) {
            noise_.fill(part);
            any_noise_ = true;
        } else {
            any_concealed_ |= decoder_.conceal(part);
        }
        left -= part.size();
        filled(part.size(), when, sink);
    }
}

void RtpReceiver::emit(TimePoint when, RtpSink& sink) noexcept {
    last_emitted_ = std::max(last_emitted_, when);
    ++stats_.frames;
    if (!any_real_) {
        ++(any_concealed_ ? stats_.concealed : any_noise_ ? stats_.noise : stats_.silent);
    }
    sink.on_frame({std::span{frame_}.first(filled_), rate()}, last_emitted_, !any_real_);
    filled_ = 0;
    any_real_ = false;
    any_concealed_ = false;
    any_noise_ = false;
}

void RtpReceiver::on_tick(TimePoint now, RtpSink& sink) noexcept {
    release(now, sink);
    if (!running_) return;
    // A packet of 60 ms is not late because the next one is due only after 60 ms.
    const auto packet_time = to_duration(packet_units_);
    const auto patience =
        config_.stall_after + std::max<Clock::duration>(packet_time - frame_time, {});
    if (now - media_time_ < patience) return;
    release_all(sink);  // the gap before them is older than the stall
    if (now - media_time_ < patience) return;

    const auto due = to_units(now - media_time_ - patience) + frame_units;
    const auto units = due / frame_units * frame_units;
    invent(std::min(units, longest_fill), now, sink);
    media_time_ += to_duration(units);
    next_timestamp_ += units * clock_per_unit();
    ahead_ += units;
}

/// RFC 3550 §A.8, in integers.
void RtpReceiver::measure_jitter(const Packet& packet) noexcept {
    const auto clock = packet.encoding.clock;
    if (clock != jitter_clock_) {
        transit_.reset();
        jitter_ = static_cast<std::uint32_t>(std::uint64_t{jitter_} * clock.hz / jitter_clock_.hz);
        jitter_clock_ = clock;
    }
    const auto since = std::chrono::duration_cast<microseconds>(packet.arrived.time_since_epoch());
    const auto units = since.count() / 125 * (clock.hz / narrowband.hz);
    const auto transit = static_cast<std::uint32_t>(units) - packet.timestamp.value;
    if (transit_) {
        const std::int64_t difference = wrap_distance(*transit_, transit);
        const auto d = static_cast<std::uint32_t>(difference < 0 ? -difference : difference);
        if (d <= jump_seconds * clock.hz) jitter_ += d - ((jitter_ + 8) >> 4);
    }
    transit_ = transit;
}

RtpReceiver::Stats RtpReceiver::stats() const noexcept {
    auto stats = stats_;
    auto lost = lost_before_;
    if (has_source_) lost += std::max<std::int64_t>(0, expected() - source_received_);
    stats.lost = static_cast<std::uint64_t>(lost);
    stats.jitter = microseconds{std::int64_t{jitter_ >> 4} * 1'000'000 / jitter_clock_.hz};
    return stats;
}

Impairment RtpReceiver::impairment(std::optional<microseconds> round_trip) const noexcept {
    const auto now = stats();
    const auto missed = static_cast<double>(now.lost + now.late);
    const auto missing = std::max(0.0, missed - static_cast<double>(now.recovered));
    const auto expected = static_cast<double>(now.received + now.lost);
    Impairment impairment;
    impairment.codec = codec();
    impairment.loss = expected > 0 ? missing / expected : 0;
    impairment.burst_ratio = burst_ratio(missed, static_cast<double>(now.gaps), expected);
    // A packet is spoken before it is sent; we add no delay of our own.
    const auto packet_time = std::chrono::duration_cast<microseconds>(to_duration(packet_units_));
    impairment.delay = round_trip.value_or(microseconds{0}) / 2 + packet_time;
    return impairment;
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
