#include "transports/opensips/config.hpp"

#include <gtest/gtest.h>

namespace oavc::transports::opensips {
namespace {

TEST(OpensipsConfig, TellsEveryProblemAtOnce) {
    EXPECT_TRUE(Config{}.validate().empty());
    Config broken;
    broken.event_ip = "localhost";
    broken.mi_ip = "";
    broken.mi_port = 0;
    broken.allowed_peers = {"127.0.0.1", "nonsense"};
    broken.event_advertised = "192.0.2.1";
    broken.subscribe_expire = std::chrono::seconds{0};
    EXPECT_EQ(broken.validate().size(), 6u);
    Config nobody;
    nobody.allowed_peers.clear();
    EXPECT_EQ(nobody.validate().size(), 1u);
}

}  // namespace
}  // namespace oavc::transports::opensips
