#include "api/event_stream.hpp"

#include "api/control_api.hpp"
#include "net/http_server.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::api {
namespace {

using Kind = pipeline::CallEvent::Kind;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

void happen(EventFeed& feed, Kind kind, const std::string& session = "s1", std::string text = {}) {
    pipeline::CallEvent event;
    event.kind = kind;
    event.text = std::move(text);
    transports::CallInfo call;
    call.via = "sip";
    call.native_id = "n-" + session;
    feed.on_call_event({session}, call, event);
}

TEST(EventFeed, NumbersEventsAndKeepsTheLatest) {
    EventFeed feed;
    EXPECT_THAT(feed.read(0, 10).items, SizeIs(0));
    for (std::size_t i = 0; i < EventFeed::kept + 5; ++i)
        happen(feed, Kind::partial);
    EXPECT_EQ(feed.latest(), EventFeed::kept + 5);
    const auto page = feed.read(2, 10);
    EXPECT_EQ(page.missed, 3u);
    ASSERT_THAT(page.items, SizeIs(10));
    EXPECT_EQ(page.items.front()->number, 6u);
    EXPECT_EQ(feed.read(5, 1).missed, 0u);
    EXPECT_THAT(feed.read(feed.latest(), 10).items, SizeIs(0));
    EXPECT_THAT(feed.read(feed.latest() + 9, 10).items, SizeIs(0));
}

TEST(EventFeed, HasABoundedNumberOfWatchers) {
    EventFeed feed;
    async::Shard shard{0};
    std::list<EventFeed::Watch> watches;
    for (std::size_t i = 0; i < EventFeed::max_watchers; ++i)
        watches.push_back(std::move(*feed.watch(shard.executor())));
    EXPECT_FALSE(feed.watch(shard.executor()));
    EXPECT_EQ(feed.stats().watchers, EventFeed::max_watchers);
    EXPECT_EQ(feed.stats().refused, 1u);
    watches.clear();
    EXPECT_EQ(feed.stats().watchers, 0u);
    EXPECT_TRUE(feed.watch(shard.executor()));
}

TEST(ServerSentEvents, AreOneLineOfJsonWhateverWasSaid) {
    FeedItem item;
    item.number = 17;
    item.session = {"s1"};
    item.event.kind = Kind::caller_said;
    item.event.text = "a\r\ndata: forged\n\nid: 9";
    const auto text = sse_event("4f1c", item);
    EXPECT_THAT(text, HasSubstr("id: 4f1c-17\nevent: caller_said\ndata: {\"call\":\"s1\""));
    EXPECT_THAT(text, Not(HasSubstr("\ndata: forged")));
    EXPECT_EQ(text.find("\n\n"), text.size() - 2);
}

TEST(ServerSentEvents, OnlyIdsOfThisProcessAreNumbers) {
    EXPECT_EQ(event_number("4f1c", "4f1c-17"), 17u);
    for (const char* const other : {"", "17", "4f1d-17", "4f1c-", "4f1c-1x", "4f1c--1", "-"})
        EXPECT_EQ(event_number("4f1c", other), std::nullopt) << other;
}

/// A client that notes what it gets, and takes it or does not.
class Client final : public net::LongAnswer {
public:
    asio::awaitable<bool> begin(net::HttpResponse response) override {
        head = std::move(response);
        received += head->body;
        co_return takes;
    }
    asio::awaitable<bool> write(std::string part) override {
        received += part;
        ++parts;
        co_return takes;
    }
    std::optional<net::HttpResponse> head;
    std::string received;
    int parts{0};
    bool takes{true};
};

class WatchTest : public testing::Test {
protected:
    WatchTest() {
        Reach reach;
        reach.feed = &feed;
        reach.instance = "4f1c";
        api.emplace(Config{}, log, std::move(reach));
    }
    ~WatchTest() override {
        for (const Kind kind : {Kind::started, Kind::started}) {
            client.takes = false;
            happen(feed, kind);
            run();
        }
    }

    void begin(std::string target = "/api/v1/events", std::string last = {}) {
        net::HttpRequest request;
        request.method = "GET";
        request.target = std::move(target);
        request.peer_is_loopback = true;
        if (!last.empty()) request.headers["Last-Event-ID"] = std::move(last);
        over = false;
        asio::co_spawn(
            shard.context(),
            api->watch(shard, std::move(request), client),
            [this](std::exception_ptr, std::optional<net::HttpResponse> answer) {
                over = true;
                refusal = std::move(answer);
            }
        );
        run();
    }
    void run() {
        shard.context().restart();
        shard.context().poll();
    }

    async::Shard shard{0};
    CallLog log;
    EventFeed feed;
    std::optional<ControlApi> api;
    Client client;
    std::optional<net::HttpResponse> refusal;
    bool over{false};
};

TEST_F(WatchTest, SeesWhatHappensFromNowOn) {
    happen(feed, Kind::started, "before");
    begin();
    ASSERT_TRUE(client.head);
    EXPECT_EQ(client.head->content_type, "text/event-stream");
    EXPECT_EQ(client.received, "retry: 2000\n\n");
    happen(feed, Kind::started, "s1");
    happen(feed, Kind::caller_said, "s2", "hello");
    run();
    EXPECT_THAT(client.received, HasSubstr("id: 4f1c-2\nevent: started\n"));
    EXPECT_THAT(client.received, HasSubstr("id: 4f1c-3\nevent: caller_said\n"));
    EXPECT_THAT(client.received, HasSubstr("\"text\":\"hello\""));
    EXPECT_THAT(client.received, Not(HasSubstr("before")));
    EXPECT_FALSE(over);
}

TEST_F(WatchTest, GoesOnWhereItLeftOff) {
    happen(feed, Kind::started);
    happen(feed, Kind::answered);
    begin("/api/v1/events", "4f1c-1");
    EXPECT_THAT(client.received, Not(HasSubstr("event: started")));
    EXPECT_THAT(client.received, HasSubstr("id: 4f1c-2\nevent: answered\n"));
    EXPECT_THAT(client.received, Not(HasSubstr("event: gap")));
}

TEST_F(WatchTest, IsToldWhatItMissed) {
    for (std::size_t i = 0; i < EventFeed::kept + 10; ++i)
        happen(feed, Kind::partial);
    begin("/api/v1/events", "4f1c-4");
    EXPECT_THAT(client.received, HasSubstr("event: gap\ndata: {\"missed\":6}\n\nid: 4f1c-11\n"));
    EXPECT_EQ(feed.stats().dropped, 0u);
}

TEST_F(WatchTest, OfAnotherProcessIsToldThatItMissedSomething) {
    happen(feed, Kind::started);
    begin("/api/v1/events", "beef-1");
    EXPECT_THAT(client.received, HasSubstr("event: gap\ndata: {}\n\n"));
    happen(feed, Kind::answered);
    run();
    EXPECT_THAT(client.received, HasSubstr("id: 4f1c-2\n"));
}

TEST_F(WatchTest, OfOneCallSeesThatCallUntilItIsOver) {
    begin("/api/v1/events?call=n-s1");
    happen(feed, Kind::started, "s1");
    happen(feed, Kind::started, "s2");
    happen(feed, Kind::ended, "s2");
    run();
    EXPECT_FALSE(over);
    happen(feed, Kind::ended, "s1");
    run();
    EXPECT_TRUE(over);
    EXPECT_THAT(client.received, HasSubstr("event: ended"));
    EXPECT_THAT(client.received, Not(HasSubstr("\"call\":\"s2\"")));
}

TEST_F(WatchTest, WhoIsTooSlowIsDroppedAndCounted) {
    begin();
    for (std::size_t i = 0; i < EventFeed::kept + 1; ++i)
        happen(feed, Kind::partial);
    run();
    EXPECT_TRUE(over);
    EXPECT_EQ(feed.stats().dropped, 1u);
    EXPECT_EQ(feed.stats().watchers, 0u);
}

TEST_F(WatchTest, EndsWhenTheClientIsGone) {
    begin();
    client.takes = false;
    happen(feed, Kind::started);
    run();
    EXPECT_TRUE(over);
    EXPECT_FALSE(refusal);
    EXPECT_EQ(feed.stats().watchers, 0u);
}

}  // namespace
}  // namespace oavc::api
