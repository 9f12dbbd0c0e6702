#include "media/rtp_receiver.hpp"

#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace oavc::media {
namespace {

using testing::Bytes;
using testing::PacketMaker;
using testing::RecordingSink;

constexpr PayloadType event_type{101};
const TimePoint t0{};

// Levels that survive µ-law unchanged, so that a frame names its packet.
Sample level_of(int n) { return g711::ulaw_decode(static_cast<std::uint8_t>(0x80 + n % 64)); }

struct Leg {
    RtpReceiver receiver;
    RecordingSink sink;
    PacketMaker maker;

    explicit Leg(RtpReceiverConfig config = {}) : receiver{with_events(config)} {}
    static RtpReceiverConfig with_events(RtpReceiverConfig config) {
        config.telephone_event = event_type;
        return config;
    }
    void packet(const Bytes& bytes, TimePoint now) { receiver.on_packet(bytes, now, sink); }
    void tick(TimePoint now) { receiver.on_tick(now, sink); }
    void ticks(TimePoint from, TimePoint to) {
        for (auto t = from; t <= to; t += 20ms)
            tick(t);
    }
    std::vector<Sample> first_samples() const {
        std::vector<Sample> firsts;
        for (const auto& frame : sink.frames)
            firsts.push_back(frame.samples[80]);
        return firsts;
    }
};

TEST(RtpReceiver, DeliversAnInOrderPacketWithinTheCallThatBringsIt) {
    Leg leg;
    for (int i = 0; i < 5; ++i) {
        leg.packet(leg.maker.constant(level_of(i)), t0 + i * 20ms);
        ASSERT_EQ(leg.sink.frames.size(), static_cast<std::size_t>(i) + 1);
        const auto& frame = leg.sink.frames.back();
        EXPECT_EQ(frame.samples, std::vector<Sample>(160, level_of(i)));
        EXPECT_EQ(frame.arrived, t0 + i * 20ms);
        EXPECT_FALSE(frame.concealed);
    }
}

}  // namespace
}  // namespace oavc::media
