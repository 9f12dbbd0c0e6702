#include "app/banner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace oavc::app {
namespace {

using testing::HasSubstr;
using testing::Not;

class Banner : public testing::Test {
protected:
    config::Config config;
    Running running{
        .config = config,
        .file = "/etc/oavc/oavc.ini",
        .carriers = {},
        .can_dial = false,
        .http_port = 8088,
        .https_port = 0,
        .stt = "vosk",
        .llm = "openai",
        .tts = "piper",
        .vad = "silero",
        .shards = 2,
        .workers = 4};

    std::string text() const { return banner(running); }
};

TEST_F(Banner, TellsOnlyOfCarriersThatListen) {
    config.opensips.event_port = 50060;
    EXPECT_THAT(text(), Not(HasSubstr("opensips")));
    EXPECT_THAT(text(), Not(HasSubstr("rtp")));
    running.carriers = {"opensips"};
    EXPECT_THAT(text(), HasSubstr("  opensips  events on udp"));
    EXPECT_THAT(text(), HasSubstr(":50060, commands to"));
    EXPECT_THAT(text(), HasSubstr("  rtp       "));
    EXPECT_THAT(text(), HasSubstr("oavc call -c /etc/oavc/oavc.ini --via opensips\n"));
    EXPECT_THAT(text(), Not(HasSubstr("twilio")));
}

TEST_F(Banner, TellsWhereTwilioHasToBePointedTo) {
    running.carriers = {"twilio"};
    config.api.host = "0.0.0.0";
    EXPECT_THAT(text(), HasSubstr("webhook POST http://127.0.0.1:8088/, media on /ws"));
    EXPECT_THAT(text(), HasSubstr("--via twilio"));
    config.twilio.public_url = "https://voice.example.com";
    EXPECT_THAT(text(), HasSubstr("webhook POST https://voice.example.com/, media on /ws"));
}

TEST_F(Banner, WarnsOfSignaturesThatNobodyChecks) {
    running.carriers = {"twilio"};
    config.twilio.validate_signatures = true;
    EXPECT_THAT(text(), Not(HasSubstr("SIGNATURES")));
    config.twilio.validate_signatures = false;
    EXPECT_THAT(text(), HasSubstr("SIGNATURES ARE NOT CHECKED"));
}

TEST_F(Banner, SaysThatNobodyPlacesTheCallsThatAreAllowed) {
    EXPECT_THAT(text(), Not(HasSubstr("outgoing")));
    config.pipeline.outgoing.dial_allowed = {"+49*"};
    EXPECT_THAT(text(), HasSubstr("NO CARRIER CAN PLACE CALLS"));
    running.can_dial = true;
    EXPECT_THAT(text(), HasSubstr("  outgoing  oavc dial NUMBER"));
}

TEST_F(Banner, WritesAddressesOfIpv6AsUrlsHaveThem) {
    config.api.host = "2001:db8::7";
    EXPECT_THAT(text(), HasSubstr("http://[2001:db8::7]:8088, with /health/ready"));
    config.api.host = "::";
    EXPECT_THAT(text(), HasSubstr("http://127.0.0.1:8088"));
}

TEST_F(Banner, TellsOfHttpsAndWhoMayUseIt) {
    EXPECT_THAT(text(), Not(HasSubstr("https ")));
    running.https_port = 8443;
    config.api.host = "127.0.0.1";
    config.api.tls_host = "192.0.2.4";
    EXPECT_THAT(text(), HasSubstr("the same on port 8443 of 192.0.2.4\n"));
    config.api.tls_verify_client = true;
    EXPECT_THAT(text(), HasSubstr("of 192.0.2.4, for clients with a certificate\n"));
}

TEST_F(Banner, TellsWhichNumbersReachWhichAgent) {
    pipeline::AgentConfig sales;
    sales.name = "sales";
    sales.match = "+4930.*";
    pipeline::AgentConfig rest;
    rest.name = "desk";
    config.pipeline.agents = {sales};
    EXPECT_THAT(text(), Not(HasSubstr("agent"))) << "one is all calls'";
    config.pipeline.agents = {sales, rest};
    EXPECT_THAT(text(), HasSubstr("  agent     sales for +4930.*\n"));
    EXPECT_THAT(text(), HasSubstr("  agent     desk for all other numbers\n"));
}

TEST_F(Banner, TellsTheEnginesAndTheLimits) {
    config.pipeline.limits.max_calls = 1234;
    EXPECT_THAT(text(), HasSubstr("vosk → openai → piper\n  vad       silero\n"));
    EXPECT_THAT(text(), HasSubstr("  limits    1234 calls on 2 shards, 4 workers\n"));
}

}  // namespace
}  // namespace oavc::app
