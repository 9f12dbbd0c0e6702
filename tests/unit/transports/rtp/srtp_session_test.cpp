#include "transports/rtp/srtp_session.hpp"

#include "base/bytes.hpp"
#include "media/rtp.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::transports::rtp {
namespace {

using sip::SrtpSuite;

sip::SrtpKey key_of(int seed) {
    sip::SrtpKey key;
    for (std::size_t i = 0; i < key.bytes.size(); ++i)
        key.bytes[i] = static_cast<std::byte>(static_cast<int>(i) * 7 + seed);
    return key;
}

sip::SrtpParameters parameters(
    int local, int remote, SrtpSuite suite = SrtpSuite::aes_cm_128_hmac_sha1_80
) {
    return {suite, 1, key_of(local), key_of(remote)};
}

std::vector<std::byte> from_hex(std::string_view hex) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoi(std::string{hex.substr(i, 2)}, nullptr, 16)
        ));
    }
    return bytes;
}

std::vector<std::byte> packet(std::uint16_t sequence, std::uint32_t ssrc = 9) {
    media::RtpPacketView view;
    view.sequence_number = sequence;
    view.timestamp = {sequence * 160u};
    view.ssrc = {ssrc};
    const std::array<std::byte, 160> payload{};
    view.payload = payload;
    std::array<std::byte, 200> buffer;
    const auto built = *media::build_rtp(view, buffer);
    return {built.begin(), built.end()};
}

/// Encrypted by `session`.
std::vector<std::byte> sealed(SrtpSession& session, std::vector<std::byte> plain) {
    const auto size = plain.size();
    plain.resize(size + SrtpSession::overhead);
    const auto result = session.protect(plain, size);
    plain.resize(result.size());
    return plain;
}

/// What comes out at the other side; empty: refused.
std::vector<std::byte> opened(SrtpSession& session, std::vector<std::byte> packet) {
    const auto result = session.unprotect(packet);
    packet.resize(result.size());
    return packet;
}

// The packet of the reference implementation's own test (test/srtp_driver.c of libsrtp, its
// srtp_validate): AES-128 in counter mode and HMAC-SHA1-80, computed independently of this library.
TEST(SrtpSession, MakesThePacketThatTheStandardsReferenceMakes) {
    sip::SrtpKey key;
    const auto bytes = from_hex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6");
    std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
    SrtpSession session{{SrtpSuite::aes_cm_128_hmac_sha1_80, 1, key, key}};
    const auto plain = from_hex("800f1234decafbadcafebabeabababababababababababababababab");
    const auto cipher =
        from_hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    EXPECT_EQ(sealed(session, plain), cipher);
    EXPECT_EQ(opened(session, cipher), plain);
}

TEST(SrtpSession, CarriesPacketsBothWaysInBothSuites) {
    for (const auto suite : sip::srtp_suites) {
        SrtpSession ours{parameters(1, 2, suite)};
        SrtpSession theirs{parameters(2, 1, suite)};
        const std::size_t tag = suite == SrtpSuite::aes_cm_128_hmac_sha1_32 ? 4 : 10;
        for (std::uint16_t i = 1; i < 100; ++i) {
            const auto plain = packet(i);
            const auto cipher = sealed(ours, plain);
            ASSERT_EQ(cipher.size(), plain.size() + tag);
            EXPECT_FALSE(std::equal(plain.begin() + 12, plain.end(), cipher.begin() + 12));
            ASSERT_EQ(opened(theirs, cipher), plain);
            ASSERT_EQ(opened(ours, sealed(theirs, plain)), plain);
        }
        EXPECT_EQ(ours.stats().unauthenticated + theirs.stats().unauthenticated, 0u);
    }
}

TEST(SrtpSession, CountsWhatIsForgedAndWhatIsRepeated) {
    SrtpSession ours{parameters(1, 2)};
    SrtpSession theirs{parameters(2, 1)};
    SrtpSession stranger{parameters(3, 1)};
    EXPECT_TRUE(opened(theirs, sealed(stranger, packet(1))).empty());
    EXPECT_TRUE(opened(theirs, packet(2)).empty());  // not encrypted at all
    EXPECT_TRUE(opened(theirs, from_hex("80")).empty());
    auto damaged = sealed(ours, packet(3));
    damaged[20] ^= std::byte{1};
    EXPECT_TRUE(opened(theirs, damaged).empty());
    EXPECT_EQ(theirs.stats().unauthenticated, 4u);
    EXPECT_EQ(theirs.stats().replayed, 0u);

    const auto good = sealed(ours, packet(4));
    EXPECT_FALSE(opened(theirs, good).empty());
    EXPECT_TRUE(opened(theirs, good).empty());
    for (std::uint16_t i = 5; i < 400; ++i)
        EXPECT_FALSE(opened(theirs, sealed(ours, packet(i))).empty());
    EXPECT_TRUE(opened(theirs, good).empty());  // beyond the window
    EXPECT_EQ(theirs.stats().replayed, 2u);
}

TEST(SrtpSession, FollowsSequenceNumbersRoundAndRound) {
    SrtpSession ours{parameters(1, 2)};
    SrtpSession theirs{parameters(2, 1)};
    for (std::uint32_t i = 0; i < 3 * 65'536; i += 64) {
        const auto plain = packet(static_cast<std::uint16_t>(i));
        ASSERT_EQ(opened(theirs, sealed(ours, plain)), plain) << i;
    }
}

TEST(SrtpSession, TakesAnotherSourceUnderTheSameKey) {
    SrtpSession ours{parameters(1, 2)};
    SrtpSession theirs{parameters(2, 1)};
    for (const std::uint32_t ssrc : {9u, 77u, 9u}) {
        static std::uint16_t sequence = 0;
        const auto plain = packet(++sequence, ssrc);
        EXPECT_EQ(opened(theirs, sealed(ours, plain)), plain);
    }
}

TEST(SrtpSession, NewKeysReplaceTheOldOnesAndOnlyThose) {
    SrtpSession ours{parameters(1, 2)};
    SrtpSession theirs{parameters(2, 1)};
    const auto first = sealed(ours, packet(1));
    EXPECT_FALSE(opened(theirs, first).empty());
    ours.set_keys(parameters(5, 2));
    EXPECT_TRUE(opened(theirs, sealed(ours, packet(2))).empty());
    theirs.set_keys(parameters(2, 5));
    EXPECT_FALSE(opened(theirs, sealed(ours, packet(3))).empty());
    // The other direction kept its key, and its memory of what has come.
    const auto reply = sealed(theirs, packet(1));
    EXPECT_FALSE(opened(ours, reply).empty());
    ours.set_keys(parameters(6, 2));
    EXPECT_TRUE(opened(ours, reply).empty());
    EXPECT_EQ(ours.stats().replayed, 1u);
}

TEST(SrtpSession, ProtectsReportsToo) {
    for (const auto suite : sip::srtp_suites) {
        SrtpSession ours{parameters(1, 2, suite)};
        SrtpSession theirs{parameters(2, 1, suite)};
        const auto plain = from_hex("80c90001cafebabe81cb0001cafebabe");
        auto buffer = plain;
        buffer.resize(plain.size() + SrtpSession::overhead);
        const auto cipher = ours.protect_rtcp(buffer, plain.size());
        ASSERT_EQ(cipher.size(), plain.size() + 14);
        std::vector<std::byte> copy{cipher.begin(), cipher.end()};
        auto again = copy;
        const auto back = theirs.unprotect_rtcp(copy);
        EXPECT_TRUE(std::equal(back.begin(), back.end(), plain.begin(), plain.end()));
        EXPECT_TRUE(theirs.unprotect_rtcp(again).empty());
        EXPECT_EQ(theirs.stats().replayed, 1u);
    }
}

TEST(SrtpSession, NeedsRoomForItsTag) {
    SrtpSession session{parameters(1, 2)};
    auto plain = packet(1);
    EXPECT_TRUE(session.protect(plain, plain.size()).empty());
}

}  // namespace
}  // namespace oavc::transports::rtp
