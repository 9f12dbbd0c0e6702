#include "caller/report.hpp"

#include <boost/json/parse.hpp>

#include <gtest/gtest.h>

namespace oavc::caller {
namespace {

namespace json = boost::json;

ServerEvent event_of(std::string kind, milliseconds at, std::uint32_t turn, std::string text = {}) {
    ServerEvent event;
    event.kind = std::move(kind);
    event.since_start = at;
    event.turn = turn;
    event.text = std::move(text);
    return event;
}

CallReport good_call() {
    CallReport call;
    call.call_id = "c1";
    call.via = "opensips";
    call.setup_ms = 8.26;
    TurnReport turn;
    turn.asked = turn.label = turn.caller_said = "what are your opening hours";
    turn.server_said = "We are open from nine to five.";
    turn.connector_said = "we are open from nine to five";
    turn.heard_latency_ms = 612.34;
    turn.stages = Stages{500, 12, 1, 40, 59};
    call.turns.push_back(turn);
    call.rtp = {250, 251, 0, 0.44, 21.9};
    call.result = "ok";
    return call;
}

TEST(MatchServerEvents, PutsWhatTheServerToldBesideWhatWasSaidThen) {
    const TimePoint answered{};
    const std::vector<SpokenUtterance> spoken{
        {answered + 3s, answered + 4s}, {answered + 8s, answered + 8500ms}};
    auto reply = event_of("reply_started", 5'600ms, 1);
    reply.stages = Stages{500, 1, 2, 3, 4};
    const std::vector<ServerEvent> events{
        event_of("started", 0ms, 0),
        event_of("answered", 500ms, 0),
        event_of("sentence", 510ms, 0, "Welcome."),
        event_of("caller_said", 5'000ms, 1, "hello"),  // 4.5 s after the answer: within the first
        event_of("sentence", 5'100ms, 1, "Hi."),
        event_of("sentence", 5'200ms, 1, "How are you?"),
        reply,
        event_of("caller_said", 9'000ms, 2, "bye"),
        event_of("sentence", 9'050ms, 2, "Goodbye."),
    };
    const auto turns = match_server_events(events, answered, spoken);
    ASSERT_EQ(turns.size(), 3U);
    EXPECT_EQ(turns[0].said, "Welcome.");
    EXPECT_EQ(turns[1].caller_said, "hello");
    EXPECT_EQ(turns[1].said, "Hi. How are you?");
    ASSERT_TRUE(turns[1].stages);
    EXPECT_DOUBLE_EQ(turns[1].stages->llm_ms, 2);
    EXPECT_EQ(turns[2].caller_said, "bye");
    EXPECT_FALSE(turns[2].stages);
}

TEST(MatchServerEvents, JoinsTheTurnsThatPausesMadeOfOneRecording) {
    const std::vector<SpokenUtterance> spoken{{TimePoint{} + 1s, TimePoint{} + 5500ms}};
    const std::vector<ServerEvent> events{
        event_of("caller_said", 3s, 1, "and so my fellow americans"),
        event_of("sentence", 3s, 1, "First reply."),
        event_of("caller_said", 6s, 2, "ask not what your country can do for you"),
        event_of("sentence", 6s, 2, "Second reply."),
    };
    const auto turns = match_server_events(events, TimePoint{}, spoken);
    EXPECT_EQ(
        turns[1].caller_said, "and so my fellow americans ask not what your country can do for you"
    );
    EXPECT_EQ(turns[1].said, "Second reply.") << "the one that is heard at the end";
}

TEST(MatchServerEvents, GivesAReplyToWhatWasNotUnderstoodToItsOwnUtterance) {
    const std::vector<SpokenUtterance> spoken{
        {TimePoint{} + 1s, TimePoint{} + 2s}, {TimePoint{} + 5s, TimePoint{} + 6s}};
    auto first = event_of("reply_started", 2'600ms, 1);
    first.stages = Stages{500, 1, 2, 3, 4};
    auto sorry = event_of("reply_started", 6'800ms, 1);  // nothing was said: still turn 1
    sorry.stages = Stages{700, 0, 0, 0, 0};
    const std::vector<ServerEvent> events{
        event_of("caller_said", 2'500ms, 1, "hello"),
        event_of("sentence", 2'500ms, 1, "Hi."),
        first,
        event_of("sentence", 6'700ms, 1, "Sorry?"),
        sorry,
    };
    const auto turns = match_server_events(events, TimePoint{}, spoken);
    EXPECT_EQ(turns[1].said, "Hi.");
    EXPECT_DOUBLE_EQ(turns[1].stages->endpointing_ms, 500);
    EXPECT_EQ(turns[2].said, "Sorry?");
    EXPECT_DOUBLE_EQ(turns[2].stages->endpointing_ms, 700);
}

TEST(Verdict, IsSilentAboutAGoodCall) { EXPECT_EQ(verdict(good_call()), ""); }

TEST(Verdict, NamesWhatKeepsACallFromBeingProof) {
    auto call = good_call();
    call.turns[0].caller_said = "what are you opening";
    EXPECT_NE(verdict(call).find("what are you opening"), std::string::npos);
    EXPECT_EQ(basic_verdict(call), "");

    call = good_call();
    call.turns[0].connector_said = "we were somewhere else";
    EXPECT_NE(verdict(call).find("was heard as"), std::string::npos);
    call.turns[0].interrupted = true;
    EXPECT_EQ(verdict(call), "") << "nobody hears the end of an interrupted reply";
    call.turns[0].leaked_ms = 120;
    EXPECT_NE(basic_verdict(call).find("120 ms"), std::string::npos);

    call = good_call();
    call.turns[0].heard_latency_ms.reset();
    EXPECT_NE(basic_verdict(call).find("no reply"), std::string::npos);
    call = good_call();
    call.turns[0].server_said.clear();
    EXPECT_NE(verdict(call), "");
    call.turns.clear();
    EXPECT_NE(basic_verdict(call), "");
}

TEST(Json, HasTheMembersThatScriptsRelyOn) {
    auto call = good_call();
    TurnReport second;
    second.interrupted = true;
    second.barge_in_ms = 88.06;
    call.turns.push_back(second);
    EXPECT_EQ(
        to_json(call),
        R"({"call_id":"c1","via":"opensips","setup_ms":8.3,"turns":[{"caller_said":"what are your opening hours",)"
        R"("connector_said":"we are open from nine to five","heard_latency_ms":612.3,"stages":{"endpointing_ms":500,)"
        R"("stt_ms":12,"llm_ms":1,"tts_ms":40,"playout_ms":59},"interrupted":false,"barge_in_ms":null},)"
        R"({"caller_said":"","connector_said":"","heard_latency_ms":null,"stages":null,"interrupted":true,"barge_in_ms":88.1}],)"
        R"("rtp":{"sent":250,"received":251,"lost":0,"jitter_ms":0.4,"max_gap_ms":21.9},"result":"ok"})"
    );
}

TEST(Waterfall, ShowsEachStageWhereItBegan) {
    const auto text = waterfall(good_call(), Style{});
    EXPECT_NE(text.find("turn 1  reply heard after 612 ms"), std::string::npos) << text;
    EXPECT_NE(text.find("endpointing   500.0 ms █"), std::string::npos) << text;
    EXPECT_LT(text.find("endpointing"), text.find("playout"));
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << "no colours unless asked";
    EXPECT_NE(waterfall(good_call(), Style{true}).find('\x1b'), std::string::npos);
}

TEST(Summary, CountsOverAllCallsAndNamesTheBadOnes) {
    auto bad = good_call();
    bad.call_id = "c2";
    bad.result = "no reply was heard";
    const std::vector<CallReport> calls{good_call(), bad};
    const auto text = summary(calls, Style{});
    EXPECT_NE(text.find("p50    612 ms"), std::string::npos) << text;
    EXPECT_NE(text.find("✗ no reply was heard"), std::string::npos) << text;
    EXPECT_EQ(text.find("c1"), std::string::npos) << text;
}

TEST(EventsPage, IsReadWithoutItsUnknownMembers) {
    const auto page = parse_events_page(
        R"({"session":"s1","state":"over","next":9,"complete":true,"novelty":[1],"events":[)"
        R"({"number":9,"kind":"reply_started","since_start_ms":1200,"turn":2,"latency":{"endpointing_ms":500.5,"stt_ms":1,"llm_ms":2,"tts_ms":3,"playout_ms":4}},)"
        R"({"number":10,"kind":"heard","text":"Hi.","interrupted":true}, 7]})"
    );
    ASSERT_TRUE(page);
    EXPECT_EQ(page->session, "s1");
    EXPECT_EQ(page->next, 9U);
    EXPECT_TRUE(page->complete);
    ASSERT_EQ(page->events.size(), 2U);
    EXPECT_EQ(page->events[0].since_start, 1200ms);
    EXPECT_DOUBLE_EQ(page->events[0].stages->endpointing_ms, 500.5);
    EXPECT_TRUE(page->events[1].interrupted);
    EXPECT_TRUE(parse_events_page("{}").has_error());
    EXPECT_TRUE(parse_events_page("nonsense").has_error());
    EXPECT_TRUE(parse_events_page("[]").has_error());
}

}  // namespace
}  // namespace oavc::caller
