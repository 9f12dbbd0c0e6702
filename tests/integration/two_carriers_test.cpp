// One server, calls of both carriers at the same time.

#include "caller/report.hpp"
#include "caller/run.hpp"
#include "support/running_server.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace oavc::caller {
namespace {

using Kind = Options::Speech::Kind;

/// Notes how many calls the server carries whenever this one speaks.
class Watcher final : public RunObserver {
public:
    explicit Watcher(app::Server& server) : server_{server} {}
    std::size_t most_at_once() const { return most_; }

private:
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {}
    void on_answered(const Dialled&) override {}
    void on_caller_speaks(milliseconds, const Utterance&) override {
        most_ = std::max(most_, server_.active_calls());
    }
    void on_server_event(milliseconds, const ServerEvent&) override {}
    void on_over(milliseconds, std::string_view) override {}
    void on_report(const CallReport&) override {}

    app::Server& server_;
    std::size_t most_{0};
};

TEST(TwoCarriers, AreServedAtTheSameTime) {
    test::RunningServer server;
    server.start();
    struct Caller {
        std::string via;
        Watcher watcher;
        std::vector<CallReport> calls;
    };
    Caller callers[]{{"opensips", Watcher{*server}, {}}, {"twilio", Watcher{*server}, {}}};
    std::vector<std::thread> threads;
    for (Caller& caller : callers) {
        threads.emplace_back([&caller, &server] {
            Options options;
            options.via = caller.via;
            options.speech = {
                {Kind::text, "what are your opening hours"},
                {Kind::text, "where is the nearest branch"}};
            options.json = true;  // no recording
            options.wait = 20s;
            options.timeout = 90s;
            CallRun run{options, server.config(), caller.watcher};
            caller.calls = run.run();
        });
    }
    for (auto& thread : threads)
        thread.join();
    for (const Caller& caller : callers) {
        ASSERT_EQ(caller.calls.size(), 1u) << caller.via;
        EXPECT_EQ(verdict(caller.calls[0]), "") << to_json(caller.calls[0]);
        EXPECT_EQ(caller.watcher.most_at_once(), 2u) << caller.via;
    }
    EXPECT_TRUE(server.calls_end_within(10s));
}

}  // namespace
}  // namespace oavc::caller
