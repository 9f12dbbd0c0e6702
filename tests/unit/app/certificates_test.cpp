#include "app/certificates.hpp"

#include "observability/log_fields.hpp"
#include "support/temporary_folder.hpp"
#include "support/tls_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace oavc::app {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(ShownCertificates, AreThoseOfServersThatListenAndOfClientsInUse) {
    config::Config config;
    const auto keys = [](const config::Config& started, const config::Config& running) {
        std::vector<std::string> names;
        for (const auto& shown : shown_certificates(started, running))
            names.push_back(shown.key + "=" + shown.file);
        return names;
    };
    config.api.tls_certificate = "api.pem";
    config.services.stt_provider = "wyoming";
    config.services.wyoming_stt.endpoint.url = "tls://whisper:10443";
    config.services.wyoming_stt.endpoint.tls.certificate_file = "ours.pem";
    config.services.vosk.endpoint.url = "wss://vosk:2700";
    config.services.vosk.endpoint.tls.certificate_file = "unused.pem";
    EXPECT_THAT(keys(config, config), ElementsAre("stt.wyoming.certificate_file=ours.pem"));
    auto running = config;
    config.api.tls_port = 8443;
    running.services.wyoming_stt.endpoint.tls.certificate_file = "next.pem";
    EXPECT_THAT(
        keys(config, running),
        ElementsAre("api.tls_certificate=api.pem", "stt.wyoming.certificate_file=next.pem")
    );
    running.services.wyoming_stt.endpoint.url = "tcp://whisper:10300";
    EXPECT_THAT(keys(config, running), ElementsAre("api.tls_certificate=api.pem"));
}

TEST(CertificateValidity, ChangesFourteenAndTwoDaysBeforeTheEnd) {
    const std::chrono::sys_seconds ends{days{20'000}};
    EXPECT_EQ(validity_at(ends - days{14}, ends), Validity::fine);
    EXPECT_EQ(validity_at(ends - days{14} + 1s, ends), Validity::ends_soon);
    EXPECT_EQ(validity_at(ends - days{2}, ends), Validity::ends_soon);
    EXPECT_EQ(validity_at(ends - days{2} + 1s, ends), Validity::urgent);
    EXPECT_EQ(validity_at(ends - 1s, ends), Validity::urgent);
    EXPECT_EQ(validity_at(ends, ends), Validity::ended);
}

class CertificateWatchTest : public testing::Test {
protected:
    static std::uint64_t warnings() { return log::lines(log::Level::warn); }
    static std::uint64_t errors() { return log::lines(log::Level::error); }

    std::vector<ShownCertificate> shown() const {
        return {{"api.tls_certificate", certificate_.certificate_file}};
    }

    test::TemporaryFolder folder_;
    test::SelfMadeCertificate certificate_{folder_.path(), "ours", {}, 20 * 86'400};
    const std::chrono::sys_seconds now_{
        std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())};
    metrics::Registry registry_;
    CertificateWatch watch_{registry_, log::Logger{}};
};

TEST_F(CertificateWatchTest, TellsAtOnceAndThenOnceADay) {
    const auto warned = warnings();
    const auto failed = errors();
    watch_.read(shown(), now_);
    EXPECT_EQ(warnings(), warned) << "20 days are left";
    watch_.remind(now_ + days{7});
    EXPECT_EQ(warnings(), warned + 1);
    watch_.remind(now_ + days{7} + 23h);
    EXPECT_EQ(warnings(), warned + 1);
    watch_.remind(now_ + days{8});
    EXPECT_EQ(warnings(), warned + 2);
    EXPECT_EQ(errors(), failed);
    watch_.remind(now_ + days{19});
    watch_.remind(now_ + days{30});
    EXPECT_EQ(errors(), failed + 2);
    EXPECT_EQ(warnings(), warned + 2);
}

TEST_F(CertificateWatchTest, ARenewedOneIsLookedAtAgain) {
    watch_.read(shown(), now_);
    const auto failed = errors();
    watch_.remind(now_ + days{19});
    EXPECT_EQ(errors(), failed + 1);
    const test::SelfMadeCertificate next{folder_.path(), "next", {}, 19 * 86'400 + 3'600};
    std::filesystem::copy_file(
        next.certificate_file,
        certificate_.certificate_file,
        std::filesystem::copy_options::overwrite_existing
    );
    watch_.read(shown(), now_ + days{19});
    EXPECT_EQ(errors(), failed + 2) << "it is another one, and no better";
}

TEST_F(CertificateWatchTest, TheMetricIsTheEndByTheKeysName) {
    const std::string name = "oavc_certificate_expiry_timestamp_seconds";
    const std::string series = name + R"({certificate="api.tls_certificate"} )";
    EXPECT_THAT(registry_.text(), Not(HasSubstr(name)));
    watch_.read(shown(), now_);
    const auto text = registry_.text();
    const auto at = text.find(series);
    ASSERT_NE(at, std::string::npos) << text;
    const double ends = std::stod(text.substr(at + series.size()));
    const auto expected = static_cast<double>((now_ + days{20}).time_since_epoch().count());
    EXPECT_NEAR(ends, expected, 600);
    EXPECT_THAT(text, Not(HasSubstr(certificate_.certificate_file)));
    watch_.read({}, now_);
    EXPECT_THAT(registry_.text(), HasSubstr(series + "Nan")) << "no alert compares with it";
}

TEST_F(CertificateWatchTest, WhatCannotBeReadChangesNothing) {
    watch_.read(shown(), now_);
    const auto before = registry_.text();
    watch_.read({{"api.tls_certificate", "/no/such.pem"}}, now_);
    EXPECT_EQ(registry_.text(), before);
}

}  // namespace
}  // namespace oavc::app
