#include "support/alloc_guard.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace oavc::test {
namespace {

TEST(AllocGuard, CountsEachAllocationInItsScope) {
    const AllocGuard guard;
    EXPECT_EQ(guard.count(), 0u);
    const auto one = std::make_unique<int>(1);
    const auto two = std::make_unique<int[]>(100);
    EXPECT_EQ(guard.count(), 2u) << *one << two[0];
}

}  // namespace
}  // namespace oavc::test
