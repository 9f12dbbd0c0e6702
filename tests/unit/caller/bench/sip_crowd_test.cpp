// SIP phones against a socket that answers as the tests say.
#include "caller/bench/sip_crowd.hpp"

#include "caller/phone_sdp.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace oavc::caller::bench {
namespace {

using boost::asio::ip::udp;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(SipMessages, AreReadWhateverTheirSpelling) {
    const auto message = read_sip(
        "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 127.0.0.1:4000;branch=z9hG4bKx;rport=4000\r\n"
        "Via: SIP/2.0/UDP other\r\nf: <sip:a@b>;tag=1\r\nTO : <sip:c@d>;tag=2\r\ni: id\r\n"
        "CSeq: 7 INVITE\r\nm: \"C\" <sip:c@127.0.0.1:5060;transport=udp>;expires=1\r\n\r\nbody"
    );
    ASSERT_TRUE(message);
    EXPECT_EQ(message->status, 200);
    EXPECT_EQ(message->method, "INVITE");
    EXPECT_EQ(message->branch(), "z9hG4bKx");
    EXPECT_EQ(message->to, "<sip:c@d>;tag=2");
    EXPECT_EQ(message->cseq, 7u);
    EXPECT_EQ(message->contact, "sip:c@127.0.0.1:5060;transport=udp");
    EXPECT_EQ(message->body, "body");
    for (const auto* const wrong :
         {"",
          "\r\n\r\n",
          "SIP/2.0 200 OK\r\n\r\n",
          "GET / HTTP/1.1\r\n\r\n",
          "SIP/2.0 xx\r\nVia: a\r\n\r\n"}) {
        EXPECT_FALSE(read_sip(wrong)) << wrong;
    }
}

struct Events final : CrowdEvents {
    void on_answered(CallIndex, TimePoint) override { ++answered; }
    void on_heard(CallIndex, const Heard& audio) override { heard += audio.ulaw.size(); }
    void on_wrong_audio(CallIndex) override { ++wrong; }
    void on_underrun(CallIndex, Clock::duration) override {}
    void on_over(CallIndex, TimePoint, Ending how, std::string_view why) override {
        over.push_back(how);
        reason = why;
    }
    int answered{0};
    std::size_t heard{0};
    int wrong{0};
    std::vector<Ending> over;
    std::string reason;
};

class SipCrowdTest : public ::testing::Test {
protected:
    SipCrowdTest() {
        const timeval limit{10, 0};
        ::setsockopt(server_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    SipCrowd make_crowd() {
        SipCrowd::Config config;
        config.server_port = server_.local_endpoint().port();
        return SipCrowd{std::move(config), 4};
    }
    /// What the phone sent.
    std::string receive() {
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        auto* const generic = reinterpret_cast<sockaddr*>(&from);  // NOLINT: the sockets API
        const auto got =
            ::recvfrom(server_.native_handle(), buffer_.data(), buffer_.size(), 0, generic, &size);
        if (got > 0) {
            phone_ = udp::endpoint{};
            std::memcpy(phone_.data(), generic, size);
        }
        return got > 0 ? std::string{buffer_.data(), static_cast<std::size_t>(got)} : std::string{};
    }
    /// What the phone sends once the crowd has looked at its sockets.
    std::string reply(SipCrowd& crowd) {
        std::string text;
        play(crowd, [&] {
            const auto got =
                ::recv(server_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
            if (got > 0) text.assign(buffer_.data(), static_cast<std::size_t>(got));
            return !text.empty();
        });
        return text;
    }
    bool nothing_more() {
        return ::recv(server_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT) < 0;
    }
    void answer(const std::string& request, std::string_view status, std::string_view sdp = {}) {
        const auto message = read_sip(request);
        ASSERT_TRUE(message);
        say(fmt::format(
            "SIP/2.0 {}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=server\r\nCall-ID: {}\r\nCSeq: {} "
            "{}\r\n"
            "Contact: <sip:server@127.0.0.1:{}>\r\nContent-Length: {}\r\n\r\n{}",
            status,
            message->via,
            message->from,
            message->to,
            message->call_id,
            message->cseq,
            message->method.empty() ? "INVITE" : message->method,
            server_.local_endpoint().port(),
            sdp.size(),
            sdp
        ));
    }
    void say(const std::string& text) { server_.send_to(boost::asio::buffer(text), phone_); }
    template <class Done>
    bool play(SipCrowd& crowd, Done done) {
        const auto give_up = Clock::now() + 1min;
        while (Clock::now() < give_up) {
            if (done()) return true;
            crowd.poll(Clock::now(), events_);
            std::this_thread::yield();
        }
        return false;
    }
    /// A call that is up; its INVITE.
    std::string answered_call(SipCrowd& crowd) {
        crowd.place(0, Clock::now());
        auto invite = receive();
        EXPECT_THAT(invite, StartsWith("INVITE sip:bench@127.0.0.1:"));
        EXPECT_THAT(invite, HasSubstr("m=audio "));
        answer(invite, "100 Trying");
        answer(invite, "200 OK", make_sdp_answer("127.0.0.1", rtp_.local_endpoint().port(), 0));
        EXPECT_TRUE(play(crowd, [&] { return events_.answered == 1; }));
        const auto ack = receive();
        EXPECT_THAT(ack, StartsWith("ACK sip:server@127.0.0.1:"));
        EXPECT_THAT(ack, HasSubstr(";tag=server\r\n"));
        return invite;
    }

    boost::asio::io_context context_;
    udp::socket server_{context_, udp::endpoint{boost::asio::ip::address_v4::loopback(), 0}};
    udp::socket rtp_{context_, udp::endpoint{boost::asio::ip::address_v4::loopback(), 0}};
    udp::endpoint phone_;
    std::array<char, 8192> buffer_{};
    Events events_;
};

TEST_F(SipCrowdTest, CallsTalksAndHangsUp) {
    auto crowd = make_crowd();
    answered_call(crowd);
    const std::vector<std::byte> frame(frame_bytes);
    crowd.send(0, FrameBytes{frame}, Clock::now());
    crowd.flush(Clock::now());
    EXPECT_EQ(crowd.stats().sent, 1u);
    crowd.hang_up(0, Clock::now());
    const auto bye = receive();
    EXPECT_THAT(bye, StartsWith("BYE sip:server@127.0.0.1:"));
    EXPECT_THAT(bye, HasSubstr("CSeq: 2 BYE\r\n"));
    answer(bye, "200 OK");
    const auto now = Clock::now();
    crowd.poll(now, events_);
    crowd.poll(now + 1h, events_);
    EXPECT_TRUE(nothing_more()) << "an answered request is not repeated";
    EXPECT_TRUE(events_.over.empty());
}

TEST_F(SipCrowdTest, WhatIsNotAnsweredIsRepeatedAndThenGivenUp) {
    auto crowd = make_crowd();
    const auto begin = Clock::now();
    crowd.place(0, begin);
    const auto invite = receive();
    crowd.poll(begin + 499ms, events_);
    EXPECT_TRUE(nothing_more());
    crowd.poll(begin + 500ms, events_);
    EXPECT_EQ(receive(), invite);
    crowd.poll(begin + 1499ms, events_);
    EXPECT_TRUE(nothing_more());
    crowd.poll(begin + 1500ms, events_);
    EXPECT_EQ(receive(), invite);
    crowd.poll(begin + 10s, events_);
    ASSERT_EQ(events_.over.size(), 1u);
    EXPECT_EQ(events_.over[0], Ending::failed);
}

TEST_F(SipCrowdTest, ARefusalIsAcknowledgedInItsTransaction) {
    auto crowd = make_crowd();
    crowd.place(0, Clock::now());
    const auto invite = receive();
    answer(invite, "503 Service Unavailable");
    EXPECT_TRUE(play(crowd, [&] { return !events_.over.empty(); }));
    EXPECT_EQ(events_.over[0], Ending::refused);
    EXPECT_EQ(events_.reason, "503 Service Unavailable");
    const auto ack = receive();
    EXPECT_THAT(ack, StartsWith("ACK sip:bench@127.0.0.1:"));
    EXPECT_EQ(read_sip(ack)->branch(), read_sip(invite)->branch());
}

TEST_F(SipCrowdTest, TheServersRequestsAreAnsweredAndItsByeEndsTheCall) {
    auto crowd = make_crowd();
    const auto invite = answered_call(crowd);
    const auto call = read_sip(invite);
    const auto from_server = [&](std::string_view method) {
        return fmt::format(
            "{} sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{}\r\n"
            "From: <sip:s@t>;tag=server\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 {}\r\n\r\n",
            method,
            method,
            call->from,
            call->call_id,
            method
        );
    };
    say(from_server("OPTIONS"));
    EXPECT_THAT(reply(crowd), StartsWith("SIP/2.0 200 OK\r\nVia: "));
    say(from_server("INVITE"));
    EXPECT_THAT(reply(crowd), StartsWith("SIP/2.0 488 "));
    EXPECT_TRUE(events_.over.empty());
    say(from_server("BYE"));
    EXPECT_TRUE(play(crowd, [&] { return !events_.over.empty(); }));
    EXPECT_EQ(events_.over[0], Ending::hung_up);
    EXPECT_THAT(receive(), StartsWith("SIP/2.0 200 OK\r\n"));
}

TEST_F(SipCrowdTest, AnAnswerThatCrossesTheHangUpIsEnded) {
    auto crowd = make_crowd();
    crowd.place(0, Clock::now());
    const auto invite = receive();
    crowd.hang_up(0, Clock::now());
    const auto cancel = receive();
    EXPECT_THAT(cancel, StartsWith("CANCEL sip:bench@"));
    EXPECT_EQ(read_sip(cancel)->branch(), read_sip(invite)->branch());
    answer(invite, "200 OK", make_sdp_answer("127.0.0.1", rtp_.local_endpoint().port(), 0));
    EXPECT_THAT(reply(crowd), StartsWith("ACK "));
    EXPECT_THAT(receive(), StartsWith("BYE "));
    EXPECT_EQ(events_.answered, 0);
}

}  // namespace
}  // namespace oavc::caller::bench
