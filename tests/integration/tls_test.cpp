// TLS of the whole server: calls over wss, certificates that change under them, foreign clients.

#include "support/comes_true.hpp"
#include "support/http.hpp"
#include "support/run_program.hpp"
#include "support/running_server.hpp"
#include "support/tls_peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace oavc {
namespace {

using namespace std::chrono_literals;
using test::comes_true;
using test::Program;
using test::run_program;
using test::SelfMadeCertificate;
using test::TlsPeer;
using testing::HasSubstr;

constexpr auto patience = 30s;  // sanitizers on a busy machine

void replace(const SelfMadeCertificate& old, const SelfMadeCertificate& with) {
    const auto how = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(with.certificate_file, old.certificate_file, how);
    std::filesystem::copy_file(with.key_file, old.key_file, how);
}

class WholeServerOverTls : public testing::Test {
protected:
    static std::string folder() { return testing::TempDir(); }
    static SelfMadeCertificate local(const std::string& name) {
        return SelfMadeCertificate{folder(), name, "DNS:localhost, IP:127.0.0.1"};
    }

    config::Environment environment() const {
        return {
            {"OAVC_API_TLS_PORT", std::to_string(port)},
            {"OAVC_API_TLS_CERTIFICATE", ours.certificate_file},
            {"OAVC_API_TLS_PRIVATE_KEY", ours.key_file}};
    }
    std::string url() const { return "https://127.0.0.1:" + std::to_string(port); }
    /// Whether who believes `authority` only is told that the server lives.
    bool reached(const SelfMadeCertificate& authority) const {
        const auto asked = run_program(
            {OAVC_BINARY, "healthcheck", "--url", url(), "--ca", authority.certificate_file}
        );
        return asked.status == 0;
    }

    SelfMadeCertificate ours = local("ours");
    const std::uint16_t port{test::free_ports(2)};
};

TEST_F(WholeServerOverTls, ACallGoesOnWhileTheCertificateIsReplaced) {
    const SelfMadeCertificate next = local("next");
    const SelfMadeCertificate first = local("first");
    replace(ours, first);
    std::vector<std::string> given;
    for (const auto& [name, value] : environment())
        given.push_back(name + "=" + value);
    Program server{{OAVC_BINARY, "serve", "-c", "tests/data/serve.ini"}, given, OAVC_SOURCE_DIR};
    ASSERT_TRUE(server.wait_for("serving", patience)) << server.output();
    EXPECT_THAT(server.output(), HasSubstr("https     the same on port " + std::to_string(port)));
    EXPECT_TRUE(reached(first));
    EXPECT_FALSE(reached(next));

    // The call's events are asked for on connections of their own: they meet both certificates.
    const std::string both = first.certificate_file + ".both";
    std::ofstream{both} << std::ifstream{first.certificate_file}.rdbuf()
                        << std::ifstream{next.certificate_file}.rdbuf();
    Program call{
        {OAVC_BINARY,
         "call",
         "-c",
         "tests/data/serve.ini",
         "--via",
         "twilio",
         "--url",
         url(),
         "--ca",
         both,
         "--say",
         "what time is it"},
        {},
        OAVC_SOURCE_DIR};
    ASSERT_TRUE(call.wait_for("media stream wss://127.0.0.1:", patience)) << call.output();
    replace(ours, next);
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for("configuration reloaded", patience)) << server.output();
    EXPECT_TRUE(comes_true([&] { return reached(next); }));
    EXPECT_FALSE(reached(first));

    std::ofstream{ours.key_file} << "no key";
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for("the old ones go on", patience)) << server.output();
    EXPECT_THAT(server.output(), HasSubstr(ours.key_file));
    EXPECT_TRUE(reached(next));

    EXPECT_EQ(call.wait(), 0) << call.output();
    std::filesystem::remove(both);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
}

TEST_F(WholeServerOverTls, RenewedCertificatesAreNoticedWithoutASignal) {
    test::RunningServer server{"tests/data/serve.ini", environment()};
    server.start();
    const SelfMadeCertificate next = local("next");
    const auto is_shown = [&](const SelfMadeCertificate& certificate) {
        return TlsPeer(port, {.trusted = &certificate}).is_open();
    };
    EXPECT_TRUE(is_shown(ours));
    std::ofstream{ours.certificate_file} << "half of one";
    server->refresh_certificates();
    EXPECT_FALSE(is_shown(next)) << "it cannot be used";
    replace(ours, next);
    server->refresh_certificates();
    EXPECT_TRUE(comes_true([&] { return is_shown(next); }));
}

TEST_F(WholeServerOverTls, CurlGetsAlong) {
    const SelfMadeCertificate theirs{folder(), "client.example"};
    auto more = environment();
    more["OAVC_API_TLS_CA"] = theirs.certificate_file;
    more["OAVC_API_TLS_VERIFY_CLIENT"] = "yes";
    test::RunningServer server{"tests/data/serve.ini", more};
    server.start();
    const auto curl = [&](std::vector<std::string> options) {
        std::vector<std::string> command{
            "/usr/bin/curl",
            "--silent",
            "--show-error",
            "--cacert",
            ours.certificate_file,
            url() + "/health/live"};
        command.insert(command.end(), options.begin(), options.end());
        return run_program(std::move(command));
    };
    const std::vector<std::string> known{
        "--cert", theirs.certificate_file, "--key", theirs.key_file};
    const auto alive = curl(known);
    EXPECT_EQ(alive.status, 0) << alive.output;
    EXPECT_THAT(alive.output, HasSubstr("\"status\":\"alive\""));
    auto older = known;
    older.insert(older.end(), {"--tls-max", "1.2"});
    EXPECT_EQ(curl(older).status, 0);
    EXPECT_NE(curl({}).status, 0) << "it shows no certificate";
    const auto metrics = run_program(
        {"/usr/bin/curl", "--silent", test::local_url("http", server.config().api.port, "/metrics")}
    );
    EXPECT_THAT(
        metrics.output, HasSubstr("oavc_http_events_total{event=\"tls_bad_certificates\"} 1")
    );
    EXPECT_THAT(metrics.output, HasSubstr("oavc_http_events_total{event=\"tls_handshakes\"} 2"));
}

TEST_F(WholeServerOverTls, DialAsksOverTlsWhomItBelieves) {
    test::RunningServer server{"tests/data/serve.ini", environment()};
    server.start();
    const auto dial = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {OAVC_BINARY, "dial", "+15550199", "--url", url()});
        return run_program(std::move(more));
    };
    const auto believed = dial({"--ca", ours.certificate_file});
    EXPECT_EQ(believed.status, 7) << "nobody may be called: " << believed.output;
    const auto doubted = dial({});
    EXPECT_EQ(doubted.status, 1);
    EXPECT_THAT(doubted.output, HasSubstr("certificate verify failed"));
}

TEST_F(WholeServerOverTls, WhatCannotBeShownToAServiceIsToldAtStart) {
    std::ofstream{ours.key_file} << "no key";
    test::RunningServer server{
        "tests/data/serve.ini",
        {{"OAVC_LLM_PROVIDER", "ollama"},
         {"OAVC_LLM_OLLAMA_BASE_URL", "https://127.0.0.1:9"},
         {"OAVC_LLM_OLLAMA_CERTIFICATE_FILE", ours.certificate_file},
         {"OAVC_LLM_OLLAMA_KEY_FILE", ours.key_file}}};
    try {
        server.start();
        FAIL();
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("[llm.ollama] "));
        EXPECT_THAT(error.what(), HasSubstr(ours.key_file));
    }
}

}  // namespace
}  // namespace oavc
