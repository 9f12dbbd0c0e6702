#include "base/bytes.hpp"
#include "caller/bench/engine.hpp"
#include "caller/bench/rtp_trunk.hpp"
#include "caller/fake_opensips.hpp"
#include "media/g711.hpp"
#include "media/rtp.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::caller::bench {
namespace {

/// A phone's peer: one UDP socket of 127.0.0.1.
class Peer {
public:
    Peer() : fd_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address_;
        auto* const generic = reinterpret_cast<sockaddr*>(&address_);  // NOLINT
        ::bind(fd_, generic, size);
        ::getsockname(fd_, generic, &size);
    }
    ~Peer() { ::close(fd_); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    const sockaddr_in& address() const { return address_; }

    struct Datagram {
        std::vector<std::byte> bytes;
        sockaddr_in from{};
    };
    std::optional<Datagram> receive() const {
        pollfd ready{fd_, POLLIN, 0};
        if (::poll(&ready, 1, 10'000) != 1) return std::nullopt;
        Datagram datagram;
        datagram.bytes.resize(2048);
        socklen_t size = sizeof datagram.from;
        const auto got = ::recvfrom(
            fd_,
            datagram.bytes.data(),
            datagram.bytes.size(),
            0,
            reinterpret_cast<sockaddr*>(&datagram.from),  // NOLINT
            &size
        );
        datagram.bytes.resize(static_cast<std::size_t>(got));
        return datagram;
    }
    void send(const std::vector<std::byte>& bytes, const sockaddr_in& to) const {
        ::sendto(
            fd_,
            bytes.data(),
            bytes.size(),
            0,
            reinterpret_cast<const sockaddr*>(&to),  // NOLINT
            sizeof to
        );
    }

private:
    int fd_;
    sockaddr_in address_{};
};

struct Ears final : CrowdEvents {
    std::map<CallIndex, std::vector<Stamp>> heard;
    std::vector<TimePoint> at;
    std::size_t wrong{0};

    void on_answered(CallIndex, TimePoint) override {}
    void on_heard(CallIndex call, const Heard& audio) override {
        heard[call].push_back(audio.stamp.value());
        at.push_back(audio.at);
    }
    void on_wrong_audio(CallIndex) override { ++wrong; }
    void on_underrun(CallIndex, Clock::duration) override {}
    void on_over(CallIndex, TimePoint, Ending, std::string_view) override {}

    template <class Enough>
    bool wait(RtpTrunk& trunk, Enough enough) {
        const TimePoint deadline = Clock::now() + 10s;
        while (!enough() && Clock::now() < deadline)
            trunk.receive(Clock::now(), *this);
        return enough();
    }
};

const std::vector<std::byte> quiet(frame_bytes, media::g711::ulaw_silence);
FrameBytes quiet_frame() { return std::span{quiet}.first<frame_bytes>(); }

TEST(RtpTrunk, GivesEveryPhoneAnAddressOfItsOwnAndHearsWhoIsMeant) {
    RtpTrunk trunk{600};  // more than one socket
    const std::vector<CallIndex> phones{0, 249, 250, 599};
    std::map<CallIndex, Peer> peers;
    for (const CallIndex phone : phones)
        trunk.begin(phone, peers[phone].address());
    for (const CallIndex phone : phones)
        trunk.send(phone, quiet_frame());
    trunk.flush();
    EXPECT_EQ(trunk.stats().sent, phones.size());
    for (const CallIndex phone : phones) {
        const auto datagram = peers[phone].receive();
        ASSERT_TRUE(datagram.has_value());
        const auto packet = media::parse_rtp(datagram->bytes);
        ASSERT_TRUE(packet.has_value());
        EXPECT_EQ(packet->payload.size(), frame_bytes);
        EXPECT_TRUE(packet->marker);
        std::array<char, INET_ADDRSTRLEN> from{};
        ::inet_ntop(AF_INET, &datagram->from.sin_addr, from.data(), from.size());
        EXPECT_EQ(trunk.address(phone), from.data());
        EXPECT_EQ(trunk.port(phone), ntohs(datagram->from.sin_port));
        peers[phone].send(datagram->bytes, datagram->from);
    }
    Ears ears;
    const TimePoint now = Clock::now();
    EXPECT_TRUE(ears.wait(trunk, [&] { return ears.heard.size() == phones.size(); }));
    for (const CallIndex phone : phones)
        EXPECT_EQ(ears.heard[phone].size(), 1u);
    for (const TimePoint at : ears.at) {  // when the kernel had them, not when they were read
        EXPECT_LT(at, now + 50ms);
        EXPECT_GT(at, now - 5s);
    }
    EXPECT_EQ(ears.wrong, 0u);
    EXPECT_EQ(trunk.stats().receive_drops, 0u);
}

TEST(RtpTrunk, CountsWhatCannotBelongToTheCall) {
    RtpTrunk trunk{10};
    Peer peer;
    trunk.begin(3, peer.address());
    trunk.send(3, quiet_frame());
    trunk.flush();
    const auto datagram = peer.receive();
    ASSERT_TRUE(datagram.has_value());
    Ears ears;
    auto other_codec = datagram->bytes;
    other_codec[1] = std::byte{8};
    peer.send(other_codec, datagram->from);
    auto cut_short = datagram->bytes;
    cut_short.resize(100);
    peer.send(cut_short, datagram->from);
    EXPECT_TRUE(ears.wait(trunk, [&] { return ears.wrong == 2; }));
    EXPECT_TRUE(ears.heard.empty());

    trunk.end(3);
    peer.send(datagram->bytes, datagram->from);
    trunk.receive(Clock::now(), ears);
    EXPECT_EQ(ears.wrong, 2u);
    EXPECT_TRUE(ears.heard.empty());
}

/// Answers every call at the next poll, but each third one is refused.
class Agreeable final : public Carrier {
public:
    bool ready(TimePoint) override { return true; }
    int wake_fd() const noexcept override { return -1; }
    void poll(TimePoint now, CrowdEvents& events) override {
        for (const CallIndex call : std::exchange(placed_, {})) {
            if (++asked % 3 == 0) {
                events.on_over(call, now, Ending::refused, "486 Busy Here");
            } else {
                events.on_answered(call, now);
            }
        }
    }
    void place(CallIndex call, TimePoint) override { placed_.push_back(call); }
    void hang_up(CallIndex, TimePoint) override { ++hung_up; }
    void send(CallIndex, FrameBytes, TimePoint) noexcept override { ++stats_.sent; }
    void flush(TimePoint) noexcept override {}
    Stats stats() const noexcept override { return stats_; }

    int asked{0};
    int hung_up{0};

private:
    std::vector<CallIndex> placed_;
    Stats stats_;
};

Script one_clip() {
    std::vector<media::Sample> tone(16'000);
    for (std::size_t i = 0; i < tone.size(); ++i)
        tone[i] = static_cast<media::Sample>(8'000 * std::sin(static_cast<double>(i) * 0.4));
    std::vector<Clip> clips;
    clips.push_back(make_clip(tone));
    return {Habits{}, std::move(clips)};
}

TEST(Engine, KeepsAsManyCallsUpAsItIsTold) {
    Agreeable carrier;
    const Script script = one_clip();
    Engine engine{carrier, script, 100, 1};
    engine.aim(30, 1'000);
    engine.run(20s, [&] { return engine.answered() == 30; });
    EXPECT_EQ(engine.answered(), 30u);
    EXPECT_EQ(engine.window().refused, static_cast<std::uint64_t>(carrier.asked / 3));
    EXPECT_EQ(engine.last_trouble(), "486 Busy Here");

    engine.begin_window();
    const TimePoint began = Clock::now();
    engine.run(500ms);
    const auto took = Clock::now() - began;
    const Figures figures = engine.window();
    // 50 frames per second and call, however late the machine lets us be.
    EXPECT_NEAR(static_cast<double>(figures.sent), 30 * to_ms(took) / 20, 30 * 2 + 1);
    EXPECT_NEAR(figures.call_seconds, 30 * to_ms(took) / 1000, 1.5);

    engine.aim(10, 1'000);
    engine.run(20s, [&] { return engine.under_way() == 10; });
    EXPECT_EQ(engine.answered(), 10u);
    EXPECT_EQ(carrier.hung_up, 20);
}

TEST(Engine, PlacesNoMoreCallsPerSecondThanAllowed) {
    Agreeable carrier;
    const Script script = one_clip();
    Engine engine{carrier, script, 1'000, 1};
    engine.aim(1'000, 50);
    const TimePoint began = Clock::now();
    engine.run(1s);
    EXPECT_LE(static_cast<double>(engine.placed()), 50 * to_ms(Clock::now() - began) / 1000 + 3);
    EXPECT_GT(engine.placed(), 10u);
}

TEST(FakeOpenSips, CannotListMoreSessionsThanADatagramHolds) {
    FakeOpenSips opensips{TimePoint{}};
    const std::string list = R"({"jsonrpc":"2.0","method":"ua_session_list","id":1})";
    for (int i = 0; i < 130; ++i)
        opensips.invite({}, TimePoint{});
    ASSERT_TRUE(opensips.on_mi(list, TimePoint{}).has_value());
    EXPECT_LE(opensips.on_mi(list, TimePoint{})->size(), 70'000u);
    opensips.invite({}, TimePoint{});
    EXPECT_FALSE(opensips.on_mi(list, TimePoint{}).has_value());
}

}  // namespace
}  // namespace oavc::caller::bench
