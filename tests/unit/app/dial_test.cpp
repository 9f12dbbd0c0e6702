#include "app/dial.hpp"

#include <gtest/gtest.h>

namespace oavc::app {
namespace {

TEST(ExitOfDial, TellsWhatBecameOfTheRequest) {
    EXPECT_EQ(exit_of_answer(400, "bad_target"), DialExit::usage);
    EXPECT_EQ(exit_of_answer(401, ""), DialExit::not_allowed);
    EXPECT_EQ(exit_of_answer(403, "off"), DialExit::not_allowed);
    EXPECT_EQ(exit_of_answer(409, "busy"), DialExit::busy);
    EXPECT_EQ(exit_of_answer(409, "not_found"), DialExit::refused);
    EXPECT_EQ(exit_of_answer(429, "no_capacity"), DialExit::no_room);
    EXPECT_EQ(exit_of_answer(502, "unavailable"), DialExit::carrier);
    EXPECT_EQ(exit_of_answer(503, "draining"), DialExit::no_room);
    EXPECT_EQ(exit_of_answer(504, "no_sign"), DialExit::carrier);
    EXPECT_EQ(exit_of_answer(504, "no_answer"), DialExit::not_answered);
    EXPECT_EQ(exit_of_answer(500, ""), DialExit::failed);
}

TEST(ExitOfDial, TellsWhatBecameOfTheCall) {
    for (const auto* good : {"caller_hung_up", "we_hung_up", "transferred"}) {
        EXPECT_EQ(exit_of_call(good), DialExit::ok) << good;
    }
    EXPECT_EQ(exit_of_call("busy"), DialExit::busy);
    EXPECT_EQ(exit_of_call("not_answered"), DialExit::not_answered);
    EXPECT_EQ(exit_of_call("refused"), DialExit::refused);
    for (const auto* lost : {"carrier_lost", "media_timeout", "protocol_error"}) {
        EXPECT_EQ(exit_of_call(lost), DialExit::carrier) << lost;
    }
}

}  // namespace
}  // namespace oavc::app
