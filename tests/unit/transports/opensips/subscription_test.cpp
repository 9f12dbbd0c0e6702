#include "transports/opensips/subscription.hpp"

#include "base/bytes.hpp"
#include "support/opensips_capture.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::transports::opensips {
namespace {

const TimePoint t0{};

MiResponse up(const std::string& since, std::int64_t seconds) {
    MiResponse response;
    response.ok = true;
    response.up_since = since;
    response.up_seconds = seconds;
    return response;
}

/// A Subscription and an OpenSIPS that answers as told.
struct Driver {
    Driver() : subscription{{.socket = "udp:127.0.0.1:8090", .expire = std::chrono::seconds{60}}} {}

    /// Runs one round at `now`; `since` empty: no answers.
    void round(TimePoint now, const std::string& since, std::int64_t seconds = 100) {
        if (!started) {
            subscription.start(now);
            started = true;
        } else {
            subscription.on_time(now);
        }
        collect(now, since, seconds);
    }
    void collect(TimePoint now, const std::string& since, std::int64_t seconds) {
        while (auto action = subscription.next_action()) {
            if (const auto* send = std::get_if<Subscription::SendMi>(&*action)) {
                sent.push_back(send->command.method);
                if (since.empty()) {
                    subscription.on_mi(send->token, {}, now);
                } else {
                    auto response = up(since, seconds);
                    response.sessions = sessions;
                    subscription.on_mi(send->token, {response}, now);
                }
            } else if (std::holds_alternative<Subscription::Up>(*action)) {
                log.push_back("up");
            } else if (std::holds_alternative<Subscription::Down>(*action)) {
                log.push_back("down");
            } else if (const auto* lost = std::get_if<Subscription::CallsLost>(&*action)) {
                log.push_back("lost");
                lost_before = lost->before;
            } else if (const auto* list = std::get_if<Subscription::Sessions>(&*action)) {
                log.push_back("list " + std::to_string(list->sessions.size()));
            }
        }
    }

    Subscription subscription;
    bool started{false};
    std::vector<MiSession> sessions;
    std::vector<std::string> sent;
    std::vector<std::string> log;
    TimePoint lost_before{};
};
using Log = std::vector<std::string>;

TEST(Subscription, SubscribesAsksForUptimeAndReconciles) {
    Driver d;
    d.sessions.resize(2);
    d.round(t0, "a");
    EXPECT_EQ(d.sent, (Log{"event_subscribe", "uptime", "ua_session_list"}));
    EXPECT_EQ(d.log, (Log{"up", "list 2"}));
    EXPECT_TRUE(d.subscription.is_up());
}

TEST(Subscription, RenewsWellBeforeExpiryAndListsNowAndThen) {
    Driver d;
    d.round(t0, "a");
    d.sent.clear();
    auto now = t0;
    for (int i = 0; i < 12; ++i) {
        ASSERT_TRUE(d.subscription.next_deadline().has_value());
        now = *d.subscription.next_deadline();
        d.round(now, "a", 100 + i);
    }
    EXPECT_EQ(now - t0, 12 * 5s);
    EXPECT_EQ(std::count(d.sent.begin(), d.sent.end(), "event_subscribe"), 12);
    EXPECT_EQ(std::count(d.sent.begin(), d.sent.end(), "ua_session_list"), 2);
    EXPECT_EQ(d.log, (Log{"up", "list 0", "list 0", "list 0"}));
    EXPECT_EQ(Subscription({.socket = "", .expire = std::chrono::seconds{6}}).renew_period(), 2s);
}

TEST(Subscription, BacksOffWhileOpensipsIsDown) {
    Driver d;
    auto now = t0;
    std::vector<Clock::duration> waits;
    for (int i = 0; i < 6; ++i) {
        d.round(now, "");
        waits.push_back(*d.subscription.next_deadline() - now);
        now = *d.subscription.next_deadline();
    }
    EXPECT_EQ(waits, (std::vector<Clock::duration>{500ms, 1s, 2s, 4s, 5s, 5s}));
    EXPECT_EQ(d.log, Log{"down"});  // said once
    d.round(now, "a");
    EXPECT_EQ(d.log, (Log{"down", "up", "list 0"}));
    d.round(*d.subscription.next_deadline(), "");
    EXPECT_EQ(d.log.back(), "down");
}

TEST(Subscription, ARestartIsSeenByUptimeAndCostsTheCallsThatWereThere) {
    Driver d;
    d.round(t0, "Sun Nov 22 09:00:00 2026", 500);
    d.log.clear();
    d.sent.clear();
    d.round(t0 + 5s, "Sun Nov 22 09:07:11 2026", 1);
    EXPECT_EQ(d.log, (Log{"lost", "up", "list 0"}));
    EXPECT_EQ(d.lost_before, t0 + 5s);
    // It may have been restarted between the two requests: subscribed again at once.
    EXPECT_EQ(
        d.sent, (Log{"event_subscribe", "uptime", "event_subscribe", "uptime", "ua_session_list"})
    );
}

TEST(Subscription, ARestartIsSeenByAClockThatGoesBack) {
    Driver d;
    d.round(t0, "same", 500);
    d.log.clear();
    d.round(t0 + 5s, "same", 2);
    EXPECT_EQ(d.log, (Log{"lost", "up", "list 0"}));
}

TEST(Subscription, AfterExpiryWithoutAnAnswerTheCallsAreLost) {
    Driver d;
    d.round(t0, "a");
    d.log.clear();
    auto now = *d.subscription.next_deadline();
    while (now < t0 + 60s) {
        d.round(now, "");
        now = *d.subscription.next_deadline();
    }
    EXPECT_EQ(d.log, Log{"down"});
    d.round(now, "");
    EXPECT_EQ(d.log, (Log{"down", "lost"}));
    d.round(*d.subscription.next_deadline(), "");
    EXPECT_EQ(d.log, (Log{"down", "lost"}));
}

TEST(Subscription, AShortSilenceCostsNoCall) {
    Driver d;
    d.round(t0, "a", 10);
    d.log.clear();
    d.round(t0 + 5s, "");
    d.round(*d.subscription.next_deadline(), "a", 16);
    EXPECT_EQ(d.log, (Log{"down", "up", "list 0"}));
}

TEST(Subscription, AListThatDoesNotFitADatagramIsDoneWithout) {
    Subscription subscription{{.socket = "udp:127.0.0.1:8090"}};
    subscription.start(t0);
    std::size_t lists = 0;
    while (auto action = subscription.next_action()) {
        if (const auto* send = std::get_if<Subscription::SendMi>(&*action)) {
            MiResponse response = up("a", 1);
            if (send->command.method == "ua_session_list") {
                response.ok = false;
                response.code = 500;
            }
            subscription.on_mi(send->token, {response}, t0);
        }
        lists += std::holds_alternative<Subscription::Sessions>(*action) ? 1 : 0;
    }
    EXPECT_EQ(lists, 0u);
    EXPECT_TRUE(subscription.is_up());
    EXPECT_TRUE(subscription.next_deadline().has_value());
}

TEST(Subscription, AnErrorIsToldAndTriedAgain) {
    Subscription subscription{{.socket = "udp:127.0.0.1:8090"}};
    subscription.start(t0);
    const auto send = std::get<Subscription::SendMi>(*subscription.next_action());
    MiResponse refused;
    refused.code = -32601;
    refused.message = "Method not found";
    subscription.on_mi(send.token, {refused}, t0);
    EXPECT_EQ(std::get<Subscription::Down>(*subscription.next_action()).reason, "Method not found");
    EXPECT_EQ(subscription.next_deadline(), t0 + 500ms);
}

TEST(Subscription, TheCapturedRestartIsSeen) {
    Subscription subscription{{.socket = "udp:127.0.0.1:8090"}};
    subscription.start(t0);
    bool lost = false;
    const auto answer = [&](const MiResponse& response) {
        while (auto action = subscription.next_action()) {
            lost = lost || std::holds_alternative<Subscription::CallsLost>(*action);
            if (const auto* send = std::get_if<Subscription::SendMi>(&*action)) {
                MiResponse ok;
                ok.ok = true;
                subscription.on_mi(
                    send->token, {send->command.method == "uptime" ? response : ok}, t0
                );
            }
        }
    };
    answer(up("Sun Nov 22 09:07:01 2026", 9));
    EXPECT_FALSE(lost);
    for (const auto& datagram : test::load_opensips_capture("j_opensips_restart")) {
        if (datagram.label != "MI result to uptime (id 1)") continue;
        subscription.on_time(*subscription.next_deadline());
        answer(*parse_mi_response(as_bytes(datagram.payload)));
    }
    EXPECT_TRUE(lost);
}

}  // namespace
}  // namespace oavc::transports::opensips
