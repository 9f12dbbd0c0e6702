#include "api/access.hpp"

#include <gtest/gtest.h>

#include <string>

namespace oavc::api {
namespace {

constexpr TimePoint t0{1h};

net::HttpRequest from(std::string peer, std::string token = {}) {
    net::HttpRequest request;
    request.peer_is_loopback = peer == "127.0.0.1";
    request.peer_ip = std::move(peer);
    if (!token.empty()) request.headers["Authorization"] = "Bearer " + token;
    return request;
}

Config tokens(std::string admin, std::string watcher = {}) {
    Config config;
    config.token = std::move(admin);
    config.read_token = std::move(watcher);
    return config;
}

int status(Access& access, const net::HttpRequest& request, Role needed, TimePoint now = t0) {
    const auto refusal = access.refusal(request, needed, now);
    return refusal ? refusal->status : 200;
}

TEST(Access, WithoutTokensThisMachineIsAdminAndOthersAreNobody) {
    Access access{Config{}};
    EXPECT_EQ(status(access, from("127.0.0.1"), Role::admin), 200);
    EXPECT_EQ(status(access, from("192.0.2.1"), Role::watcher), 403);
    EXPECT_EQ(status(access, from("192.0.2.1"), Role::anybody), 200);
}

TEST(Access, EachTokenHasItsRole) {
    Access access{tokens("all", "look")};
    EXPECT_EQ(status(access, from("192.0.2.1", "all"), Role::admin), 200);
    EXPECT_EQ(status(access, from("192.0.2.1", "look"), Role::watcher), 200);
    EXPECT_EQ(status(access, from("192.0.2.1", "look"), Role::admin), 403);
    EXPECT_EQ(status(access, from("192.0.2.1", "loo"), Role::watcher), 401);
    EXPECT_EQ(status(access, from("127.0.0.1"), Role::watcher), 401) << "this machine too";
    EXPECT_EQ(access.refused(Access::Outcome::unauthorized), 2u);
    EXPECT_EQ(access.refused(Access::Outcome::forbidden), 1u);
}

TEST(Access, AReadTokenAloneLeavesActingToThisMachine) {
    Access access{tokens("", "look")};
    EXPECT_EQ(status(access, from("192.0.2.1", "look"), Role::watcher), 200);
    EXPECT_EQ(status(access, from("192.0.2.1"), Role::watcher), 401);
    EXPECT_EQ(status(access, from("127.0.0.1"), Role::admin), 200);
    EXPECT_EQ(status(access, from("127.0.0.1", "wrong"), Role::watcher), 401);
}

TEST(Access, NewTokensHoldForTheNextRequest) {
    Access access{tokens("old")};
    access.set_tokens(tokens("new"));
    EXPECT_EQ(status(access, from("192.0.2.1", "old"), Role::watcher), 401);
    EXPECT_EQ(status(access, from("192.0.2.1", "new"), Role::admin), 200);
}

TEST(Access, AFloodOfRefusalsHears429AndHarmsNobodyElse) {
    Access access{tokens("all")};
    for (unsigned i = 0; i < RefusalLimit::burst; ++i)
        EXPECT_EQ(status(access, from("192.0.2.1", "guess"), Role::watcher), 401);
    const auto flood = access.refusal(from("192.0.2.1", "guess"), Role::watcher, t0);
    ASSERT_TRUE(flood);
    EXPECT_EQ(flood->status, 429);
    EXPECT_EQ(flood->headers.at("Retry-After"), "5");
    EXPECT_EQ(status(access, from("192.0.2.1", "all"), Role::admin), 200) << "behind one proxy";
    EXPECT_EQ(status(access, from("192.0.2.2", "guess"), Role::watcher), 401);
    EXPECT_EQ(status(access, from("192.0.2.1"), Role::watcher, t0 + 999ms), 429);
    EXPECT_EQ(status(access, from("192.0.2.1"), Role::watcher, t0 + 2s), 401);
    EXPECT_EQ(access.refused(Access::Outcome::too_many), 2u);
}

TEST(RefusalLimit, RemembersABoundedNumberOfSources) {
    RefusalLimit limit;
    for (std::size_t i = 0; i < 3 * RefusalLimit::most_sources; ++i)
        EXPECT_TRUE(limit.allow(std::to_string(i), t0));
    EXPECT_EQ(limit.sources(), RefusalLimit::most_sources);
}

TEST(EqualInConstantTime, ComparesWholeTexts) {
    EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
    EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
    EXPECT_FALSE(equal_in_constant_time("abcabc", "abc"));
    EXPECT_FALSE(equal_in_constant_time("abc", "abcabc"));
    EXPECT_FALSE(equal_in_constant_time("abc", ""));
    EXPECT_TRUE(equal_in_constant_time("", ""));
}

}  // namespace
}  // namespace oavc::api
