#pragma once

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "media/rtcp.hpp"
#include "media/rtp.hpp"
#include "media/rtp_receiver.hpp"
#include "media/telephone_event.hpp"
#include "media/wav.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// What the fuzz targets of media do with an input. Also run by the replay tests, so that an input
/// that once crashed stays tried. A broken promise aborts.
namespace oavc::test {

/// Checks what RtpReceiver promises about everything it emits.
struct PromiseSink final : media::RtpSink {
    TimePoint now{};
    TimePoint last{};
    std::uint64_t frames{0};
    std::uint64_t concealed{0};
    std::uint64_t digits{0};

    void on_frame(media::FrameView frame, TimePoint arrived, bool is_concealed) noexcept override {
        OAVC_ASSERT(frame.rate == narrowband || frame.rate == wideband);
        OAVC_ASSERT(frame.samples.size() == samples_in(frame_time, frame.rate));
        OAVC_ASSERT(arrived >= last && arrived <= now);
        last = arrived;
        ++frames;
        concealed += is_concealed ? 1 : 0;
    }
    void on_digit(char digit) noexcept override {
        OAVC_ASSERT(std::string_view{"0123456789*#ABCD"}.find(digit) != std::string_view::npos);
        ++digits;
    }
};

/// One datagram by itself: what parses can be built again and means the same.
inline void fuzz_rtp_datagram(std::span<const std::byte> datagram) {
    (void)media::looks_like_rtcp(datagram);
    const auto packet = media::parse_rtp(datagram);
    if (!packet) {
        OAVC_ASSERT(!packet.error().message().empty());
        return;
    }
    OAVC_ASSERT(packet->payload.size() + media::rtp_header_size <= datagram.size());
    (void)media::parse_telephone_event(packet->payload);
    std::array<std::byte, 2'048> buffer;
    if (const auto built = media::build_rtp(*packet, buffer)) {
        const auto again = media::parse_rtp(*built);
        OAVC_ASSERT(again && again->payload_type == packet->payload_type);
        OAVC_ASSERT(again->marker == packet->marker && again->ssrc == packet->ssrc);
        OAVC_ASSERT(again->sequence_number == packet->sequence_number);
        OAVC_ASSERT(again->timestamp == packet->timestamp);
        OAVC_ASSERT(std::ranges::equal(again->payload, packet->payload));
    }
}

/// A whole leg. The first byte configures it; then come steps, each an opcode and its operands:
/// time passes, a raw datagram, or a packet that differs a little or a lot from the one before (so
/// that the fuzzer need not guess 32-bit numbers to stay within one stream).
inline void fuzz_rtp(std::span<const std::byte> input) {
    fuzz_rtp_datagram(input);

    ByteReader in{input};
    const unsigned setup = in.u8();
    media::RtpReceiverConfig config;
    config.telephone_event = media::PayloadType{101};
    config.reorder_packets = setup & 0x0F;
    config.reorder_wait = milliseconds{(setup >> 4 & 3) * 30};
    if ((setup & 0x80) != 0) {  // every codec instead of G.711
        config.payloads = {};
        std::uint8_t type = 0;
        for (const auto codec : media::all_codecs)
            config.payloads.add({type++}, codec);
        config.payloads.add({type++}, {media::Codec::l16, media::RtpClockRate{8'000}});
        config.comfort_noise = media::PayloadType{type};
        config.telephone_event->clock = {48'000};
    }
    media::RtpReceiver receiver{config};
    PromiseSink sink;
    if ((setup & 0x40) != 0) receiver.start(sink.now);

    media::RtpPacketView next;
    next.ssrc = {1};
    std::array<std::byte, 1'600> payload;
    std::ranges::fill(payload, std::byte{0x21});
    std::array<std::byte, 2'048> buffer;
    std::uint64_t datagrams = 0;
    const auto receive = [&](std::span<const std::byte> datagram) {
        ++datagrams;
        receiver.on_packet(datagram, sink.now, sink);
    };

    // Opus takes its time, and what it can do wrong it does within a few packets.
    const std::uint64_t most = (setup & 0x80) != 0 ? 100 : 1'000;
    while (!in.rest().empty() && datagrams < most) {
        const unsigned step = in.u8();
        switch (step & 7) {
            case 0:
                sink.now += milliseconds{in.u8()};
                break;
            case 1:
                sink.now += milliseconds{20};
                receiver.on_tick(sink.now, sink);
                break;
            case 2: {  // raw
                const auto raw = in.take(std::min<std::size_t>(in.u8(), in.rest().size()));
                fuzz_rtp_datagram(raw);
                receive(raw);
                break;
            }
            case 3:  // the next packets of the stream, in time
                for (unsigned i = 0; i <= step >> 3; ++i) {
                    sink.now += milliseconds{20};
                    next.payload_type = {0};
                    next.payload = std::span{payload}.first(160);
                    receive(*media::build_rtp(next, buffer));
                    ++next.sequence_number;
                    next.timestamp.value += 160;
                }
                break;
            case 4:
                next.sequence_number =
                    static_cast<std::uint16_t>(next.sequence_number + in.u8() - 128);
                break;
            case 5:
                next.timestamp.value += (static_cast<std::uint32_t>(in.u8()) - 128) * 40;
                break;
            case 6:  // any packet
                next.payload_type = {
                    static_cast<std::uint8_t>((step & 8) != 0 ? 101 : in.u8() % 16)};
                next.marker = (step & 16) != 0;
                if ((step & 32) != 0) next.ssrc = {in.u8() % 3u};
                if ((step & 64) != 0) {
                    next.sequence_number = in.u16();
                    next.timestamp = {in.u32()};
                }
                next.payload = std::span{payload}.first(in.u8() * std::size_t{6});
                if ((step & 128) != 0)
                    next.payload = in.take(std::min<std::size_t>(in.u8(), in.rest().size()));
                if ((step & 8) != 0) {
                    std::array<std::byte, 4> event;
                    const auto bytes = in.take(4);
                    std::ranges::copy(bytes, event.begin());
                    next.payload = std::span{event}.first(bytes.size());
                    receive(*media::build_rtp(next, buffer));
                    break;
                }
                receive(*media::build_rtp(next, buffer));
                break;
            default:  // a stall
                sink.now += std::chrono::seconds{in.u8()};
                receiver.on_tick(sink.now, sink);
                break;
        }
    }
    for (int i = 0; i < 10; ++i) {
        sink.now += milliseconds{20};
        receiver.on_tick(sink.now, sink);
    }
    const auto stats = receiver.stats();
    OAVC_ASSERT(stats.frames == sink.frames && stats.digits == sink.digits);
    OAVC_ASSERT(stats.concealed + stats.silent + stats.noise == sink.concealed);
    OAVC_ASSERT(stats.received + stats.duplicates <= datagrams);
    OAVC_ASSERT(stats.digits <= datagrams && stats.late <= datagrams);
    // At most a second is invented per packet or tick, and a packet is at most 1524 bytes.
    OAVC_ASSERT(stats.frames <= 60 * (datagrams + input.size() + 11));
    if (const auto block = receiver.report_block()) {
        OAVC_ASSERT(block->ssrc == receiver.ssrc());
        OAVC_ASSERT(block->cumulative_lost >= -0x80'0000 && block->cumulative_lost <= 0x7F'FFFF);
    }
}

/// One datagram of RTCP: every accessor, and a session that hears it.
inline void fuzz_rtcp(std::span<const std::byte> input) {
    media::RtcpSession session{{{42}, "c", 1}, TimePoint{}};
    session.on_packet(input, TimePoint{} + milliseconds{10}, {std::uint64_t{10} << 32});
    OAVC_ASSERT(session.stats().received + session.stats().rejected == 1);
    std::array<std::byte, media::RtcpSession::max_datagram> buffer;
    media::ReportBlock about;
    about.ssrc = {1};
    const auto reply =
        session.build(TimePoint{} + std::chrono::hours{30}, std::nullopt, about, buffer);
    OAVC_ASSERT(media::parse_rtcp(reply).has_value());

    auto compound = media::parse_rtcp(input);
    if (!compound) {
        OAVC_ASSERT(!compound.error().message().empty());
        return;
    }
    std::size_t bytes = 0;
    while (const auto packet = compound->next()) {
        bytes += 4 + packet->body.size();
        if (const auto cname = media::find_cname(*packet)) OAVC_ASSERT(cname->size() <= 255);
        (void)media::says_bye(*packet, {42});
        const auto report = media::parse_report(*packet);
        if (!report) continue;
        for (std::size_t i = 0; i < report->blocks; ++i) {
            const auto block = report->block(i);
            (void)media::round_trip(block, {std::uint64_t{0x1234'5678} << 16});
            const auto built =
                media::build_rtcp({report->sender, report->info, block, "n"}, buffer);
            OAVC_ASSERT(built.has_value());
            auto again = media::parse_rtcp(*built);
            OAVC_ASSERT(again.has_value());
            const auto first = again->next();
            OAVC_ASSERT(first.has_value());
            const auto same = media::parse_report(*first);
            OAVC_ASSERT(same && same->info == report->info && same->block(0) == block);
        }
    }
    OAVC_ASSERT(bytes <= input.size());
}

/// A WAV file.
inline void fuzz_wav(std::span<const std::byte> input) {
    const auto audio = media::parse_wav(input);
    if (!audio) {
        OAVC_ASSERT(!audio.error().message().empty());
        return;
    }
    OAVC_ASSERT(audio->channels == 1 || audio->channels == 2);
    OAVC_ASSERT(
        audio->samples.size() % audio->channels == 0 && audio->samples.size() <= input.size()
    );
    OAVC_ASSERT(audio->mono().size() == audio->frames());
    OAVC_ASSERT(audio->channel(audio->channels - 1).size() == audio->frames());
}

}  // namespace oavc::test
