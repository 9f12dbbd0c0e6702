#include "transports/rtp/rtp_ports.hpp"

#include "support/fake_opensips.hpp"
#include "transports/rtp/config.hpp"
#include "transports/rtp/errors.hpp"

#include <boost/asio/ip/address.hpp>

#include <gtest/gtest.h>

#include <set>

namespace oavc::transports::rtp {
namespace {

const auto loopback = boost::asio::ip::make_address("127.0.0.1");
const TimePoint t0{};

/// The first even port of a stretch that was free a moment ago.
std::uint16_t free_stretch() {
    for (;;) {
        const auto port = test::UdpPeer{}.port();
        if (port < 65'000) return static_cast<std::uint16_t>((port + 2) / 2 * 2);
    }
}

TEST(RtpPorts, GivesEvenPortsWithTheNextOddOneBothBound) {
    const auto first = free_stretch();
    RtpPorts ports{loopback, first, static_cast<std::uint16_t>(first + 19)};
    EXPECT_EQ(ports.capacity(), 10u);
    const auto pair = ports.allocate(t0);
    ASSERT_TRUE(pair.has_value()) << pair.error().message();
    EXPECT_EQ(pair->port() % 2, 0);
    EXPECT_EQ(pair->rtcp.local_endpoint().port(), pair->port() + 1);
    EXPECT_TRUE(net::MediaSocket::bind({loopback, pair->port()}).has_error());
    EXPECT_EQ(ports.in_use(), 1u);
}

TEST(RtpPorts, SkipsWhatOthersUseAndFailsWhenNothingIsLeft) {
    const auto first = free_stretch();
    RtpPorts ports{loopback, first, static_cast<std::uint16_t>(first + 5)};
    // Somebody holds the odd port of the first pair: its even one must not stay bound either.
    const auto stranger = net::MediaSocket::bind({loopback, static_cast<std::uint16_t>(first + 1)});
    if (!stranger) GTEST_SKIP() << "another process took the port";
    std::set<std::uint16_t> given;
    std::vector<RtpPortPair> pairs;
    for (auto pair = ports.allocate(t0); pair; pair = ports.allocate(t0)) {
        given.insert(pair->port());
        pairs.push_back(std::move(*pair));
    }
    EXPECT_LE(given.size(), 2u);
    EXPECT_FALSE(given.contains(first));
    EXPECT_GE(ports.skipped(), 1u);
    EXPECT_TRUE(net::MediaSocket::bind({loopback, first}).has_value());
    EXPECT_EQ(ports.allocate(t0).error(), MediaErrc::no_ports);
}

TEST(RtpPorts, APairRestsBeforeItIsGivenAgain) {
    const auto first = free_stretch();
    RtpPorts ports{loopback, first, static_cast<std::uint16_t>(first + 1)};
    auto pair = ports.allocate(t0);
    if (!pair) GTEST_SKIP() << "another process took the port";
    *pair = {};
    ports.release(first, t0 + 5s);
    EXPECT_EQ(ports.in_use(), 0u);
    EXPECT_EQ(ports.allocate(t0 + 5s + RtpPorts::rest - 1ms).error(), MediaErrc::no_ports);
    EXPECT_TRUE(ports.allocate(t0 + 5s + RtpPorts::rest).has_value());
}

TEST(RtpPorts, AnAddressThatIsNotOursIsSaidSo) {
    RtpPorts ports{boost::asio::ip::make_address("192.0.2.1"), 40000, 40003};
    const auto pair = ports.allocate(t0);
    ASSERT_TRUE(pair.has_error());
    EXPECT_NE(pair.error(), MediaErrc::no_ports);
    EXPECT_EQ(ports.in_use(), 0u);
}

TEST(RtpConfig, CountsTheCallsThatItsPortRangeHolds) {
    const auto capacity = [](std::uint16_t first, std::uint16_t last) {
        Config config;
        config.port_start = first;
        config.port_end = last;
        EXPECT_EQ(RtpPorts(loopback, first, last).capacity(), config.port_capacity());
        return config.port_capacity();
    };
    EXPECT_EQ(capacity(35000, 35500), 250u);
    EXPECT_EQ(capacity(35000, 35001), 1u);
    EXPECT_EQ(capacity(35000, 35000), 0u);
    EXPECT_EQ(capacity(35001, 35004), 1u);
    EXPECT_EQ(capacity(1, 65535), 32767u);
}

TEST(RtpConfig, TellsEveryProblemAtOnce) {
    EXPECT_TRUE(Config{}.validate().empty());
    EXPECT_TRUE(Config{}.validate(250).empty());
    const auto small = Config{}.validate(251);
    ASSERT_EQ(small.size(), 1u);
    EXPECT_NE(small[0].find("holds 250 calls, but [limits] max_calls is 251"), std::string::npos);
    Config broken;
    broken.bind_ip = "localhost";
    broken.advertised_ip = "nowhere";
    broken.media_timeout = std::chrono::seconds{0};
    broken.port_end = 1;
    broken.codecs = {"speex"};
    EXPECT_EQ(broken.validate(10).size(), 6u);
}

TEST(RtpConfig, TellsOffersAndAnswersWhatItWants) {
    using enum sip::AudioCodec;
    const auto usual = Config{}.media_preferences();
    EXPECT_EQ(usual.codecs, (std::vector{opus, g722, pcmu, pcma, l16}));
    EXPECT_EQ(usual.codecs, sip::MediaPreferences{}.codecs);
    EXPECT_FALSE(usual.ours_first);
    EXPECT_EQ(usual.srtp, sip::SrtpPolicy::off);
    Config config;
    config.codecs = {"PCMA", "G722", "pcma", "speex"};
    config.codec_preference = "ours";
    config.srtp = "required";
    const auto wanted = config.media_preferences();
    EXPECT_EQ(wanted.codecs, (std::vector{pcma, g722}));
    EXPECT_TRUE(wanted.ours_first);
    EXPECT_EQ(wanted.srtp, sip::SrtpPolicy::required);
    config.srtp = "optional";
    EXPECT_EQ(config.media_preferences().srtp, sip::SrtpPolicy::optional);
}

}  // namespace
}  // namespace oavc::transports::rtp
