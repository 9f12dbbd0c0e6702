// The SIP user agent over real loopback sockets, against a phone that writes its messages itself.
#include "sip/message.hpp"
#include "transports/errors.hpp"
#include "unit/transports/sip/listener_rig.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

namespace oavc::transports::sip_ua {
namespace {

TEST_F(SipListenerTest, ACallIsAnsweredHeardBothWaysAndEndedByTheCaller) {
    start();
    const auto rtp = call_up();
    ASSERT_NE(rtp, 0);
    const auto call = pipeline.wait_for_call();
    EXPECT_EQ(call->transport->info().to, "bot");
    EXPECT_EQ(call->transport->info().via, "sip");
    EXPECT_TRUE(phone.speak_until(rtp, [&] { return call->loud_frames >= 5; }));
    EXPECT_TRUE(phone.hears(true));
    auto info = phone.request("INFO");
    info.set_body("application/dtmf-relay", "Signal=7\r\n");
    phone.say(info, port);
    ASSERT_TRUE(phone.hear("200"));
    phone.say(phone.request("BYE"), port);
    ASSERT_TRUE(phone.hear("200"));
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->end->reason, EndReason::caller_hung_up);
    EXPECT_EQ(call->digits, "7");
    EXPECT_EQ(listener->stats().agent.calls, 0u);
}

TEST_F(SipListenerTest, HoldsTransfersAndHangsUp) {
    start();
    call_up();
    const auto call = pipeline.wait_for_call();
    EXPECT_TRUE(comes_true([&] { return call->connected.load(); }));
    auto held = on_shard(*call->shard, call->transport->hold(true));
    const auto reinvite = phone.hear("INVITE");
    ASSERT_TRUE(reinvite);
    EXPECT_NE(reinvite->body.find("a=inactive"), std::string::npos);
    phone.say(phone.reply(*reinvite, 200, true), port);
    ASSERT_TRUE(phone.hear("ACK"));
    EXPECT_FALSE(held.get().has_error());
    auto transferred = on_shard(*call->shard, call->transport->transfer("1000"));
    const auto refer = phone.hear("REFER");
    ASSERT_TRUE(refer);
    EXPECT_EQ(refer->get("Refer-To"), "<sip:1000@127.0.0.1>");
    phone.say(phone.reply(*refer, 202), port);
    auto notify = phone.request("NOTIFY");
    notify.add("Event", "refer");
    notify.set_body("message/sipfrag", "SIP/2.0 486 Busy Here");
    phone.say(notify, port);
    EXPECT_EQ(transferred.get().error(), CallControlErrc::busy);
    listener->stop();
    EXPECT_TRUE(phone.hear("BYE"));
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(SipListenerTest, AsksTheTargetBeforeItJoinsItWithTheCaller) {
    start();
    call_up();
    const auto call = pipeline.wait_for_call();
    EXPECT_TRUE(comes_true([&] { return call->connected.load(); }));
    Phone target;
    target.tag = "target";
    auto done = on_shard(
        *call->shard, call->transport->transfer_attended("sip:sales@" + target.address(), 10s)
    );
    // The caller is put on hold, and the target is asked; without a proxy by way of who called: the
    // phone plays that proxy too.
    bool on_hold = false;
    bool asked = false;
    while (!on_hold || !asked) {
        const auto invite = phone.hear("INVITE");
        ASSERT_TRUE(invite);
        const bool for_target = invite->uri == "sip:sales@" + target.address();
        (for_target ? asked : on_hold) = true;
        phone.say((for_target ? target : phone).reply(*invite, 200, true), port);
    }
    const auto refer = phone.hear("REFER");
    ASSERT_TRUE(refer);
    const auto refer_to = std::string{refer->get("Refer-To")};
    EXPECT_NE(refer_to.find("?Replaces="), std::string::npos) << refer_to;
    EXPECT_NE(refer_to.find("to-tag%3Dtarget"), std::string::npos) << refer_to;
    phone.say(phone.reply(*refer, 202), port);
    auto notify = phone.request("NOTIFY");
    notify.add("Event", "refer");
    notify.set_body("message/sipfrag", "SIP/2.0 200 OK");
    phone.say(notify, port);
    EXPECT_FALSE(done.get().has_error());
    EXPECT_TRUE(phone.hear("BYE"));
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->end->reason, EndReason::transferred);
}

/// A TCP connection of the phone.
class Stream {
public:
    explicit Stream(std::uint16_t port) : fd_{::socket(AF_INET, SOCK_STREAM, 0)} {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        open_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;  // NOLINT
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { ::close(fd_); }

    bool is_open() const { return open_; }
    void send(std::string_view bytes) const {
        EXPECT_EQ(
            ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size())
        );
    }
    /// What comes until `end` has come, or the connection has ended.
    std::string receive_until(std::string_view end) {
        std::string out;
        std::array<char, 4096> buffer;
        while (end.empty() || out.find(end) == std::string::npos) {
            pollfd waiting{fd_, POLLIN, 0};
            if (::poll(&waiting, 1, 10'000) != 1) break;
            const auto got = ::recv(fd_, buffer.data(), buffer.size(), 0);
            if (got <= 0) {
                open_ = false;
                break;
            }
            out.append(buffer.data(), static_cast<std::size_t>(got));
        }
        return out;
    }

private:
    int fd_;
    bool open_{false};
};

TEST_F(SipListenerTest, TakesMessagesFromAStreamHoweverTheyAreCut) {
    start();
    Stream stream{listener->tcp_port()};
    ASSERT_TRUE(stream.is_open());
    stream.send("\r\n\r\n");
    EXPECT_EQ(stream.receive_until("\r\n"), "\r\n");  // RFC 5626 §3.5.1
    const auto options = sip::write_message(phone.request("OPTIONS", "TCP"));
    stream.send(options.substr(0, 50));
    (void)listener->stats();
    const auto second = sip::write_message(phone.request("OPTIONS", "TCP"));
    stream.send(options.substr(50) + second);
    const auto answers = stream.receive_until("CSeq: 2 OPTIONS");
    EXPECT_NE(answers.find("CSeq: 1 OPTIONS"), std::string::npos);
    EXPECT_EQ(listener->stats().open_connections, 1u);
    // A call over the stream, and its BYE over the same.
    stream.send(sip::write_message(phone.invite("TCP")));
    const auto ok = stream.receive_until("m=audio");
    EXPECT_NE(ok.find(";transport=tcp>"), std::string::npos) << ok;
    const auto at = ok.find("SIP/2.0 200");
    ASSERT_NE(at, std::string::npos);
    const auto tag_at = ok.find("bot@127.0.0.1>;tag=", at) + 19;
    phone.remote_tag = ok.substr(tag_at, ok.find('\r', tag_at) - tag_at);
    stream.send(sip::write_message(phone.request("ACK", "TCP")));
    listener->stop_accepting();
    stream.send(sip::write_message(phone.request("BYE", "TCP")));
    EXPECT_NE(stream.receive_until("BYE").find("SIP/2.0 200"), std::string::npos);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(SipListenerTest, ClosesAStreamThatIsNoSip) {
    start();
    Stream stream{listener->tcp_port()};
    stream.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.receive_until({});
    EXPECT_FALSE(stream.is_open());
    EXPECT_EQ(listener->stats().broken_streams, 1u);
}

TEST_F(SipListenerTest, HasOnlySoManyConnections) {
    config.max_connections = 1;
    start();
    Stream first{listener->tcp_port()};
    first.send("\r\n\r\n");
    first.receive_until("\r\n");
    Stream second{listener->tcp_port()};
    second.receive_until({});
    EXPECT_FALSE(second.is_open());
    EXPECT_TRUE(first.is_open());
    EXPECT_EQ(listener->stats().connections_refused, 1u);
}

TEST_F(SipListenerTest, WhoIsNotAllowedGetsNoAnswer) {
    config.allowed_peers = {"192.0.2.1"};
    start();
    phone.say(phone.request("OPTIONS"), port);
    EXPECT_FALSE(phone.hear("200", 300ms));
    EXPECT_EQ(listener->stats().foreign, 1u);
}

TEST_F(SipListenerTest, WhoFindsNoPlaceIsSentElsewhere) {
    pipeline.limit = 0;
    start();
    phone.say(phone.invite(), port);
    const auto refused = phone.hear("503");
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->get("Retry-After"), "10");
}

TEST_F(SipListenerTest, OverflowMayBeARedirection) {
    pipeline.limit = 0;
    config.overflow = "sip:other@192.0.2.9";
    start();
    phone.say(phone.invite(), port);
    const auto moved = phone.hear("302");
    ASSERT_TRUE(moved);
    EXPECT_EQ(moved->get("Contact"), "<sip:other@192.0.2.9>");
}

TEST_F(SipListenerTest, WhileItDrainsItSaysSo) {
    start();
    phone.say(phone.request("OPTIONS"), port);
    EXPECT_TRUE(phone.hear("200"));
    listener->stop_accepting();
    (void)listener->stats();
    phone.say(phone.request("OPTIONS"), port);
    EXPECT_TRUE(phone.hear("503"));
    phone.say(phone.invite(), port);
    EXPECT_TRUE(phone.hear("503"));
}

TEST_F(SipListenerTest, ACallThatNobodyAnsweredIsCancelledAndFreed) {
    config.proxy = "sip:" + phone.address();
    start();
    DialRequest request;
    request.to = "5551234";
    request.patience = std::chrono::seconds{1};
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    const auto invite = phone.hear("INVITE");
    ASSERT_TRUE(invite);
    EXPECT_EQ(invite->uri, "sip:5551234@127.0.0.1");
    phone.say(phone.reply(*invite, 180), port);
    ASSERT_FALSE(dialled.get().has_error());
    const auto cancel = phone.hear("CANCEL");
    ASSERT_TRUE(cancel);
    phone.say(phone.reply(*cancel, 200), port);
    phone.say(phone.reply(*invite, 487), port);
    EXPECT_TRUE(phone.hear("ACK"));
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(pipeline.wait_for_call()->failure, CallControlErrc::no_answer);
}

TEST_F(SipListenerTest, DialsWithItsPasswordAndTalks) {
    config.proxy = "sip:" + phone.address();
    config.username = "bot";
    config.password = "secret";
    start();
    DialRequest request;
    request.to = "5551234";
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    auto invite = phone.hear("INVITE");
    ASSERT_TRUE(invite);
    auto challenge = phone.reply(*invite, 401);
    challenge.add("WWW-Authenticate", "Digest realm=\"test\", nonce=\"abc\", qop=\"auth\"");
    phone.say(challenge, port);
    ASSERT_TRUE(phone.hear("ACK"));
    invite = phone.hear("INVITE");
    ASSERT_TRUE(invite);
    EXPECT_NE(invite->get("Authorization").find("username=\"bot\""), std::string_view::npos);
    phone.say(phone.reply(*invite, 200, true), port);
    ASSERT_TRUE(phone.hear("ACK"));
    const auto outcome = dialled.get();
    ASSERT_FALSE(outcome.has_error());
    EXPECT_EQ(outcome->native_id, invite->get("Call-ID"));
    EXPECT_TRUE(phone.hears(true));
    EXPECT_TRUE(pipeline.wait_for_call()->transport->info().outgoing);
}

TEST_F(SipListenerTest, ACallThatIsRefusedLeavesNothing) {
    config.proxy = "sip:" + phone.address();
    start();
    DialRequest request;
    request.to = "5551234";
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    const auto invite = phone.hear("INVITE");
    ASSERT_TRUE(invite);
    phone.say(phone.reply(*invite, 404), port);
    EXPECT_EQ(dialled.get().error(), CallControlErrc::not_found);
    request.to = "not a target";
    EXPECT_EQ(
        on_shard(shards[0], listener->dialer()->dial(shards[0], request)).get().error(),
        CallControlErrc::bad_target
    );
    EXPECT_EQ(pipeline.active(), 0);
}

TEST_F(SipListenerTest, RegistersAndUnregisters) {
    config.registrar = "sip:" + phone.address();
    config.username = "bot";
    config.password = "secret";
    start();
    auto registering = phone.hear("REGISTER");
    ASSERT_TRUE(registering);
    auto challenge = phone.reply(*registering, 401);
    challenge.add("WWW-Authenticate", "Digest realm=\"test\", nonce=\"abc\", algorithm=SHA-256");
    phone.say(challenge, port);
    registering = phone.hear("REGISTER");
    ASSERT_TRUE(registering);
    EXPECT_NE(registering->get("Authorization").find("SHA-256"), std::string_view::npos);
    phone.say(phone.reply(*registering, 200), port);
    EXPECT_TRUE(comes_true([&] { return listener->stats().registered; }));
    listener->stop();
    registering = phone.hear("REGISTER");
    ASSERT_TRUE(registering);
    EXPECT_EQ(registering->get("Expires"), "0");
}

}  // namespace
}  // namespace oavc::transports::sip_ua
