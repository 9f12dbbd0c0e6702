// Two legs that talk to each other over loopback: codecs, their switch in a call, encryption, keys.
#include "support/fake_opensips.hpp"
#include "support/rtp_pair.hpp"
#include "transports/rtp/rtp_leg.hpp"

#include <boost/asio/ip/address.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>
#include <string>

namespace oavc::transports::rtp {
namespace {

using sip::AudioCodec;
using test::UdpPeer;

constexpr double level = 10'000;

/// One side: speaks a tone of 440 Hz whenever the leg wants a frame, and listens.
class Side final : public MediaSink, public RtpLeg::Observer {
public:
    Side(async::Shard& shard, RtpPortPair ports) : shard_{shard} {
        RtpLeg::Observer& observer = *this;
        leg.emplace(shard, std::move(ports), std::chrono::seconds{30}, observer);
    }

    void on_frame(media::FrameView frame, TimePoint, bool) noexcept override {
        ++frames;
        EXPECT_EQ(frame.rate, leg->format().rate);
        EXPECT_EQ(frame.samples.size(), leg->format().samples_per_frame());
        const auto peak = *std::max_element(frame.samples.begin(), frame.samples.end());
        loud += peak > 0.6 * level && peak < 1.4 * level ? 1 : 0;
    }
    void on_tick(TimePoint) noexcept override {
        std::array<media::Sample, 320> speech{};
        const auto rate = leg->format().rate;
        const auto size = leg->format().samples_per_frame();
        for (std::size_t i = 0; i < size; ++i, ++spoken_) {
            const auto phase = 2 * std::numbers::pi * 440 * static_cast<double>(spoken_) / rate.hz;
            speech[i] = static_cast<media::Sample>(level * std::sin(phase));
        }
        if (!silent && leg->send_room() > 0) {
            EXPECT_TRUE(leg->send_audio({media::Samples{speech}.first(size), rate}));
        }
        if (++ticks == stop_at) shard_.context().stop();
    }
    void on_digit(char, DigitSource) noexcept override {}
    void on_hold(bool) noexcept override {}
    void on_media_timeout() noexcept override {}
    void on_leg_tick(TimePoint) noexcept override {}
    void on_rtp_digit(char digit) noexcept override { digits += digit; }

    std::optional<RtpLeg> leg;
    std::string digits;
    bool silent{false};
    int frames{0};
    int loud{0};
    int ticks{0};
    int stop_at{0};

private:
    async::Shard& shard_;
    std::size_t spoken_{0};
};

sip::SrtpKey key_of(int seed) {
    sip::SrtpKey key;
    key.bytes.fill(static_cast<std::byte>(seed));
    return key;
}

class TwoLegs : public testing::Test {
protected:
    void open(const char* host = "127.0.0.1") {
        host_ = host;
        ours = std::make_unique<Side>(shard, test::rtp_pair(host));
        theirs = std::make_unique<Side>(shard, test::rtp_pair(host));
    }
    ~TwoLegs() override {
        for (auto* side : {ours.get(), theirs.get()}) {
            if (side != nullptr) side->leg->detach();
        }
    }

    sip::NegotiatedAudio agreed(AudioCodec codec, std::uint16_t remote_port) const {
        auto audio = sip::assumed_audio(codec);
        audio.remote_address = audio.remote_rtcp_address = host_;
        audio.remote_port = remote_port;
        audio.remote_rtcp_port = static_cast<std::uint16_t>(remote_port + 1);
        return audio;
    }
    void agree(AudioCodec codec) {
        ours->leg->apply(agreed(codec, theirs->leg->port()));
        theirs->leg->apply(agreed(codec, ours->leg->port()));
    }
    /// `ours` sends under key 1 and `theirs` under 2, or as told.
    void agree_encrypted(int our_key, int their_key, int our_key_as_they_know_it) {
        auto a = agreed(AudioCodec::pcmu, theirs->leg->port());
        auto b = agreed(AudioCodec::pcmu, ours->leg->port());
        a.srtp = sip::SrtpParameters{{}, 1, key_of(our_key), key_of(their_key)};
        b.srtp = sip::SrtpParameters{{}, 1, key_of(their_key), key_of(our_key_as_they_know_it)};
        ours->leg->apply(a);
        theirs->leg->apply(b);
    }
    void talk(int ticks) {
        if (ours->ticks == 0) {
            ours->leg->attach(*ours);
            theirs->leg->attach(*theirs);
        }
        ours->stop_at = ours->ticks + ticks;
        shard.context().restart();
        shard.context().run();
    }

    async::Shard shard{0};
    std::unique_ptr<Side> ours;
    std::unique_ptr<Side> theirs;

private:
    std::string host_;
};

TEST_F(TwoLegs, HearEachOtherInEveryCodecAtItsRate) {
    for (const auto& [codec, rate] : {
             std::pair{AudioCodec::pcma, narrowband},
             {AudioCodec::g722, wideband},
             {AudioCodec::opus, wideband},
             {AudioCodec::l16, wideband},
         }) {
        open();
        agree(codec);
        talk(25);
        for (const auto* side : {ours.get(), theirs.get()}) {
            EXPECT_EQ(side->leg->format().rate, rate) << sip::to_string(codec);
            EXPECT_GE(side->loud, 15) << sip::to_string(codec);
            EXPECT_EQ(side->leg->stats().lost, 0u) << sip::to_string(codec);
            EXPECT_EQ(side->leg->stats().rejected, 0u) << sip::to_string(codec);
            EXPECT_EQ(side->leg->stats().dropped, 0u) << sip::to_string(codec);
            EXPECT_GT(side->leg->stats().mos, 3.5) << sip::to_string(codec);
        }
        ours->leg->detach();
        theirs->leg->detach();
    }
}

TEST_F(TwoLegs, ACodecOfAnotherRateLeavesTheFramesAsTheyWere) {
    for (const auto& [first, second] : {
             std::pair{AudioCodec::pcmu, AudioCodec::opus},
             {AudioCodec::g722, AudioCodec::pcma},
         }) {
        open();
        agree(first);
        const auto rate = ours->leg->format().rate;
        talk(15);
        agree(second);
        const auto frames = ours->frames;
        const auto loud = ours->loud;
        talk(30);
        EXPECT_EQ(ours->leg->format().rate, rate);
        EXPECT_NEAR(ours->frames - frames, 30, 6);
        EXPECT_GE(ours->loud - loud, 20);
        agree(first);
        const auto later = theirs->loud;
        talk(20);
        EXPECT_GE(theirs->loud - later, 12);
        ours->leg->detach();
        theirs->leg->detach();
    }
}

TEST_F(TwoLegs, AfterAnOfferOfOursTheOtherSideMayChangeBetweenItsCodecs) {
    open();
    auto either = agreed(AudioCodec::pcmu, theirs->leg->port());
    either.receives.push_back({96, AudioCodec::opus, 48'000});
    ours->leg->apply(either);
    theirs->leg->apply(agreed(AudioCodec::pcmu, ours->leg->port()));
    talk(15);
    theirs->leg->apply(agreed(AudioCodec::opus, ours->leg->port()));
    const auto loud = ours->loud;
    talk(30);
    EXPECT_EQ(ours->leg->format().rate, narrowband);
    EXPECT_GE(ours->loud - loud, 18);
}

TEST_F(TwoLegs, SpeakIpv6) {
    const auto bound = net::MediaSocket::bind({boost::asio::ip::address_v6::loopback(), 40000});
    if (!bound) GTEST_SKIP() << "this machine has no IPv6";
    open("::1");
    agree(AudioCodec::pcmu);
    talk(20);
    EXPECT_GE(ours->loud, 10);
    EXPECT_GE(theirs->loud, 10);
}

TEST_F(TwoLegs, PressedKeysArriveOnceEach) {
    for (const auto codec : {AudioCodec::pcmu, AudioCodec::opus}) {
        open();
        agree(codec);
        talk(5);
        EXPECT_TRUE(ours->leg->takes_digits());
        EXPECT_TRUE(ours->leg->send_digits("12#"));
        EXPECT_FALSE(ours->leg->send_digits("x"));
        talk(50);
        EXPECT_EQ(theirs->digits, "12#");
        EXPECT_FALSE(ours->leg->is_sending_digits());
        ours->leg->detach();
        theirs->leg->detach();
    }
    auto deaf = agreed(AudioCodec::pcmu, theirs->leg->port());
    deaf.event_payload_type.reset();
    ours->leg->apply(deaf);
    EXPECT_FALSE(ours->leg->takes_digits());
    EXPECT_FALSE(ours->leg->send_digits("1"));
}

TEST_F(TwoLegs, WhomWeHoldWeDoNotHear) {
    open();
    agree(AudioCodec::pcmu);
    talk(10);
    auto held = agreed(AudioCodec::pcmu, theirs->leg->port());
    held.direction = sip::Direction::sendonly;
    ours->leg->apply(held);
    const auto frames = ours->frames;
    talk(10);
    EXPECT_EQ(ours->frames, frames);
    EXPECT_FALSE(ours->leg->is_held());
    agree(AudioCodec::pcmu);
    talk(10);
    EXPECT_GE(ours->frames - frames, 8);
}

TEST_F(TwoLegs, TalkEncrypted) {
    open();
    agree_encrypted(1, 2, 1);
    talk(25);
    EXPECT_GE(ours->loud, 15);
    EXPECT_GE(theirs->loud, 15);
    EXPECT_EQ(ours->leg->stats().rejected, 0u);
}

TEST_F(TwoLegs, UnderAWrongKeyNothingIsHeardAndEverythingIsCounted) {
    open();
    agree_encrypted(1, 2, 3);
    talk(25);
    EXPECT_EQ(theirs->loud, 0);
    EXPECT_EQ(theirs->leg->stats().received, 0u);
    EXPECT_GE(theirs->leg->srtp_stats()->unauthenticated, 15u);
    EXPECT_GE(theirs->leg->stats().rejected, 15u);
    EXPECT_FALSE(theirs->leg->is_pinned());
    EXPECT_GE(ours->loud, 15);  // the other way the keys are right

    // A re-INVITE brings the right one.
    agree_encrypted(1, 2, 1);
    talk(25);
    EXPECT_GE(theirs->loud, 15);
}

TEST_F(TwoLegs, NewKeysByAReinviteTakeOverWithoutALoss) {
    open();
    agree_encrypted(1, 2, 1);
    talk(20);
    agree_encrypted(4, 5, 4);
    const auto before = theirs->loud;
    const auto before_ours = ours->loud;
    talk(25);
    EXPECT_GE(theirs->loud - before, 18);
    EXPECT_GE(ours->loud - before_ours, 18);
    EXPECT_LE(theirs->leg->stats().rejected, 2u);  // what was under way
}

TEST_F(TwoLegs, WhoRepeatsAPacketIsNotHeard) {
    open();
    // A tap between them sees the packets of `ours` and plays each twice.
    const UdpPeer tap;
    agree_encrypted(1, 2, 1);
    auto to_tap = agreed(AudioCodec::pcmu, tap.port());
    to_tap.srtp = sip::SrtpParameters{{}, 1, key_of(1), key_of(2)};
    auto back = agreed(AudioCodec::pcmu, tap.port());
    back.srtp = sip::SrtpParameters{{}, 1, key_of(2), key_of(1)};
    ours->leg->apply(to_tap);
    theirs->leg->apply(back);
    for (int i = 0; i < 10; ++i) {
        talk(1);
        while (const auto got = tap.receive(std::chrono::milliseconds{1})) {
            if (got->port != ours->leg->port()) continue;
            tap.send(got->datagram, theirs->leg->port());
            tap.send(got->datagram, theirs->leg->port());
        }
    }
    talk(2);
    const auto stats = theirs->leg->stats();
    EXPECT_GE(stats.received, 5u);
    EXPECT_EQ(theirs->leg->srtp_stats()->replayed, stats.received);
}

TEST_F(TwoLegs, ReportsComeOnTheMediaPortWhereThatWasAgreed) {
    open();
    const UdpPeer peer;
    auto audio = agreed(AudioCodec::pcmu, peer.port());
    audio.rtcp_mux = true;
    ours->leg->apply(audio);
    theirs->leg->apply(agreed(AudioCodec::pcmu, peer.port()));  // says nothing to ours
    talk(5);
    ours->leg->detach();
    ours->leg.reset();  // says goodbye by RTCP
    bool goodbye = false;
    while (const auto got = peer.receive(std::chrono::milliseconds{100})) {
        const std::span datagram{
            reinterpret_cast<const std::byte*>(got->datagram.data()), got->datagram.size()};
        goodbye = goodbye || media::looks_like_rtcp(datagram);
    }
    EXPECT_TRUE(goodbye);
    ours.reset();
}

}  // namespace
}  // namespace oavc::transports::rtp
