#include "caller/conformance/run.hpp"
#include "support/running_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

// `oavc conformance` against `oavc serve`: nothing that must hold fails.

namespace oavc::caller::conformance {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view both_carriers = R"ini(
[telephony]
provider = both
[telephony.opensips]
event_ip = 127.0.0.1
mi_ip = 127.0.0.1
[telephony.sip]
bind_ip = 127.0.0.1
[telephony.rtp]
bind_ip = 127.0.0.1
[telephony.twilio]
auth_token = for-tests-only
token_ttl = 5s
[api]
host = 127.0.0.1
[stt]
provider = pocketsphinx
[llm]
provider = scripted
[llm.scripted]
dialogue_file = config/dialogues/demo.dialogue
[tts]
provider = flite
[agent]
greeting = Welcome to the bank. We have savings accounts, loans and cards. How can I help you today?
)ini";

test::RunningServer server() {
    const std::uint16_t rtp = test::free_ports(400);
    return test::RunningServer::from_text(
        both_carriers,
        {{"OAVC_TELEPHONY_RTP_PORT_START", std::to_string(rtp)},
         {"OAVC_TELEPHONY_RTP_PORT_END", std::to_string(rtp + 399)},
         {"OAVC_LIMITS_MAX_CALLS", "150"}}
    );
}

/// Everything that failed, as a sentence each.
std::string failures(const std::vector<Finding>& findings, Need need) {
    std::string out;
    for (const auto& finding : findings) {
        if (finding.outcome == Outcome::failed && finding.which->need == need) {
            out += fmt::format("{}: {}\n", finding.which->name, finding.why);
        }
    }
    return out;
}

std::vector<Finding> run_all(const Target& target) {
    static std::vector<Case> cases;  // findings point into it
    cases = cases_for(target.kind);
    auto findings = run_cases(cases, target, 8, [](const Finding&, std::size_t) {});
    std::size_t skipped = 0;
    for (const auto& finding : findings) {
        if (finding.outcome != Outcome::skipped) continue;
        ++skipped;
        fmt::print("skipped {}: {}\n", finding.which->name, finding.why);
    }
    fmt::print("advice:\n{}", failures(findings, Need::should));
    EXPECT_LT(skipped, findings.size() / 10) << "too much is not tried at all";
    return findings;
}

TEST(Conformance, OurSipIsAllGreen) {
    auto running = server();
    running.start();
    auto target = parse_target(fmt::format("sip:bot@127.0.0.1:{}", running.config().sip.port));
    target.timeout = 15s;  // sanitizers on a busy machine
    const auto findings = run_all(target);
    EXPECT_GE(findings.size(), 100U);
    EXPECT_EQ(failures(findings, Need::must), "");
    EXPECT_TRUE(running.calls_end_within(15s));
}

TEST(Conformance, OurTwilioSideIsAllGreen) {
    auto running = server();
    running.start();
    auto target = parse_target(fmt::format("http://127.0.0.1:{}/", running.config().api.port));
    target.timeout = 15s;
    target.auth_token = "for-tests-only";
    const auto findings = run_all(target);
    EXPECT_EQ(failures(findings, Need::must), "");
    EXPECT_TRUE(running.calls_end_within(15s));
}

}  // namespace
}  // namespace oavc::caller::conformance
