// An upgrade under load: the first of two servers is told to end while it carries calls. It must
// refuse new ones at once, so that they go to the second, and let nobody who is talking notice.

#include "support/http.hpp"
#include "support/run_program.hpp"
#include "support/running_server.hpp"
#include "support/sip_front.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace oavc {
namespace {

using namespace std::chrono_literals;
using test::SipFront;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto patience = 60s;  // sanitizers on a busy machine

/// `oavc serve` as a process of its own, its log in a file.
class Instance {
public:
    explicit Instance(
        const std::string& name, std::uint16_t pairs, std::vector<std::string> more = {}
    )
        : first_{test::free_ports(static_cast<std::uint16_t>(2 + 2 * pairs))},
          log_{folder_.path() / (name + ".log")} {
        const auto port = [this](int offset) { return std::to_string(first_ + offset); };
        std::vector<std::string> environment{
            "OAVC_API_PORT=" + port(0),
            "OAVC_TELEPHONY_SIP_PORT=" + port(1),
            "OAVC_TELEPHONY_RTP_PORT_START=" + port(2),
            "OAVC_TELEPHONY_RTP_PORT_END=" + port(1 + 2 * pairs),
            "OAVC_LIMITS_MAX_LAG=0",  // a busy test machine is no reason to refuse
            "OAVC_LIMITS_DRAIN_DEADLINE=5min",
            "OAVC_LOGGING_FILE=" + log_.string(),
        };
        // The first of a name holds.
        environment.insert(environment.begin(), more.begin(), more.end());
        program_.emplace(
            std::vector<std::string>{OAVC_BINARY, "serve", "-c", "tests/data/sip.ini"},
            std::move(environment),
            OAVC_SOURCE_DIR
        );
    }

    bool ready() { return program_->wait_for("ready in", patience); }
    std::uint16_t sip_port() const { return static_cast<std::uint16_t>(first_ + 1); }
    void signal(int number) { program_->signal(number); }
    int wait() { return program_->wait(); }
    const std::string& output() const { return program_->output(); }

    /// GET; 0: nobody answers.
    std::pair<int, std::string> get(const std::string& path) const {
        const auto answer = test::fetch({.url = test::local_url("http", first_, path)});
        return answer ? std::pair{answer->status, answer->body} : std::pair{0, std::string{}};
    }

    std::string log() const {
        std::ifstream file{log_};
        return {std::istreambuf_iterator<char>{file}, {}};
    }

private:
    test::TemporaryFolder folder_;
    const std::uint16_t first_;
    const std::filesystem::path log_;
    std::optional<test::Program> program_;
};

template <class Condition>
bool wait_until(Condition done) {
    const auto limit = Clock::now() + patience;
    while (!done() && Clock::now() < limit)
        std::this_thread::sleep_for(5ms);  // polls
    return done();
}

std::vector<std::size_t> begin(SipFront& front, std::size_t count) {
    std::vector<std::size_t> calls;
    for (std::size_t i = 0; i < count; ++i)
        calls.push_back(front.call());
    return calls;
}

std::vector<SipFront::State> states(const SipFront& front, const std::vector<std::size_t>& calls) {
    std::vector<SipFront::State> states;
    for (const auto call : calls)
        states.push_back(front.state(call));
    return states;
}

/// Every caller has heard so many packets more.
bool hear_more(SipFront& front, const std::vector<std::size_t>& calls, std::uint64_t packets) {
    std::vector<std::uint64_t> before;
    for (const auto& state : states(front, calls))
        before.push_back(state.received);
    return wait_until([&] {
        const auto now = states(front, calls);
        for (std::size_t i = 0; i < now.size(); ++i) {
            if (now[i].received < before[i] + packets) return false;
        }
        return true;
    });
}

void hang_up(SipFront& front, const std::vector<std::size_t>& calls) {
    for (const auto call : calls)
        front.hang_up(call);
    EXPECT_TRUE(wait_until([&] {
        return std::ranges::all_of(states(front, calls), &SipFront::State::over);
    }));
}

/// "lost" of every call that the log says has ended.
std::vector<int> lost_on_the_way_in(const std::string& log) {
    std::vector<int> lost;
    const std::regex line{"call ended .* lost=(\\d+) "};
    for (std::sregex_iterator at{log.begin(), log.end(), line}; at != std::sregex_iterator{}; ++at)
        lost.push_back(std::stoi((*at)[1]));
    return lost;
}

TEST(RollingUpgrade, UnderFiftyCallsNoneIsCutAndNoPacketIsLost) {
    constexpr std::size_t talking = 50;
    constexpr std::size_t coming = 10;
    Instance first{"first", talking + 10};
    Instance second{"second", talking + 10};
    ASSERT_TRUE(first.ready()) << first.output();
    ASSERT_TRUE(second.ready()) << second.output();
    SipFront front{{first.sip_port(), second.sip_port()}};

    const auto calls = begin(front, talking);
    ASSERT_TRUE(wait_until([&] {
        return std::ranges::all_of(states(front, calls), &SipFront::State::answered);
    })) << first.log();
    for (const auto& state : states(front, calls))
        EXPECT_EQ(state.server, 0);
    ASSERT_TRUE(hear_more(front, calls, 50));
    EXPECT_EQ(first.get("/health/ready").first, 200);

    first.signal(SIGTERM);
    ASSERT_TRUE(wait_until([&] { return first.get("/health/ready").first == 503; }));
    EXPECT_THAT(first.get("/health/ready").second, HasSubstr(R"("reasons":["draining"])"));
    EXPECT_EQ(first.get("/health/live").first, 200) << "a restart now would cut calls";

    const auto later = begin(front, coming);
    EXPECT_TRUE(wait_until([&] {
        return std::ranges::all_of(states(front, later), &SipFront::State::answered);
    })) << second.log();
    for (const auto& state : states(front, later)) {
        EXPECT_EQ(state.server, 1);
        EXPECT_THAT(state.refused_by, ElementsAre(0)) << "503 with Retry-After";
    }
    EXPECT_TRUE(hear_more(front, calls, 100)) << "they talk on";
    EXPECT_TRUE(hear_more(front, later, 50));
    EXPECT_THAT(
        first.get("/metrics").second, HasSubstr("oavc_calls_refused_total{reason=\"draining\"} 10")
    );

    hang_up(front, calls);
    EXPECT_EQ(first.wait(), 0) << first.log();
    EXPECT_TRUE(hear_more(front, later, 25)) << "the second does not care";
    hang_up(front, later);
    second.signal(SIGTERM);
    EXPECT_EQ(second.wait(), 0) << second.log();

    std::uint64_t packets = 0;
    for (const auto& list : {states(front, calls), states(front, later)}) {
        for (const auto& state : list) {
            EXPECT_FALSE(state.cut);
            EXPECT_FALSE(state.failed);
            EXPECT_EQ(state.lost, 0u);
            EXPECT_EQ(state.repeated, 0u);
            EXPECT_EQ(state.streams, 1u);
            packets += state.received;
        }
    }
    const auto lost = lost_on_the_way_in(first.log());
    EXPECT_EQ(lost.size(), talking);
    EXPECT_THAT(lost, Each(0)) << "of what callers sent";
    EXPECT_THAT(
        first.log(), HasSubstr("draining: no new calls because_of=SIGTERM active_calls=50")
    );
    std::printf("%zu packets to callers, none lost\n", static_cast<std::size_t>(packets));
}

TEST(RollingUpgrade, WhoTalksOnBeyondTheDeadlineIsSaidGoodbyeTo) {
    Instance server{"server", 4, {"OAVC_LIMITS_DRAIN_DEADLINE=1s"}};
    ASSERT_TRUE(server.ready()) << server.output();
    SipFront front{{server.sip_port()}};
    const auto calls = begin(front, 2);
    ASSERT_TRUE(wait_until([&] {
        return std::ranges::all_of(states(front, calls), &SipFront::State::answered);
    })) << server.log();
    ASSERT_TRUE(hear_more(front, calls, 25));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.log();
    for (const auto& state : states(front, calls)) {
        EXPECT_TRUE(state.cut) << "by us, politely";
        EXPECT_EQ(state.lost, 0u) << "up to the last word";
    }
    EXPECT_THAT(server.log(), HasSubstr("saying goodbye active_calls=2"));
    EXPECT_THAT(server.log(), testing::Not(HasSubstr("ending calls")));
}

TEST(RollingUpgrade, ASecondSignalEndsAtOnce) {
    Instance server{"server", 4};
    ASSERT_TRUE(server.ready()) << server.output();
    SipFront front{{server.sip_port()}};
    const auto calls = begin(front, 1);
    ASSERT_TRUE(hear_more(front, calls, 10)) << server.log();
    server.signal(SIGTERM);
    ASSERT_TRUE(wait_until([&] { return server.get("/health/ready").first == 503; }));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), -SIGTERM);
}

}  // namespace
}  // namespace oavc
