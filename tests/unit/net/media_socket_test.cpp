#include "net/media_socket.hpp"

#include "base/bytes.hpp"
#include "support/fake_opensips.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>

namespace oavc::net {
namespace {

using test::UdpPeer;

MediaSocket bound(const char* host = "127.0.0.1") {
    for (;;) {
        const auto free = UdpPeer{}.port();  // free a moment ago
        if (auto made = MediaSocket::bind(*parse_endpoint(host, free))) return std::move(*made);
    }
}

UdpEndpoint endpoint_of(const UdpPeer& peer) { return *parse_endpoint("127.0.0.1", peer.port()); }

class MediaSocketTest : public testing::Test {
protected:
    /// Loopback has delivered what was sent before send() returns.
    std::string text(MediaSocket& from) {
        latest = from.receive(buffer);
        return latest ? std::string{as_text(latest->bytes)} : "nothing";
    }

    MediaSocket socket{bound()};
    std::uint16_t port{socket.local_endpoint().port()};
    UdpPeer peer;
    UdpPeer stranger;
    std::array<std::byte, 100> buffer{};
    std::optional<MediaSocket::Datagram> latest;
};

TEST_F(MediaSocketTest, GivesWhatCameInOrderWithItsSenderAndItsTime) {
    EXPECT_EQ(text(socket), "nothing");
    const auto before = std::chrono::system_clock::now();
    peer.send("one", port);
    stranger.send("two", port);
    EXPECT_EQ(text(socket), "one");
    EXPECT_EQ(latest->from, endpoint_of(peer));
    EXPECT_EQ(latest->to.to_string(), "127.0.0.1");
    EXPECT_EQ(text(socket), "two");
    EXPECT_EQ(latest->from, endpoint_of(stranger));
    EXPECT_EQ(text(socket), "nothing");

    // The kernel begins to note arrivals a moment after a machine's first socket asks for it; until
    // then it gives the time of reading.
    bool noted = false;
    for (int attempt = 0; attempt < 200 && !noted; ++attempt) {
        peer.send("three", port);
        const auto sent = std::chrono::system_clock::now();
        while (std::chrono::system_clock::now() < sent + std::chrono::milliseconds{10}) {
        }
        EXPECT_EQ(text(socket), "three");
        EXPECT_GE(latest->at, before);
        noted = latest->at <= sent;
    }
    EXPECT_TRUE(noted) << "always the time of reading";
}

TEST_F(MediaSocketTest, CutsOffWhatTheBufferDoesNotHold) {
    peer.send(std::string(200, 'x'), port);
    EXPECT_EQ(text(socket), std::string(100, 'x'));
}

TEST_F(MediaSocketTest, TellsWhichAddressWasSentToWhereItHasSeveral) {
    auto everywhere = bound("0.0.0.0");
    peer.send("hello", everywhere.local_endpoint().port(), "127.0.0.2");
    EXPECT_EQ(text(everywhere), "hello");
    EXPECT_EQ(latest->to.to_string(), "127.0.0.2");
}

TEST_F(MediaSocketTest, ConnectedHearsItsPeerAloneUntilItIsOpenedAgain) {
    auto everywhere = bound("0.0.0.0");
    for (auto* ours : {&socket, &everywhere}) {
        const auto to = ours->local_endpoint().port();
        peer.send("first", to);
        stranger.send("waits", to);
        ASSERT_EQ(text(*ours), "first");
        ASSERT_TRUE(ours->connect(latest->from, latest->to));
        EXPECT_TRUE(ours->is_connected());
        stranger.send("lost", to);
        peer.send("second", to);
        EXPECT_EQ(text(*ours), "waits");
        EXPECT_EQ(latest->from, endpoint_of(stranger)) << "whoever reads can tell";
        EXPECT_EQ(text(*ours), "second");
        EXPECT_TRUE(ours->send_to(as_bytes(std::string_view{"answer"}), latest->from));
        EXPECT_EQ(peer.receive()->datagram, "answer");
        ours->disconnect();
        stranger.send("heard", to);
        EXPECT_EQ(text(*ours), "heard");
        EXPECT_EQ(latest->to.to_string(), "127.0.0.1");
        EXPECT_TRUE(ours->send_to(as_bytes(std::string_view{"hello"}), latest->from));
        EXPECT_EQ(stranger.receive()->port, to) << "it keeps its port";
    }
}

TEST_F(MediaSocketTest, IsNotConnectedWhereThePeerWouldNotReachItAnyMore) {
    auto everywhere = bound("0.0.0.0");
    const auto to = everywhere.local_endpoint().port();
    peer.send("hello", to, "127.0.0.2");  // the way back begins at 127.0.0.1
    ASSERT_EQ(text(everywhere), "hello");
    EXPECT_FALSE(everywhere.connect(latest->from, latest->to));
    EXPECT_FALSE(everywhere.is_connected());
    peer.send("again", to, "127.0.0.2");
    EXPECT_EQ(text(everywhere), "again");
    EXPECT_TRUE(everywhere.send_to(as_bytes(std::string_view{"answer"}), latest->from));
    EXPECT_EQ(peer.receive()->port, to);
}

TEST_F(MediaSocketTest, OutlivesAPeerThatIsAwayForAMoment) {
    const auto gone = [] { return UdpPeer{}.port(); }();
    const auto there = *parse_endpoint("127.0.0.1", gone);
    ASSERT_TRUE(socket.connect(there, socket.local_endpoint().address()));
    socket.send_to(as_bytes(std::string_view{"lost"}), there);  // answered by ICMP
    const UdpPeer back{"127.0.0.1", gone};
    EXPECT_TRUE(socket.send_to(as_bytes(std::string_view{"heard"}), there));
    EXPECT_EQ(back.receive()->datagram, "heard");
    back.send("answer", port);
    EXPECT_EQ(text(socket), "answer");
}

TEST_F(MediaSocketTest, ServesIpv4OnAnIpv6Socket) {
    auto both = MediaSocket::bind(*parse_endpoint("::", port));
    // The port is ours on IPv4, so that only another one can serve both.
    EXPECT_TRUE(both.has_error());
    MediaSocket open;
    for (int i = 0; i < 20 && !open.is_open(); ++i) {
        auto tried = MediaSocket::bind(*parse_endpoint("::", UdpPeer{}.port()));
        if (tried) open = std::move(*tried);
    }
    if (!open.is_open()) GTEST_SKIP() << "this machine has no IPv6";
    peer.send("hello", open.local_endpoint().port());
    EXPECT_EQ(text(open), "hello");
    EXPECT_EQ(latest->from, endpoint_of(peer));
    EXPECT_EQ(latest->to.to_string(), "127.0.0.1");
    EXPECT_TRUE(open.send_to(as_bytes(std::string_view{"answer"}), latest->from));
    EXPECT_EQ(peer.receive()->datagram, "answer");
    ASSERT_TRUE(open.connect(latest->from, latest->to));
    EXPECT_TRUE(open.send_to(as_bytes(std::string_view{"connected"}), latest->from));
    EXPECT_EQ(peer.receive()->datagram, "connected");
}

TEST_F(MediaSocketTest, IsBoundToAPortOfItsOwn) {
    EXPECT_TRUE(MediaSocket::bind(socket.local_endpoint()).has_error());
    EXPECT_TRUE(MediaSocket::bind(*parse_endpoint("127.0.0.1", 0)).has_error());
    EXPECT_TRUE(MediaSocket::bind(*parse_endpoint("192.0.2.1", port)).has_error());
    const auto local = socket.local_endpoint();
    MediaSocket moved{std::move(socket)};
    EXPECT_EQ(text(moved), "nothing");
    moved.close();
    EXPECT_FALSE(moved.is_open());
    EXPECT_TRUE(MediaSocket::bind(local).has_value());
}

}  // namespace
}  // namespace oavc::net
