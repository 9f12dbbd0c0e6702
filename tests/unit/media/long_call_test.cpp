#include "media/rtcp.hpp"
#include "media/rtp_receiver.hpp"
#include "media/rtp_sender.hpp"
#include "support/alloc_guard.hpp"
#include "support/net_impairment.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

/// Calls of an hour on virtual time: 180,000 packets each way, the sequence number wraps twice, the
/// timestamp once.
namespace oavc::media {
namespace {

constexpr int frames_in_an_hour = 60 * 60 * 50;
const TimePoint t0{};

// Each frame carries its number as levels, so that a frame lost, repeated or moved is seen.
struct NumberedSpeech {
    std::array<Sample, 160> frame{};

    Samples operator()(int number) {
        for (std::size_t digit = 0; digit < 4; ++digit) {
            const auto value = static_cast<std::uint8_t>(0x80 + (number >> (6 * digit) & 0x3F));
            std::fill_n(
                frame.begin() + static_cast<std::ptrdiff_t>(40 * digit),
                40,
                g711::ulaw_decode(value)
            );
        }
        return frame;
    }
    static int read(Samples samples) {
        int number = 0;
        for (std::size_t digit = 0; digit < 4; ++digit) {
            number |= (g711::ulaw_encode(samples[40 * digit + 38]) & 0x3F) << (6 * digit);
        }
        return number;
    }
};

// Counts without storing: an hour of frames would be 58 MB.
struct CheckingSink final : RtpSink {
    int frames{0};
    int wrong{0};
    int real{0};
    Clock::duration worst_delay{};
    TimePoint last{};
    int backwards{0};
    TimePoint now{};

    void on_frame(FrameView frame, TimePoint arrived, bool concealed) noexcept override {
        if (!concealed) {
            ++real;
            if (NumberedSpeech::read(frame.samples) != frames) ++wrong;
        }
        if (arrived < last) ++backwards;
        last = arrived;
        worst_delay = std::max(worst_delay, now - arrived);
        ++frames;
    }
    void on_digit(char) noexcept override {}
};

struct Party {
    RtpSender sender;
    RtpReceiver receiver;
    RtcpSession rtcp;
    NumberedSpeech speech;
    CheckingSink sink;
    std::array<std::byte, RtpSender::max_datagram> buffer{};
    std::array<std::byte, RtcpSession::max_datagram> rtcp_buffer{};

    explicit Party(RtpStart start)
        : sender{[&] {
              RtpSenderConfig config;
              config.start = start;
              return config;
          }()},
          receiver{{}},
          rtcp{{start.ssrc, "c", start.ssrc.value}, t0} {}
};

TEST(LongCall, AnHourBothWaysHasNoGapNoDriftAndNoAllocation) {
    Party caller{{65'000, {0xFFFF'FF00}, {0xAAAA}}};
    Party connector{{1, {0xFFFF'0000}, {0xBBBB}}};
    const auto wall = [](TimePoint now) {
        return NtpTime{static_cast<std::uint64_t>((now - t0).count()) << 3};
    };
    const auto exchange = [&](Party& from, Party& to, int number, TimePoint now) {
        to.sink.now = now;
        const auto datagram =
            from.sender.build({from.speech(number), narrowband}, now, from.buffer);
        to.receiver.on_packet(datagram, now, to.sink);
        to.receiver.on_tick(now, to.sink);
        if (now >= from.rtcp.next_deadline()) {
            const auto report = from.rtcp.build(
                now,
                from.sender.info(now, wall(now)),
                from.receiver.report_block(),
                from.rtcp_buffer
            );
            to.rtcp.on_packet(report, now, wall(now));
        }
    };
    const test::AllocGuard guard;
    for (int i = 0; i < frames_in_an_hour; ++i) {
        const auto now = t0 + i * 20ms;
        exchange(caller, connector, i, now);
        exchange(connector, caller, i, now);
    }
    EXPECT_EQ(guard.count(), 0u);
    for (Party* party : {&caller, &connector}) {
        EXPECT_EQ(party->sink.frames, frames_in_an_hour);
        EXPECT_EQ(party->sink.real, frames_in_an_hour);
        EXPECT_EQ(party->sink.wrong, 0);
        EXPECT_EQ(party->sink.worst_delay.count(), 0);
        const auto stats = party->receiver.stats();
        EXPECT_EQ(stats.received, static_cast<std::uint64_t>(frames_in_an_hour));
        EXPECT_EQ(stats.lost + stats.late + stats.duplicates + stats.rejected + stats.resyncs, 0u);
        EXPECT_EQ(stats.jitter.count(), 0);
        EXPECT_EQ(party->sender.stats().skipped_ticks, 0u);
        EXPECT_GT(party->rtcp.stats().sent, 500u);
    }
    const auto block = connector.receiver.report_block();
    EXPECT_EQ(block->highest_sequence, 65'000u + frames_in_an_hour - 1) << "two wraps counted";
}

TEST(LongCall, AnHourOverABadNetworkStaysInStepWithTheCaller) {
    test::NetImpairment::Config bad;
    bad.loss = 0.02;
    bad.duplicate = 0.01;
    bad.reorder = 0.02;
    bad.jitter = 15ms;
    bad.seed = 7;
    test::NetImpairment network{bad};
    Party caller{RtpStart::from_seed(3)};
    Party connector{RtpStart::from_seed(4)};
    std::size_t allocations = 0;
    for (int i = 0; i < frames_in_an_hour; ++i) {
        const auto now = t0 + i * 20ms;
        network.send(caller.sender.build({caller.speech(i), narrowband}, now, caller.buffer), now);
        network.deliver(now, [&](std::span<const std::byte> datagram, TimePoint at) {
            connector.sink.now = at;
            const test::AllocGuard guard;
            connector.receiver.on_packet(datagram, at, connector.sink);
            allocations += guard.count();
        });
        connector.sink.now = now;
        connector.receiver.on_tick(now, connector.sink);
    }
    EXPECT_LE(allocations, 1u);
    const auto stats = connector.receiver.stats();
    // The network still holds the last 20 to 65 ms; everything before has its frame.
    EXPECT_NEAR(connector.sink.frames, frames_in_an_hour, 5);
    EXPECT_EQ(connector.sink.backwards, 0);
    EXPECT_EQ(connector.sink.wrong, 0) << "each frame that is heard is heard in its place";
    EXPECT_NEAR(static_cast<double>(stats.lost), static_cast<double>(network.stats().lost), 5);
    EXPECT_NEAR(
        static_cast<double>(stats.duplicates), static_cast<double>(network.stats().duplicated), 5
    );
    EXPECT_NEAR(
        static_cast<double>(stats.concealed), static_cast<double>(stats.lost + stats.late), 5
    );
    EXPECT_GT(stats.reordered, 2'000u);
    EXPECT_LT(stats.late, 100u);
    EXPECT_LE(connector.sink.worst_delay, 80ms) << "what lies behind a gap, and a tick";
}

TEST(LongCall, ASenderWhoseClockIsSlowOrFastIsFollowedWithoutLosingSpeech) {
    for (const double speed : {0.999, 1.001}) {  // ten times worse than any telephone
        Party caller{RtpStart::from_seed(3)};
        RtpReceiver receiver{{}};
        CheckingSink sink;
        TimePoint next_tick = t0;
        for (int i = 0; i < 50 * 600; ++i) {
            const auto deadline = t0 + i * 20ms;
            const auto now = t0 + std::chrono::duration_cast<Clock::duration>(i * 20ms / speed);
            for (; next_tick <= now; next_tick += 20ms)
                receiver.on_tick(next_tick, sink);
            receiver.on_packet(
                caller.sender.build({caller.speech(i), narrowband}, deadline, caller.buffer),
                now,
                sink
            );
        }
        EXPECT_EQ(sink.frames, 50 * 600) << speed;
        EXPECT_EQ(sink.wrong, 0) << speed;
        EXPECT_EQ(receiver.stats().late + receiver.stats().silent, 0u) << speed;
    }
}

}  // namespace
}  // namespace oavc::media
