// A crowd against a server that does what a connector does, on real sockets.
#include "caller/bench/twilio_crowd.hpp"

#include "async/shard_pool.hpp"
#include "base/base64.hpp"
#include "net/http_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace oavc::caller::bench {
namespace {

/// What the server's end saw. Written on the shard's thread.
struct Seen {
    std::atomic<unsigned> starts{0};
    std::atomic<unsigned> media{0};
    std::atomic<unsigned> marks{0};
    std::atomic<unsigned> stops{0};
};

std::string member(std::string_view text, std::string_view name) {
    const auto at = text.find(name);
    if (at == std::string_view::npos) return {};
    const auto begin = at + name.size() + 3;
    return std::string{text.substr(begin, text.find('"', begin) - begin)};
}

/// Answers `start` with 60 ms of audio and a mark, the mark with `clear`, `stop` with a close.
/// With `stalls` the next 60 ms come only now, when the first ones have long sounded, and no
/// `clear`.
asio::awaitable<void> talk(
    std::unique_ptr<net::WebSocket> socket, Seen* seen, bool hang_up, bool stalls
) {
    const auto audio = base64::encode(std::vector<std::byte>(480, std::byte{0x20}));
    for (;;) {
        const auto message = co_await socket->read();
        if (message.has_error()) co_return;
        const std::string text{message->data};
        const auto event = member(text, "\"event");
        const auto sid = member(text, "\"streamSid");
        if (event == "start") {
            ++seen->starts;
            if (member(text, "\"token") != "t1") co_return;
            if (hang_up) {
                co_await socket->close(1000, "bye");
                co_return;
            }
            socket->send_text(fmt::format(
                R"({{"event":"media","streamSid":"{}","media":{{"payload":"{}"}}}})", sid, audio
            ));
            socket->send_text(
                fmt::format(R"({{"event":"mark","streamSid":"{}","mark":{{"name":"m"}}}})", sid)
            );
        } else if (event == "media") {
            ++seen->media;
        } else if (event == "mark") {
            ++seen->marks;
            socket->send_text(
                stalls ? fmt::format(
                             R"({{"event":"media","streamSid":"{}","media":{{"payload":"{}"}}}})",
                             sid,
                             audio
                         )
                       : fmt::format(R"({{"event":"clear","streamSid":"{}"}})", sid)
            );
        } else if (event == "stop") {
            ++seen->stops;
            co_await socket->close(1000, "call ended");
            co_return;
        }
    }
}

struct Events final : CrowdEvents {
    void on_answered(CallIndex call, TimePoint) override { answered.insert(call); }
    void on_heard(CallIndex, const Heard& audio) override { heard += audio.ulaw.size(); }
    void on_wrong_audio(CallIndex) override { ++wrong; }
    void on_underrun(CallIndex, Clock::duration gap) override { gaps.push_back(gap); }
    void on_over(CallIndex call, TimePoint, Ending how, std::string_view why) override {
        over.emplace_back(call, how);
        reason = why;
    }
    std::set<CallIndex> answered;
    std::size_t heard{0};
    int wrong{0};
    std::vector<Clock::duration> gaps;
    std::vector<std::pair<CallIndex, Ending>> over;
    std::string reason;
};

class TwilioCrowdTest : public ::testing::Test {
protected:
    TwilioCrowdTest() {
        net::HttpServer::Options options;
        options.host = "127.0.0.1";
        server_.emplace(pool_, options);
        server_->handle(
            "POST",
            "/",
            [this](async::Shard&, net::HttpRequest) -> asio::awaitable<net::HttpResponse> {
                net::HttpResponse response;
                response.status = status_;
                response.body = twiml_;
                co_return response;
            }
        );
        server_->handle_websocket(
            "/ws",
            [](const net::HttpRequest&) { return std::optional<net::HttpResponse>{}; },
            [this](async::Shard&, net::HttpRequest, std::unique_ptr<net::WebSocket> socket) {
                return talk(std::move(socket), &seen_, hang_up_, stalls_);
            }
        );
        server_->start();
        pool_.start();
        twiml_ = fmt::format(
            R"(<Response><Connect><Stream url="ws://127.0.0.1:{}/ws"><Parameter name="token" )"
            R"(value="t1"/></Stream></Connect></Response>)",
            server_->port()
        );
        config_.url = fmt::format("http://127.0.0.1:{}", server_->port());
    }

    /// Plays the engine until `done`; a minute is taken for a hang.
    template <class Done>
    bool play(TwilioCrowd& crowd, Done done) {
        const auto give_up = Clock::now() + 1min;
        const std::vector<std::byte> frame(frame_bytes, std::byte{0xFF});
        auto next = Clock::now();
        while (!done() && Clock::now() < give_up) {
            const auto now = Clock::now();
            crowd.poll(now, events_);
            if (now >= next) {
                for (const CallIndex call : events_.answered)
                    crowd.send(call, FrameBytes{frame}, now);
                next = now + 20ms;
            }
            std::this_thread::yield();
        }
        return done();
    }

    async::ShardPool pool_{1};
    Seen seen_;
    std::string twiml_;
    int status_{200};
    bool hang_up_{false};
    bool stalls_{false};
    std::optional<net::HttpServer> server_;
    TwilioCrowd::Config config_;
    Events events_;
};

TEST_F(TwilioCrowdTest, CallsTalksListensAndHangsUp) {
    constexpr CallIndex phones = 20;
    TwilioCrowd crowd{config_, phones};
    for (CallIndex call = 0; call < phones; ++call)
        crowd.place(call, Clock::now());
    EXPECT_TRUE(play(crowd, [&] { return events_.answered.size() == phones; }));
    EXPECT_TRUE(play(crowd, [&] { return seen_.marks == phones && seen_.media >= 5 * phones; }));
    EXPECT_EQ(events_.heard, phones * 480u) << "marks came back behind the audio before them";
    EXPECT_EQ(events_.wrong, 0);
    EXPECT_TRUE(events_.gaps.empty());
    EXPECT_GE(crowd.stats().sent, 5u * phones);
    for (CallIndex call = 0; call < phones; ++call)
        crowd.hang_up(call, Clock::now());
    events_.answered.clear();
    EXPECT_TRUE(play(crowd, [&] { return seen_.stops == phones; }));
    EXPECT_TRUE(events_.over.empty()) << events_.reason;

    // A phone is free at once.
    crowd.place(0, Clock::now());
    EXPECT_TRUE(play(crowd, [&] { return events_.answered.contains(0); }));
}

TEST_F(TwilioCrowdTest, AudioThatComesAfterTheLastHasSoundedLeavesAGap) {
    stalls_ = true;
    TwilioCrowd crowd{config_, 1};
    crowd.place(0, Clock::now());
    EXPECT_TRUE(play(crowd, [&] { return events_.heard == 960; }));
    ASSERT_EQ(events_.gaps.size(), 1u) << "the mark came back when all had sounded";
    EXPECT_GT(events_.gaps.front(), 0ms);
}

TEST_F(TwilioCrowdTest, ARejectedCallIsRefused) {
    twiml_ = R"(<Response><Reject reason="busy"/></Response>)";
    TwilioCrowd crowd{config_, 1};
    crowd.place(0, Clock::now());
    EXPECT_TRUE(play(crowd, [&] { return !events_.over.empty(); }));
    EXPECT_EQ(events_.over.front().second, Ending::refused);
}

TEST_F(TwilioCrowdTest, WhatGoesWrongIsTold) {
    status_ = 403;
    TwilioCrowd crowd{config_, 2};
    crowd.place(0, Clock::now());
    EXPECT_TRUE(play(crowd, [&] { return events_.over.size() == 1; }));
    EXPECT_EQ(events_.over.back().second, Ending::failed);
    EXPECT_NE(events_.reason.find("403"), std::string::npos);

    status_ = 200;
    hang_up_ = true;
    crowd.place(1, Clock::now());
    EXPECT_TRUE(play(crowd, [&] { return events_.over.size() == 2; }));
    EXPECT_EQ(events_.over.back(), (std::pair{CallIndex{1}, Ending::hung_up}));
    EXPECT_NE(events_.reason.find("1000"), std::string::npos);

    server_->stop();
    events_.answered.clear();
    crowd.place(0, Clock::now());
    EXPECT_TRUE(play(crowd, [&] { return events_.over.size() == 3; }));
    EXPECT_EQ(events_.over.back().second, Ending::failed);
}

TEST_F(TwilioCrowdTest, NoAnswerInTimeIsAFailure) {
    config_.answer_limit = 50ms;
    twiml_ = "<Response><Connect>";
    TwilioCrowd crowd{config_, 1};
    const auto begin = Clock::now();
    crowd.place(0, begin);
    crowd.poll(begin + 51ms, events_);
    ASSERT_EQ(events_.over.size(), 1u);
    EXPECT_EQ(events_.over.front().second, Ending::failed);
}

TEST_F(TwilioCrowdTest, AnAddressThatIsNoneIsToldAtOnce) {
    config_.url = "https://example.test";
    EXPECT_THROW((TwilioCrowd{config_, 1}), std::runtime_error);
}

}  // namespace
}  // namespace oavc::caller::bench
