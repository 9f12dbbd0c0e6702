// The server's WebSocket over a link that tells what it was given.
#include "net/detail/server_websocket.hpp"

#include "async/shard.hpp"
#include "net/errors.hpp"
#include "support/alloc_guard.hpp"
#include "support/masked_frame.hpp"
#include "support/run_shard.hpp"

#include <boost/asio/error.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::net::detail {
namespace {

using test::masked_frame;

/// What a test does in the network's place. Outlives its socket.
struct Wire {
    WebSocketLink::Owner* owner{nullptr};
    std::vector<std::string> writes;
    bool reading{false};
    bool flush_asked{false};
    bool stuck{false};  ///< a write does not end by itself
    bool send_shut{false};
    bool closed{false};

    void deliver(std::string bytes) {
        ASSERT_TRUE(reading);
        reading = false;
        owner->on_bytes(bytes);
    }
    void end_of_turn() {
        if (std::exchange(flush_asked, false)) owner->on_flush();
    }
};

class WireLink final : public WebSocketLink {
public:
    explicit WireLink(Wire& wire) : wire_{wire} {}
    void belong_to(Owner& owner) override { wire_.owner = &owner; }
    void read() override { wire_.reading = true; }
    bool write(std::string_view bytes) override {
        wire_.writes.emplace_back(bytes);
        return !wire_.stuck;
    }
    void flush_soon() override { wire_.flush_asked = true; }
    void shutdown_send() noexcept override { wire_.send_shut = true; }
    void close() noexcept override { wire_.closed = true; }

private:
    Wire& wire_;
};

/// Counts and keeps what comes; allocates nothing.
struct Sink final : WsReceiver {
    bool on_message(const WsMessage& message) noexcept override {
        ++count;
        bytes += message.data.size();
        if (answer != nullptr) answer->send_text("answer");
        return count != enough;
    }
    WebSocket* answer{nullptr};
    int enough{0};
    int count{0};
    std::size_t bytes{0};
};

class ServerWebSocketTest : public ::testing::Test {
protected:
    ~ServerWebSocketTest() override {
        socket_.reset();
        test::run_for(shard_, 10ms);
    }
    auto receive() {
        auto receiving = test::start(shard_, socket_->receive(sink_));
        test::run_until(shard_, [&] { return wire_.reading; });
        return receiving;
    }

    async::Shard shard_{0};
    Wire wire_;
    Sink sink_;
    std::unique_ptr<WebSocket> socket_{make_server_websocket(
        shard_.executor(), std::make_unique<WireLink>(wire_), {.max_queued_bytes = 1000}
    )};
};

TEST_F(ServerWebSocketTest, WhatIsSentInOneTurnLeavesInOneWrite) {
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(socket_->send_text("a frame"));
    EXPECT_TRUE(wire_.writes.empty());
    wire_.end_of_turn();
    ASSERT_EQ(wire_.writes.size(), 1u);
    EXPECT_EQ(wire_.writes[0].size(), 10 * (2 + 7u));

    wire_.stuck = true;
    socket_->send_text("slow");
    wire_.end_of_turn();
    for (int i = 0; i < 5; ++i) {
        socket_->send_text("meanwhile");
        wire_.end_of_turn();
    }
    EXPECT_EQ(wire_.writes.size(), 2u) << "one write at a time";
    wire_.stuck = false;
    wire_.owner->on_written({});
    EXPECT_EQ(wire_.writes.size(), 3u);
    EXPECT_EQ(wire_.writes[2].size(), 5 * (2 + 9u));
}

TEST_F(ServerWebSocketTest, TheQueueIsBoundedByItsPayload) {
    wire_.stuck = true;
    EXPECT_TRUE(socket_->send_text(std::string(600, 'x')));
    wire_.end_of_turn();
    EXPECT_TRUE(socket_->send_text(std::string(400, 'x')));
    EXPECT_FALSE(socket_->send_text("x"));
    wire_.owner->on_written({});
    EXPECT_TRUE(socket_->send_text(std::string(600, 'x')));
}

TEST_F(ServerWebSocketTest, APeerThatPingsAndDoesNotReadCostsNoMoreThanTheQueue) {
    const auto receiving = receive();
    wire_.stuck = true;
    wire_.deliver(masked_frame(0x89, ""));
    wire_.end_of_turn();
    std::string pings;
    for (int i = 0; i < 10'000; ++i)
        pings += masked_frame(0x89, "");
    wire_.deliver(pings);
    wire_.end_of_turn();
    ASSERT_EQ(wire_.writes.size(), 1u);
    wire_.owner->on_written({});
    ASSERT_EQ(wire_.writes.size(), 2u) << "it is answered as far as there is room";
    EXPECT_LE(wire_.writes[1].size(), 1000 + 127u);
}

TEST_F(ServerWebSocketTest, AMessageReceivedAndAnsweredAllocatesNothing) {
    sink_.answer = socket_.get();
    const auto receiving = receive();
    const auto message = masked_frame(0x81, std::string(385, 'x'));
    std::string bytes;
    const auto exchange = [&] {
        bytes = message;
        wire_.reading = false;
        wire_.owner->on_bytes(bytes);
        wire_.end_of_turn();
        wire_.writes.clear();
    };
    for (int i = 0; i < 10; ++i)
        exchange();
    const test::AllocGuard guard;
    exchange();
    // WireLink keeps a copy of what is written: a string, short enough to need no memory.
    EXPECT_EQ(guard.count(), 0u);
    EXPECT_EQ(sink_.count, 11);
    EXPECT_FALSE(receiving->has_value());
}

TEST_F(ServerWebSocketTest, MessagesAreHandedOverHoweverTheirBytesArrive) {
    const auto receiving = receive();
    const auto two = masked_frame(0x81, "first") + masked_frame(0x82, "second");
    for (const char c : two)
        wire_.deliver({c});
    EXPECT_EQ(sink_.count, 2);
    wire_.deliver(two + two.substr(0, 7));
    EXPECT_EQ(sink_.count, 4);
    wire_.deliver(two.substr(7) + two);
    EXPECT_EQ(sink_.count, 8);
    EXPECT_EQ(sink_.bytes, 4 * 11u);
}

TEST_F(ServerWebSocketTest, AReceiverThatHasEnoughLeavesTheRestToTheNextReader) {
    sink_.enough = 1;
    const auto receiving = receive();
    wire_.deliver(masked_frame(0x81, "one") + masked_frame(0x81, "two"));
    test::run_until(shard_, [&] { return receiving->has_value(); });
    ASSERT_TRUE(receiving->has_value());
    EXPECT_TRUE((*receiving)->has_value());
    EXPECT_FALSE(wire_.reading) << "nobody asks for more";
    const auto next = test::start(shard_, socket_->read());
    test::run_until(shard_, [&] { return next->has_value(); });
    ASSERT_TRUE(next->has_value() && (*next)->has_value());
    EXPECT_EQ((**next)->data, "two");
}

TEST_F(ServerWebSocketTest, OurCloseWaitsForThePeersAndIgnoresWhatComesBefore) {
    const auto receiving = receive();
    socket_->begin_close(1000, "done");
    EXPECT_FALSE(socket_->send_text("too late"));
    EXPECT_EQ(
        wire_.writes.back(),
        (std::string{
            "\x88\x06\x03\xE8"
            "done",
            8})
    );
    wire_.deliver(masked_frame(0x81, "crossed"));
    EXPECT_FALSE(wire_.closed);
    wire_.deliver(masked_frame(0x88, "\x03\xE8"));
    EXPECT_TRUE(wire_.closed);
    EXPECT_EQ(sink_.count, 0);
    EXPECT_EQ(socket_->peer_close_code(), 1000);
    test::run_until(shard_, [&] { return receiving->has_value(); });
    ASSERT_TRUE(receiving->has_value());
    EXPECT_EQ((*receiving)->error(), asio::error::eof);
}

TEST_F(ServerWebSocketTest, OurCloseIsSaidOnceWhateverThePeerAnswers) {
    const auto receiving = receive();
    socket_->begin_close(1000, "done");
    wire_.deliver("not masked");
    EXPECT_EQ(wire_.writes.size(), 1u);
    EXPECT_TRUE(wire_.closed) << "there is nothing left to wait for";
    test::run_until(shard_, [&] { return receiving->has_value(); });
    ASSERT_TRUE(receiving->has_value());
    EXPECT_EQ((*receiving)->error(), NetErrc::websocket_broken);
}

TEST_F(ServerWebSocketTest, AReceiverMayCloseFromWithin) {
    struct Closer final : WsReceiver {
        bool on_message(const WsMessage&) noexcept override {
            socket->begin_close(1001, "");
            return false;
        }
        WebSocket* socket{nullptr};
    } closer;
    closer.socket = socket_.get();
    const auto receiving = test::start(shard_, socket_->receive(closer));
    test::run_until(shard_, [&] { return wire_.reading; });
    wire_.deliver(masked_frame(0x81, "one") + masked_frame(0x88, "\x03\xE9"));
    wire_.end_of_turn();
    EXPECT_TRUE(wire_.closed);
    EXPECT_EQ(socket_->peer_close_code(), 1001);
    test::run_until(shard_, [&] { return receiving->has_value(); });
    EXPECT_TRUE(receiving->has_value());
}

TEST_F(ServerWebSocketTest, AfterAnErrorTheRestIsDiscardedUntilThePeerEnds) {
    const auto receiving = receive();
    wire_.deliver("not masked");
    EXPECT_EQ(wire_.writes.back(), (std::string{"\x88\x02\x03\xEA", 4}));
    EXPECT_TRUE(wire_.send_shut);
    EXPECT_FALSE(wire_.closed);
    wire_.deliver(masked_frame(0x81, "ignored"));
    wire_.reading = false;
    wire_.owner->on_input_over(asio::error::eof);
    EXPECT_TRUE(wire_.closed);
    EXPECT_EQ(sink_.count, 0);
}

}  // namespace
}  // namespace oavc::net::detail
