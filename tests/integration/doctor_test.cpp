#include "support/run_program.hpp"
#include "support/running_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

// `oavc doctor --call`: calls that it plays itself.

namespace oavc {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

test::ProgramResult doctor(std::vector<std::string> more_environment) {
    const std::uint16_t first = test::free_ports(8);
    const auto port = [first](int offset) { return std::to_string(first + offset); };
    std::vector<std::string> environment{
        "OAVC_API_PORT=" + port(0),
        "OAVC_TELEPHONY_OPENSIPS_EVENT_PORT=" + port(1),
        "OAVC_TELEPHONY_OPENSIPS_MI_PORT=" + port(2),
        "OAVC_TELEPHONY_SIP_PORT=" + port(3),
        "OAVC_TELEPHONY_RTP_PORT_START=" + port(4),
        "OAVC_TELEPHONY_RTP_PORT_END=" + port(7),
        "OAVC_LIMITS_MAX_CALLS=2",
    };
    environment.insert(environment.end(), more_environment.begin(), more_environment.end());
    return test::run_program(
        {OAVC_BINARY, "doctor", "-c", "config/dev.ini", "--call"}, environment, OAVC_SOURCE_DIR
    );
}

TEST(DoctorsCallToItself, HearsBothDirectionsOverRtpAndTwilio) {
    const auto result = doctor({});
    EXPECT_THAT(result.output, ContainsRegex("✓ stt trial +pocketsphinx made \".+\" of"));
    EXPECT_THAT(result.output, ContainsRegex("✓ llm trial +scripted made \".+\" of"));
    EXPECT_THAT(result.output, ContainsRegex("✓ tts trial +flite made \".+ s of speech\" of"));
    for (const char* call : {"opensips call", "twilio call"}) {
        const auto at = result.output.find(std::string{"✓ "} + call);
        ASSERT_NE(at, std::string::npos) << result.output;
        const auto after = result.output.substr(at);
        EXPECT_THAT(after, ContainsRegex("answered after"));
        EXPECT_THAT(after, ContainsRegex("✓   to the caller +heard \""));
        EXPECT_THAT(after, ContainsRegex("✓   from the caller +understood \""));
    }
    EXPECT_EQ(result.status, 2) << "nobody answers as OpenSIPS";
}

TEST(DoctorsCallToItself, NamesTheDirectionThatAWrongAddressBreaks) {
    // 127.0.0.2 is this machine, but nobody listens there: what the caller says is lost.
    const auto result = doctor({"OAVC_TELEPHONY_PROVIDER=opensips", "RTP_HOST_IP=127.0.0.2"});
    EXPECT_THAT(result.output, ContainsRegex("✗   from the caller +nothing was understood"));
    EXPECT_THAT(result.output, HasSubstr("UDP must come in at 127.0.0.2"));
    EXPECT_THAT(result.output, Not(HasSubstr("✗   to the caller"))) << result.output;
    EXPECT_EQ(result.status, 2);
}

}  // namespace
}  // namespace oavc
