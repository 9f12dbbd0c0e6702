#include "net/tcp.hpp"

#include "async/deadline.hpp"
#include "support/await.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace oavc::net {
namespace {

using asio::ip::tcp;

class TcpTest : public ::testing::Test {
protected:
    std::string url() const {
        return "tcp://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
    }
    /// Both ends of a connection.
    std::unique_ptr<TcpStream> connect(std::size_t max_queued_bytes = 1u << 20) {
        acceptor_.async_accept([this](error_code error, tcp::socket socket) {
            EXPECT_FALSE(error);
            peer_.emplace(std::move(socket));
        });
        auto stream = test::value_of(shard_, tcp_connect(shard_, url(), 10s, max_queued_bytes));
        EXPECT_TRUE(run_until([this] { return peer_.has_value(); }));
        return stream;
    }
    template <class Condition>
    bool run_until(Condition done) {
        const auto give_up = Clock::now() + 30s;
        while (!done() && Clock::now() < give_up) {
            shard_.context().restart();
            shard_.context().run_one_for(100ms);
        }
        return done();
    }
    std::string read(TcpStream& stream) {
        return std::string{test::value_of(shard_, stream.read())};
    }

    async::Shard shard_{0};
    tcp::acceptor acceptor_{shard_.context(), {asio::ip::address_v4::loopback(), 0}};
    std::optional<tcp::socket> peer_;
};

TEST_F(TcpTest, CarriesBytesBothWaysInOrder) {
    const auto stream = connect();
    std::string sent;
    for (int i = 0; i < 1'000; ++i) {
        EXPECT_TRUE(stream->send(std::to_string(i) + "\n"));
        sent += std::to_string(i) + "\n";
    }
    std::string received(sent.size(), '\0');
    asio::async_read(*peer_, asio::buffer(received), [](error_code, std::size_t) {});
    EXPECT_TRUE(run_until([&] { return received == sent; }));
    asio::write(*peer_, asio::buffer(std::string{"answer"}));
    EXPECT_EQ(read(*stream), "answer");
}

TEST_F(TcpTest, TheEndOfThePeerIsTheEndOfTheFile) {
    const auto stream = connect();
    asio::write(*peer_, asio::buffer(std::string{"bye"}));
    peer_->close();
    EXPECT_EQ(read(*stream), "bye");
    EXPECT_EQ(test::result_of(shard_, stream->read()).error(), asio::error::eof);
}

TEST_F(TcpTest, ADeadlineOnReadLosesNothing) {
    const auto stream = connect();
    auto reading = stream->read();
    const auto nothing = test::result_of(shard_, async::with_deadline(std::move(reading), 10ms));
    EXPECT_EQ(nothing.error(), asio::error::timed_out);
    asio::write(*peer_, asio::buffer(std::string{"late"}));
    EXPECT_EQ(read(*stream), "late");
}

TEST_F(TcpTest, WhatWaitsToBeSentIsBounded) {
    const auto stream = connect(1'000);
    EXPECT_TRUE(stream->send(std::string(900, 'x')));
    EXPECT_FALSE(stream->send(std::string(101, 'x')));
    EXPECT_TRUE(stream->send(std::string(100, 'x')));
}

TEST_F(TcpTest, DestructionDropsTheConnection) {
    auto stream = connect();
    stream.reset();
    char byte = 0;
    error_code error;
    shard_.context().restart();
    shard_.context().poll();
    asio::read(*peer_, asio::buffer(&byte, 1), error);
    EXPECT_EQ(error, asio::error::eof);
}

TEST_F(TcpTest, RefusalsAndMistakesAreErrors) {
    const auto gone = url();
    acceptor_.close();
    EXPECT_EQ(
        test::result_of(shard_, tcp_connect(shard_, gone, 10s)).error(),
        asio::error::connection_refused
    );
    for (const auto bad : {"http://127.0.0.1:1", "tcp://127.0.0.1", "127.0.0.1:1"}) {
        EXPECT_EQ(test::result_of(shard_, tcp_connect(shard_, bad, 10s)).error(), NetErrc::bad_url)
            << bad;
    }
}

}  // namespace
}  // namespace oavc::net
