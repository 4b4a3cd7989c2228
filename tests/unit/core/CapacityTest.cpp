#include <gtest/gtest.h>

#include "bridge/core/Capacity.h"

namespace gridbridge::core {
namespace {

class CapacityTest : public ::testing::Test {
protected:
    CapacityTest() { capacity.backendState("here", 0, true); }
    int taken(const std::string& runner) {
        int count = 0;
        while (capacity.take(runner, "here")) {
            ++count;
        }
        return count;
    }
    Capacity capacity{10, {{"a", 4}, {"b", 100}}, {{"here", 8}}};
};

TEST_F(CapacityTest, RunnerBackendAndServiceLimitAllHold) {
    EXPECT_EQ(taken("a"), 4);
    EXPECT_EQ(taken("b"), 4);  // The backend takes 8.
}

TEST_F(CapacityTest, DrainingRunnerTakesNothing) {
    capacity.drain("a", true);
    EXPECT_EQ(taken("a"), 0);

    capacity.drain("a", false);
    EXPECT_EQ(taken("a"), 4);
}

TEST_F(CapacityTest, BackendOfUnknownLoadTakesNothing) {
    capacity.backendState("here", 0, false);

    EXPECT_EQ(taken("a"), 0);
}

TEST_F(CapacityTest, PlaceGivenBackCanBeTakenAgain) {
    taken("a");
    capacity.giveBack("a", "here");

    EXPECT_EQ(taken("a"), 1);
}

TEST_F(CapacityTest, ClaimedJobKeepsItsPlaceUntilItIsClosed) {
    ASSERT_TRUE(capacity.take("a", "here"));
    capacity.opened("a", "here", true);
    EXPECT_EQ(taken("a"), 3);
    capacity.closed("a");

    EXPECT_EQ(taken("a"), 1);
}

TEST_F(CapacityTest, ConcurrentCountsJobsFoundAtStart) {
    for (int i = 0; i < 9; ++i) {
        capacity.opened("b", "here", false);
    }

    EXPECT_EQ(taken("a"), 1);
}

}  // namespace
}  // namespace gridbridge::core
