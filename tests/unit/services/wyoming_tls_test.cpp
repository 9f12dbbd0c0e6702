// Wyoming behind a TLS proxy (stunnel, a mesh): the fakes speak plainly, TlsFront stands before
// them.

#include "services/errors.hpp"
#include "services/stt/wyoming_stt.hpp"
#include "services/tts/wyoming_tts.hpp"
#include "support/await.hpp"
#include "support/fake_wyoming.hpp"
#include "support/run_shard.hpp"
#include "support/spoken.hpp"
#include "support/tls_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using test::SelfMadeCertificate;
using testing::HasSubstr;

class WyomingOverTls : public testing::Test {
protected:
    /// "localhost" through a front that wants no certificate.
    Endpoint endpoint() const { return through(front_, theirs_, "localhost"); }

    static Endpoint through(
        const test::TlsFront& front, const SelfMadeCertificate& trusted, const std::string& host
    ) {
        Endpoint endpoint;
        endpoint.url = "tls://" + host + ":" + std::to_string(front.port());
        endpoint.connect_timeout = 20s;
        endpoint.tls.ca_file = trusted.certificate_file;
        return endpoint;
    }

    /// Of a probe, for people; empty: it answered.
    std::string complaint(const Endpoint& endpoint) {
        WyomingTtsConfig config;
        config.endpoint = endpoint;
        WyomingTts voice{config};
        const auto probed = test::result_of(shard_, voice.probe(shard_));
        return probed ? std::string{} : probed.error().message();
    }
    std::uint16_t port() const {
        const auto url = server_.url();
        return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    }

    async::Shard shard_{0};
    test::FakeWyoming server_;
    SelfMadeCertificate theirs_{testing::TempDir(), "localhost"};
    test::TlsFront front_{theirs_, port()};
};

TEST_F(WyomingOverTls, HearsUtteranceAfterUtterance) {
    WyomingSttConfig config;
    config.endpoint = endpoint();
    WyomingStt service{config};
    auto ear = test::value_of(shard_, service.open(shard_, {"tr-TR"}));
    const std::vector<media::Sample> second(16'000, 7);
    for (std::uint32_t i = 1; i <= 3; ++i) {
        // Taken while it waits for what the server may say: TLS must survive that.
        ear->begin(UtteranceId{i});
        ear->push({media::Samples{second}, wideband});
        ear->end();
        const auto event = test::value_of(shard_, ear->next());
        EXPECT_EQ(event.utterance, UtteranceId{i});
        EXPECT_EQ(event.text, "Merhaba.");
        EXPECT_EQ(server_.utterances().back().audio, second);
    }
    EXPECT_EQ(service.stats().repeated, 0u) << "no connection was lost";
    ear.reset();
    test::run_dry(shard_);
}

TEST_F(WyomingOverTls, SpeaksSentenceAfterSentenceOnOneConnection) {
    WyomingTtsConfig config;
    config.endpoint = endpoint();
    WyomingTts service{config};
    auto voice = test::value_of(shard_, service.open(shard_, {"tr", ""}));
    for (int i = 0; i < 4; ++i) {
        const auto spoken = test::say(shard_, *voice, "Merhaba.");
        EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream);
        EXPECT_EQ(spoken.samples, test::tone_for("Merhaba.", {22'050}));
    }
    EXPECT_LE(server_.connections().total(), 2) << "one in use and one in reserve";
    voice.reset();
    test::run_dry(shard_);
}

TEST_F(WyomingOverTls, AServerThatCannotBeBelievedIsToldWithWhatToDo) {
    EXPECT_EQ(complaint(endpoint()), "");
    const SelfMadeCertificate stranger{testing::TempDir(), "localhost"};
    EXPECT_THAT(complaint(through(front_, stranger, "localhost")), HasSubstr("ca_file"));
    EXPECT_THAT(
        complaint(through(front_, theirs_, "127.0.0.1")),
        HasSubstr("does not hold the name in the URL")
    );
    const SelfMadeCertificate old{testing::TempDir(), "localhost", {}, -60};
    const test::TlsFront outdated{old, port()};
    EXPECT_THAT(complaint(through(outdated, old, "localhost")), HasSubstr("renew it"));
    auto missing = endpoint();
    missing.tls.ca_file = "/no/such.pem";
    EXPECT_NE(complaint(missing), "");
    EXPECT_EQ(server_.connections().total(), 1) << "nobody else was spoken to";
}

TEST_F(WyomingOverTls, ShowsItsCertificateToWhoAsksForOne) {
    const SelfMadeCertificate ours{testing::TempDir(), "oavc.example"};
    const test::TlsFront strict{theirs_, port(), &ours};
    auto wanted = through(strict, theirs_, "localhost");
    EXPECT_NE(complaint(wanted), "") << "without one";
    wanted.tls.certificate_file = ours.certificate_file;
    wanted.tls.key_file = ours.key_file;
    EXPECT_EQ(complaint(wanted), "");
}

}  // namespace
}  // namespace oavc::services
