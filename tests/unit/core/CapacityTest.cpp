#include <gtest/gtest.h>

#include "bridge/core/StateDisk.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/LogLines.h"

namespace gridbridge::core {
namespace {

using Place = Capacity::Place;

class CapacityTest : public ::testing::Test {
protected:
    CapacityTest() { capacity.backendState("here", 0, true); }
    int taken(const std::string& runner) {
        int count = 0;
        while (capacity.take(runner, "here") != Place::None) {
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

TEST_F(CapacityTest, NothingIsTakenWhileTheStateDiskIsShortOfRoomAndThatIsToldOnce) {
    using std::chrono::seconds;
    testing::FakeClock clock;
    spdlog::logger log("test");
    const testing::LogLines lines(log);
    std::optional<std::uint64_t> free = 100;
    StateDisk disk(
        clock, capacity, log, [&] { return free; }, 100);
    const auto after = [&](std::optional<std::uint64_t> bytes) {
        free = bytes;
        clock.advance(seconds(10));
        disk.step();
        const bool held = capacity.take("a", "here") == Place::None;
        if (!held) {
            capacity.giveBack("a", "here");
        }
        return held;
    };
    EXPECT_FALSE(after(100));
    EXPECT_TRUE(after(99));
    EXPECT_EQ(taken("a"), 0);
    EXPECT_TRUE(after(105)) << "at the border it does not go to and fro";
    EXPECT_TRUE(after(std::nullopt));
    EXPECT_EQ(lines.count("the state disk is short of room"), 1);
    EXPECT_EQ(lines.count("has room again"), 0);

    EXPECT_FALSE(after(110));
    EXPECT_EQ(lines.count("has room again"), 1);
    EXPECT_EQ(taken("a"), 4);
    disk.keep(1000);
    EXPECT_TRUE(after(110)) << "the configuration was read again";
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
    ASSERT_EQ(capacity.take("a", "here"), Place::One);
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

TEST_F(CapacityTest, LastPlaceOfServiceOrBackendIsToldWhereRunnersShareIt) {
    Capacity service(2, {{"a", 9}, {"b", 9}}, {{"here", 9}});
    service.backendState("here", 0, true);
    EXPECT_EQ(service.take("a", "here"), Place::One);
    EXPECT_EQ(service.take("a", "here"), Place::Last);

    Capacity backend(9, {{"a", 9}, {"b", 9}}, {{"here", 3}});
    backend.backendState("here", 1, true);
    EXPECT_EQ(backend.take("a", "here"), Place::One);
    EXPECT_EQ(backend.take("b", "here"), Place::Last);

    Capacity alone(1, {{"a", 9}}, {{"here", 9}});
    alone.backendState("here", 0, true);
    EXPECT_EQ(alone.take("a", "here"), Place::One);
}

}  // namespace
}  // namespace gridbridge::core
