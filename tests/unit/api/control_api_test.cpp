#include "api/control_api.hpp"

#include "transports/errors.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/json/parse.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::api {
namespace {

namespace json = boost::json;
using Kind = pipeline::CallEvent::Kind;

class ControlApiTest : public testing::Test {
protected:
    void happen(Kind kind, std::uint32_t turn = 0, std::string text = {}) {
        pipeline::CallEvent event;
        event.kind = kind;
        event.turn = turn;
        event.text = std::move(text);
        event.since_start = milliseconds{++clock_ * 100};
        event.latency.heard = 612'340us;
        transports::CallInfo call;
        call.via = "opensips";
        call.native_id = "B2B.1/2 3";
        log.on_call_event({"s1"}, call, event);
    }

    net::HttpResponse get(std::string target, net::HttpHeaders headers = {}, bool loopback = true) {
        start(std::move(target), std::move(headers), loopback);
        EXPECT_TRUE(response) << "answered at once";
        return response.value_or(net::HttpResponse{});
    }

    net::HttpResponse post(std::string target, std::string body = {}) {
        start(std::move(target), {}, true, "POST", std::move(body));
        EXPECT_TRUE(response) << "answered at once";
        return response.value_or(net::HttpResponse{});
    }

    void start(
        std::string target,
        net::HttpHeaders headers = {},
        bool loopback = true,
        std::string method = "GET",
        std::string body = {}
    ) {
        response.reset();
        net::HttpRequest request;
        request.method = std::move(method);
        request.body = std::move(body);
        request.target = std::move(target);
        request.headers = std::move(headers);
        request.peer_is_loopback = loopback;
        asio::co_spawn(
            shard.context(),
            api->handle(shard, std::move(request)),
            [this](std::exception_ptr, net::HttpResponse answer) { response = std::move(answer); }
        );
        shard.context().restart();
        shard.context().poll();
    }

    void configure(std::string token) {
        Config config;
        config.token = std::move(token);
        api.emplace(std::move(config), log, reach());
    }

    Reach reach() {
        Reach made;
        made.commands = &commands;
        return made;
    }

    async::Shard shard{0};
    CallLog log;
    /// Running calls that note what they are told, and answer what the test says.
    struct Commands final : pipeline::CallCommands {
        asio::awaitable<Result<void>> command(
            async::Shard&, std::string call, pipeline::CallCommand command
        ) override {
            calls.push_back(std::move(call));
            commands.push_back(std::move(command));
            if (answer) co_return answer;
            co_return Result<void>{};
        }
        std::vector<std::string> calls;
        std::vector<pipeline::CallCommand> commands;
        error_code answer;
    };

    Commands commands;
    std::optional<ControlApi> api{std::in_place, Config{}, log, reach()};
    std::optional<net::HttpResponse> response;

private:
    int clock_{0};
};

TEST_F(ControlApiTest, WithoutATokenAnswersLocalClientsOnlyAndSaysWhatToDo) {
    EXPECT_EQ(get("/api/v1/calls").status, 200);
    const auto refused = get("/api/v1/calls", {}, false);
    EXPECT_EQ(refused.status, 403);
    EXPECT_NE(refused.body.find("[api] token"), std::string::npos);
}

TEST_F(ControlApiTest, WithATokenAsksEverybodyForIt) {
    configure("s3cret");
    EXPECT_EQ(get("/api/v1/calls").status, 401);
    EXPECT_EQ(get("/api/v1/calls", {{"Authorization", "Bearer s3cret"}}, false).status, 200);
    EXPECT_EQ(get("/api/v1/calls", {{"authorization", "bearer s3cret"}}, false).status, 200);
    EXPECT_EQ(get("/api/v1/calls", {{"Authorization", "Bearer s3cre"}}).status, 401);
    EXPECT_EQ(get("/api/v1/calls", {{"Authorization", "Bearer s3crets3cret"}}).status, 401);
    EXPECT_EQ(get("/api/v1/calls", {{"Authorization", "Basic s3cret"}}).status, 401);
    EXPECT_EQ(get("/api/v1/calls", {{"Authorization", "Bearer "}}).status, 401);
}

TEST_F(ControlApiTest, TellsACallByItsEncodedNativeId) {
    happen(Kind::started);
    happen(Kind::answered);
    happen(Kind::caller_said, 1, "what time is it");
    happen(Kind::sentence, 1, "It is noon.");
    happen(Kind::reply_started, 1);
    happen(Kind::heard, 1, "It is noon.");
    const auto answer = get("/api/v1/calls/B2B.1%2F2%203");
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "application/json");
    const auto body = json::parse(answer.body);
    EXPECT_EQ(body.at("session").as_string(), "s1");
    EXPECT_EQ(body.at("state").as_string(), "answered");
    EXPECT_EQ(body.at("transcript").at(0).at("who").as_string(), "caller");
    EXPECT_EQ(body.at("transcript").at(1).at("text").as_string(), "It is noon.");
    EXPECT_DOUBLE_EQ(body.at("turns").at(0).at("latency").at("heard_ms").as_double(), 612.3);
    EXPECT_EQ(get("/api/v1/calls/unknown").status, 404);
}

TEST_F(ControlApiTest, HandsOutEventsFromWhereTheWatcherLeftOff) {
    happen(Kind::started);
    happen(Kind::answered);
    const auto body = json::parse(get("/api/v1/calls/s1/events?after=1").body);
    ASSERT_EQ(body.at("events").as_array().size(), 1U);
    EXPECT_EQ(body.at("events").at(0).at("kind").as_string(), "answered");
    EXPECT_EQ(body.at("events").at(0).at("since_start_ms").as_int64(), 200);
    EXPECT_EQ(body.at("next").as_int64(), 2);
    EXPECT_FALSE(body.at("complete").as_bool());
    happen(Kind::ended, 0, "bye");
    EXPECT_TRUE(json::parse(get("/api/v1/calls/s1/events?after=2").body).at("complete").as_bool());
}

TEST_F(ControlApiTest, WaitsForTheNextEventWhenAsked) {
    happen(Kind::started);
    start("/api/v1/calls/s1/events?after=1&wait_ms=99999999999");
    EXPECT_FALSE(response);
    happen(Kind::partial, 1, "caf\xC3");  // broken UTF-8 from a carrier must not break the JSON
    shard.context().poll();
    ASSERT_TRUE(response);
    const auto body = json::parse(response->body);
    EXPECT_EQ(body.at("events").at(0).at("text").as_string(), "caf\xEF\xBF\xBD");
}

TEST_F(ControlApiTest, RefusesNumbersThatAreNone) {
    happen(Kind::started);
    EXPECT_EQ(get("/api/v1/calls/s1/events?after=-1").status, 400);
    EXPECT_EQ(get("/api/v1/calls/s1/events?wait_ms=soon").status, 400);
    EXPECT_EQ(get("/api/v1/calls/s1/words").status, 404);
}

TEST_F(ControlApiTest, TellsARunningCallWhatToDo) {
    happen(Kind::started);
    using Wish = pipeline::CallCommand::Kind;
    EXPECT_EQ(post("/api/v1/calls/s1/hangup").status, 200);
    EXPECT_EQ(post("/api/v1/calls/s1/hangup", R"({"goodbye":true})").status, 202);
    EXPECT_EQ(
        post("/api/v1/calls/B2B.1%2F2%203/transfer", R"({"to":"sip:a@b","patience_s":5})").status,
        200
    );
    EXPECT_EQ(post("/api/v1/calls/s1/hold", "{}").status, 200);
    EXPECT_EQ(post("/api/v1/calls/s1/resume").status, 200);
    EXPECT_EQ(post("/api/v1/calls/s1/digits", R"({"digits":"12w#"})").status, 200);
    const auto say = post("/api/v1/calls/s1/say", R"({"text":"Hello.","interrupt":true})");
    EXPECT_EQ(say.status, 202);
    EXPECT_EQ(json::parse(say.body).at("status").as_string(), "accepted");

    EXPECT_EQ(post("/api/v1/calls/s1/recording/pause").status, 200);
    EXPECT_EQ(post("/api/v1/calls/s1/recording/resume", "{}").status, 200);

    ASSERT_EQ(commands.commands.size(), 9u);
    EXPECT_EQ(commands.commands[7].kind, Wish::pause_recording);
    EXPECT_EQ(commands.commands[8].kind, Wish::resume_recording);
    EXPECT_EQ(commands.calls[0], "s1");
    EXPECT_EQ(commands.calls[2], "B2B.1/2 3");
    EXPECT_FALSE(commands.commands[0].goodbye);
    EXPECT_TRUE(commands.commands[1].goodbye);
    EXPECT_EQ(commands.commands[2].kind, Wish::transfer);
    EXPECT_EQ(commands.commands[2].text, "sip:a@b");
    EXPECT_EQ(commands.commands[2].patience, 5s);
    EXPECT_EQ(commands.commands[3].kind, Wish::hold);
    EXPECT_EQ(commands.commands[4].kind, Wish::resume);
    EXPECT_EQ(commands.commands[5].text, "12w#");
    EXPECT_TRUE(commands.commands[6].interrupt);
}

TEST_F(ControlApiTest, SaysWhatIsWrongWithACommand) {
    happen(Kind::started);
    struct Case {
        const char* path;
        const char* body;
        int status;
        const char* words;
    };
    for (const auto& c : {
             Case{"/api/v1/calls/s1/transfer", "", 400, "'to' is missing"},
             Case{"/api/v1/calls/s1/transfer", "to=1", 400, "not a JSON object"},
             Case{"/api/v1/calls/s1/transfer", R"({"to":"1","patience_s":99})", 400, "1 to 60"},
             Case{"/api/v1/calls/s1/transfer", R"({"to":"1","atended":true})", 400, "docs/api.md"},
             Case{"/api/v1/calls/s1/hangup", R"({"goodbye":1})", 400, "true or false"},
             Case{"/api/v1/calls/s1/digits", R"({"digits":"4711x"})", 400, "'digits' are 0-9"},
             Case{"/api/v1/calls/s1/dance", "", 404, "openapi.json"},
             Case{"/api/v1/calls/other/hangup", "", 404, "No such call"},
         }) {
        const auto answer = post(c.path, c.body);
        EXPECT_EQ(answer.status, c.status) << c.path << ' ' << c.body;
        EXPECT_NE(answer.body.find(c.words), std::string::npos) << answer.body;
        EXPECT_EQ(answer.body.find("4711"), std::string::npos) << "digits are secret";
    }
    EXPECT_TRUE(commands.commands.empty());
    configure("s3cret");
    EXPECT_EQ(post("/api/v1/calls/s1/hangup").status, 401);
}

TEST_F(ControlApiTest, AReadTokenWatchesAndNothingElse) {
    happen(Kind::started);
    Config config;
    config.token = "all";
    config.read_token = "look";
    api.emplace(std::move(config), log, reach());
    const net::HttpHeaders watcher{{"Authorization", "Bearer look"}};
    EXPECT_EQ(get("/api/v1/calls", watcher, false).status, 200);
    EXPECT_EQ(get("/api/v1/calls/s1", watcher, false).status, 200);
    start("/api/v1/calls/s1/hangup", watcher, false, "POST");
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 403);
    EXPECT_TRUE(commands.commands.empty());
    start("/api/v1/calls/s1/hangup", {{"Authorization", "Bearer all"}}, false, "POST");
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(api->access().refused(Access::Outcome::forbidden), 1u);
}

TEST_F(ControlApiTest, SaysWhichMethodsAPathHas) {
    happen(Kind::started);
    const auto wrong = get("/api/v1/calls/s1/hangup");
    EXPECT_EQ(wrong.status, 405);
    EXPECT_EQ(wrong.headers.at("Allow"), "POST");
    EXPECT_EQ(post("/api/v1/drain").status, 404) << "not offered here";
}

TEST_F(ControlApiTest, TellsWhyACallDidNotObey) {
    happen(Kind::started);
    using transports::CallControlErrc;
    struct Case {
        CallControlErrc error;
        int status;
        const char* code;
    };
    for (const auto& c : {
             Case{CallControlErrc::bad_target, 400, "bad_target"},
             Case{CallControlErrc::gone, 409, "gone"},
             Case{CallControlErrc::busy, 409, "busy"},
             Case{CallControlErrc::wrong_state, 409, "wrong_state"},
             Case{CallControlErrc::no_capacity, 429, "no_capacity"},
             Case{CallControlErrc::not_supported, 501, "not_supported"},
             Case{CallControlErrc::unavailable, 502, "unavailable"},
         }) {
        commands.answer = make_error_code(c.error);
        const auto answer = post("/api/v1/calls/s1/hold");
        EXPECT_EQ(answer.status, c.status);
        EXPECT_EQ(json::parse(answer.body).at("code").as_string(), c.code);
    }
}

TEST(PercentDecoded, LeavesBrokenEscapesAsTheyAre) {
    EXPECT_EQ(percent_decoded("a%20b%2fc"), "a b/c");
    EXPECT_EQ(percent_decoded("50%"), "50%");
    EXPECT_EQ(percent_decoded("%zz+%4"), "%zz+%4");
}

}  // namespace
}  // namespace oavc::api
