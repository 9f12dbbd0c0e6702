#include "app/health.hpp"

#include <boost/json/parse.hpp>

#include <gtest/gtest.h>

#include <string>

namespace oavc::app {
namespace {

namespace json = boost::json;

constexpr TimePoint now{1h};

json::object object_of(const net::HttpResponse& response) {
    EXPECT_EQ(response.content_type, "application/json");
    return json::parse(response.body).as_object();
}

Readiness ready() {
    Readiness readiness;
    readiness.started = true;
    readiness.services_usable = true;
    readiness.places.active = 3;
    readiness.places.capacity = 10;
    return readiness;
}

TEST(Liveness, IsAliveWhileEveryShardBeats) {
    const auto response = answer(Liveness{"a1b2", 4, 1260us, {}});
    EXPECT_EQ(response.status, 200);
    const auto body = object_of(response);
    EXPECT_EQ(body.at("status"), "alive");
    EXPECT_EQ(body.at("instance"), "a1b2");
    EXPECT_EQ(body.at("shards"), 4);
    EXPECT_EQ(body.at("lag_ms"), 1.3);
    EXPECT_FALSE(body.contains("stuck_shard"));
}

TEST(Liveness, NamesTheShardThatIsStuckAlsoTheFirst) {
    const auto response = answer(Liveness{"a1b2", 4, 6s, 0});
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(object_of(response).at("status"), "stuck");
    EXPECT_EQ(object_of(response).at("stuck_shard"), 0);
}

TEST(Readiness, SaysHowManyPlacesAreTaken) {
    const auto response = answer(ready(), now);
    EXPECT_EQ(response.status, 200);
    const auto body = object_of(response);
    EXPECT_EQ(body.at("status"), "ready");
    EXPECT_TRUE(body.at("reasons").as_array().empty());
    EXPECT_EQ(body.at("active_calls"), 3);
    EXPECT_EQ(body.at("max_calls"), 10);
}

TEST(Readiness, GivesEveryReasonAndTheFirstAsItsStatus) {
    Readiness readiness = ready();
    readiness.services_usable = false;
    EXPECT_EQ(object_of(answer(readiness, now)).at("status"), "unavailable");
    readiness.refusal = transports::Refusal::draining;
    readiness.started = false;
    const auto response = answer(readiness, now);
    EXPECT_EQ(response.status, 503);
    const auto body = object_of(response);
    EXPECT_EQ(body.at("status"), "starting");
    const json::array reasons{"starting", "draining", "unavailable"};
    EXPECT_EQ(body.at("reasons"), reasons);
}

TEST(Readiness, TellsOfServicesWhatHelpsAndNoAddress) {
    Readiness readiness = ready();
    services::Provider::Snapshot service;
    service.identity.kind = services::ServiceKind::llm;
    service.identity.name = "openai";
    service.identity.fallback = true;
    service.usable = true;
    service.last_ok = now - 1250ms;
    service.last_error = "said \"no\"";
    readiness.services = {service, {}};
    const auto body = object_of(answer(readiness, now));
    const auto& told = body.at("services").as_array();
    ASSERT_EQ(told.size(), 2u);
    const auto& first = told[0].as_object();
    EXPECT_EQ(first.at("provider"), "openai");
    EXPECT_EQ(first.at("role"), "fallback");
    EXPECT_EQ(first.at("last_error"), "said \"no\"");
    EXPECT_EQ(first.at("last_ok_seconds_ago"), 1.3);
    EXPECT_FALSE(told[1].as_object().contains("last_ok_seconds_ago")) << "never";
}

}  // namespace
}  // namespace oavc::app
