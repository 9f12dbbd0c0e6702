// Calls that come through OpenSIPS, over real loopback UDP, against a fake OpenSIPS and a fake
// caller.
#include "base/bytes.hpp"
#include "media/rtp.hpp"
#include "unit/transports/opensips/listener_rig.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::transports::opensips {
namespace {

using test::FakeOpensips;
using test::UdpPeer;

TEST_F(OpensipsListenerTest, ACallIsAnsweredHeardBothWaysAndEndedByTheCaller) {
    start();
    const auto up = call_up();
    EXPECT_EQ(up.call->transport->info().to, "bot");
    EXPECT_EQ(up.call->transport->info().from, "caller@127.0.0.1");
    EXPECT_EQ(up.port % 2, 0);
    EXPECT_GE(up.port, rtp_config.port_start);
    EXPECT_LE(up.port, rtp_config.port_end);
    EXPECT_TRUE(speak_until(up, [&] { return up.call->loud_frames >= 5; }));
    phone.press(5, up.port);
    opensips.request(up.key, "INFO", "Signal=7\r\n", "Content-Type: application/dtmf-relay\r\n");
    ASSERT_TRUE(opensips.wait_for("ua_session_reply INFO 200", up.key).has_value());
    EXPECT_TRUE(speak_until(up, [&] {
        const std::lock_guard lock{up.call->mutex};
        return up.call->digits == "57" || up.call->digits == "75";
    }));
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::caller_hung_up);
    EXPECT_GE(up.call->stats.received, 5u);
    EXPECT_GE(up.call->stats.sent, 2u);
    EXPECT_EQ(up.call->stats.rejected, 0u);
    EXPECT_EQ(opensips.count("ua_session_terminate"), 0u);
    (void)listener->stats();  // lets the call's last message to shard 0 pass
    EXPECT_EQ(listener->stats().rtp_ports_in_use, 0u);
}

TEST_F(OpensipsListenerTest, AWidebandCallerIsHeardAndAnsweredInSixteenKilohertz) {
    start();
    const auto offer =
        "v=0\r\no=caller 100 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"
        "t=0 0\r\nm=audio " +
        std::to_string(phone.rtp.port()) + " RTP/AVP 97 0\r\na=rtpmap:97 L16/16000\r\n";
    const auto key = opensips.invite(offer);
    const auto reply = opensips.wait_for("ua_session_reply INVITE 200", key);
    ASSERT_TRUE(reply.has_value());
    EXPECT_NE(reply->text("body").find("a=rtpmap:97 L16/16000"), std::string::npos);
    const auto port = answered_port(*reply);
    const auto call = pipeline.wait_for_call();

    std::array<std::byte, 640> loud;
    loud.fill(std::byte{0x20});  // 8224 in network order
    bool heard_us = false;
    for (int i = 0; i < 500 && !(heard_us && call->loud_frames > 3); ++i) {
        phone.send(97, loud, port);
        phone.timestamp += 320;
        const auto got = phone.rtp.receive(100ms);
        if (!got) continue;
        const auto packet = media::parse_rtp(as_bytes(got->datagram));
        if (!packet || packet->payload.size() != 640) continue;
        const auto high = std::to_integer<int>(packet->payload[200]);
        heard_us = heard_us || high == Pipeline::our_level >> 8;
    }
    EXPECT_TRUE(heard_us);
    EXPECT_GT(call->loud_frames, 3);
    EXPECT_EQ(call->transport->format().rate, wideband);
    EXPECT_TRUE(call->right_rate);
}

TEST_F(OpensipsListenerTest, HoldSilencesBothDirectionsUntilItIsResumed) {
    start();
    const auto up = call_up();
    opensips.clear_requests();
    opensips.reinvite(up.key, phone.sdp("a=sendonly\r\n", 0, 2));
    const auto hold = opensips.wait_for("ua_session_reply INVITE 200", up.key);
    ASSERT_TRUE(hold.has_value());
    EXPECT_NE(hold->text("body").find("a=recvonly"), std::string::npos);
    // What was sent before the hold may still lie in our socket; then there is nothing.
    while (phone.rtp.receive(100ms)) {
    }
    EXPECT_EQ(up.call->held, 1);
    const int frames = up.call->frames;
    for (int i = 0; i < 5; ++i)
        phone.speak(up.port);
    EXPECT_FALSE(phone.rtp.receive(100ms).has_value());
    EXPECT_EQ(up.call->frames, frames);
    opensips.clear_requests();
    opensips.reinvite(up.key, phone.sdp("", 0, 3));
    ASSERT_TRUE(opensips.wait_for("ua_session_reply INVITE 200", up.key).has_value());
    EXPECT_TRUE(phone.hears(true));
    EXPECT_EQ(up.call->resumed, 1);
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, ARestartOfOpensipsEndsItsCallsAndIsSubscribedToAgain) {
    start();
    const auto up = call_up();
    opensips.restart();
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::carrier_lost);
    ASSERT_TRUE(opensips.wait_for_subscriber());
    EXPECT_EQ(listener->stats().calls_lost, 1u);
    const auto next = call_up(1);
    EXPECT_NE(next.port, 0);
    opensips.bye(next.key);
    ASSERT_TRUE(pipeline.wait_until_finished(2));
}

TEST_F(OpensipsListenerTest, ACallThatCameWhileNobodyWasSubscribedIsAnswered) {
    const auto key = opensips.invite(phone.sdp());
    ASSERT_EQ(opensips.state(key), 1);
    start();
    const auto reply = opensips.wait_for("ua_session_reply INVITE 200", key);
    ASSERT_TRUE(reply.has_value());
    const auto call = pipeline.wait_for_call();
    // Its offer was never seen: we hear where its audio comes from.
    EXPECT_FALSE(phone.rtp.receive(60ms).has_value());
    phone.speak(answered_port(*reply));
    EXPECT_TRUE(phone.hears(true));
    EXPECT_EQ(listener->stats().adopted, 1u);
    opensips.bye(key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->end->reason, EndReason::caller_hung_up);
}

TEST_F(OpensipsListenerTest, ACallThatWasCancelledWhileNobodyWasSubscribedIsFinished) {
    const auto key = opensips.invite(phone.sdp());
    opensips.cancel(key);
    start();
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 487", key).has_value());
    EXPECT_TRUE(opensips.wait_until_gone(key));
}

TEST_F(OpensipsListenerTest, ASessionThatOpensipsEndedWithoutAnEventIsNoticed) {
    start();
    const auto up = call_up();
    const auto other = call_up(1);
    opensips.forget(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::carrier_lost);
    phone.rtp.drain();
    EXPECT_TRUE(phone.hears(true));
    opensips.bye(other.key);
    ASSERT_TRUE(pipeline.wait_until_finished(2));
    EXPECT_EQ(other.call->end->reason, EndReason::caller_hung_up);
}

TEST_F(OpensipsListenerTest, GarbageToEveryPortChangesNothing) {
    start();
    const auto up = call_up();
    const auto mi_socket = opensips.wait_for("ua_session_reply INVITE 200")->from;
    const UdpPeer stranger;
    std::string noise;
    for (int i = 0; i < 3000; ++i)
        noise += static_cast<char>(i * 7919 >> 3);
    for (const std::size_t size : {0u, 1u, 2u, 11u, 12u, 28u, 172u, 1400u, 3000u}) {
        const auto bytes = std::string_view{noise}.substr(0, size);
        for (const int port :
             {int{listener->event_endpoint().port()}, int{mi_socket}, int{up.port}, up.port + 1}) {
            stranger.send(bytes, static_cast<std::uint16_t>(port));
        }
        opensips.send_event_bytes(std::string{bytes});
    }
    stranger.send(R"({"jsonrpc":"2.0","result":"OK","id":1})", mi_socket);
    EXPECT_TRUE(speak_until(up, [&, was = up.call->loud_frames.load()] {
        return up.call->loud_frames > was + 5;
    }));
    EXPECT_TRUE(phone.hears(true));
    const auto stats = listener->stats();
    EXPECT_GE(stats.broken_events, 18u);
    EXPECT_EQ(stats.calls, 1u);
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::caller_hung_up);
    EXPECT_GE(up.call->stats.rejected, 9u) << "what came to the port of RTCP";
}

TEST_F(OpensipsListenerTest, EventsFromOtherAddressesAreIgnored) {
    config.event_ip = "0.0.0.0";
    start();
    const UdpPeer stranger{"127.0.0.2"};
    stranger.send(
        FakeOpensips::event_text("B2B.1.1.1795338852.1", "NEW", "INVITE", phone.sdp()),
        listener->event_endpoint().port()
    );
    const auto up = call_up();  // comes after it
    EXPECT_EQ(listener->stats().foreign_events, 1u);
    EXPECT_EQ(listener->stats().calls, 1u);
    EXPECT_EQ(opensips.count("ua_session_reply INVITE 200"), 1u);
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, TheCallersRealAddressIsLearnedOnceAndThenPinned) {
    start();
    const UdpPeer nat;  // where its packets really come from; the SDP names `phone.rtp`
    const UdpPeer stranger;
    const auto key = opensips.invite(phone.sdp());
    const auto port = answered_port(*opensips.wait_for("ua_session_reply INVITE 200", key));
    const auto call = pipeline.wait_for_call();
    EXPECT_TRUE(phone.hears(true));  // until something comes, the SDP's address is all we know
    stranger.send("not RTP", port);
    phone.speak(port, &nat);
    EXPECT_TRUE(phone.hears(true, &nat));
    for (int i = 0; i < 10; ++i) {
        phone.speak(port, &stranger);
        phone.speak(port, &nat);
    }
    EXPECT_TRUE(phone.hears(true, &nat));
    EXPECT_FALSE(stranger.receive(50ms).has_value());
    opensips.bye(key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->stats.rejected, 1u) << "the kernel keeps the others from us";
    EXPECT_EQ(call->stats.received, 11u);
}

TEST_F(OpensipsListenerTest, AReinviteWithAnotherAddressIsFollowed) {
    start();
    const auto up = call_up();
    const UdpPeer elsewhere;
    opensips.clear_requests();
    opensips.reinvite(up.key, phone.sdp("", elsewhere.port(), 2));
    ASSERT_TRUE(opensips.wait_for("ua_session_reply INVITE 200", up.key).has_value());
    EXPECT_TRUE(phone.hears(true, &elsewhere));
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, WithoutRoomACallIsRefusedPolitely) {
    pipeline.limit = 0;
    start();
    const auto key = opensips.invite(phone.sdp());
    const auto reply = opensips.wait_for("ua_session_reply INVITE 503", key);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->text("extra_headers"), "Retry-After: 10\r\n");
    EXPECT_EQ(reply->text("body"), "");
    EXPECT_TRUE(reply->params.contains("content_type"));
    EXPECT_TRUE(opensips.wait_until_gone(key));
    pipeline.limit = 1;
    const auto up = call_up();
    const auto second = opensips.invite(phone.sdp());
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 503", second).has_value());
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(listener->stats().refused_busy, 2u);
}

TEST_F(OpensipsListenerTest, WithoutPortsACallIsRefusedPolitely) {
    rtp_config.port_end = static_cast<std::uint16_t>(rtp_config.port_start + 1);
    const UdpPeer taken{"127.0.0.1", rtp_config.port_start};
    start();
    const auto key = opensips.invite(phone.sdp());
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 503", key).has_value());
    EXPECT_TRUE(opensips.wait_until_gone(key));
}

TEST_F(OpensipsListenerTest, AfterStopAcceptingNewCallsGet503AndRunningOnesGoOn) {
    start();
    const auto up = call_up();
    listener->stop_accepting();
    const auto second = opensips.invite(phone.sdp());
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 503", second).has_value());
    EXPECT_TRUE(phone.hears(true));
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::caller_hung_up);
}

TEST_F(OpensipsListenerTest, OffersWithNothingForUsNeverReachTheHandler) {
    start();
    const auto g729 = opensips.invite(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=audio 6000 RTP/AVP 18\r\n"
    );
    const auto none = opensips.invite("");
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 488", g729).has_value());
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 415", none).has_value());
    EXPECT_TRUE(opensips.wait_until_gone(g729));
    EXPECT_TRUE(opensips.wait_until_gone(none));
    EXPECT_EQ(listener->stats().calls, 0u);
    EXPECT_EQ(listener->stats().refused_offers, 2u);
}

TEST_F(OpensipsListenerTest, ACallerWhoSendsNoMediaAnyMoreIsHungUpOn) {
    rtp_config.media_timeout = std::chrono::seconds{1};
    start();
    const auto up = call_up();
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::media_timeout);
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", up.key).has_value());
}

TEST_F(OpensipsListenerTest, RequestsOfCallsThatNobodyKnowsAreAnswered) {
    start();
    const std::string key = "B2B.9.9.1795338852.9";
    opensips.request(key, "INFO", "x", "");
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INFO 481", key).has_value());
    opensips.cancel(key);
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 487", key).has_value());
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", key).has_value());
}

TEST_F(OpensipsListenerTest, StopHangsUpWhatIsLeftAndUnsubscribes) {
    start();
    const auto up = call_up();
    listener->stop();
    EXPECT_EQ(pipeline.active(), 0);
    EXPECT_EQ(opensips.state(up.key), std::nullopt);
    EXPECT_EQ(up.call->end->reason, EndReason::we_hung_up);
    EXPECT_EQ(opensips.subscriber(), std::nullopt);
    listener->stop();  // once more does no harm
}

TEST_F(OpensipsListenerTest, StopReturnsEvenIfOpensipsIsDown) {
    config.mi_timeout = 20ms;
    start();
    const auto up = call_up();
    opensips.set_answering(false);
    listener->stop();
    EXPECT_EQ(pipeline.active(), 0);
}

TEST_F(OpensipsListenerTest, TwoServersOnOnePortGetAClearError) {
    start();
    auto second_config = config;
    second_config.event_port = listener->event_endpoint().port();
    OpensipsListener second{second_config, rtp_config, *ports, shards, pipeline, log::Logger{}};
    try {
        second.start();
        FAIL();
    } catch (const std::runtime_error& error) {
        const std::string what = error.what();
        EXPECT_NE(what.find("is in use"), std::string::npos) << what;
        EXPECT_NE(what.find("event_port"), std::string::npos) << what;
    }
}

TEST_F(OpensipsListenerTest, ABrokenConfigurationIsToldBeforeAnythingStarts) {
    config.mi_ip = "opensips.example.org";
    rtp::RtpPorts none{boost::asio::ip::address{}, 1, 1};
    OpensipsListener broken{config, rtp_config, none, shards, pipeline, log::Logger{}};
    EXPECT_THROW(broken.start(), std::runtime_error);
    config.mi_ip = "127.0.0.1";
    rtp_config.bind_ip = "rtp.example.org";
    OpensipsListener no_media{config, rtp_config, none, shards, pipeline, log::Logger{}};
    EXPECT_THROW(no_media.start(), std::runtime_error);
}

TEST_F(OpensipsListenerTest, ManyCallsAtOnceKeepTheirAudioApart) {
    start();
    constexpr std::size_t count = 8;
    std::vector<std::unique_ptr<Phone>> phones;
    std::vector<Up> ups;
    for (std::size_t i = 0; i < count; ++i) {
        phones.push_back(std::make_unique<Phone>());
        Up up;
        up.key = opensips.invite(phones[i]->sdp());
        const auto reply = opensips.wait_for("ua_session_reply INVITE 200", up.key);
        ASSERT_TRUE(reply.has_value());
        up.port = answered_port(*reply);
        ups.push_back(up);
    }
    std::set<std::uint16_t> ports;
    for (std::size_t i = 0; i < count; ++i) {
        ports.insert(ups[i].port);
        EXPECT_TRUE(phones[i]->hears(true));
        for (int n = 0; n < 4; ++n) {
            const auto got = phones[i]->rtp.receive();
            ASSERT_TRUE(got.has_value());
            EXPECT_EQ(got->port, ups[i].port);
        }
    }
    EXPECT_EQ(ports.size(), count);
    for (const auto& up : ups)
        opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished(count));
}

}  // namespace
}  // namespace oavc::transports::opensips
