// RFC 3261 §17 and RFC 6026, timer by timer, on a virtual clock.
#include "sip/transaction_layer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace oavc::sip {
namespace {

using namespace std::chrono_literals;
using Waits = std::vector<Clock::duration>;

class TransactionLayerTest : public testing::TestWithParam<Protocol> {
protected:
    TransactionLayer layer{{}, [](const Target&) { return std::string{"192.0.2.1:5060"}; }};
    TimePoint now{TimePoint{} + 1h};
    Target peer{Protocol::udp, "192.0.2.9", 5060, 0};
    std::optional<TransactionLayer::Request> request;
    std::optional<TransactionLayer::Response> response;
    std::optional<TransactionLayer::Failed> failed;
    std::vector<std::string> sent;
    int acks{0};

    void collect() {
        while (auto action = layer.next_action()) {
            if (auto* send = std::get_if<TransactionLayer::Send>(&*action)) {
                sent.push_back(std::move(send->bytes));
            } else if (auto* in = std::get_if<TransactionLayer::Request>(&*action)) {
                request = std::move(*in);
            } else if (auto* reply = std::get_if<TransactionLayer::Response>(&*action)) {
                response = std::move(*reply);
            } else if (const auto* failure = std::get_if<TransactionLayer::Failed>(&*action)) {
                failed = *failure;
            } else {
                ++acks;
            }
        }
    }
    /// Lets all timers run out; returns the times between what was sent, and the whole in `total`.
    Waits run_out(Clock::duration* total = nullptr) {
        Waits waits;
        const auto began = now;
        auto last = now;
        for (int i = 0; i < 100; ++i) {
            const auto next = layer.next_deadline();
            if (!next) break;
            now = *next;
            layer.on_time(now);
            const auto before = sent.size();
            collect();
            if (sent.size() == before) continue;
            waits.push_back(now - last);
            last = now;
        }
        if (total != nullptr) *total = now - began;
        EXPECT_EQ(layer.stats().open, 0u);
        return waits;
    }
    void hear(const std::string& bytes) {
        layer.on_bytes(bytes, peer, now);
        collect();
    }
    std::string incoming(const std::string& method, const std::string& branch = "z9hG4bKa") const {
        return method + " sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/" +
               std::string{to_string(peer.protocol)} + " 192.0.2.9;branch=" + branch +
               "\r\nFrom: <sip:them@192.0.2.9>;tag=f\r\nTo: <sip:us@192.0.2.1>\r\nCall-ID: c\r\n"
               "CSeq: 1 " +
               method + "\r\nContent-Length: 0\r\n\r\n";
    }
    TransactionId send(const std::string& method) {
        Message message;
        message.method = method;
        message.uri = "sip:them@192.0.2.9";
        message.add("Max-Forwards", "70");
        message.add("From", "<sip:us@192.0.2.1>;tag=f");
        message.add("To", "<sip:them@192.0.2.9>");
        message.add("Call-ID", "c");
        message.add("CSeq", "1 " + method);
        const auto id = layer.request(std::move(message), peer, 7, now);
        collect();
        return id;
    }
    void answer(int status, const std::string& to = sent_last) {
        const auto parsed = parse_message(to.empty() ? sent.front() : to);
        hear(write_message(make_response(parsed->message, status, "t")));
    }
    void respond(int status) {
        layer.respond(request->id, make_response(request->message, status, "t"), now);
        collect();
    }
    static inline const std::string sent_last{};
};

TEST_F(TransactionLayerTest, AnInviteIsRepeatedWithDoublingWaitsForThirtyTwoSeconds) {
    send("INVITE");
    Clock::duration total{};
    EXPECT_EQ(run_out(&total), (Waits{500ms, 1s, 2s, 4s, 8s, 16s}));  // timer A
    EXPECT_EQ(total, 32s);                                            // timer B
    ASSERT_TRUE(failed);
    EXPECT_TRUE(failed->timeout);
    EXPECT_EQ(failed->user, 7u);
}

TEST_F(TransactionLayerTest, AnotherRequestIsRepeatedEveryFourSecondsInTheEnd) {
    send("OPTIONS");
    Clock::duration total{};
    EXPECT_EQ(run_out(&total), (Waits{500ms, 1s, 2s, 4s, 4s, 4s, 4s, 4s, 4s, 4s}));  // timer E
    EXPECT_EQ(total, 32s);                                                           // timer F
    EXPECT_TRUE(failed);
}

TEST_F(TransactionLayerTest, AProvisionalResponseEndsTheRepetitionsOfAnInvite) {
    send("INVITE");
    answer(180);
    EXPECT_EQ(response->message.status, 180);
    EXPECT_FALSE(layer.next_deadline());
    answer(486);
    EXPECT_EQ(parse_message(sent.back())->message.method, "ACK");
    EXPECT_EQ(
        parse_message(sent.back())->message.get("Via"),
        parse_message(sent.front())->message.get("Via")
    );
    // Each repetition of the final response is acknowledged, and told once.
    response.reset();
    const auto before = sent.size();
    answer(486);
    EXPECT_EQ(sent.size(), before + 1);
    EXPECT_FALSE(response);
    Clock::duration total{};
    EXPECT_EQ(run_out(&total), Waits{});
    EXPECT_EQ(total, 32s);  // timer D
    EXPECT_FALSE(failed);
}

TEST_F(TransactionLayerTest, TheUserHearsOfEvery2xxForThirtyTwoSeconds) {
    send("INVITE");
    answer(200);
    EXPECT_EQ(sent.size(), 1u);  // its ACK is the user's
    response.reset();
    answer(200);
    EXPECT_TRUE(response);
    Clock::duration total{};
    EXPECT_EQ(run_out(&total), Waits{});
    EXPECT_EQ(total, 32s);  // timer M, RFC 6026
}

TEST_F(TransactionLayerTest, RepetitionsOfAFinalResponseAreAbsorbedForAWhile) {
    send("BYE");
    answer(200);
    EXPECT_TRUE(response);
    response.reset();
    answer(200);
    EXPECT_FALSE(response);
    Clock::duration total{};
    run_out(&total);
    EXPECT_EQ(total, 5s);  // timer K
    answer(200);
    EXPECT_EQ(layer.stats().stray, 1u);
}

TEST_F(TransactionLayerTest, ARefusedInviteIsRefusedUntilItsAck) {
    hear(incoming("INVITE"));
    respond(486);
    Clock::duration total{};
    EXPECT_EQ(run_out(&total), (Waits{500ms, 1s, 2s, 4s, 4s, 4s, 4s, 4s, 4s, 4s}));  // timer G
    EXPECT_EQ(total, 32s);                                                           // timer H
}

TEST_F(TransactionLayerTest, TheAckOfARefusalIsAbsorbedForAWhile) {
    hear(incoming("INVITE"));
    respond(486);
    hear(incoming("ACK"));
    hear(incoming("ACK"));
    EXPECT_EQ(acks, 0);
    Clock::duration total{};
    EXPECT_EQ(run_out(&total), Waits{});
    EXPECT_EQ(total, 5s);  // timer I
}

TEST_F(TransactionLayerTest, AnInviteThatComesAgainGetsTheLatestResponse) {
    hear(incoming("INVITE"));
    const auto first = request->id;
    respond(100);
    respond(180);
    hear(incoming("INVITE"));
    EXPECT_EQ(parse_message(sent.back())->message.status, 180);
    EXPECT_EQ(sent.size(), 3u);
    EXPECT_EQ(request->id, first);
    respond(200);
    hear(incoming("INVITE"));
    EXPECT_EQ(sent.size(), 4u);  // RFC 6026: absorbed; the user repeats its 2xx
    respond(200);
    EXPECT_EQ(sent.size(), 5u);
    respond(500);
    EXPECT_EQ(sent.size(), 5u);
    hear(incoming("ACK", "z9hG4bKother"));
    EXPECT_EQ(acks, 1);
    Clock::duration total{};
    run_out(&total);
    EXPECT_EQ(total, 32s);  // timer L
}

TEST_F(TransactionLayerTest, AnotherRequestThatComesAgainGetsItsFinalResponseForThirtyTwoSeconds) {
    hear(incoming("BYE"));
    hear(incoming("BYE"));
    EXPECT_TRUE(sent.empty());
    respond(200);
    hear(incoming("BYE"));
    EXPECT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0], sent[1]);
    Clock::duration total{};
    run_out(&total);
    EXPECT_EQ(total, 32s);  // timer J
}

TEST_F(TransactionLayerTest, OverAStreamNothingIsRepeatedAndNothingLingers) {
    peer.protocol = Protocol::tcp;
    peer.connection = 3;
    send("INVITE");
    Clock::duration total{};
    EXPECT_EQ(run_out(&total), Waits{});
    EXPECT_EQ(total, 32s);
    EXPECT_TRUE(failed);
    hear(incoming("BYE"));
    respond(200);
    run_out(&total);
    EXPECT_EQ(total, 0s);
    hear(incoming("INVITE", "z9hG4bKb"));
    respond(486);
    EXPECT_EQ(run_out(&total), Waits{});
    EXPECT_EQ(total, 32s);  // timer H all the same
}

TEST_F(TransactionLayerTest, CancelsOnlyWhatHasBeenHeardOf) {
    const auto id = send("INVITE");
    EXPECT_FALSE(layer.cancel(id, now));
    answer(180);
    EXPECT_TRUE(layer.cancel(id, now));
    collect();
    const auto cancel = parse_message(sent.back())->message;
    EXPECT_EQ(cancel.method, "CANCEL");
    EXPECT_EQ(cancel.get("Via"), parse_message(sent.front())->message.get("Via"));
    answer(200, sent.back());
    EXPECT_EQ(response->message.cseq().method, "CANCEL");
    // No 487 comes: §9.1 gives it 64·T1.
    Clock::duration total{};
    run_out(&total);
    EXPECT_EQ(total, 32s);
    EXPECT_TRUE(failed);
}

TEST_F(TransactionLayerTest, ATellsACancelWhichInviteItMeans) {
    hear(incoming("INVITE"));
    const auto invite = request->id;
    hear(incoming("CANCEL"));
    EXPECT_EQ(request->message.method, "CANCEL");
    EXPECT_EQ(request->cancels, invite);
    hear(incoming("CANCEL", "z9hG4bKunknown"));
    EXPECT_FALSE(request->cancels);
}

TEST_F(TransactionLayerTest, MatchesTransactionsOfRfc2543) {
    hear(incoming("INVITE", "1"));
    const auto first = request->id;
    respond(486);
    hear(incoming("INVITE", "1"));
    EXPECT_EQ(request->id, first);
    EXPECT_EQ(sent.size(), 2u);
    hear(incoming("ACK", "1"));
    EXPECT_EQ(run_out(), Waits{});
}

TEST_F(TransactionLayerTest, AnswersWhereTheViaSays) {
    layer.on_bytes(incoming("OPTIONS"), {Protocol::udp, "198.51.100.7", 40'000, 0}, now);
    collect();
    EXPECT_NE(request->message.get("Via").find(";received=198.51.100.7"), std::string::npos);
    layer.respond(request->id, make_response(request->message, 200, "t"), now);
    auto action = layer.next_action();
    EXPECT_EQ(
        std::get<TransactionLayer::Send>(*action).to,
        (Target{Protocol::udp, "198.51.100.7", 5060, 0})
    );
    // RFC 3581: to the very port.
    layer.on_bytes(
        incoming("OPTIONS", "z9hG4bKr;rport"), {Protocol::udp, "198.51.100.7", 40'000, 0}, now
    );
    collect();
    EXPECT_NE(request->message.get("Via").find(";rport=40000"), std::string::npos);
    layer.respond(request->id, make_response(request->message, 200, "t"), now);
    action = layer.next_action();
    EXPECT_EQ(std::get<TransactionLayer::Send>(*action).to.port, 40'000);
}

TEST_F(TransactionLayerTest, ALongRequestGoesByTcpAndComesBackWhenThatFails) {
    Message message;
    message.method = "OPTIONS";
    message.uri = "sip:them@192.0.2.9";
    message.add("From", "<sip:us@192.0.2.1>;tag=f");
    message.add("To", "<sip:them@192.0.2.9>");
    message.add("Call-ID", "c");
    message.add("CSeq", "1 OPTIONS");
    message.add("Subject", std::string(1300, 'x'));
    const auto id = layer.request(std::move(message), peer, 0, now);
    auto action = layer.next_action();
    auto first = std::get<TransactionLayer::Send>(*action);
    EXPECT_EQ(first.to.protocol, Protocol::tcp);
    EXPECT_NE(first.bytes.find("SIP/2.0/TCP"), std::string::npos);
    layer.on_send_failed(id, now);
    action = layer.next_action();
    first = std::get<TransactionLayer::Send>(*action);
    EXPECT_EQ(first.to.protocol, Protocol::udp);
    EXPECT_NE(first.bytes.find("SIP/2.0/UDP"), std::string::npos);
    collect();
    answer(200, first.bytes);
    EXPECT_TRUE(response);
}

TEST_F(TransactionLayerTest, HasABound) {
    TransactionLayer::Settings settings;
    settings.max_transactions = 2;
    TransactionLayer small{settings, [](const Target&) { return std::string{"192.0.2.1:5060"}; }};
    for (const auto* branch : {"z9hG4bK1", "z9hG4bK2", "z9hG4bK3"})
        small.on_bytes(incoming("OPTIONS", branch), peer, now);
    EXPECT_EQ(small.stats().dropped, 1u);
    EXPECT_EQ(small.stats().open, 2u);
}

}  // namespace
}  // namespace oavc::sip
