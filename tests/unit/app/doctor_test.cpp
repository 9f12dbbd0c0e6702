#include "support/fake_opensips.hpp"
#include "support/run_program.hpp"
#include "support/running_server.hpp"
#include "support/tls_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

// `oavc doctor` against good set-ups and broken ones.

namespace oavc {
namespace {

using test::FakeOpensips;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

/// A configuration on free ports of this machine.
struct Place {
    explicit Place(const std::string& provider) : first{test::free_ports(8)} {
        set("TELEPHONY_PROVIDER", provider);
        set("TELEPHONY_OPENSIPS_EVENT_PORT", port(1));
        set("TELEPHONY_OPENSIPS_MI_PORT", port(2));
        set("TELEPHONY_OPENSIPS_MI_TIMEOUT", "2s");
        set("TELEPHONY_OPENSIPS_EVENT_IP", "127.0.0.1");
        set("TELEPHONY_SIP_BIND_IP", "127.0.0.1");
        set("TELEPHONY_SIP_PORT", port(3));
        set("TELEPHONY_RTP_BIND_IP", "127.0.0.1");
        set("TELEPHONY_RTP_PORT_START", port(4));
        set("TELEPHONY_RTP_PORT_END", port(7));
        set("LIMITS_MAX_CALLS", "2");
        set("API_PORT", port(0));
    }

    void set(const std::string& key, const std::string& value) {
        const std::string name = "OAVC_" + key + "=";
        std::erase_if(environment, [&](const std::string& one) { return one.starts_with(name); });
        environment.push_back(name + value);
    }
    std::string port(int offset) const { return std::to_string(first + offset); }

    test::ProgramResult doctor(std::vector<std::string> more = {}) const {
        std::vector<std::string> command{OAVC_BINARY, "doctor", "-c", "tests/data/serve.ini"};
        command.insert(command.end(), more.begin(), more.end());
        return test::run_program(command, environment, OAVC_SOURCE_DIR);
    }

    const std::uint16_t first;
    std::vector<std::string> environment;
};

TEST(DoctorCommand, FindsNothingWrongBehindAnOpenSips) {
    FakeOpensips opensips;
    Place setup{"opensips"};
    setup.set("TELEPHONY_OPENSIPS_MI_PORT", std::to_string(opensips.mi_port()));
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("✓ configuration"));
    EXPECT_THAT(result.output, ContainsRegex("✓ events port +UDP .* is free"));
    EXPECT_THAT(result.output, ContainsRegex("✓ sip UDP +UDP 127.0.0.1:.* is free"));
    EXPECT_THAT(result.output, ContainsRegex("✓ rtp ports .* hold 2 calls"));
    EXPECT_THAT(result.output, ContainsRegex("✓ opensips .* answers at UDP 127.0.0.1"));
    EXPECT_THAT(result.output, ContainsRegex("✓ events +E_UA_SESSION can be subscribed to"));
    EXPECT_THAT(result.output, ContainsRegex("✓ stt +pocketsphinx is ready, in this process"));
    EXPECT_THAT(result.output, Not(HasSubstr("✗")));
}

TEST(DoctorCommand, TriesTheWebhookWithoutAServer) {
    const Place setup{"twilio"};
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, ContainsRegex("✓ webhook .* takes what Twilio signs"));
    EXPECT_THAT(result.output, ContainsRegex("✓ media socket +ws://127.0.0.1:.*/ws opens"));
    EXPECT_THAT(result.output, ContainsRegex("! public url +none: only this machine can call"));
    EXPECT_THAT(result.output, Not(HasSubstr("for-tests-only"))) << "the token";
    EXPECT_EQ(setup.doctor({"--strict"}).status, 1);
}

TEST(DoctorCommand, RecognisesARunningServerAndAsksIt) {
    test::RunningServer server{"tests/data/serve.ini"};
    server.start();
    Place setup{"twilio"};
    setup.set("API_PORT", std::to_string(server.config().api.port));
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, ContainsRegex("✓ server +oavc .* runs at http://127.0.0.1:.*ready"));
    EXPECT_THAT(result.output, ContainsRegex("✓ http port .* is held"));
    EXPECT_THAT(result.output, ContainsRegex("✓ webhook .* takes what Twilio signs"));
}

TEST(DoctorCommand, AsksTheRunningServerByTlsAndLooksAtItsCertificate) {
    const test::SelfMadeCertificate good{
        testing::TempDir(), "ours", "DNS:localhost, IP:127.0.0.1", 30 * 86'400};
    const test::SelfMadeCertificate old{testing::TempDir(), "old", {}, 5 * 86'400};
    const auto tls_port = std::to_string(test::free_ports(2));
    test::RunningServer server{
        "tests/data/serve.ini",
        {{"OAVC_API_TLS_PORT", tls_port},
         {"OAVC_API_TLS_CERTIFICATE", good.certificate_file},
         {"OAVC_API_TLS_PRIVATE_KEY", good.key_file}}};
    server.start();
    Place setup{"twilio"};
    setup.set("API_PORT", std::to_string(server.config().api.port));
    setup.set("API_TLS_PORT", tls_port);
    setup.set("API_TLS_CERTIFICATE", good.certificate_file);
    setup.set("API_TLS_PRIVATE_KEY", good.key_file);
    const auto doubting = setup.doctor();
    EXPECT_EQ(doubting.status, 0) << doubting.output;
    EXPECT_THAT(doubting.output, ContainsRegex("✓ certificate +api.tls_certificate .* ends on 2"));
    EXPECT_THAT(doubting.output, ContainsRegex("✓ https port .* is held"));
    EXPECT_THAT(doubting.output, ContainsRegex("! https +.* nobody trusted here has signed"));
    const auto believing = setup.doctor({"--ca", good.certificate_file});
    EXPECT_THAT(believing.output, ContainsRegex("✓ https +https://127.0.0.1:.* is believed"));
    setup.set("API_TLS_CERTIFICATE", old.certificate_file);
    setup.set("API_TLS_PRIVATE_KEY", old.key_file);
    EXPECT_THAT(setup.doctor().output, ContainsRegex("! certificate .*renew it"));
}

TEST(DoctorCommand, AsksTheRunningServerBySip) {
    test::RunningServer server{
        "tests/data/serve.ini",
        {{"OAVC_TELEPHONY_PROVIDER", "sip"}, {"OAVC_TELEPHONY_SIP_BIND_IP", "127.0.0.1"}}};
    server.start();
    Place setup{"sip"};
    setup.set("API_PORT", std::to_string(server.config().api.port));
    setup.set("TELEPHONY_SIP_PORT", std::to_string(server.config().sip.port));
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, ContainsRegex("✓ sip UDP +UDP .* answers OPTIONS with 200"));
}

TEST(DoctorCommand, SaysThatTheServerHasAnotherToken) {
    test::RunningServer server{"tests/data/serve.ini"};
    server.start();
    Place setup{"twilio"};
    setup.set("API_PORT", std::to_string(server.config().api.port));
    setup.set("TELEPHONY_TWILIO_AUTH_TOKEN", "anothers");
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, ContainsRegex("✗ webhook .* refuses a request that is signed"));
}

TEST(DoctorCommand, NamesAPortThatIsTaken) {
    FakeOpensips opensips;
    const test::UdpPeer other;
    Place setup{"opensips"};
    setup.set("TELEPHONY_OPENSIPS_MI_PORT", std::to_string(opensips.mi_port()));
    setup.set("TELEPHONY_OPENSIPS_EVENT_PORT", std::to_string(other.port()));
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, ContainsRegex("✗ events port .* is held by"));
    EXPECT_THAT(result.output, HasSubstr("or change [telephony.opensips] event_port"));
}

TEST(DoctorCommand, NamesAnOpenSipsThatDoesNotAnswer) {
    const Place setup{"opensips"};
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, ContainsRegex("✗ opensips +no answer at UDP 127.0.0.1"));
    EXPECT_THAT(result.output, HasSubstr("mi_datagram"));
}

TEST(DoctorCommand, NamesAnAdvertisedAddressThatIsNobodys) {
    FakeOpensips opensips;
    Place setup{"opensips"};
    setup.set("TELEPHONY_OPENSIPS_MI_PORT", std::to_string(opensips.mi_port()));
    setup.environment.emplace_back("RTP_HOST_IP=203.0.113.5");
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(
        result.output, HasSubstr("203.0.113.5 (an address from an example), from RTP_HOST")
    );
}

TEST(DoctorCommand, NamesAServiceThatIsDown) {
    Place setup{"twilio"};
    setup.set("LLM_PROVIDER", "llama");
    setup.set("LLM_LLAMA_URL", "ws://user:secret@127.0.0.1:1/?key=secret");
    const auto result = setup.doctor();
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(
        result.output,
        ContainsRegex("✗ llm +llama ws://127.0.0.1:1/ does not answer: Connection refused")
    );
    EXPECT_THAT(result.output, HasSubstr("docs/providers/llama.md"));
    EXPECT_THAT(result.output, Not(HasSubstr("secret")));

    setup.set("LLM_FALLBACK_PROVIDER", "scripted");
    const auto replaced = setup.doctor();
    EXPECT_EQ(replaced.status, 0) << replaced.output;
    EXPECT_THAT(replaced.output, HasSubstr("the fallback does its work"));
}

TEST(DoctorCommand, NamesAPublicUrlThatTwilioCannotUse) {
    Place setup{"twilio"};
    setup.set("TELEPHONY_TWILIO_PUBLIC_URL", "https://127.0.0.1:1/voice");
    const auto result = setup.doctor({"--public"});
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, ContainsRegex("✗ public url .* Twilio cannot reach that"));
    EXPECT_THAT(
        result.output, ContainsRegex("✗ public url .* does not answer: Connection refused")
    );
    setup.set("TELEPHONY_TWILIO_PUBLIC_URL", "voice.example.com");
    const auto no_url = setup.doctor({"--json"});
    EXPECT_EQ(no_url.status, 2) << no_url.output;
    EXPECT_THAT(no_url.output, HasSubstr(R"("verdict":"fault","check":"configuration")"));
}

}  // namespace
}  // namespace oavc
