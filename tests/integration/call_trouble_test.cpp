// Callers that vanish, garbage on every port, ports that are taken: one fault ends one call at
// most.

#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "caller/opensips_line.hpp"
#include "caller/run.hpp"
#include "caller/speech.hpp"
#include "support/running_server.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <random>

namespace oavc::caller {
namespace {

using Kind = Options::Speech::Kind;

class SilentObserver final : public RunObserver {
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {}
    void on_answered(const Dialled&) override {}
    void on_caller_speaks(milliseconds, const Utterance&) override {}
    void on_server_event(milliseconds, const ServerEvent&) override {}
    void on_over(milliseconds, std::string_view) override {}
    void on_report(const CallReport&) override {}
};

class DeafEar final : public Ear {
public:
    void on_heard(TimePoint, media::Samples) noexcept override {}
    void on_line_over(const std::string&) noexcept override {}
};

std::string place_one_call(const config::Config& config, const std::string& via) {
    Options options;
    options.via = via;
    options.speech = {{Kind::text, "no thank you goodbye"}};
    options.json = true;
    options.timeout = 60s;
    SilentObserver observer;
    CallRun run{options, config, observer};
    return run.run().at(0).result;
}

asio::awaitable<void> dial(Line& line, Ear& ear, Dialled& result) {
    result = co_await line.dial(ear);
}

asio::awaitable<void> wait_for_subscriber(OpenSipsBox& box, bool& result) {
    result = co_await box.wait_for_subscriber(20s);
}

/// Dials and says a little, then is gone without a word: everything of it is destroyed.
void die_in_mid_sentence(async::Shard& shard, std::unique_ptr<Line> line) {
    DeafEar ear;
    Dialled dialled;
    async::run_blocking(shard, dial(*line, ear, dialled));
    ASSERT_TRUE(dialled.answered) << dialled.what;
    const std::vector<Options::Speech> speech{{Kind::text, "tell me about your savings accounts"}};
    const auto utterances = prepare_speech(speech, "rms");
    TimePoint now = Clock::now();
    for (std::size_t at = 0; at + 160 <= 8'000; at += 160) {  // one second
        line->advance(now);
        line->send(now, media::Samples{utterances[0].samples}.subspan(at, 160));
        now += 20ms;
        shard.context().restart();
        shard.context().run_until(now);
    }
}

TEST(VanishingCaller, EndsItsOwnCallOverTwilioOnly) {
    test::RunningServer server;
    server.start();
    // A process of its own, because only a process can be killed.
    std::vector<std::string> command{
        OAVC_BINARY,
        "call",
        "-c",
        OAVC_SOURCE_DIR "/config/dev.ini",
        "--via",
        "twilio",
        "--url",
        "http://127.0.0.1:" + std::to_string(server.config().api.port)};
    std::vector<char*> argv;
    for (std::string& argument : command)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    pid_t caller = 0;
    const int failed = ::posix_spawn(&caller, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    ASSERT_EQ(failed, 0);
    std::string output;  // until the greeting is being spoken
    char buffer[512];
    for (ssize_t got = 0; output.find("Welcome") == std::string::npos &&
                          (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
        output.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    EXPECT_NE(output.find("Welcome"), std::string::npos) << output;
    EXPECT_EQ(server->active_calls(), 1U);
    ::kill(caller, SIGKILL);
    ::waitpid(caller, nullptr, 0);
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_EQ(place_one_call(server.config(), "twilio"), "ok");
}

TEST(VanishingCaller, EndsItsOwnCallOverOpenSipsOnly) {
    test::RunningServer server{"config/dev.ini", {{"OAVC_TELEPHONY_OPENSIPS_MEDIA_TIMEOUT", "2s"}}};
    server.start();
    {
        async::Shard shard{0};
        OpenSipsBox::Config config;
        config.mi_port = server.config().opensips.mi_port;
        OpenSipsBox box{shard, config};
        bool subscribed = false;
        async::run_blocking(shard, wait_for_subscriber(box, subscribed));
        ASSERT_TRUE(subscribed);
        die_in_mid_sentence(shard, box.make_line());
        EXPECT_EQ(server->active_calls(), 1U);
    }
    EXPECT_TRUE(server.calls_end_within(20s)) << "no RTP any more, and no OpenSIPS either";
    EXPECT_EQ(place_one_call(server.config(), "opensips"), "ok")
        << "with an OpenSIPS that has restarted";
}

/// Throws bytes at every port of the server until told to stop.
class GarbageThrower {
public:
    explicit GarbageThrower(const config::Config& config)
        : thread_{[this, &config] { run(config); }} {}
    ~GarbageThrower() {
        stop_ = true;
        thread_.join();
    }
    std::size_t thrown() const { return thrown_; }

private:
    void run(const config::Config& config) {
        std::mt19937 random{42};
        const std::vector<std::string> seeds{
            "",
            "\x80",
            std::string(1500, 'A'),
            R"({"jsonrpc":"2.0","method":"E_UA_SESSION","params":{}})",
            R"({"jsonrpc":"2.0","id":1,"result":"OK"})",
            "\x80\x01\x02\x01garbage",
            "GET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            "\x81\x7f\xff\xff",
            std::string(4, '\0'),
        };
        const auto& telephony = config.opensips;
        const unsigned rtp_ports = config.rtp.port_end - config.rtp.port_start + 1U;
        while (!stop_) {
            std::string bytes = seeds[random() % seeds.size()];
            for (std::size_t i = 0; i < 4 && !bytes.empty(); ++i) {
                bytes[random() % bytes.size()] = static_cast<char>(random());
            }
            throw_at(SOCK_DGRAM, telephony.event_port, bytes);
            throw_at(
                SOCK_DGRAM,
                static_cast<std::uint16_t>(config.rtp.port_start + random() % rtp_ports),
                bytes
            );
            throw_at(SOCK_STREAM, config.api.port, bytes);
            ++thrown_;
            std::this_thread::sleep_for(3ms);  // the rate; nothing is waited for
        }
    }
    static void throw_at(int type, std::uint16_t port, const std::string& bytes) {
        const int socket = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const auto* const to = reinterpret_cast<const sockaddr*>(&address);  // NOLINT
        if (::connect(socket, to, sizeof address) == 0) {
            static_cast<void>(
                ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT)
            );
        }
        ::close(socket);
    }

    std::atomic<bool> stop_{false};
    std::atomic<std::size_t> thrown_{0};
    std::thread thread_;
};

TEST(Garbage, OnEveryPortDisturbsNoCall) {
    test::RunningServer server;
    server.start();
    const GarbageThrower thrower{server.config()};
    EXPECT_EQ(place_one_call(server.config(), "opensips"), "ok");
    EXPECT_EQ(place_one_call(server.config(), "twilio"), "ok");
    EXPECT_GT(thrower.thrown(), 100U);
}

/// What keeps a server from starting; empty: it started.
std::string start_problem(test::RunningServer& server) {
    try {
        server.start();
        return {};
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

TEST(SecondServer, IsToldWhichPortIsTaken) {
    test::RunningServer first;
    first.start();
    const auto http = std::to_string(first.config().api.port);
    const auto events = std::to_string(first.config().opensips.event_port);
    test::RunningServer same_http{"config/dev.ini", {{"OAVC_API_PORT", http}}};
    const auto http_problem = start_problem(same_http);
    EXPECT_NE(http_problem.find(http), std::string::npos) << http_problem;
    EXPECT_NE(http_problem.find("in use"), std::string::npos) << http_problem;
    test::RunningServer same_events{
        "config/dev.ini", {{"OAVC_TELEPHONY_OPENSIPS_EVENT_PORT", events}}};
    const auto events_problem = start_problem(same_events);
    EXPECT_NE(events_problem.find(events), std::string::npos) << events_problem;
    EXPECT_NE(events_problem.find("in use"), std::string::npos) << events_problem;
    EXPECT_EQ(place_one_call(first.config(), "twilio"), "ok") << "the first one is untouched";
}

}  // namespace
}  // namespace oavc::caller
