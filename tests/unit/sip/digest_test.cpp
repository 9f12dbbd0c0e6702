#include "sip/digest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace oavc::sip {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
constexpr std::string_view cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

std::string challenge(const std::string& algorithm) {
    return "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=" +
           algorithm + ", nonce=\"" + std::string{nonce} +
           "\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
}

std::string answer(const std::string& to) {
    const auto parsed = parse_challenge(to);
    if (!parsed) return "no challenge";
    const Credentials mufasa{"Mufasa", "Circle of Life"};
    return authorize(*parsed, mufasa, "GET", "/dir/index.html", cnonce, 1);
}

// RFC 7616 §3.9.1.
TEST(SipDigest, AnswersAsTheExamplesOfTheRfc) {
    const auto md5 = answer(challenge("MD5"));
    EXPECT_THAT(md5, HasSubstr("response=\"8ca523f5e9506fed4657c9700eebdbec\""));
    EXPECT_THAT(md5, HasSubstr("nc=00000001"));
    EXPECT_THAT(
        answer(challenge("SHA-256")),
        HasSubstr("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"")
    );
}

// RFC 2617 without qop, as old servers send it: RFC 3261 §22.4 keeps it working.
TEST(SipDigest, AnswersServersWithoutQop) {
    const auto text = answer("Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd\"");
    EXPECT_THAT(text, HasSubstr("response=\"118d73f720e565214f9eb2979bee3de3\""));
    EXPECT_THAT(text, Not(HasSubstr("qop")));
}

TEST(SipDigest, PrefersSha256AndPassesOverWhatItDoesNotKnow) {
    const auto best = best_challenge({challenge("MD5"), challenge("SHA-256"), "Basic realm=\"x\""});
    ASSERT_TRUE(best);
    EXPECT_EQ(best->algorithm, Challenge::Algorithm::sha256);
    EXPECT_FALSE(parse_challenge("Basic realm=\"x\""));
    EXPECT_FALSE(parse_challenge(challenge("SHA-512-256")));
}

}  // namespace
}  // namespace oavc::sip
