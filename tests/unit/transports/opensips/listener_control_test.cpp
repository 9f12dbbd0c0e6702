// What we ask of OpenSIPS, over real loopback UDP: hang up, transfer, keys, hold, and calls that we
// place.
#include "base/bytes.hpp"
#include "media/rtp.hpp"
#include "transports/errors.hpp"
#include "unit/transports/opensips/listener_rig.hpp"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

namespace oavc::transports::opensips {
namespace {

using test::FakeOpensips;

TEST_F(OpensipsListenerTest, TheHandlerMayRefuseACall) {
    pipeline.reject_with = 486;
    start();
    const auto key = opensips.invite(phone.sdp());
    const auto reply = opensips.wait_for("ua_session_reply INVITE 486", key);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->text("reason"), "Busy Here");
    EXPECT_TRUE(opensips.wait_until_gone(key));
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, WeHangUpByTerminatingTheSession) {
    start();
    const auto up = call_up();
    on_shard(*up.call->shard, up.call->transport->hang_up()).get();
    EXPECT_EQ(opensips.count("ua_session_terminate"), 1u);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::we_hung_up);
    EXPECT_EQ(opensips.state(up.key), std::nullopt);
}

TEST_F(OpensipsListenerTest, ATransferEndsTheCallOnceTheOtherSideHasTakenOver) {
    start();
    const auto up = call_up();
    auto transfer = on_shard(*up.call->shard, up.call->transport->transfer("agent"));
    const auto refer = opensips.wait_for("ua_session_update REFER", up.key);
    ASSERT_TRUE(refer.has_value());
    EXPECT_NE(
        refer->text("extra_headers").find("Refer-To: <sip:agent@127.0.0.1>"), std::string::npos
    );
    opensips.reply_event(up.key, "ANSWERED", "REFER", 202);
    opensips.request(
        up.key,
        "NOTIFY",
        "SIP/2.0 200 OK\r\n",
        "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
    );
    EXPECT_TRUE(transfer.get().has_value());
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::transferred);
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", up.key).has_value());
}

TEST_F(OpensipsListenerTest, ADeclinedTransferLeavesTheCallUp) {
    start();
    const auto up = call_up();
    auto transfer = on_shard(*up.call->shard, up.call->transport->transfer("sip:agent@127.0.0.1"));
    ASSERT_TRUE(opensips.wait_for("ua_session_update REFER", up.key).has_value());
    opensips.reply_event(up.key, "REJECTED", "REFER", 603);
    EXPECT_EQ(transfer.get().error(), CallControlErrc::busy);
    phone.rtp.drain();
    EXPECT_TRUE(phone.hears(true));
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, PressesKeysOneByOneAndHoldsTheCaller) {
    start();
    const auto up = call_up();
    auto& transport = *up.call->transport;
    auto& shard = *up.call->shard;
    EXPECT_TRUE(transport.controls().hold);
    EXPECT_TRUE(transport.controls().send_digits);
    auto in_rtp = on_shard(shard, transport.send_digits("1w#"));
    std::vector<int> events;
    while (in_rtp.wait_for(0ms) != std::future_status::ready) {
        const auto got = phone.rtp.receive(100ms);
        if (!got) continue;
        const auto packet = media::parse_rtp(as_bytes(got->datagram));
        if (!packet || packet->payload_type.value != 101) continue;
        const auto event = std::to_integer<int>(packet->payload[0]);
        if (events.empty() || events.back() != event) events.push_back(event);
    }
    EXPECT_TRUE(in_rtp.get().has_value());
    EXPECT_EQ(events, (std::vector{1, 11}));

    // Who takes no keys in RTP gets them by INFO.
    auto without = phone.sdp("", 0, 2);
    without.erase(without.find(" 101"), 4);
    opensips.clear_requests();
    opensips.reinvite(up.key, without);
    ASSERT_TRUE(opensips.wait_for("ua_session_reply INVITE 200", up.key).has_value());
    auto digits = on_shard(shard, transport.send_digits("1w#"));
    for (const char* key : {"1", "#"}) {
        const auto info = opensips.wait_for("ua_session_update INFO", up.key);
        ASSERT_TRUE(info.has_value());
        EXPECT_EQ(info->text("body").substr(0, 8), std::string{"Signal="} + key);
        opensips.clear_requests();
        opensips.reply_event(up.key, "ANSWERED", "INFO", 200);
    }
    EXPECT_TRUE(digits.get().has_value());

    auto hold = on_shard(shard, transport.hold(true));
    const auto reinvite = opensips.wait_for("ua_session_update INVITE", up.key);
    ASSERT_TRUE(reinvite.has_value());
    EXPECT_NE(reinvite->text("body").find("a=sendonly"), std::string::npos);
    opensips.reply_event(up.key, "REJECTED", "INVITE", 488);
    EXPECT_EQ(hold.get().error(), CallControlErrc::refused);
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

// --- Calls that we place ---

class OpensipsDialTest : public OpensipsListenerTest {
protected:
    OpensipsDialTest() { config.dial_domain = "gateway.example.test"; }

    void start() {
        OpensipsListenerTest::start();
        ASSERT_TRUE(comes_true([&] { return listener->stats().subscribed; }));
    }

    std::future<Result<Dialled>> dial(const std::string& to = "+902125550111") {
        DialRequest request;
        request.id = "0123456789abcdef";
        request.to = to;
        request.patience = std::chrono::seconds{30};
        auto& shard = shards[1];
        return on_shard(shard, listener->dialer()->dial(shard, std::move(request)));
    }
};

TEST_F(OpensipsDialTest, ACallIsPlacedAnsweredHeardAndEnded) {
    start();
    auto dialled = dial();
    const auto key = opensips.wait_for_dial();
    const auto invite = opensips.wait_for("ua_session_client_start");
    ASSERT_TRUE(invite.has_value());
    EXPECT_EQ(invite->text("ruri"), "sip:+902125550111@gateway.example.test");
    EXPECT_EQ(invite->text("from"), "sip:oavc@gateway.example.test");
    opensips.ring(key);
    const auto placed = dialled.get();
    ASSERT_TRUE(placed) << placed.error().message();
    EXPECT_EQ(placed->via, "opensips");
    EXPECT_EQ(placed->native_id, key);
    const auto call = pipeline.wait_for_call();
    ASSERT_NE(call, nullptr);
    EXPECT_FALSE(call->connected);
    EXPECT_TRUE(call->transport->info().outgoing);
    EXPECT_EQ(call->transport->info().id, "0123456789abcdef");
    opensips.answer(key, phone.sdp());
    const Up up{key, answered_port(*invite), call};
    EXPECT_TRUE(speak_until(up, [&] { return call->loud_frames >= 5; }));
    EXPECT_TRUE(phone.hears(true));
    opensips.bye(key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->end->reason, EndReason::caller_hung_up);
    (void)listener->stats();
    EXPECT_EQ(listener->stats().rtp_ports_in_use, 0u);
}

TEST_F(OpensipsDialTest, AnEventThatOvertakesTheKeyIsNotLost) {
    opensips.set_hasty(true);
    start();
    const auto placed = dial().get();
    ASSERT_TRUE(placed) << placed.error().message();
    const auto key = opensips.wait_for_dial();
    opensips.answer(key, phone.sdp());
    const auto call = pipeline.wait_for_call();
    const Up up{key, answered_port(*opensips.wait_for("ua_session_client_start")), call};
    EXPECT_TRUE(speak_until(up, [&] { return call->loud_frames >= 1; }));
    opensips.bye(key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(listener->stats().orphans, 0u);
}

TEST_F(OpensipsDialTest, TellsWhatBecameOfTheRinging) {
    start();
    auto busy = dial();
    opensips.reject(opensips.wait_for_dial(), 486);
    EXPECT_EQ(busy.get().error(), CallControlErrc::busy) << "at once: nothing is left of it";
    opensips.refuse_calls(true);
    EXPECT_EQ(dial().get().error(), CallControlErrc::unavailable);
    EXPECT_EQ(dial("sip:").get().error(), CallControlErrc::bad_target);
    pipeline.limit = 0;
    EXPECT_EQ(dial("sip:alice@127.0.0.1").get().error(), CallControlErrc::no_capacity);
    (void)listener->stats();
    EXPECT_EQ(listener->stats().rtp_ports_in_use, 0u);
}

TEST_F(OpensipsDialTest, WithoutADomainOnlyAddressesAreCalled) {
    config.dial_domain.clear();
    start();
    EXPECT_EQ(dial().get().error(), CallControlErrc::unavailable);
    auto address = dial("sip:alice@127.0.0.1:5080");
    opensips.reject(opensips.wait_for_dial(), 404);
    EXPECT_EQ(address.get().error(), CallControlErrc::not_found);
}

TEST_F(OpensipsDialTest, StoppingCancelsWhatRings) {
    start();
    auto dialled = dial();
    const auto key = opensips.wait_for_dial();
    opensips.ring(key);
    ASSERT_TRUE(dialled.get());
    ASSERT_NE(pipeline.wait_for_call(), nullptr);
    listener->stop();
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", key).has_value());
    EXPECT_TRUE(opensips.wait_until_gone(key));
}

TEST_F(OpensipsDialTest, ACallOfAnEarlierLifeIsHungUp) {
    start();
    auto dialled = dial();
    const auto key = opensips.wait_for_dial();
    opensips.ring(key);
    ASSERT_TRUE(dialled.get());
    // Another key rings that nobody here has asked for.
    const std::string stranger = "B2B.9.9.9.9";
    opensips.send_event_bytes(
        FakeOpensips::event_text(stranger, "EARLY", "INVITE", "", "", 180, "UAC")
    );
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", stranger).has_value());
    EXPECT_EQ(listener->stats().orphans, 1u);
}

TEST_F(OpensipsDialTest, NobodyIsCalledWhileOpensipsIsSilent) {
    start();
    opensips.set_answering(false);
    ASSERT_TRUE(comes_true([&] { return !listener->stats().subscribed; }));
    EXPECT_EQ(dial().get().error(), CallControlErrc::unavailable);
}

}  // namespace
}  // namespace oavc::transports::opensips
