#include "app/reload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace oavc::app {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

config::Loaded loaded(const std::string& text) {
    return config::load_text("[llm]\nprovider = ollama\n" + text, "t.ini", ".", {});
}

TEST(Reload, NothingChangesWhenNothingIsDifferent) {
    const auto same = loaded("[agent]\ngreeting = Hello.\n");
    const auto plan = plan_reload(same, same, loaded("[agent]\ngreeting = Hello.\n"));
    EXPECT_THAT(plan.changed, IsEmpty());
    EXPECT_THAT(plan.restart, IsEmpty());
    EXPECT_FALSE(plan.calls || plan.engines);
}

TEST(Reload, WhatAnAgentSaysHoldsForNewCallsWithTheSameEngines) {
    const auto old = loaded("[agent]\ngreeting = Hello.\n[agent.sales]\nmatch = 7\n");
    const auto plan = plan_reload(old, old, loaded("[agent]\ngreeting = Good day.\n"));
    EXPECT_TRUE(plan.calls);
    EXPECT_FALSE(plan.engines);
    EXPECT_THAT(plan.changed, testing::Contains("[agent] greeting"));
    EXPECT_THAT(plan.changed, testing::Contains("[agent.sales] match")) << "it is gone";
    EXPECT_THAT(plan.restart, IsEmpty());
}

TEST(Reload, ProvidersNeedNewEngines) {
    const auto old = loaded("");
    const auto plan = plan_reload(old, old, loaded("[llm.ollama]\nmodel = other\n"));
    EXPECT_TRUE(plan.engines);
    EXPECT_TRUE(plan.calls);
    EXPECT_THAT(plan.changed, ElementsAre("[llm.ollama] model"));
}

TEST(Reload, LevelTokensAndLimitsHoldAtOnce) {
    const auto old = loaded("");
    const auto plan = plan_reload(
        old, old, loaded("[logging]\nlevel = debug\n[api]\ntoken = t\n[limits]\nmax_calls = 5\n")
    );
    EXPECT_TRUE(plan.calls);
    EXPECT_FALSE(plan.engines);
    EXPECT_THAT(plan.changed, ElementsAre("[api] token", "[limits] max_calls", "[logging] level"));
}

TEST(Reload, PortsAndThreadsNeedARestartAndAreNamedUntilItCame) {
    const auto old = loaded("");
    const auto fresh = loaded("[api]\nport = 9000\n[limits]\nshards = 3\n");
    const auto plan = plan_reload(old, old, fresh);
    EXPECT_THAT(plan.restart, ElementsAre("[api] port", "[limits] shards"));
    EXPECT_THAT(plan.changed, IsEmpty());
    EXPECT_FALSE(plan.calls);
    const auto again = plan_reload(old, fresh, fresh);
    EXPECT_THAT(again.restart, ElementsAre("[api] port", "[limits] shards"));
    EXPECT_THAT(plan_reload(old, fresh, old).restart, IsEmpty()) << "it was taken back";
}

TEST(Reload, EveryKeyHasAnEffectAndWhatIsNotKnownNeedsARestart) {
    EXPECT_EQ(effect_of("a section of tomorrow", "key"), Effect::restart);
    EXPECT_EQ(effect_of("telephony.sip", "port"), Effect::restart);
    EXPECT_EQ(effect_of("agent.sales", "voice"), Effect::calls);
    EXPECT_EQ(effect_of("stt.vosk", "url"), Effect::engines);
}

}  // namespace
}  // namespace oavc::app
