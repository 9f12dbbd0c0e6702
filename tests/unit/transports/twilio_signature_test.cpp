#include "transports/twilio/signature.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace oavc::transports::twilio {
namespace {

const std::string token = "0123456789abcdef0123456789abcdef";
const std::string url = "https://voice.example.test/twilio/voice";
const std::string call_sid = "CA00000000000000000000000000000001";
const Form webhook{
    {"AccountSid", "AC00000000000000000000000000000001"},
    {"ApiVersion", "2010-04-01"},
    {"CallSid", call_sid},
    {"CallStatus", "ringing"},
    {"Direction", "inbound"},
    {"From", "+905321112233"},
    {"To", "+902125550100"},
};
const std::string v1 = "80XJN1WHgZbmX2MrnZGbpb67m6U=";
const std::string media_url = "wss://voice.example.test/twilio/media";
const std::string v9 = "jO+qLHLp+lz9/rbFAwoUaDtDsdc=";

bool valid(
    std::string_view signature,
    std::string_view requested = url,
    const Form& parameters = webhook,
    std::vector<std::string> tokens = {token}
) {
    return signature_valid(tokens, {requested, parameters, signature});
}

// The names V0 to V13 are those of the protocol notes; values come from Twilio's own library.

TEST(TwilioSignature, V0TheDocumentedExample) {
    const Form form{
        {"CallSid", "CA1234567890ABCDE"},
        {"Caller", "+14158675310"},
        {"Digits", "1234"},
        {"From", "+14158675310"},
        {"To", "+18005551212"},
    };
    const std::string documented = "https://example.com/myapp.php?foo=1&bar=2";
    EXPECT_TRUE(valid("L/OH5YylLD5NRKLltdqwSvS0BnU=", documented, form, {"12345"}));
    EXPECT_EQ(sign("12345", documented, form), "L/OH5YylLD5NRKLltdqwSvS0BnU=");
}

TEST(TwilioSignature, V1AndV2CoverTheUrlWithItsQueryAndEveryParameter) {
    EXPECT_TRUE(valid(v1));
    EXPECT_EQ(sign(token, url, webhook), v1);
    EXPECT_TRUE(valid("wTQaRw3HmJiF4uTSjV3HL1x1pUU=", url + "?tenant=acme&v=2"));
}

TEST(TwilioSignature, V3CoversUtf8EmptyValuesAndBlanks) {
    const auto form = parse_form(
        "CallSid=CA00000000000000000000000000000002&CallerName=%C5%9E%C3%BCkr%C3%BC+%C3%96z&"
        "FromCity="
        "&Note=+a%2Bb+%26+c+"
    );
    EXPECT_TRUE(valid("z9P1/9BZIJQ5ZAvb+n4x73XcehQ=", url, *form));
}

TEST(TwilioSignature, V4SortsNamesByTheirBytes) {
    const Form form{{"b", "1"}, {"B", "2"}, {"a", "3"}, {"A", "4"}, {"_x", "5"}, {"A1", "6"}};
    EXPECT_TRUE(valid("vsAmIKBlVEGM330b03/6eGcZYy0=", url, form));
}

TEST(TwilioSignature, V5ToV7TryTheUrlWithAndWithoutItsPort) {
    EXPECT_TRUE(valid(v1, "https://voice.example.test:8443/twilio/voice")) << "V5";
    EXPECT_TRUE(valid("oWosy79By2M34Ra6HWb5GR204YU=", "http://voice.example.test:8080/twilio/voice")
    ) << "V6";
    EXPECT_TRUE(valid("fbC1iQ1WoYt10aiuScdpEJW0J7c=", url)) << "V7";
    EXPECT_TRUE(valid("fbC1iQ1WoYt10aiuScdpEJW0J7c=", "https://voice.example.test:443/twilio/voice")
    );
}

TEST(TwilioSignature, V8AGetIsItsUrlOnly) {
    EXPECT_TRUE(valid(
        "m2Pj2iwNceIVAhhGC1kGyPuG3nU=",
        "https://voice.example.test/twilio/"
        "status?CallSid=CA00000000000000000000000000000001&CallStatus=completed&From=%"
        "2B905321112233",
        {}
    ));
}

TEST(TwilioSignature, V9AndV10CoverSocketsWithAndWithoutALastSlash) {
    const std::string with_slash = "Vazs6/5LJcjSGck+tdYu+vCzHKs=";
    EXPECT_EQ(sign(token, media_url, {}), v9);
    EXPECT_EQ(sign(token, media_url + "/", {}), with_slash);
    for (const auto& asked : {media_url, media_url + "/"}) {
        EXPECT_TRUE(valid(v9, asked, {})) << asked;
        EXPECT_TRUE(valid(with_slash, asked, {})) << asked;
    }
    for (const std::string asked : {"wss://voice.example.test", "wss://voice.example.test/"}) {
        EXPECT_TRUE(valid("waPGTWARl1TOH68LItyV1KZ7QV4=", asked, {})) << asked;
        EXPECT_TRUE(valid("pkXpVfKOu00xY6ZYDCKTXfnimaU=", asked, {})) << asked;
    }
}

TEST(TwilioSignature, V11SortsRepeatedValuesAndDropsDuplicates) {
    const Form form{{"CallSid", call_sid}, {"Tag", "z"}, {"Tag", "a"}, {"Tag", "z"}};
    EXPECT_TRUE(valid("+N9dgZTbIV3to2ZcGPenn7j/GEU=", url, form));
}

TEST(TwilioSignature, V12JsonIsCoveredByAHashInTheUrl) {
    const std::string hashed =
        "https://voice.example.test/twilio/"
        "events?bodySHA256=824e9c6fbe5682df1abd878986827880e2dd1f2973cc7a791e8da9ca9ef0c747";
    const std::string body =
        R"({"CallSid":"CA00000000000000000000000000000001","CallStatus":"completed"})";
    const std::string signature = "Q8Ju03QTrfb96ZMF8AY9kvjfEE4=";
    const std::vector<std::string> tokens{token};
    EXPECT_TRUE(json_signature_valid(tokens, hashed, body, signature));
    EXPECT_FALSE(json_signature_valid(tokens, hashed, body + " ", signature));
    EXPECT_FALSE(json_signature_valid(tokens, hashed, body, v1));
    EXPECT_FALSE(json_signature_valid(tokens, url, body, sign(token, url, {})))
        << "no hash, no trust";
}

TEST(TwilioSignature, V13LeavesUserInfoOut) {
    EXPECT_TRUE(valid(
        "8a7STKVXkY63w1I2naxGv3hN+JE=",
        "https://user:pass@voice.example.test/twilio/voice",
        {{"CallSid", call_sid}}
    ));
}

TEST(TwilioSignature, OptionalSocketPortsInEitherForm) {
    EXPECT_TRUE(
        valid("YJ4S2/A+7ffFY1A3VJS5InCH7os=", "wss://voice.example.test:443/twilio/media", {})
    );
    EXPECT_TRUE(valid("YJ4S2/A+7ffFY1A3VJS5InCH7os=", media_url, {}));
    EXPECT_TRUE(
        valid("fg16Kb+9ameiNn0xF+3CqFMBf64=", "wss://voice.example.test:8443/twilio/media", {})
    );
    EXPECT_TRUE(valid(v9, "wss://voice.example.test:8443/twilio/media", {}));
}

TEST(TwilioSignature, AnyTokenOfARotationSigns) {
    EXPECT_TRUE(valid(v1, url, webhook, {"ffffffffffffffffffffffffffffffff", token}));
    EXPECT_TRUE(valid(v1, url, webhook, {token, ""}));
}

TEST(TwilioSignature, FailsForAnotherToken) {
    const std::string other = "ffffffffffffffffffffffffffffffff";
    EXPECT_EQ(sign(other, url, webhook), "R5goFdXVtv2/E9BedTJ5wiuWtbk=");
    EXPECT_FALSE(valid(v1, url, webhook, {other}));
    EXPECT_FALSE(valid(v1, url, webhook, {}));
    EXPECT_FALSE(valid(sign("", url, webhook), url, webhook, {""})) << "an empty token is no token";
}

TEST(TwilioSignature, FailsForAnotherUrl) {
    EXPECT_FALSE(valid(v1, "http://voice.example.test/twilio/voice"));
    EXPECT_FALSE(valid(v1, url + "/"));
    EXPECT_FALSE(valid(v1, "https://voice.example.test/twilio/other"));
    EXPECT_FALSE(valid(v1, "https://other.example.test/twilio/voice"));
    const std::string over_https = "https://voice.example.test/twilio/media";
    EXPECT_EQ(sign(token, over_https, {}), "Kg6fQndJbAV7keVumQsAU08HeW4=");
    EXPECT_FALSE(valid(v9, over_https, {}));
}

TEST(TwilioSignature, FailsForAnyParameterChangedAddedOrRemoved) {
    for (std::size_t i = 0; i < webhook.size(); ++i) {
        Form changed = webhook;
        changed[i].value += "x";
        EXPECT_FALSE(valid(v1, url, changed)) << webhook[i].name;
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(valid(v1, url, changed)) << webhook[i].name;
    }
    Form more = webhook;
    more.push_back({"Zone", "1"});
    EXPECT_FALSE(valid(v1, url, more));
}

TEST(TwilioSignature, FailsForAMissingOrDecoratedHeader) {
    EXPECT_FALSE(valid(""));
    EXPECT_FALSE(valid(v1 + "garbage"));
    EXPECT_FALSE(valid(v1 + " "));
    EXPECT_FALSE(valid(v1.substr(0, 20)));
    EXPECT_FALSE(valid(v1 + ", " + v1)) << "two headers, joined";
}

TEST(TwilioSignature, SurvivesSenselessUrls) {
    for (const std::string_view senseless :
         {"", "/", "://", "https://", "https://@:?'%27", "a?b"}) {
        EXPECT_FALSE(valid(v1, senseless)) << senseless;
    }
    EXPECT_TRUE(valid(sign(token, "https://h/?a=%27", {}), "https://h/?a='", {}));
    EXPECT_TRUE(valid(sign(token, "https://[::1]/x", {}), "https://[::1]:8443/x", {}));
}

}  // namespace
}  // namespace oavc::transports::twilio
