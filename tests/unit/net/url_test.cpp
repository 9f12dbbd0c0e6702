#include "net/url.hpp"

#include "net/errors.hpp"

#include <gtest/gtest.h>

namespace oavc::net {
namespace {

TEST(ParseUrl, SplitsWhatAConnectionNeeds) {
    const auto url = parse_url("HTTPS://user:pass@Example.test:8443/a/b?c=d#part");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->scheme, "https");
    EXPECT_EQ(url->userinfo, "user:pass");
    EXPECT_EQ(url->host, "Example.test");
    EXPECT_EQ(url->port, 8443);
    EXPECT_EQ(url->target, "/a/b?c=d");
    EXPECT_EQ(url->authority(), "Example.test:8443");
    EXPECT_TRUE(url->secure());
}

TEST(ParseUrl, FillsInTheSchemesPortAndTheRootPath) {
    EXPECT_EQ(parse_url("ws://h")->port, 80);
    EXPECT_EQ(parse_url("wss://h")->port, 443);
    EXPECT_EQ(parse_url("wss://h")->target, "/");
    EXPECT_EQ(parse_url("http://h?x=1")->target, "/?x=1");
    EXPECT_EQ(parse_url("http://h:/x")->port, 80);
    EXPECT_EQ(parse_url("https://h:443")->authority(), "h");
    EXPECT_EQ(parse_url("tcp://h:10300")->port, 10300) << "which has none of its own";
}

TEST(ParseUrl, KnowsIpv6Addresses) {
    const auto url = parse_url("http://[::1]:8080/");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->host, "::1");
    EXPECT_EQ(url->port, 8080);
    EXPECT_EQ(url->authority(), "[::1]:8080");
}

TEST(ParseUrl, RefusesWhatIsNoUrlOrCouldSmuggleARequest) {
    for (const std::string_view bad :
         {"",
          "example.test",
          "ftp://example.test",
          "http://",
          "http:///path",
          "http://h:0/",
          "http://h:65536/",
          "http://h:8x/",
          "tcp://h",
          "http://[::1",
          "http://[::1]x/",
          "http://h/a b",
          "http://h/\r\nHost: x",
          "://h"}) {
        EXPECT_EQ(parse_url(bad).error(), NetErrc::bad_url) << bad;
    }
}

}  // namespace
}  // namespace oavc::net
