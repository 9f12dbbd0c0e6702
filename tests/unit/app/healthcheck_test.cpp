// `oavc healthcheck` against servers that are well, unwell, slow and absent.

#include "app/healthcheck.hpp"

#include "support/run_program.hpp"
#include "support/scripted_http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oavc::app {
namespace {

using test::ProgramResult;
using test::ScriptedHttpServer;
using testing::HasSubstr;

ProgramResult healthcheck(
    std::vector<std::string> options, std::vector<std::string> environment = {}
) {
    options.insert(options.begin(), {OAVC_BINARY, "healthcheck"});
    return test::run_program(std::move(options), std::move(environment));
}

/// Alive, but not ready.
void draining(ScriptedHttpServer::Exchange& http) {
    if (http.request().target == "/health/live") {
        return http.respond(200, "application/json", "{\"status\":\"alive\"}\n");
    }
    if (http.request().target == "/health/ready") {
        return http.respond(503, "application/json", "{\"status\":\"draining\"}\n");
    }
    http.respond(404, "text/plain", "no");
}

TEST(HealthUrl, IsWhereTheServerOfThisMachineListens) {
    EXPECT_EQ(health_url({}, false), "http://127.0.0.1:8088/health/live");
    EXPECT_EQ(health_url({}, true), "http://127.0.0.1:8088/health/ready");
    EXPECT_EQ(health_url({{"OAVC_API_PORT", "9"}}, false), "http://127.0.0.1:9/health/live");
    EXPECT_EQ(
        health_url({{"OAVC_API_PORT", "9"}, {"PORT", "8080"}}, false),
        "http://127.0.0.1:8080/health/live"
    );
    EXPECT_EQ(
        health_url({{"OAVC_URL", "https://a.example/"}}, true), "https://a.example/health/ready"
    );
    EXPECT_EQ(
        health_url({{"OAVC_URL", "http://a.example/metrics"}}, true), "http://a.example/metrics"
    );
}

TEST(Healthcheck, TellsAliveFromReady) {
    ScriptedHttpServer server{draining};
    const auto alive = healthcheck({"--url", server.url()});
    EXPECT_EQ(alive.status, 0) << alive.output;
    EXPECT_THAT(alive.output, HasSubstr("alive"));
    const auto ready = healthcheck({"--ready"}, {"OAVC_URL=" + server.url()});
    EXPECT_EQ(ready.status, 1);
    EXPECT_THAT(ready.output, HasSubstr("draining"));
    EXPECT_THAT(ready.output, HasSubstr("/health/ready answered 503"));
}

TEST(Healthcheck, FailsWhereNobodyAnswers) {
    ScriptedHttpServer server{draining};
    const std::string url = server.url();
    server.freeze(true);
    const auto frozen = healthcheck({"--url", url});
    EXPECT_EQ(frozen.status, 1) << frozen.output;
    server.freeze(false);
    server.stop();
    const auto absent = healthcheck({"--url", url});
    EXPECT_EQ(absent.status, 1);
    EXPECT_THAT(absent.output, HasSubstr("oavc healthcheck: " + url));
}

}  // namespace
}  // namespace oavc::app
