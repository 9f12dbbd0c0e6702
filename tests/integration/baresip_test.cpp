// A softphone that others wrote calls the real server: it speaks, and what it hears is recognised.

#include "support/baresip.hpp"

#include "caller/words.hpp"
#include "services/stt/phrase_recognizer.hpp"
#include "support/phone_speech.hpp"
#include "support/sip_server.hpp"
#include "support/tls_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc {
namespace {

using namespace std::chrono_literals;
using test::Baresip;
using test::SipServer;
using testing::Contains;
using testing::HasSubstr;

constexpr auto question = "what are your opening hours";
constexpr auto reply = "We are open from nine to five, Monday to Friday.";

/// The question after a second of quiet, 16 kHz.
test::Pcm spoken_question() {
    const auto speech = services::synthesize_flite(question, "rms").value();
    auto out = test::silence(wideband.hz);
    test::append(out, test::resample(speech.samples, speech.rate, wideband));
    return out;
}

/// The words in a recording, stretch by stretch.
std::string recognise(const Baresip::Heard& heard) {
    services::PhraseRecognizer ear{
        {reply,
         "You can visit us from nine to five, Monday to Friday.",
         "We are closed on Saturday and on Sunday.",
         "Your card is with the courier and will arrive tomorrow before noon."}};
    std::string words;
    const auto wide = test::resample(heard.samples, heard.rate, wideband);
    for (const auto& stretch : test::cut_at_pauses(wide))
        words += ear.recognize(stretch, wideband) + ' ';
    return words;
}

struct Phone {
    std::string name;
    std::string codec;
    std::string encryption{};
    config::Environment server{};
    std::uint32_t rate{8'000};  ///< of what it hears
};

class BaresipTest : public testing::Test {
protected:
    void SetUp() override {
        if (!Baresip::installed()) {
            GTEST_SKIP() << "no baresip (Debian: baresip-core; scripts/setup test installs it)";
        }
    }
    /// The Call-ID of the call that is up now.
    static std::string established(Baresip& phone) {
        const auto event = phone.wait_for("CALL_ESTABLISHED");
        return event ? std::string{event->at("id").as_string()} : "no call";
    }
};

class BaresipCall : public BaresipTest, public testing::WithParamInterface<Phone> {};
INSTANTIATE_TEST_SUITE_P(
    With,
    BaresipCall,
    testing::Values(
        Phone{.name = "Pcmu", .codec = "PCMU/8000/1"},
        Phone{.name = "Pcma", .codec = "PCMA/8000/1"},
        Phone{.name = "G722", .codec = "G722/16000/1", .rate = 16'000},
        Phone{.name = "Opus", .codec = "opus/48000/2", .rate = 16'000},
        Phone{.name = "L16", .codec = "L16/16000/1", .rate = 16'000},
        Phone{
            .name = "SdesSrtp",
            .codec = "PCMU/8000/1",
            .encryption = "srtp-mand",
            .server = {{"OAVC_TELEPHONY_RTP_SRTP", "optional"}}}
    ),
    [](const auto& info) { return info.param.name; }
);

TEST_P(BaresipCall, IsUnderstoodAndItsAnswerIsUnderstood) {
    SipServer server{GetParam().server};
    Baresip phone{
        {.codec = GetParam().codec,
         .encryption = GetParam().encryption,
         .speech = spoken_question()}};
    phone.dial(server.port());
    const auto call = established(phone);
    EXPECT_TRUE(server.happens(call, "caller_said: " + std::string{question}))
        << testing::PrintToString(server.story(call));
    EXPECT_TRUE(server.happens(call, "heard: " + std::string{reply}))
        << testing::PrintToString(server.story(call));
    phone.command("hangup");
    EXPECT_TRUE(phone.wait_for("CALL_CLOSED"));
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_THAT(server.story(call), Contains("ended: caller_hung_up"));

    const auto printed = phone.quit();
    if (!GetParam().encryption.empty()) EXPECT_THAT(printed, HasSubstr("SRTP is Enabled"));
    const auto heard = phone.heard();
    EXPECT_EQ(heard.rate.hz, GetParam().rate);
    const auto words = recognise(heard);
    EXPECT_GE(caller::word_accuracy(reply, words), 0.8) << words;
}

TEST_F(BaresipTest, IsHeardOverTlsWithItsAudioEncrypted) {
    const test::TemporaryFolder folder;
    const test::SelfMadeCertificate certificate{
        folder.path().string(), "localhost", "IP:127.0.0.1"};
    const auto port = std::to_string(test::free_ports(1));
    SipServer server{
        {{"OAVC_TELEPHONY_SIP_TLS_PORT", port},
         {"OAVC_TELEPHONY_SIP_TLS_CERTIFICATE", certificate.certificate_file},
         {"OAVC_TELEPHONY_SIP_TLS_PRIVATE_KEY", certificate.key_file},
         {"OAVC_TELEPHONY_RTP_SRTP", "required"}}};
    Baresip phone{
        {.encryption = "srtp-mand",
         .speech = spoken_question(),
         .config = "sip_cafile " + certificate.certificate_file + "\n"}};
    phone.command("dial", "sip:bot@127.0.0.1:" + port + ";transport=tls");
    const auto call = established(phone);
    EXPECT_TRUE(server.happens(call, "caller_said: " + std::string{question}))
        << testing::PrintToString(server.story(call));
    phone.command("hangup");
    EXPECT_TRUE(phone.wait_for("CALL_CLOSED"));
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_THAT(server.story(call), Contains("ended: caller_hung_up"));
    EXPECT_THAT(phone.quit(), HasSubstr("SRTP is Enabled"));
}

TEST_F(BaresipTest, PressesKeysAndHolds) {
    SipServer server;
    Baresip phone{{}};
    phone.dial(server.port());
    const auto call = established(phone);
    phone.command("sndcode", "1");
    phone.command("sndcode", "2#");
    EXPECT_TRUE(server.happens(call, "digit", 3));
    phone.command("hold");
    EXPECT_TRUE(server.happens(call, "held: on"));
    phone.command("resume");
    EXPECT_TRUE(server.happens(call, "held: off"));
    phone.command("hangup");
    EXPECT_TRUE(phone.wait_for("CALL_CLOSED"));
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_EQ(server.count(call, "digit"), 3);
}

TEST_F(BaresipTest, IsTransferredToAnotherPhone) {
    SipServer server;
    Baresip agent{{.name = "agent"}};
    Baresip phone{{}};
    phone.dial(server.port());
    const auto call = established(phone);
    EXPECT_EQ(server.command(call, "transfer", R"({"to": ")" + agent.uri() + R"("})"), 200);
    EXPECT_TRUE(agent.wait_for("CALL_ESTABLISHED"));
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_THAT(server.story(call), Contains("ended: transferred"));
}

}  // namespace
}  // namespace oavc
