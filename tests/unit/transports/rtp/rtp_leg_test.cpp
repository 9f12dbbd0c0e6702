// Media of one call: what the captured callers sent, and a leg on real sockets.
#include "transports/rtp/rtp_leg.hpp"

#include "base/bytes.hpp"
#include "media/dtmf_tone.hpp"
#include "media/g711.hpp"
#include "support/alloc_guard.hpp"
#include "support/fake_opensips.hpp"
#include "support/opensips_capture.hpp"
#include "support/rtp_pair.hpp"

#include <boost/asio/steady_timer.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace oavc::transports::rtp {
namespace {

using test::UdpPeer;

struct Heard final : media::RtpSink {
    std::string digits;
    int frames{0};
    int concealed{0};
    int loud{0};
    void on_frame(media::FrameView frame, TimePoint, bool invented) noexcept override {
        ++frames;
        concealed += invented ? 1 : 0;
        loud += *std::max_element(frame.samples.begin(), frame.samples.end()) > 1000 ? 1 : 0;
    }
    void on_digit(char digit) noexcept override { digits += digit; }
};

media::RtpReceiver::Stats replay(const std::string& capture, Heard& heard) {
    media::RtpReceiverConfig config;
    config.telephone_event = media::PayloadType{101};
    media::RtpReceiver receiver{config};
    for (const auto& datagram : test::load_opensips_capture(capture)) {
        if (datagram.channel != "rtp" || datagram.direction != "peer->connector") continue;
        const auto at = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{
            datagram.seconds});
        receiver.on_packet(as_bytes(datagram.payload), TimePoint{} + at, heard);
    }
    return receiver.stats();
}

TEST(CapturedRtp, TheCallersAudioIsHeardWithoutALoss) {
    Heard heard;
    const auto stats = replay("r_rtp_ulaw", heard);
    EXPECT_EQ(stats.received, 12u);
    EXPECT_EQ(stats.lost, 0u);
    EXPECT_EQ(stats.rejected, 0u);
    EXPECT_GE(heard.loud, 11);
    EXPECT_EQ(heard.concealed, 0);
    EXPECT_EQ(heard.digits, "");
}

TEST(CapturedRtp, TheCallersDigitIsHeardOnce) {
    Heard heard;
    const auto stats = replay("r2_rtp_dtmf_rfc4733", heard);
    EXPECT_EQ(heard.digits, "5");
    EXPECT_EQ(stats.digits, 1u);
    EXPECT_EQ(stats.rejected, 0u);
}

/// What a Session is to the leg; ends the test's loop after some ticks.
struct Session final : MediaSink, RtpLeg::Observer {
    RtpLeg* leg{nullptr};
    async::Shard* shard{nullptr};
    int ticks{0};
    int stop_after{1'000'000};
    int frames{0};
    bool timed_out{false};
    std::string digits;
    std::array<media::Sample, 160> speech{};

    TimePoint arrived{};
    std::vector<Clock::duration> waits;
    Session() { waits.reserve(1'000); }

    void on_frame(media::FrameView, TimePoint at, bool concealed) noexcept override {
        ++frames;
        if (!concealed) arrived = at;
    }
    void on_tick(TimePoint now) noexcept override {
        if (arrived != TimePoint{}) waits.push_back(now - std::exchange(arrived, TimePoint{}));
        while (leg->send_room() > 0)
            leg->send_audio({speech, narrowband});
        if (++ticks >= stop_after) shard->context().stop();
    }
    void on_digit(char, DigitSource) noexcept override {}
    void on_hold(bool) noexcept override {}
    void on_media_timeout() noexcept override {
        timed_out = true;
        shard->context().stop();
    }
    void on_leg_tick(TimePoint) noexcept override {}
    void on_rtp_digit(char digit) noexcept override { digits.push_back(digit); }
};

/// A leg on a shard that the test drives itself.
class RtpLegTest : public testing::Test {
protected:
    RtpLegTest() {
        RtpLeg::Observer& observer = session;
        leg.emplace(shard, test::rtp_pair(), std::chrono::seconds{1}, observer);
        session.leg = &*leg;
        session.shard = &shard;
    }
    void apply(const char* address, int port, sip::Direction direction = sip::Direction::sendrecv) {
        auto audio = sip::assumed_audio(sip::AudioCodec::pcmu, direction);
        audio.remote_address = address;
        audio.remote_port = static_cast<std::uint16_t>(port);
        audio.remote_rtcp_port = static_cast<std::uint16_t>(port + 1);
        leg->apply(audio);
    }
    void run_ticks(int count) {
        session.stop_after = session.ticks + count;
        shard.context().restart();
        shard.context().run();
    }
    std::string packet(
        std::uint16_t sequence, std::array<std::byte, 160> payload = std::array<std::byte, 160>{}
    ) const {
        media::RtpPacketView view;
        view.sequence_number = sequence;
        view.timestamp = {sequence * 160u};
        view.ssrc = {5};
        view.payload = payload;
        std::array<std::byte, 200> buffer;
        return std::string{as_text(*media::build_rtp(view, buffer))};
    }

    async::Shard shard{0};
    Session session;
    std::optional<RtpLeg> leg;
    UdpPeer peer;
    std::uint16_t sent{0};
};

TEST_F(RtpLegTest, AllocatesNothingPerPacketOrTick) {
    apply("127.0.0.1", peer.port());
    leg->attach(session);
    std::vector<std::string> packets;
    for (std::uint16_t i = 0; i < 40; ++i)
        packets.push_back(packet(i));
    for (std::uint16_t i = 0; i < 10; ++i)
        peer.send(packets[i], leg->port());
    run_ticks(10);  // warm
    for (std::uint16_t i = 10; i < 40; ++i)
        peer.send(packets[i], leg->port());
    const auto frames = session.frames;
    session.stop_after = session.ticks + 10;
    shard.context().restart();
    const test::AllocGuard guard;
    shard.context().run();
    EXPECT_EQ(guard.count(), 0u);
    EXPECT_GE(session.frames - frames, 25);
    EXPECT_EQ(leg->stats().received, 40u);
    leg->detach();
}

TEST_F(RtpLegTest, SilenceFlowsWhenNothingIsSuppliedAndNothingWhileHeld) {
    apply("127.0.0.1", peer.port());
    leg->attach(session);
    run_ticks(5);
    EXPECT_GE(leg->stats().sent, 4u);
    apply("127.0.0.1", peer.port(), sip::Direction::recvonly);
    EXPECT_TRUE(leg->is_held());
    EXPECT_EQ(leg->send_room(), 0u);
    const auto sent = leg->stats().sent;
    run_ticks(5);
    EXPECT_EQ(leg->stats().sent, sent);
    EXPECT_FALSE(leg->send_audio({session.speech, narrowband}));
    EXPECT_EQ(leg->stats().dropped, 1u);
    leg->detach();
}

TEST_F(RtpLegTest, NeverSendsToAGroupOrToEverybody) {
    for (const auto* address :
         {"224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "phone.example.org", ""}) {
        apply(address, 4000);
        EXPECT_FALSE(leg->remote().has_value()) << address;
    }
    apply("192.0.2.1", 0);
    EXPECT_FALSE(leg->remote().has_value());
}

TEST_F(RtpLegTest, AHoldWithoutAnAddressKeepsWhatWasLearned) {
    apply("192.0.2.1", 4000);
    leg->attach(session);
    peer.send(packet(1), leg->port());
    run_ticks(2);
    ASSERT_TRUE(leg->is_pinned());
    EXPECT_EQ(leg->remote()->port(), peer.port());
    apply("", 0, sip::Direction::recvonly);  // c=0.0.0.0
    apply("192.0.2.1", 4000);                // resumed
    EXPECT_TRUE(leg->is_pinned());
    EXPECT_EQ(leg->remote()->port(), peer.port());
    apply("192.0.2.1", 4002);
    EXPECT_FALSE(leg->is_pinned());
    leg->detach();
}

TEST_F(RtpLegTest, WhatIsUnderWayWhenTheCallerMovesDoesNotDrawUsBack) {
    apply("127.0.0.1", peer.port());
    leg->attach(session);
    peer.send(packet(1), leg->port());
    run_ticks(2);
    const UdpPeer moved;
    apply("127.0.0.1", moved.port());
    peer.send(packet(2), leg->port());
    run_ticks(2);
    EXPECT_EQ(leg->stats().received, 2u) << "it is heard";
    EXPECT_EQ(leg->remote()->port(), moved.port());
    moved.send(packet(3), leg->port());
    run_ticks(2);
    EXPECT_TRUE(leg->is_pinned());
    EXPECT_EQ(leg->remote()->port(), moved.port());
    EXPECT_EQ(leg->stats().received, 3u);
    leg->detach();
}

TEST_F(RtpLegTest, WhoStaysWhereHeWasInSpiteOfANewAddressIsFoundAgain) {
    apply("192.0.2.1", 4000);  // what the caller believes, behind NAT
    leg->attach(session);
    peer.send(packet(1), leg->port());
    run_ticks(2);
    apply("192.0.2.1", 4002);
    std::uint16_t sequence = 2;
    for (int i = 0; i < 20 && !leg->is_pinned(); ++i) {
        run_ticks(10);
        peer.send(packet(sequence++), leg->port());
    }
    EXPECT_TRUE(leg->is_pinned());
    EXPECT_EQ(leg->remote()->port(), peer.port());
    leg->detach();
}

TEST_F(RtpLegTest, WhatCameBeforeTheAnswerIsNotHeardAndPinsNothing) {
    const UdpPeer ringing;  // a carrier's tone, from a machine of its own
    for (std::uint16_t i = 0; i < 100; ++i)
        ringing.send(packet(i), leg->port());
    apply("127.0.0.1", peer.port());
    leg->attach(session);
    run_ticks(3);
    EXPECT_EQ(leg->stats().received, 0u);
    EXPECT_FALSE(leg->is_pinned());
    peer.send(packet(1), leg->port());
    run_ticks(2);
    EXPECT_EQ(leg->stats().received, 1u);
    ASSERT_TRUE(leg->is_pinned());
    EXPECT_EQ(leg->remote()->port(), peer.port());
    leg->detach();
}

TEST_F(RtpLegTest, OnlyAnAudiblePacketPinsTheAddress) {
    apply("127.0.0.1", peer.port());
    leg->attach(session);
    const UdpPeer stranger;
    auto other_codec = packet(1);
    other_codec[1] = 96;
    for (const auto& bytes : {std::string{"hello"}, other_codec, std::string(12, '\0')}) {
        stranger.send(bytes, leg->port());
    }
    run_ticks(2);
    EXPECT_FALSE(leg->is_pinned());
    EXPECT_EQ(leg->stats().rejected, 3u);
    leg->detach();
}

/// The same second of a key's tone, from a caller with telephone-event and from one without.
TEST_F(RtpLegTest, HearsKeysInTheAudioWhereThereIsNoOtherWay) {
    const auto press = [this](bool telephone_event) {
        auto audio = sip::assumed_audio(sip::AudioCodec::pcmu);
        audio.remote_address = "127.0.0.1";
        audio.remote_port = peer.port();
        if (!telephone_event) audio.event_payload_type.reset();
        leg->apply(audio);
        if (session.ticks == 0) leg->attach(session);
        media::DtmfTone tone{'7', narrowband};
        for (int i = 0; i < 10; ++i) {
            std::array<media::Sample, 160> samples;
            tone.fill(samples);
            std::array<std::byte, 160> payload;
            media::g711::ulaw_encode(samples, payload);
            peer.send(packet(++sent, payload), leg->port());
            run_ticks(1);
        }
        for (int i = 0; i < 5; ++i) {
            std::array<std::byte, 160> silence;
            silence.fill(std::byte{0xff});
            peer.send(packet(++sent, silence), leg->port());
            run_ticks(1);
        }
    };
    leg->hear_tones();
    press(true);
    EXPECT_EQ(session.digits, "");
    press(false);
    EXPECT_EQ(session.digits, "7");
    leg->detach();
}

/// The caller's packets come on deadlines of their own, right behind those of the leg's first tick.
TEST_F(RtpLegTest, APacketHardlyWaitsForItsTickOnceThatIsAligned) {
    apply("127.0.0.1", peer.port());
    leg->attach(session);
    boost::asio::steady_timer timer{shard.context(), shard.ticks().next_deadline() + 1ms};
    std::function<void()> speak = [&] {
        timer.async_wait([&](const boost::system::error_code& error) {
            if (error) return;
            peer.send(packet(sent++), leg->port());
            timer.expires_at(timer.expiry() + 20ms);
            speak();
        });
    };
    speak();
    // A busy machine makes its own jitter, so that the first decision need not be the best.
    const auto usual_wait = [&] {
        const auto middle = session.waits.end() - 15;
        std::nth_element(session.waits.end() - 30, middle, session.waits.end());
        return *middle;
    };
    std::optional<media::RtpPacketView> before;
    Clock::duration wait{};
    for (int tries = 0; tries < 20; ++tries) {
        run_ticks(50);
        ASSERT_GE(session.waits.size(), 30u);
        wait = usual_wait();
        // What we send is one stream all the same: no number is left out, and frames stay whole.
        for (auto got = peer.receive(0ms); got; got = peer.receive(0ms)) {
            const auto now = media::parse_rtp(as_bytes(got->datagram));
            ASSERT_TRUE(now.has_value());
            if (before) {
                const int step = now->sequence_number - before->sequence_number;
                EXPECT_EQ(static_cast<std::uint16_t>(step), 1);
                EXPECT_EQ((now->timestamp.value - before->timestamp.value) % 160, 0u);
            }
            before = *now;
        }
        if (wait < 10ms) break;
    }
    EXPECT_LT(
        wait, 10ms
    ) << "of 19 ms at first; how little of it, TickAlignment says without a load";
    leg->detach();
}

TEST_F(RtpLegTest, SilenceFromTheCallerIsTimedUnlessTheCallIsHeld) {
    apply("127.0.0.1", peer.port(), sip::Direction::recvonly);
    leg->attach(session);
    run_ticks(60);
    EXPECT_FALSE(session.timed_out);
    apply("127.0.0.1", peer.port());
    const auto began = session.ticks;
    run_ticks(100);
    EXPECT_TRUE(session.timed_out);
    EXPECT_NEAR(session.ticks - began, 50, 5);
    leg->detach();
}

}  // namespace
}  // namespace oavc::transports::rtp
