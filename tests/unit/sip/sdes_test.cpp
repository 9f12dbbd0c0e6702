#include "sip/sdes.hpp"

#include <gtest/gtest.h>

#include <string>

namespace oavc::sip {
namespace {

// RFC 4568 §6.1's example key.
constexpr std::string_view key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const std::string plain = "1 AES_CM_128_HMAC_SHA1_80 inline:" + std::string{key};

TEST(ParseCrypto, ReadsTagSuiteAndKey) {
    const auto crypto = parse_crypto(plain);
    ASSERT_TRUE(crypto.has_value());
    EXPECT_EQ(crypto->tag, 1u);
    EXPECT_EQ(crypto->suite, SrtpSuite::aes_cm_128_hmac_sha1_80);
    EXPECT_EQ(static_cast<char>(crypto->key.bytes[0]), 'w');
    EXPECT_EQ(write_crypto(*crypto), plain);
    EXPECT_EQ(
        parse_crypto("7 aes_cm_128_hmac_sha1_32 INLINE:" + std::string{key})->suite,
        SrtpSuite::aes_cm_128_hmac_sha1_32
    );
}

TEST(ParseCrypto, TakesALifetimeOfACallAndWhatMayBeIgnored) {
    for (const auto* rest : {"|2^20", "|2^31", "|2^48", "|1048576", " WSH=128", " -KDR=3 WSH=64"}) {
        EXPECT_TRUE(parse_crypto(plain + rest).has_value()) << rest;
    }
}

TEST(ParseCrypto, RefusesWhatItCannotKeepTo) {
    for (const auto* rest :
         {"|2^19",
          "|2^49",
          "|0",
          "|",
          "|2^",
          "|x",
          "|2^20|1:4",
          "|1:4",
          "|2^20|1:1",
          ";inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
          " KDR=1",
          " UNENCRYPTED_SRTP",
          " UNENCRYPTED_SRTCP",
          " UNAUTHENTICATED_SRTP",
          " FEC_ORDER=FEC_SRTP",
          "A",
          "="}) {
        EXPECT_FALSE(parse_crypto(plain + rest).has_value()) << rest;
    }
    for (const auto& value : {
             std::string{},
             std::string{"1"},
             std::string{"1 AES_CM_128_HMAC_SHA1_80"},
             "0 AES_CM_128_HMAC_SHA1_80 inline:" + std::string{key},
             "01 AES_CM_128_HMAC_SHA1_80 inline:" + std::string{key},
             "1234567890 AES_CM_128_HMAC_SHA1_80 inline:" + std::string{key},
             "-1 AES_CM_128_HMAC_SHA1_80 inline:" + std::string{key},
             "1 AES_256_CM_HMAC_SHA1_80 inline:" + std::string{key},
             "1 F8_128_HMAC_SHA1_80 inline:" + std::string{key},
             "1 AES_CM_128_HMAC_SHA1_80 " + std::string{key},
             "1 AES_CM_128_HMAC_SHA1_80 inline:" + std::string{key.substr(0, 36)},
             "1 AES_CM_128_HMAC_SHA1_80 inline:" + std::string{key.substr(0, 39)} + "!",
             "1 AES_CM_128_HMAC_SHA1_80 inline:" + std::string{key.substr(0, 39)} + "=",
         }) {
        EXPECT_FALSE(parse_crypto(value).has_value()) << value;
    }
}

}  // namespace
}  // namespace oavc::sip
