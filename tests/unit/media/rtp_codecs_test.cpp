#include "media/level.hpp"
#include "media/rtp_receiver.hpp"
#include "media/rtp_sender.hpp"
#include "support/alloc_guard.hpp"
#include "support/clips.hpp"
#include "support/rtp_packets.hpp"
#include "support/rtp_stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

/// RtpSender and RtpReceiver with the other codecs, against each other.
namespace oavc::media {
namespace {

using test::Bytes;
using test::LoopingCaller;

const TimePoint t0{};
const std::vector<Encoding> every_encoding{
    Codec::pcmu,
    Codec::pcma,
    Codec::g722,
    Codec::opus,
    Codec::l16,
    {Codec::l16, RtpClockRate{8'000}}};
constexpr PayloadType type{96};

struct Call {
    RtpSender sender;
    RtpReceiver receiver;
    test::RecordingSink sink;
    std::array<std::byte, RtpSender::max_datagram> buffer{};
    std::vector<Bytes> sent;
    std::vector<RtpPacketView> packets;
    int ticks{0};
    test::Pcm speech;  ///< a tone where there is none

    explicit Call(Encoding encoding, milliseconds ptime = 20ms)
        : sender{sender_config(encoding, ptime)}, receiver{receiver_config(encoding)} {}

    static RtpSenderConfig sender_config(Encoding encoding, milliseconds ptime) {
        RtpSenderConfig config;
        config.encoding = encoding;
        config.payload_type = type;
        config.ptime = ptime;
        config.start = {65'530, {0xFFFF'FF00}, {7}};
        config.telephone_event = TelephoneEventType{PayloadType{101}, encoding.clock};
        return config;
    }
    static RtpReceiverConfig receiver_config(Encoding encoding) {
        RtpReceiverConfig config;
        config.payloads = {};
        config.payloads.add(type, encoding);
        config.telephone_event = TelephoneEventType{PayloadType{101}, encoding.clock};
        config.comfort_noise = PayloadType{98};
        return config;
    }
    TimePoint now() const { return t0 + ticks * 20ms; }

    /// One tick: a frame leaves, and arrives unless `lost`.
    void tick(bool lost = false) {
        const auto rate = sender.rate();
        const auto frame = samples_in(20ms, rate);
        const auto at = frame * static_cast<std::size_t>(ticks);
        auto pcm = test::tone(400, frame, 6'000, at, rate.hz);
        if (!speech.empty()) {
            std::ranges::copy(
                Samples{speech}.subspan(at % (speech.size() - frame), frame), pcm.begin()
            );
        }
        auto datagram = sender.build({pcm, rate}, now(), buffer);
        for (; !datagram.empty(); datagram = sender.next(buffer)) {
            sent.emplace_back(datagram.begin(), datagram.end());
            packets.push_back(*parse_rtp(sent.back()));
            if (!lost) receiver.on_packet(datagram, now(), sink);
        }
        receiver.on_tick(now(), sink);
        ++ticks;
    }
    void run(int count) {
        for (int i = 0; i < count; ++i)
            tick();
    }
};

TEST(RtpCodecs, EveryCodecAndPacketTimeGivesWholeFramesAtItsRate) {
    for (const auto encoding : every_encoding) {
        for (const int ptime : {10, 20, 30, 40, 50, 60}) {
            Call call{encoding, milliseconds{ptime}};
            call.run(60);
            const auto stats = call.receiver.stats();
            const bool even = encoding.codec != Codec::opus || (ptime != 30 && ptime != 50);
            EXPECT_EQ(call.sender.ptime().count(), even ? ptime : ptime - 10);
            EXPECT_EQ(call.sink.frames.size(), 60u) << name(encoding.codec) << " " << ptime;
            EXPECT_EQ(stats.concealed + stats.silent + stats.rejected + stats.resyncs, 0u);
            EXPECT_EQ(call.receiver.rate(), sample_rate(encoding));
            for (const auto& frame : call.sink.frames)
                ASSERT_EQ(frame.samples.size(), samples_in(20ms, sample_rate(encoding)));
            EXPECT_NEAR(rms_dbfs(call.sink.frames[50].samples), -17.7, 2) << name(encoding.codec);
        }
    }
}

TEST(RtpCodecs, TimestampsCountTheClockOfRtpNotTheSamples) {
    for (const auto encoding : every_encoding) {
        Call call{encoding};
        call.run(3);
        call.ticks += 4;  // skipped
        call.run(2);
        const auto step = encoding.clock.hz / 50;
        EXPECT_EQ(call.packets[0].timestamp, RtpTimestamp{0xFFFF'FF00});
        EXPECT_EQ(call.packets[1].timestamp, RtpTimestamp{0xFFFF'FF00 + step});
        EXPECT_EQ(call.packets[3].timestamp, RtpTimestamp{0xFFFF'FF00 + 7 * step});
        const auto info = call.sender.info(call.now(), {});
        EXPECT_EQ(info->rtp_timestamp, RtpTimestamp{0xFFFF'FF00 + 9 * step});
    }
    EXPECT_EQ(RtpClockRate{8'000}.hz / 50, 160u) << "G.722: 160 for 320 samples";
}

TEST(RtpCodecs, JitterIsMeasuredOnTheClockOfTheCodec) {
    for (const auto encoding : every_encoding) {
        Call call{encoding};
        call.run(1);
        for (int i = 1; i < 400; ++i) {
            const auto frame = std::vector<Sample>(samples_in(20ms, call.sender.rate()));
            const auto at = t0 + i * 20ms;
            const auto datagram = call.sender.build({frame, call.sender.rate()}, at, call.buffer);
            call.receiver.on_packet(datagram, at + (i % 2) * 10ms, call.sink);
        }
        EXPECT_NEAR(to_ms(call.receiver.stats().jitter), 10, 0.4) << name(encoding.codec);
        EXPECT_NEAR(call.receiver.report_block()->jitter, encoding.clock.hz / 100, 20);
    }
}

TEST(RtpCodecs, AnotherCodecInTheCallContinuesTheTimeline) {
    Call call{Codec::pcmu};
    RtpReceiverConfig both = Call::receiver_config(Codec::pcmu);
    both.payloads.add({97}, Codec::g722);
    both.payloads.add({98}, Codec::opus);
    both.payloads.add({99}, Codec::l16);
    both.comfort_noise.reset();
    call.receiver.reconfigure(both);
    EXPECT_EQ(call.receiver.rate(), narrowband);
    const std::array<std::pair<Encoding, PayloadType>, 5> plan{{
        {Codec::g722, {97}},
        {Codec::pcmu, type},
        {Codec::opus, {98}},
        {Codec::l16, {99}},
        {Codec::pcmu, type},
    }};
    call.run(50);
    for (const auto& [encoding, payload_type] : plan) {
        const auto before = call.packets.back();
        call.sender.set_format(encoding, payload_type, 20ms);
        call.run(50);
        EXPECT_EQ(call.receiver.rate(), sample_rate(encoding));
        const auto& first = call.packets[call.packets.size() - 50];
        EXPECT_EQ(first.sequence_number, static_cast<std::uint16_t>(before.sequence_number + 1));
        EXPECT_EQ(first.ssrc, before.ssrc);
        const auto step = first.timestamp.value - before.timestamp.value;
        EXPECT_TRUE(step == 160 || step == 320 || step == 960) << "of the clock before: " << step;
    }
    const auto stats = call.receiver.stats();
    EXPECT_EQ(call.sink.frames.size(), 300u);
    EXPECT_EQ(stats.lost + stats.late + stats.concealed + stats.silent + stats.resyncs, 0u);
    EXPECT_EQ(stats.sources, 1u);
    for (std::size_t i = 0; i < 300; ++i)
        EXPECT_NEAR(rms_dbfs(call.sink.frames[i].samples), -17.7, i % 50 == 0 ? 12 : 2) << i;
}

TEST(RtpCodecs, AClockThatBeginsAnewWithAnotherCodecIsNoJump) {
    LoopingCaller caller{Codec::pcmu, 10, 1'000};
    LoopingCaller wider{Codec::opus, 60, 3'000'000'000};  // the same source, its numbers go on
    RtpReceiverConfig config;
    config.payloads = {};
    config.payloads.add(LoopingCaller::type_of(Codec::pcmu), Codec::pcmu);
    config.payloads.add(LoopingCaller::type_of(Codec::opus), Codec::opus);
    RtpReceiver receiver{config};
    test::RecordingSink sink;
    for (int i = 0; i < 100; ++i) {
        receiver.on_packet(i < 50 ? caller.next() : wider.next(), t0 + i * 20ms, sink);
        receiver.on_tick(t0 + i * 20ms, sink);
    }
    const auto stats = receiver.stats();
    EXPECT_EQ(sink.frames.size(), 100u);
    EXPECT_EQ(stats.resyncs + stats.lost + stats.late + stats.silent + stats.concealed, 0u);
    EXPECT_EQ(stats.sources, 1u);
}

TEST(RtpCodecs, AnotherRateInTheMiddleOfAFrameKeepsItWhole) {
    for (const bool up : {true, false}) {
        const Encoding first{up ? Codec::pcmu : Codec::g722};
        const Encoding second{up ? Codec::g722 : Codec::pcmu};
        Call call{first, 30ms};
        auto both = Call::receiver_config(first);
        both.payloads.add({97}, second);
        call.receiver.reconfigure(both);
        call.run(3);  // the first packet: a frame and a half
        EXPECT_EQ(call.sink.frames.size(), 3u);
        call.run(1);
        call.tick();
        call.sender.set_format(second, {97}, 30ms);
        call.run(6);
        for (std::size_t i = 0; i < call.sink.frames.size(); ++i) {
            const auto size = call.sink.frames[i].samples.size();
            EXPECT_TRUE(size == 160 || size == 320);
        }
        EXPECT_NEAR(static_cast<double>(call.sink.frames.size()), 11, 1);
    }
}

TEST(RtpCodecs, LossesAreRecoveredByOpusAndConcealedByTheOthers) {
    for (const auto encoding : every_encoding) {
        Call call{encoding};
        // Opus thinks a tone not worth a copy.
        if (encoding.codec == Codec::opus) call.speech = test::buzz(16'000, wideband);
        for (int i = 0; i < 100; ++i)
            call.tick(i % 10 == 8);
        call.run(5);
        const auto stats = call.receiver.stats();
        EXPECT_EQ(call.sink.frames.size(), 105u);
        EXPECT_EQ(stats.lost, 10u);
        EXPECT_EQ(stats.gaps, 10u);
        EXPECT_EQ(stats.concealed + stats.recovered, 10u);
        if (encoding.codec == Codec::opus) {
            EXPECT_GE(stats.recovered, 5u);
            continue;
        }
        EXPECT_EQ(stats.recovered, 0u);
        for (std::size_t i = 20; i < 105; ++i) {
            EXPECT_NEAR(rms_dbfs(call.sink.frames[i].samples), -17.7, 5)
                << name(encoding.codec) << " " << i;
        }
    }
}

TEST(RtpCodecs, QualityIsJudgedByWhatWasNotHeard) {
    const auto score = [](Encoding encoding, int lost_every, int length) {
        Call call{encoding};
        call.speech = test::buzz(sample_rate(encoding).hz, sample_rate(encoding));
        for (int i = 0; i < 1'000; ++i)
            call.tick(lost_every > 0 && i > 0 && i % lost_every < length);
        return call.receiver.impairment(100ms);
    };
    const auto clean = score(Codec::pcmu, 0, 0);
    EXPECT_EQ(clean.loss, 0);
    EXPECT_EQ(clean.burst_ratio, 1);
    EXPECT_EQ(clean.delay, 70ms) << "half the way and back, and the packet itself";
    const auto tenth = score(Codec::pcmu, 20, 2);
    EXPECT_NEAR(tenth.loss, 0.1, 0.005);
    EXPECT_NEAR(tenth.burst_ratio, 1.8, 0.05);
    EXPECT_LT(estimate_mos(tenth), estimate_mos(clean) - 0.5);
    const auto opus = score(Codec::opus, 10, 1);
    EXPECT_LT(opus.loss, 0.04) << "what FEC gave back is not lost";
    EXPECT_GE(estimate_mos(opus), 3.9);
    EXPECT_EQ(RtpReceiver{RtpReceiverConfig{}}.impairment(std::nullopt).loss, 0);
}

TEST(RtpCodecs, ComfortNoiseFillsWhatIsNotSentAsLoudAsItSays) {
    for (const auto encoding : every_encoding) {
        for (const PayloadType noise_type : {PayloadType{13}, PayloadType{98}}) {
            SCOPED_TRACE(std::string{name(encoding.codec)});
            RtpReceiver receiver{Call::receiver_config(encoding)};
            test::RecordingSink sink;
            LoopingCaller caller{encoding, 1, 0};
            std::uint16_t sequence = 0;
            std::uint32_t timestamp = 0;
            const auto send = [&](PayloadType payload_type,
                                  std::span<const std::byte> payload,
                                  TimePoint now) {
                Bytes datagram(rtp_header_size + payload.size());
                RtpPacketView packet{payload_type, false, sequence++, {timestamp}, {1}, payload};
                (void)build_rtp(packet, datagram);
                receiver.on_packet(datagram, now, sink);
            };
            const auto step = encoding.clock.hz / 50;
            const Bytes level{std::byte{50}, std::byte{0x7F}};  // and a spectrum
            const Bytes quieter{std::byte{60}};
            int i = 0;
            for (; i < 150; ++i) {
                const auto now = t0 + i * 20ms;
                const bool quiet = i >= 50 && i < 100;
                if (!quiet) {
                    const auto speech = *parse_rtp(caller.next());
                    send(type, speech.payload, now);
                } else if (i == 50) {
                    send(noise_type, level, now);
                } else if (i == 70) {
                    send(noise_type, quieter, now);
                }
                receiver.on_tick(now + 1ms, sink);
                timestamp += step;
            }
            const auto stats = receiver.stats();
            EXPECT_EQ(stats.rejected + stats.lost + stats.late + stats.resyncs, 0u);
            EXPECT_EQ(stats.noise, 50u);
            EXPECT_EQ(stats.concealed + stats.silent, 0u);
            ASSERT_EQ(sink.frames.size(), 150u);
            std::vector<Sample> first;
            std::vector<Sample> second;
            for (std::size_t f = 50; f < 100; ++f) {
                EXPECT_TRUE(sink.frames[f].concealed);
                auto& part = f < 65 ? first : second;
                if (f < 65 || f > 75) {
                    part.insert(
                        part.end(), sink.frames[f].samples.begin(), sink.frames[f].samples.end()
                    );
                }
            }
            EXPECT_NEAR(rms_dbfs(first), -50, 1);
            EXPECT_NEAR(rms_dbfs(second), -60, 1);
            EXPECT_FALSE(sink.frames[101].concealed);
        }
    }
}

TEST(RtpCodecs, ALossBeforeComfortNoiseIsALossOfSpeech) {
    test::PacketMaker maker;
    RtpReceiverConfig config;
    RtpReceiver receiver{config};
    test::RecordingSink sink;
    for (int i = 0; i < 10; ++i)
        receiver.on_packet(maker.constant(3'000), t0 + i * 20ms, sink);
    maker.constant(3'000);  // lost
    maker.type = {13};
    receiver.on_packet(maker.packet(Bytes{std::byte{40}}), t0 + 220ms, sink);
    receiver.on_packet(maker.packet(Bytes{}), t0 + 225ms, sink);  // says nothing
    for (int i = 12; i < 60; ++i)
        receiver.on_tick(t0 + i * 20ms, sink);
    const auto stats = receiver.stats();
    EXPECT_EQ(stats.lost, 1u);
    EXPECT_EQ(stats.concealed, 1u);
    EXPECT_EQ(stats.rejected, 1u) << "the empty one";
    EXPECT_GE(stats.noise, 40u);
    EXPECT_EQ(stats.silent, 0u);
}

TEST(RtpCodecs, BrokenOpusIsCountedAndTimeGoesOn) {
    LoopingCaller caller{Codec::opus, 1, 0};
    RtpReceiverConfig config;
    config.payloads = {};
    config.payloads.add(LoopingCaller::type_of(Codec::opus), Codec::opus);
    RtpReceiver receiver{config};
    test::RecordingSink sink;
    for (int i = 0; i < 100; ++i) {
        const auto good = caller.next();
        Bytes datagram{good.begin(), good.end()};
        if (i % 10 == 5) {
            datagram.resize(rtp_header_size + 2);
            datagram[rtp_header_size] = std::byte{0x4B};      // 20 ms of SILK, frames counted …
            datagram[rtp_header_size + 1] = std::byte{0x00};  // … none
        }
        receiver.on_packet(datagram, t0 + i * 20ms, sink);
        receiver.on_tick(t0 + i * 20ms, sink);
    }
    EXPECT_EQ(receiver.stats().rejected, 10u);
    EXPECT_EQ(sink.frames.size(), 100u);
}

TEST(RtpCodecs, NothingIsAllocatedPerPacketWithLossAndNoise) {
    for (const auto encoding : every_encoding) {
        RtpSender sender{Call::sender_config(encoding, 20ms)};
        RtpReceiver receiver{Call::receiver_config(encoding)};
        struct Sink final : RtpSink {
            void on_frame(FrameView, TimePoint, bool) noexcept override {}
            void on_digit(char) noexcept override {}
        } sink;
        const auto pcm = test::buzz(samples_in(20ms, sender.rate()), sender.rate());
        std::array<std::byte, RtpSender::max_datagram> buffer{};
        const test::AllocGuard guard;
        for (int i = 0; i < 200; ++i) {
            const auto now = t0 + i * 20ms;
            if (i == 50) sender.send_digits("12#");
            const auto packet = i % 3 == 0 ? sender.build_silence(now, buffer)
                                           : sender.build({pcm, sender.rate()}, now, buffer);
            if (i % 7 != 0) receiver.on_packet(packet, now, sink);
            receiver.on_tick(now, sink);
        }
        EXPECT_LE(guard.count(), 1u) << name(encoding.codec) << ": room for packets that wait";
        EXPECT_EQ(receiver.stats().digits, 3u) << name(encoding.codec);
    }
}

TEST(RtpDigits, AreSentAsRfc4733Says) {
    Call call{Codec::pcmu};
    call.run(5);
    ASSERT_TRUE(call.sender.send_digits("5"));
    EXPECT_TRUE(call.sender.is_sending_digits());
    call.run(20);
    EXPECT_FALSE(call.sender.is_sending_digits());
    ASSERT_EQ(call.packets.size(), 25u) << "a packet per tick, whatever it carries";
    for (std::size_t i = 0; i < 25; ++i) {
        EXPECT_EQ(call.packets[i].sequence_number, static_cast<std::uint16_t>(65'530 + i));
    }
    for (std::size_t i = 0; i < 7; ++i) {
        const auto& packet = call.packets[5 + i];
        EXPECT_EQ(packet.payload_type, PayloadType{101});
        EXPECT_EQ(packet.marker, i == 0);
        EXPECT_EQ(packet.timestamp, RtpTimestamp{0xFFFF'FF00 + 5 * 160}) << "of its begin";
        const auto event = parse_telephone_event(packet.payload);
        EXPECT_EQ(event->event, 5);
        EXPECT_EQ(event->duration, 160 * std::min<std::size_t>(i + 1, 5)) << "it grows";
        EXPECT_EQ(event->end, i >= 4) << "and ends three times";
    }
    const auto& after = call.packets[12];
    EXPECT_EQ(after.payload_type, type);
    EXPECT_TRUE(after.marker) << "a new talkspurt";
    EXPECT_EQ(after.timestamp, RtpTimestamp{0xFFFF'FF00 + 12 * 160}) << "time went on";
    EXPECT_EQ(call.sink.digits, "5");
    EXPECT_EQ(call.sender.stats().digits, 1u);
}

TEST(RtpDigits, ArePressedOneAfterTheOtherWithAGapAndHeardOnce) {
    for (const auto encoding : every_encoding) {
        for (const int ptime : {10, 20, 60}) {
            Call call{encoding, milliseconds{ptime}};
            call.run(3);
            ASSERT_TRUE(call.sender.send_digits("11#0*AD9"));
            for (int i = 0; i < 150; ++i)
                call.tick(i % 9 == 4);
            EXPECT_EQ(call.sink.digits, "11#0*AD9") << name(encoding.codec);
            EXPECT_FALSE(call.sender.is_sending_digits());
            std::optional<RtpTimestamp> begin;
            for (const auto& packet : call.packets) {
                if (packet.payload_type != PayloadType{101}) continue;
                if (begin && packet.timestamp != *begin) {
                    const auto pause = packet.timestamp.value - begin->value;
                    EXPECT_EQ(pause, encoding.clock.hz / 5) << "100 ms pressed, 100 ms not";
                }
                begin = packet.timestamp;
            }
        }
    }
}

TEST(RtpDigits, TheirQueueIsBoundedAndTakesAllOrNothing) {
    Call call{Codec::pcmu};
    EXPECT_FALSE(call.sender.send_digits("12x")) << "x is no key";
    EXPECT_FALSE(call.sender.is_sending_digits());
    EXPECT_TRUE(call.sender.send_digits(std::string(RtpSender::max_digits, '7')));
    EXPECT_FALSE(call.sender.send_digits("8"));
    call.run(12);
    EXPECT_TRUE(call.sender.send_digits("8")) << "there is room again";
    call.run(400);
    EXPECT_EQ(call.sink.digits, std::string(RtpSender::max_digits, '7') + "8");

    call.sender.send_digits("123");
    call.sender.set_telephone_event(std::nullopt);
    EXPECT_FALSE(call.sender.is_sending_digits()) << "not negotiated any more";
    EXPECT_FALSE(call.sender.send_digits("1"));
    call.run(5);
    EXPECT_EQ(call.packets.back().payload_type, type);
}

TEST(RtpDigits, ALongPressOnTheClockOfOpusIsOneDigit) {
    // 5 s at 48 kHz: four segments of 65,535 units and the rest (RFC 4733 §2.5.1.3).
    RtpReceiver receiver{Call::receiver_config(Codec::opus)};
    test::RecordingSink sink;
    test::PacketMaker maker;
    constexpr std::uint32_t segment = 0xFFFF;
    std::uint32_t begin = maker.timestamp;
    for (std::uint32_t i = 1; i <= 250; ++i) {
        const auto elapsed = i * 960;
        while (elapsed - (begin - 160'000) > segment)
            begin += segment;
        maker.timestamp = begin;
        const auto duration = static_cast<std::uint16_t>(elapsed - (begin - 160'000));
        const auto bytes = maker.event({101}, {8, i == 250, 10, duration});
        if (i % 4 != 1) receiver.on_packet(bytes, t0 + i * 20ms, sink);
        receiver.on_tick(t0 + i * 20ms, sink);
    }
    EXPECT_EQ(sink.digits, "8");
}

}  // namespace
}  // namespace oavc::media
