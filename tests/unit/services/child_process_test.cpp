#include "services/tts/detail/child_process.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace oavc::services {
namespace {

TEST(ChildProcess, HoldsNothingOfOursOpen) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0) << "inherited by programs, as Asio's sockets are";
    auto cat = ChildProcess::start({"cat"});
    ASSERT_TRUE(cat);
    ::close(ends[1]);
    pollfd closed{ends[0], POLLIN, 0};
    EXPECT_EQ(::poll(&closed, 1, 5'000), 1) << "the peer of a closed connection still waits";
    EXPECT_NE(closed.revents & POLLHUP, 0);
    ::close(ends[0]);
    EXPECT_TRUE(cat->give_input("it lives"));
    EXPECT_EQ(cat->finish(5s), 0);
}

}  // namespace
}  // namespace oavc::services
