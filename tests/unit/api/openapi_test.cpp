// The document is what the server does: every route is in it, every operation is reachable, and
// every status that it promises comes, with a body as described. A new route, status or member
// without its line in the document fails here, and the other way round.

#include "api/control_api.hpp"
#include "api/operations.hpp"
#include "net/http_server.hpp"
#include "pipeline/outgoing_calls.hpp"
#include "support/await.hpp"
#include "transports/errors.hpp"

#include <boost/json/parse.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace oavc::api {
namespace {

namespace json = boost::json;
using pipeline::OutgoingErrc;
using transports::CallControlErrc;

struct FakeCommands final : pipeline::CallCommands {
    asio::awaitable<Result<void>> command(async::Shard&, std::string, pipeline::CallCommand)
        override {
        if (answer) co_return answer;
        co_return Result<void>{};
    }
    error_code answer;
};

struct FakeDialer final : transports::Dialer {
    asio::awaitable<Result<transports::Dialled>> dial(async::Shard&, transports::DialRequest)
        override {
        if (answer) co_return answer;
        co_return transports::Dialled{"twilio", "CA1"};
    }
    error_code answer;
};

/// Takes the head of a stream, and then is gone.
struct Client final : net::LongAnswer {
    asio::awaitable<bool> begin(net::HttpResponse response) override {
        head = std::move(response);
        co_return false;
    }
    asio::awaitable<bool> write(std::string) override { co_return false; }
    std::optional<net::HttpResponse> head;
};

/// The API with everything that it may reach, none of it real.
struct World {
    explicit World(Config config = {}) : api{std::move(config), log, reach()} {
        outgoing.add_carrier("twilio", dialer);
        pipeline::CallEvent event;
        transports::CallInfo call;
        call.native_id = "CA1";
        log.on_call_event({"s1"}, call, event);
    }

    Reach reach() {
        Reach made;
        made.commands = &commands;
        made.outgoing = &outgoing;
        made.feed = &feed;
        made.drain = [](std::optional<std::chrono::seconds>) { return std::size_t{3}; };
        made.set_level = [](log::Level) {};
        made.version = "1.2.3";
        made.instance = "4f1c";
        return made;
    }

    net::HttpResponse ask(const Operation& operation, net::HttpRequest request) {
        if (operation.does != Does::watch) {
            return test::result_of(shard, api.handle(shard, std::move(request)));
        }
        Client client;
        auto refused = test::result_of(shard, api.watch(shard, std::move(request), client));
        return refused ? std::move(*refused)
                       : client.head.value_or(net::HttpResponse{500, {}, {}, {}});
    }

    async::Shard shard{0};
    CallLog log;
    EventFeed feed;
    FakeCommands commands;
    FakeDialer dialer;
    pipeline::OutgoingCalls outgoing{
        pipeline::OutgoingConfig{{R"(\+90\d{10})"}, ""}, {"default"}, log::Logger{}};
    ControlApi api;
};

/// A request of which nothing is wrong.
net::HttpRequest good(const Operation& operation) {
    static const std::map<std::string_view, std::string> bodies{
        {"placeCall", R"({"to":"+902125550111"})"},
        {"transfer", R"({"to":"+902125550111"})"},
        {"sendDigits", R"({"digits":"1"})"},
        {"say", R"({"text":"Hello."})"},
        {"setLogLevel", R"({"level":"info"})"},
    };
    net::HttpRequest request;
    request.method = operation.method;
    request.target = operation.path;
    if (const auto hole = request.target.find("{id}"); hole != std::string::npos)
        request.target.replace(hole, 4, "s1");
    if (const auto body = bodies.find(operation.id); body != bodies.end())
        request.body = body->second;
    request.peer_is_loopback = true;
    request.peer_ip = "127.0.0.1";
    return request;
}

/// What brings about one status of one operation; nothing: nobody knows.
std::optional<net::HttpResponse> provoke(const Operation& operation, int status) {
    World world;
    auto request = good(operation);
    const auto is = [&operation](auto... does) { return ((operation.does == does) || ...); };
    switch (status) {
        case 200:
            break;
        case 202:
            if (operation.id == "hangUp") request.body = R"({"goodbye":true})";
            break;
        case 400:
            request.body = "{";
            request.target += "?after=x";
            request.headers["Last-Event-ID"] = std::string(200, 'x');
            break;
        case 401: {
            Config config;
            config.token = "s3cret";
            world.api.set_tokens(config);
            break;
        }
        case 403:
            request.peer_is_loopback = false;
            break;
        case 404:
            request.target.replace(request.target.find("s1"), 2, "s2");
            break;
        case 409:
            world.commands.answer = world.dialer.answer = make_error_code(CallControlErrc::busy);
            break;
        case 429:
            request.peer_is_loopback = false;
            for (unsigned i = 0; i < RefusalLimit::burst; ++i)
                world.ask(operation, request);
            break;
        case 501:
            world.commands.answer = make_error_code(CallControlErrc::not_supported);
            break;
        case 502:
            world.commands.answer = world.dialer.answer =
                make_error_code(CallControlErrc::unavailable);
            break;
        case 503:
            if (is(Does::place_call)) world.outgoing.begin_drain();
            if (is(Does::watch)) {
                std::list<EventFeed::Watch> others;
                for (std::size_t i = 0; i < EventFeed::max_watchers; ++i)
                    others.push_back(std::move(*world.feed.watch(world.shard.executor())));
                return world.ask(operation, std::move(request));
            }
            break;
        case 504:
            world.dialer.answer = make_error_code(CallControlErrc::no_answer);
            break;
        default:
            return std::nullopt;
    }
    return world.ask(operation, std::move(request));
}

/// The members that an object of that schema must and may have.
void members_of(
    const json::object& schemas,
    const json::value& schema,
    std::set<std::string>& must,
    std::set<std::string>& may
) {
    const auto& object = schema.as_object();
    if (const auto* const reference = object.if_contains("$ref")) {
        const std::string name{reference->as_string()};
        return members_of(schemas, schemas.at(name.substr(name.rfind('/') + 1)), must, may);
    }
    if (const auto* const all = object.if_contains("allOf")) {
        for (const auto& part : all->as_array())
            members_of(schemas, part, must, may);
    }
    if (const auto* const required = object.if_contains("required")) {
        for (const auto& name : required->as_array())
            must.insert(std::string{name.as_string()});
    }
    if (const auto* const properties = object.if_contains("properties")) {
        for (const auto& [name, what] : properties->as_object())
            may.insert(std::string{name});
    }
}

class OpenApi : public testing::Test {
protected:
    const json::value document{json::parse(openapi_document("1.2.3"))};
    const json::object& paths{document.at("paths").as_object()};
    const json::object& schemas{document.at("components").at("schemas").as_object()};

    const json::object& described(const Operation& operation) {
        std::string method{operation.method};
        for (char& c : method)
            c = static_cast<char>(std::tolower(c));
        return paths.at(operation.path).at(method).as_object();
    }
};

TEST_F(OpenApi, IsWhatTheServerAnswers) {
    World world;
    net::HttpRequest request;
    request.method = "GET";
    request.target = "/api/v1/openapi.json";
    const auto answer = test::result_of(world.shard, world.api.handle(world.shard, request));
    EXPECT_EQ(answer.status, 200) << "anybody may read it";
    EXPECT_EQ(json::parse(answer.body), document);
    EXPECT_EQ(document.at("info").at("version").as_string(), "1.2.3");
}

TEST_F(OpenApi, DescribesEveryOperationOnceAndNothingElse) {
    std::set<std::pair<std::string, std::string>> there;
    for (const auto& [path, methods] : paths) {
        for (const auto& [method, what] : methods.as_object())
            there.emplace(method, path);
    }
    EXPECT_EQ(there.size(), operations().size());
    std::set<std::string_view> ids;
    for (const Operation& operation : operations()) {
        EXPECT_TRUE(ids.insert(operation.id).second) << operation.id;
        EXPECT_EQ(described(operation).at("operationId").as_string(), operation.id);
    }
}

TEST_F(OpenApi, EveryRouteOfTheServerIsInItAndEveryPathOfItIsRouted) {
    async::ShardPool shards{1};
    net::HttpServer server{shards, {}};
    World world;
    world.api.register_on(server);
    const auto routes = server.routes();
    for (const auto& [method, path] : routes) {
        const bool known = std::any_of(
            operations().begin(),
            operations().end(),
            [&path = path](const Operation& operation) {
                return path.ends_with('/') ? operation.path.starts_with(path)
                                           : operation.path == path;
            }
        );
        EXPECT_TRUE(known) << method << ' ' << path;
    }
    for (const Operation& operation : operations()) {
        const bool routed =
            std::any_of(routes.begin(), routes.end(), [&operation](const auto& route) {
                return route.first == operation.method &&
                       (route.second.ends_with('/') ? operation.path.starts_with(route.second)
                                                    : operation.path == route.second);
            });
        EXPECT_TRUE(routed) << operation.id;
    }
}

TEST_F(OpenApi, EveryStatusComesAndItsBodyIsAsDescribed) {
    for (const Operation& operation : operations()) {
        const auto& responses = described(operation).at("responses").as_object();
        EXPECT_EQ(responses.size(), operation.statuses.size()) << operation.id;
        for (const auto& [name, response] : responses) {
            SCOPED_TRACE(std::string{operation.id} + " " + std::string{name});
            const int status = std::stoi(std::string{name});
            const auto answer = provoke(operation, status);
            ASSERT_TRUE(answer) << "no test knows how to bring it about";
            EXPECT_EQ(answer->status, status) << answer->body;
            const auto& content = response.at("content").as_object();
            ASSERT_TRUE(content.contains(answer->content_type)) << answer->content_type;
            if (answer->content_type != "application/json") continue;
            std::set<std::string> must;
            std::set<std::string> may;
            members_of(schemas, content.begin()->value().at("schema"), must, may);
            if (may.empty()) continue;  // the document itself
            const auto body = json::parse(answer->body);
            for (const auto& member : must)
                EXPECT_TRUE(body.as_object().contains(member)) << member << ": " << answer->body;
            for (const auto& [member, value] : body.as_object())
                EXPECT_TRUE(may.contains(std::string{member})) << member << " is not described";
        }
    }
}

TEST_F(OpenApi, BodiesOfRequestsAreAsDescribed) {
    for (const Operation& operation : operations()) {
        if (operation.body.empty()) continue;
        SCOPED_TRACE(operation.id);
        std::set<std::string> must;
        std::set<std::string> may;
        members_of(schemas, schemas.at(operation.body), must, may);
        const auto text = good(operation).body;
        const auto body = json::parse(text.empty() ? "{}" : text);
        for (const auto& [member, value] : body.as_object())
            EXPECT_TRUE(may.contains(std::string{member})) << member;
        // What must be there is missed, and what is not described is not understood.
        World world;
        auto request = good(operation);
        request.body = R"({"no_such_member":1})";
        EXPECT_EQ(world.ask(operation, request).status, 400);
        request.body = "{}";
        const bool refused = world.ask(operation, std::move(request)).status == 400;
        EXPECT_EQ(refused, !must.empty());
    }
}

TEST_F(OpenApi, TheRoleOfEachOperationIsKept) {
    Config config;
    config.token = "all";
    config.read_token = "look";
    for (const Operation& operation : operations()) {
        SCOPED_TRACE(operation.id);
        EXPECT_EQ(described(operation).at("x-role").as_string(), to_string(operation.role));
        World world{config};
        auto request = good(operation);
        EXPECT_EQ(world.ask(operation, request).status == 401, operation.role != Role::anybody);
        request.headers["Authorization"] = "Bearer look";
        EXPECT_EQ(world.ask(operation, request).status == 403, operation.role == Role::admin);
        request.headers["Authorization"] = "Bearer all";
        EXPECT_LT(world.ask(operation, std::move(request)).status, 300);
    }
}

}  // namespace
}  // namespace oavc::api
