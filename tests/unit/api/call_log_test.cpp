#include "api/call_log.hpp"

#include "api/turns.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace oavc::api {
namespace {

using Kind = pipeline::CallEvent::Kind;

transports::CallInfo call_named(std::string native_id) {
    transports::CallInfo call;
    call.via = "twilio";
    call.native_id = std::move(native_id);
    call.from = "+905321112233";
    call.to = "100";
    return call;
}

pipeline::CallEvent event_of(Kind kind, std::uint32_t turn = 0, std::string text = {}) {
    pipeline::CallEvent event;
    event.kind = kind;
    event.turn = turn;
    event.text = std::move(text);
    return event;
}

void start(CallLog& log, const std::string& session, const std::string& native_id = "native") {
    log.on_call_event({session}, call_named(native_id), event_of(Kind::started));
}

TEST(CallLog, FindsACallByOurIdAndByTheCarriersOwn) {
    CallLog log;
    start(log, "s1", "CA1");
    start(log, "s2", "CA2");
    ASSERT_TRUE(log.find("s1"));
    ASSERT_TRUE(log.find("CA2"));
    EXPECT_EQ(log.find("CA2")->call.session.value, "s2");
    EXPECT_FALSE(log.find("CA3"));
    ASSERT_EQ(log.list().size(), 2U);
    EXPECT_EQ(log.list().front().session.value, "s2") << "newest first";
}

TEST(CallLog, AnswersOnlyWithEventsAfterTheNumberAsked) {
    CallLog log;
    start(log, "s");
    log.on_call_event({"s"}, call_named("n"), event_of(Kind::answered));
    log.on_call_event({"s"}, call_named("n"), event_of(Kind::caller_said, 1, "hello"));
    const auto page = log.find("s", 1);
    ASSERT_TRUE(page);
    ASSERT_EQ(page->events.size(), 2U);
    EXPECT_EQ(page->events[0].number, 2U);
    EXPECT_EQ(page->events[1].event.text, "hello");
    EXPECT_TRUE(log.find("s", 3)->events.empty());
    EXPECT_TRUE(log.find("s", 4'000'000'000'000)->events.empty());
    EXPECT_EQ(log.find("s", 0, 1)->events.size(), 1U);
}

TEST(CallLog, DropsTheOldestEventsOfACallThatHasTooMany) {
    CallLog log;
    start(log, "s");
    for (std::size_t i = 0; i < CallLog::max_events; ++i) {
        log.on_call_event({"s"}, call_named("n"), event_of(Kind::partial, 1, std::to_string(i)));
    }
    const auto page = log.find("s");
    ASSERT_EQ(page->events.size(), CallLog::max_events);
    EXPECT_EQ(page->call.forgotten, 1U);
    EXPECT_EQ(page->events.front().number, 2U);
    EXPECT_EQ(log.find("s", CallLog::max_events)->events.size(), 1U) << "numbers do not shift";
}

TEST(CallLog, ForgetsTheOldestFinishedCallFirstAndIgnoresTheForgotten) {
    CallLog log;
    for (std::size_t i = 0; i < CallLog::max_calls; ++i)
        start(log, "s" + std::to_string(i));
    log.on_call_event({"s5"}, call_named("n"), event_of(Kind::ended, 0, "caller hung up"));
    EXPECT_EQ(log.find("s5")->call.end_reason, "caller hung up");
    start(log, "new1");
    EXPECT_FALSE(log.find("s5"));
    EXPECT_TRUE(log.find("s0"));
    start(log, "new2");
    EXPECT_FALSE(log.find("s0")) << "none is finished: the oldest goes";
    EXPECT_EQ(log.list().size(), CallLog::max_calls);

    log.on_call_event({"s0"}, call_named("n"), event_of(Kind::partial));
    EXPECT_FALSE(log.find("s0"));
    EXPECT_EQ(log.stats().ignored, 1U);
}

TEST(CallLog, CutsLongTextsBetweenCharacters) {
    CallLog log;
    start(log, "s");
    std::string text(CallLog::max_text - 1, 'a');
    text += "\xC5\x9F";  // ş would begin inside and end outside of the bound
    log.on_call_event({"s"}, call_named("n"), event_of(Kind::partial, 1, text));
    EXPECT_EQ(log.find("s", 1)->events.front().event.text, std::string(CallLog::max_text - 1, 'a'));
}

/// Runs `wait` on `context`; `page` gets its answer once it is there.
void wait_on(
    asio::io_context& context,
    const CallLog& log,
    std::uint64_t after,
    std::optional<std::optional<CallPage>>& page
) {
    asio::co_spawn(context, log.wait("s", after, 10s), [&page](std::exception_ptr, auto answer) {
        page = std::move(answer);
    });
}

TEST(CallLog, WakesAWatcherWhenSomethingHappensInItsCall) {
    CallLog log;
    start(log, "s");
    asio::io_context context{1};
    std::optional<std::optional<CallPage>> page;
    wait_on(context, log, 1, page);
    context.poll();
    EXPECT_FALSE(page);
    start(log, "another");
    context.poll();
    EXPECT_FALSE(page) << "another call is no news";
    log.on_call_event({"s"}, call_named("n"), event_of(Kind::answered));
    context.poll();
    ASSERT_TRUE(page && *page);
    EXPECT_EQ((*page)->events.front().event.kind, Kind::answered);
}

TEST(CallLog, WakesAWatcherOfACallThatHasYetToCome) {
    CallLog log;
    asio::io_context context{1};
    std::optional<std::optional<CallPage>> page;
    wait_on(context, log, 0, page);
    context.poll();
    EXPECT_FALSE(page);
    std::thread{[&log] { start(log, "s"); }}.join();  // from another thread, as shards do
    context.restart();
    context.poll();
    ASSERT_TRUE(page && *page);
}

TEST(CallLog, DoesNotMakeAWatcherOfAFinishedCallWait) {
    CallLog log;
    start(log, "s");
    log.on_call_event({"s"}, call_named("n"), event_of(Kind::ended));
    asio::io_context context{1};
    std::optional<std::optional<CallPage>> page;
    wait_on(context, log, 2, page);
    context.poll();
    ASSERT_TRUE(page && *page);
    EXPECT_TRUE((*page)->events.empty());
}

TEST(Turns, PutsTogetherWhatBelongsToOneTurn) {
    std::vector<LoggedEvent> events;
    const auto add = [&events](pipeline::CallEvent event) {
        events.push_back({events.size() + 1, std::move(event)});
    };
    add(event_of(Kind::started));
    add(event_of(Kind::sentence, 0, "Welcome."));
    add(event_of(Kind::heard, 0, "Welcome."));
    add(event_of(Kind::caller_said, 1, "tell me a story"));
    add(event_of(Kind::sentence, 1, "Once upon a time."));
    add(event_of(Kind::sentence, 1, "There was a fox."));
    auto reply = event_of(Kind::reply_started, 1);
    reply.latency.heard = 612ms;
    add(reply);
    auto barge_in = event_of(Kind::barge_in, 1);
    barge_in.reaction = 90ms;
    add(barge_in);
    add(event_of(Kind::caller_said, 2, "stop"));
    auto heard = event_of(Kind::heard, 1, "Once upon");  // late, after the next turn began
    heard.interrupted = true;
    add(heard);

    const auto turns = turns_of(events);
    ASSERT_EQ(turns.size(), 3U);
    EXPECT_EQ(turns[0].connector_said, "Welcome.");
    EXPECT_EQ(turns[1].caller_said, "tell me a story");
    EXPECT_EQ(turns[1].connector_said, "Once upon a time. There was a fox.");
    EXPECT_EQ(turns[1].heard, "Once upon");
    EXPECT_TRUE(turns[1].interrupted);
    EXPECT_EQ(turns[1].latency->heard, 612ms);
    EXPECT_EQ(turns[1].reaction, 90ms);
    EXPECT_EQ(turns[2].caller_said, "stop");
    EXPECT_FALSE(turns[2].latency);
}

}  // namespace
}  // namespace oavc::api
