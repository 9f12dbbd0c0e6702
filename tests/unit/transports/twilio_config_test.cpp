#include "transports/twilio/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oavc::transports::twilio {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Config good() {
    Config config;
    config.auth_token = "secret";
    config.public_url = "https://voice.example.test";
    return config;
}

TEST(TwilioConfig, AcceptsWhatWorks) {
    EXPECT_THAT(good().validate(), IsEmpty());
    Config trial;
    trial.validate_signatures = false;
    EXPECT_THAT(trial.validate(), IsEmpty());
    Config local = good();
    for (const auto* url :
         {"http://127.0.0.1:8088", "http://localhost:8088/", "http://[::1]:1", ""}) {
        local.public_url = url;
        EXPECT_THAT(local.validate(), IsEmpty()) << url;
    }
    local.public_url = "http://voice.example.test";
    local.validate_signatures = false;
    EXPECT_THAT(local.validate(), IsEmpty());
}

TEST(TwilioConfig, NamesEveryProblemAtOnceAndNoSecret) {
    Config config;
    config.public_url = "http://voice.example.test/?a=b";
    config.token_ttl = 0s;
    config.max_buffered = 10ms;
    config.media_timeout = 0s;
    EXPECT_THAT(
        config.validate(),
        ElementsAre(
            HasSubstr("auth_token"),
            HasSubstr("query string"),
            HasSubstr("not https"),
            HasSubstr("token_ttl"),
            HasSubstr("max_buffered"),
            HasSubstr("media_timeout")
        )
    );
    config = good();
    config.validate_signatures = false;
    config.auth_token.clear();
    config.any_instance = true;
    EXPECT_THAT(config.validate(), ElementsAre(HasSubstr("any_instance needs auth_token")));
    config = good();
    config.public_url = "voice.example.test";
    EXPECT_THAT(config.validate(), ElementsAre(HasSubstr("is not an http or https URL")));
    config.public_url = "wss://voice.example.test";
    EXPECT_THAT(config.validate(), ElementsAre(HasSubstr("is not an http or https URL")));
}

}  // namespace
}  // namespace oavc::transports::twilio
