#include "media/rtp_receiver.hpp"
#include "support/alloc_guard.hpp"
#include "support/net_impairment.hpp"
#include "support/rtp_stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

/// What every codec owes its call on a bad network. Seeded, on virtual time.
namespace oavc::media {
namespace {

const TimePoint t0{};

RtpReceiverConfig every_codec() {
    RtpReceiverConfig config;
    config.payloads = {};
    for (const Codec codec : all_codecs)
        config.payloads.add(test::LoopingCaller::type_of(codec), codec);
    return config;
}

struct StrictSink final : RtpSink {
    TimePoint now{};
    TimePoint last{};
    int frames{0};
    int concealed{0};
    int backwards{0};
    int misshapen{0};
    Clock::duration worst_delay{};
    // Of L16: frame n is packet n + shift.
    bool numbered{false};
    std::optional<int> shift;
    int wrong{0};
    int right{0};

    void on_frame(FrameView frame, TimePoint arrived, bool is_concealed) noexcept override {
        if (frame.samples.size() != samples_in(frame_time, frame.rate)) ++misshapen;
        if (arrived < last) ++backwards;
        last = arrived;
        worst_delay = std::max(worst_delay, now - arrived);
        concealed += is_concealed;
        if (numbered && !is_concealed) {
            const auto number = test::LoopingCaller::number_of(frame.samples);
            if (!shift) shift = number - frames;
            ++(number == static_cast<std::uint16_t>(frames + *shift) ? right : wrong);
        }
        ++frames;
    }
    void on_digit(char) noexcept override {}
};

struct Network {
    std::string name;
    test::NetImpairment::Config config;
    double skew{0};  ///< of the sender's clock
};

std::vector<Network> networks() {
    std::vector<Network> all;
    for (const int percent : {0, 1, 5, 10, 20}) {
        Network network{std::to_string(percent) + " % loss", {}};
        network.config.loss = percent / 100.0;
        all.push_back(network);
    }
    Network bursts{"10 % in bursts of 4", {}};
    bursts.config.loss = 0.1;
    bursts.config.burst = 4;
    all.push_back(bursts);
    Network reorder{"10 % reordered", {}};
    reorder.config.reorder = 0.1;
    all.push_back(reorder);
    Network doubled{"20 % doubled", {}};
    doubled.config.duplicate = 0.2;
    all.push_back(doubled);
    Network jitter{"40 ms of jitter", {}};
    jitter.config.jitter = 40ms;
    all.push_back(jitter);
    all.push_back({"a clock 200 ppm fast", {}, 200e-6});
    all.push_back({"a clock 200 ppm slow", {}, -200e-6});
    Network all_of_it{"all of it", {}, 200e-6};
    all_of_it.config = {0.05, 2, 0.05, 0.05, 30ms, 20ms, 30ms, 9};
    all.push_back(all_of_it);
    return all;
}

TEST(Impairment, EveryCodecKeepsTimeOnEveryNetwork) {
    constexpr int packets = 50 * 60;
    for (const auto& [name, network_config, skew] : networks()) {
        for (const Encoding encoding :
             {Encoding{Codec::pcmu},
              Encoding{Codec::g722},
              Encoding{Codec::opus},
              Encoding{Codec::l16}}) {
            SCOPED_TRACE(std::string{media::name(encoding.codec)} + ", " + name);
            test::NetImpairment network{network_config};
            // Both counters wrap within the minute.
            test::LoopingCaller caller{encoding, 64'000, 0xFFFF'FFFF - encoding.clock.hz * 30};
            RtpReceiver receiver{every_codec()};
            StrictSink sink;
            sink.numbered = encoding.codec == Codec::l16;
            std::uint64_t allocations = 0;
            auto next_tick = t0 + 7ms;
            for (int i = 0; i < packets; ++i) {
                const auto at =
                    t0 + std::chrono::duration_cast<Clock::duration>(i * 20ms / (1.0 + skew));
                network.send(caller.next(), at);
                for (; next_tick <= at; next_tick += 20ms) {
                    network.deliver(next_tick, [&](std::span<const std::byte> packet, TimePoint t) {
                        sink.now = t;
                        const test::AllocGuard guard;
                        receiver.on_packet(packet, t, sink);
                        allocations += guard.count();
                    });
                    sink.now = next_tick;
                    receiver.on_tick(next_tick, sink);
                }
            }
            const auto stats = receiver.stats();
            EXPECT_LE(allocations, 1u);
            EXPECT_NEAR(sink.frames, packets, 5) << "the timeline is the sender's";
            EXPECT_EQ(sink.backwards + sink.misshapen + sink.wrong, 0);
            EXPECT_EQ(stats.resyncs + stats.rejected, 0u);
            EXPECT_EQ(stats.sources, 1u);
            EXPECT_LE(sink.worst_delay, 90ms);
            EXPECT_NEAR(
                static_cast<double>(stats.lost), static_cast<double>(network.stats().lost), 5
            );
            EXPECT_NEAR(
                static_cast<double>(stats.duplicates),
                static_cast<double>(network.stats().duplicated),
                5
            );
            EXPECT_LE(
                sink.concealed, static_cast<int>(stats.lost + stats.late - stats.recovered) + 5
            ) << "nothing is made up that came";
            if (encoding.codec == Codec::opus && network_config.loss >= 0.05 &&
                network_config.burst <= 1) {
                EXPECT_GT(stats.recovered, stats.lost / 3);
            }
        }
    }
}

TEST(Impairment, AnotherSourceInTheMiddleOfTheCallTakesOver) {
    for (const Encoding encoding :
         {Encoding{Codec::pcmu}, Encoding{Codec::g722}, Encoding{Codec::opus}}) {
        test::NetImpairment network{{0.05, 1, 0, 0.02}};
        test::LoopingCaller caller{encoding, 100, 5};
        test::LoopingCaller other{encoding, 60'000, 0x8000'0000};
        other.ssrc = {0xBEEF};
        RtpReceiver receiver{every_codec()};
        StrictSink sink;
        for (int i = 0; i < 1'000; ++i) {
            const auto now = t0 + i * 20ms;
            network.send(i < 500 ? caller.next() : other.next(), now);
            network.deliver(now, [&](std::span<const std::byte> packet, TimePoint t) {
                sink.now = t;
                receiver.on_packet(packet, t, sink);
            });
            sink.now = now;
            receiver.on_tick(now, sink);
        }
        EXPECT_NEAR(sink.frames, 1'000, 5) << name(encoding.codec);
        EXPECT_EQ(receiver.stats().sources, 2u) << name(encoding.codec);
        EXPECT_EQ(receiver.ssrc(), Ssrc{0xBEEF});
        EXPECT_NEAR(
            static_cast<double>(receiver.stats().lost), static_cast<double>(network.stats().lost), 5
        );
    }
}

/// Two hours: 360,000 packets; sequence numbers wrap five times, timestamps once or twice. Every
/// ten minutes a re-INVITE brings another codec, every twenty-five another SSRC.
TEST(Impairment, TwoHoursOfABadNetworkNeitherDriftNorLeakNorDelay) {
    constexpr int packets = 2 * 60 * 60 * 50;
    constexpr int ten_minutes = 10 * 60 * 50;
    const std::array codecs{
        Encoding{Codec::pcmu}, Encoding{Codec::g722}, Encoding{Codec::l16}, Encoding{Codec::opus}};
    constexpr double skew = 200e-6;
    test::NetImpairment network{{0.03, 2, 0.02, 0.02, 30ms, 20ms, 25ms, 11}};
    test::LoopingCaller caller{codecs[0], 65'000, 0xFFF0'0000};
    RtpReceiver receiver{every_codec()};
    StrictSink sink;
    std::uint64_t allocations = 0;
    std::size_t codec = 0;
    int worst_drift = 0;
    int switches = 0;
    auto next_tick = t0 + 7ms;
    for (int i = 0; i < packets; ++i) {
        const auto at = t0 + std::chrono::duration_cast<Clock::duration>(i * 20ms / (1.0 + skew));
        if (i > 0 && i % ten_minutes == 0) {
            codec = (codec + 1) % codecs.size();
            ++switches;
            caller.set(codecs[codec]);
            receiver.reconfigure(every_codec());
        }
        if (i % (25 * 60 * 50) == 25 * 60 * 50 - 1) ++caller.ssrc.value;
        // In the middle of L16, where no source changes.
        const int within = i % ten_minutes;
        sink.numbered = codecs[codec].codec == Codec::l16 && within > 50 * 60 && within < 50 * 240;
        if (!sink.numbered) sink.shift.reset();
        network.send(caller.next(), at);
        for (; next_tick <= at; next_tick += 20ms) {
            network.deliver(next_tick, [&](std::span<const std::byte> packet, TimePoint t) {
                sink.now = t;
                const test::AllocGuard guard;
                receiver.on_packet(packet, t, sink);
                allocations += guard.count();
            });
            sink.now = next_tick;
            receiver.on_tick(next_tick, sink);
        }
        worst_drift = std::max(worst_drift, std::abs(i + 1 - sink.frames));
    }
    const auto stats = receiver.stats();
    EXPECT_LE(allocations, 1u);
    EXPECT_EQ(switches, 11);
    EXPECT_GE(stats.sources, 5u);
    EXPECT_LE(worst_drift, 10) << "frames against packets, at any time";
    EXPECT_EQ(sink.backwards + sink.misshapen + sink.wrong, 0);
    EXPECT_GT(sink.right, 15'000);
    EXPECT_LE(sink.worst_delay, 100ms);
    EXPECT_NEAR(static_cast<double>(stats.lost), static_cast<double>(network.stats().lost), 50);
    EXPECT_LT(stats.late, 500u);
    EXPECT_LT(stats.resyncs, 20u);
}

}  // namespace
}  // namespace oavc::media
