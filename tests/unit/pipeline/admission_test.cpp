#include "pipeline/admission.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::pipeline {
namespace {

using transports::AdmissionSlot;
using transports::CallOffer;
using transports::Refusal;

LimitsConfig limits(std::size_t calls, std::size_t per_caller = 0) {
    LimitsConfig made;
    made.max_calls = calls;
    made.max_calls_per_caller = per_caller;
    made.max_lag = 200ms;
    return made;
}

class AdmissionTest : public testing::Test {
protected:
    /// What the caller is told; a slot is kept until the test ends.
    std::optional<Refusal> ask(CallOffer offer, Clock::duration lag = 0ms) {
        auto slot = admission.ask(offer, lag);
        if (!slot) return slot.error();
        slots.push_back(std::move(*slot));
        return std::nullopt;
    }
    std::uint64_t refused(Refusal refusal) const {
        return admission.stats().refused[static_cast<std::size_t>(refusal)];
    }

    Admission admission{limits(3, 2)};
    std::vector<AdmissionSlot> slots;
    const std::optional<Refusal> welcome;
};

TEST_F(AdmissionTest, RefusesWhenEveryPlaceIsTakenAndGivesAPlaceThatCameBack) {
    EXPECT_EQ(ask({"1"}), welcome);
    EXPECT_EQ(ask({"2"}), welcome);
    EXPECT_EQ(ask({"3"}), welcome);
    EXPECT_EQ(admission.closed(0ms), Refusal::full);
    EXPECT_EQ(ask({"4"}), Refusal::full);
    slots.pop_back();
    EXPECT_EQ(admission.closed(0ms), std::nullopt);
    EXPECT_EQ(ask({"4"}), welcome);
    const auto stats = admission.stats();
    EXPECT_EQ(stats.active, 3u);
    EXPECT_EQ(stats.capacity, 3u);
    EXPECT_EQ(stats.admitted, 4u);
    EXPECT_EQ(refused(Refusal::full), 1u);
}

TEST_F(AdmissionTest, LetsNoCallerTakeAllPlaces) {
    EXPECT_EQ(ask({"+90212"}), welcome);
    EXPECT_EQ(ask({"+90212"}), welcome);
    EXPECT_EQ(ask({"+90212"}), Refusal::caller);
    EXPECT_EQ(ask({"+90216"}), welcome) << "others are not harmed";
    EXPECT_EQ(refused(Refusal::caller), 1u);
    slots.erase(slots.begin());
    EXPECT_EQ(ask({"+90212"}), welcome);
}

TEST_F(AdmissionTest, CountsNeitherWithheldNumbersNorOurOwnCallsAsOneCaller) {
    EXPECT_EQ(ask({""}), welcome);
    EXPECT_EQ(ask({""}), welcome);
    EXPECT_EQ(ask({""}), welcome);
    slots.clear();
    EXPECT_EQ(ask({"+90212", true}), welcome);
    EXPECT_EQ(ask({"+90212", true}), welcome);
    EXPECT_EQ(ask({"+90212", true}), welcome);
}

TEST_F(AdmissionTest, RefusesWhileAudioIsLateAndNotLonger) {
    EXPECT_EQ(ask({"1"}, 200ms), welcome);
    EXPECT_EQ(ask({"2"}, 201ms), Refusal::overloaded);
    EXPECT_EQ(admission.closed(201ms), Refusal::overloaded);
    EXPECT_EQ(ask({"2"}, 199ms), welcome);
    EXPECT_EQ(refused(Refusal::overloaded), 1u);
    auto never = limits(3);
    never.max_lag = 0ms;
    admission.set_limits(never);
    EXPECT_EQ(ask({"3"}, 10s), welcome);
}

TEST_F(AdmissionTest, AdmitsNobodyWhileItDrainsAndKeepsThoseThatAreIn) {
    EXPECT_EQ(ask({"1"}), welcome);
    admission.begin_drain();
    EXPECT_TRUE(admission.draining());
    EXPECT_EQ(ask({"2"}), Refusal::draining);
    EXPECT_EQ(ask({"2", true}), Refusal::draining);
    EXPECT_EQ(admission.stats().active, 1u);
    EXPECT_EQ(refused(Refusal::draining), 2u);
}

TEST_F(AdmissionTest, SmallerLimitsEndNoCall) {
    EXPECT_EQ(ask({"1"}), welcome);
    EXPECT_EQ(ask({"1"}), welcome);
    EXPECT_EQ(ask({"2"}), welcome);
    admission.set_limits(limits(1, 1));
    EXPECT_EQ(admission.stats().active, 3u);
    EXPECT_EQ(ask({"3"}), Refusal::full);
    slots.clear();
    EXPECT_EQ(ask({"1"}), welcome);
    admission.set_limits(limits(9, 1));
    EXPECT_EQ(ask({"1"}), Refusal::caller);
}

TEST_F(AdmissionTest, NeverHasMoreCallsThanPlacesWhoeverAsks) {
    std::atomic<std::size_t> most{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 2000; ++round) {
                auto slot = admission.ask({"", false}, 0ms);
                const auto active = admission.stats().active;
                for (auto seen = most.load(); active > seen;) {
                    if (most.compare_exchange_weak(seen, active)) break;
                }
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    EXPECT_LE(most.load(), 3u);
    EXPECT_EQ(admission.stats().active, 0u);
}

TEST(Refusals, EachHasAWordASentenceAndATimeToComeBack) {
    for (const auto refusal : transports::refusals) {
        EXPECT_FALSE(to_string(refusal).empty());
        EXPECT_FALSE(describe(refusal).empty());
        EXPECT_GT(retry_after(refusal).count(), 0);
    }
}

}  // namespace
}  // namespace oavc::pipeline
