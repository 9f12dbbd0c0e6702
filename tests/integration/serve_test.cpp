#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

// The program itself: started, asked, told to end.

namespace oavc {
namespace {

using namespace std::chrono_literals;
using test::Program;
using testing::HasSubstr;
using testing::Not;

constexpr auto patience = 30s;  // sanitizers on a busy machine

std::vector<std::string> serve() { return {OAVC_BINARY, "serve", "-c", "tests/data/serve.ini"}; }

/// The port after "http://127.0.0.1:" in what was printed.
std::uint16_t http_port(const std::string& output) {
    constexpr std::string_view before = "http://127.0.0.1:";
    const auto at = output.find(before);
    if (at == std::string::npos) return 0;
    return static_cast<std::uint16_t>(std::stoul(output.substr(at + before.size())));
}

/// What the server answers on a connection of its own, until it closes it.
std::string ask(std::uint16_t port, const std::string& bytes) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&  // NOLINT
        send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
        char buffer[4096];
        for (ssize_t got = 0; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
            answer.append(buffer, static_cast<std::size_t>(got));
        }
    }
    close(fd);
    return answer;
}

std::string get(std::uint16_t port, const std::string& path) {
    return ask(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

TEST(Serve, TellsWhereItListensIsReadyAndEndsWithZeroOnSigterm) {
    Program server{serve(), {}, OAVC_SOURCE_DIR};
    ASSERT_TRUE(server.wait_for("ready in", patience)) << server.output();
    const auto port = http_port(server.output());
    EXPECT_THAT(get(port, "/health/live"), HasSubstr("200 OK"));
    EXPECT_THAT(get(port, "/health/ready"), HasSubstr("\"status\":\"ready\""));
    EXPECT_THAT(get(port, "/nowhere"), HasSubstr("404"));

    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
    EXPECT_THAT(server.output(), HasSubstr("stopped"));
}

TEST(Serve, SurvivesGarbageOnItsHttpPort) {
    Program server{serve(), {}, OAVC_SOURCE_DIR};
    ASSERT_TRUE(server.wait_for("ready in", patience)) << server.output();
    const auto port = http_port(server.output());
    EXPECT_THAT(ask(port, "\x16\x03\x01garbage\r\n\r\n"), Not(HasSubstr("200 OK")));
    EXPECT_THAT(ask(port, "GET / HTTP/9.9\r\n\r\n"), Not(HasSubstr("200 OK")));
    EXPECT_THAT(get(port, "/health/ready"), HasSubstr("200 OK"));
    server.signal(SIGINT);
    EXPECT_EQ(server.wait(), 0) << server.output();
}

TEST(Serve, ASecondServerOnTheSamePortSaysSoAndExitsWithOne) {
    Program first{serve(), {}, OAVC_SOURCE_DIR};
    ASSERT_TRUE(first.wait_for("ready in", patience)) << first.output();
    const std::string port = std::to_string(http_port(first.output()));
    Program second{serve(), {"PORT=" + port}, OAVC_SOURCE_DIR};
    EXPECT_EQ(second.wait(), 1);
    EXPECT_THAT(second.output(), HasSubstr(port + " is in use"));
    EXPECT_THAT(second.output(), HasSubstr("`oavc doctor -c tests/data/serve.ini` tells more"));
    EXPECT_THAT(get(http_port(first.output()), "/health/ready"), HasSubstr("200 OK"));
    first.signal(SIGTERM);
    EXPECT_EQ(first.wait(), 0) << first.output();
}

TEST(Serve, ReportsWhichServicesAnswerAndIsNotReadyWithoutOneOfAKind) {
    Program server{
        serve(),
        {"OAVC_LLM_PROVIDER=llama", "OAVC_LLM_LLAMA_URL=ws://user:secret@127.0.0.1:1/?key=secret"},
        OAVC_SOURCE_DIR};
    ASSERT_TRUE(server.wait_for("  tts  flite: ready, in this process", patience))
        << server.output();
    EXPECT_THAT(
        server.output(), HasSubstr("  llm  llama ws://127.0.0.1:1/: does not answer: service")
    );
    EXPECT_THAT(server.output(), HasSubstr("  stt  pocketsphinx: ready, in this process"));
    EXPECT_THAT(server.output(), Not(HasSubstr("secret")));
    const auto port = http_port(server.output());
    const auto health = get(port, "/health/ready");
    EXPECT_THAT(health, HasSubstr(" 503 "));
    EXPECT_THAT(health, HasSubstr(R"("status":"unavailable")"));
    EXPECT_THAT(
        health, HasSubstr(R"({"kind":"llm","provider":"llama","role":"primary","usable":false)")
    );
    EXPECT_THAT(health, Not(HasSubstr("127.0.0.1"))) << "who asks need not know our network";
    EXPECT_THAT(get(port, "/health/live"), HasSubstr("200 OK")) << "a restart would not help";
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
}

TEST(Serve, IsReadyOnAFallback) {
    Program server{
        serve(),
        {"OAVC_LLM_PROVIDER=llama",
         "OAVC_LLM_LLAMA_URL=ws://127.0.0.1:1",
         "OAVC_LLM_FALLBACK_PROVIDER=scripted"},
        OAVC_SOURCE_DIR};
    ASSERT_TRUE(server.wait_for("  llm  scripted (fallback): ready", patience)) << server.output();
    const auto health = get(http_port(server.output()), "/health/ready");
    EXPECT_THAT(health, HasSubstr("200 OK"));
    EXPECT_THAT(
        health, HasSubstr(R"({"kind":"llm","provider":"scripted","role":"fallback","usable":true)")
    );
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
}

TEST(Serve, TellsPrometheusWhatItDoes) {
    Program server{serve(), {}, OAVC_SOURCE_DIR};
    ASSERT_TRUE(server.wait_for("ready in", patience)) << server.output();
    const auto metrics = get(http_port(server.output()), "/metrics");
    EXPECT_THAT(metrics, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    EXPECT_THAT(metrics, HasSubstr("\noavc_calls_active 0\n"));
    EXPECT_THAT(metrics, HasSubstr("\noavc_calls_total 0\n"));
    EXPECT_THAT(
        metrics,
        HasSubstr("oavc_provider_breaker_state{kind=\"stt\",provider=\"pocketsphinx\","
                  "state=\"closed\"} 1\n")
    );
    EXPECT_THAT(metrics, HasSubstr("oavc_provider_usable{kind=\"tts\",provider=\"flite\"} 1\n"));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
}

/// A configuration that a test changes while a server runs with it.
class ChangingConfiguration {
public:
    ChangingConfiguration() {
        std::filesystem::copy(
            std::filesystem::path{OAVC_SOURCE_DIR} / "config/dialogues/demo.dialogue",
            folder_.path() / "demo.dialogue"
        );
    }
    std::string file() const { return folder_.file("server.ini"); }
    void write(const std::string& more) const {
        std::ofstream out{file()};
        out << "[telephony]\nprovider = twilio\n[telephony.twilio]\nauth_token = for-tests-only\n"
               "[stt]\nprovider = pocketsphinx\n[llm]\nprovider = scripted\n"
               "[llm.scripted]\ndialogue_file = demo.dialogue\n[tts]\nprovider = flite\n"
               "[api]\nhost = 127.0.0.1\n"
            << more;
    }

private:
    test::TemporaryFolder folder_;
};

TEST(Serve, ReloadsItsConfigurationForNewCallsOnSighup) {
    ChangingConfiguration configuration;
    configuration.write("port = 0\n[limits]\nmax_calls = 7\n");
    Program server{{OAVC_BINARY, "serve", "-c", configuration.file()}, {}, OAVC_SOURCE_DIR};
    ASSERT_TRUE(server.wait_for("serving", patience)) << server.output();
    const auto port = http_port(server.output());
    EXPECT_THAT(get(port, "/health/ready"), HasSubstr("\"max_calls\":7"));
    EXPECT_THAT(get(port, "/api/v1/calls"), HasSubstr("200 OK"));

    configuration.write("port = 0\ntoken = s3cret\n[limits]\nmax_calls = 9\nshards = 3\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for("need a restart", patience)) << server.output();
    EXPECT_THAT(
        server.output(), HasSubstr("changed=\"[api] token, [limits] max_calls\" new_engines=false")
    );
    EXPECT_THAT(server.output(), HasSubstr("keys=\"[limits] shards\""));
    EXPECT_THAT(server.output(), Not(HasSubstr("s3cret")));
    EXPECT_THAT(get(port, "/health/ready"), HasSubstr("\"max_calls\":9"));
    EXPECT_THAT(get(port, "/api/v1/calls"), HasSubstr(" 401 "));

    configuration.write("port = 0\ntoken = other\n[limits]\nmax_calls = many\n[turns]\nvoise = x\n"
    );
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for("the old one goes on", patience)) << server.output();
    EXPECT_THAT(server.output(), HasSubstr("[limits] max_calls"));
    EXPECT_THAT(server.output(), HasSubstr("voise"));
    EXPECT_THAT(get(port, "/health/ready"), HasSubstr("\"max_calls\":9"));

    configuration.write("port = 0\n[vad]\nengine = silero\nmodel = /nowhere/weights.bin\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for("/nowhere/weights.bin", patience)) << server.output();
    ASSERT_TRUE(server.wait_for("not reloaded", patience)) << server.output();
    EXPECT_THAT(get(port, "/health/ready"), HasSubstr("200 OK"));

    configuration.write("port = 0\n[tts.flite]\nvoice = rms\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for("new_engines=true", patience)) << server.output();
    EXPECT_THAT(get(port, "/health/ready"), HasSubstr("\"max_calls\":200"));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
}

TEST(Serve, DrainsAndChangesItsLogLevelWhenTheApiIsAsked) {
    Program server{serve(), {}, OAVC_SOURCE_DIR};
    ASSERT_TRUE(server.wait_for("serving", patience)) << server.output();
    const auto port = http_port(server.output());
    const auto send = [port](const std::string& method, const std::string& path, std::string body) {
        return ask(
            port,
            method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body
        );
    };
    EXPECT_THAT(get(port, "/api/v1/log-level"), HasSubstr(R"({"level":"info"})"));
    EXPECT_THAT(send("PUT", "/api/v1/log-level", R"({"level":"warn"})"), HasSubstr("200 OK"));
    EXPECT_THAT(get(port, "/api/v1/log-level"), HasSubstr(R"({"level":"warn"})"));
    EXPECT_THAT(send("PUT", "/api/v1/log-level", R"({"level":"info"})"), HasSubstr("200 OK"));
    EXPECT_THAT(get(port, "/api/v1/openapi.json"), HasSubstr("\"openapi\":\"3.0.3\""));
    EXPECT_THAT(
        send("POST", "/api/v1/drain", ""), HasSubstr(R"({"status":"draining","active_calls":0})")
    );
    EXPECT_EQ(server.wait(), 0) << server.output();
    EXPECT_THAT(server.output(), HasSubstr("draining: no new calls because_of=API"));
}

TEST(Serve, ABrokenConfigurationIsListedAndExitsWithOne) {
    const auto broken = test::run_program(
        {OAVC_BINARY, "serve", "-c", "tests/data/broken.ini"}, {}, OAVC_SOURCE_DIR
    );
    EXPECT_EQ(broken.status, 1);
    EXPECT_THAT(broken.output, HasSubstr("broken.ini:3: error: Unknown provider"));
    EXPECT_THAT(broken.output, HasSubstr("broken.ini:6: error: [api] port"));
}

}  // namespace
}  // namespace oavc
