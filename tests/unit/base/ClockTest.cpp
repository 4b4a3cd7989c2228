#include <gtest/gtest.h>

#include "bridge/base/Clock.h"
#include "tests/fakes/FakeClock.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;

TEST(ClockTest, StopRequestEndsASleepOfAnHourAtOnce) {
    SystemClock clock;
    std::stop_source stop;
    stop.request_stop();

    EXPECT_FALSE(clock.sleepUntil(clock.steadyNow() + 1h, stop.get_token()));
}

TEST(ClockTest, FakeWallClockJumpsWithoutMovingIntervals) {
    testing::FakeClock clock;
    const auto wall = clock.wallNow();
    const auto steady = clock.steadyNow();

    clock.jumpWall(-1h);
    clock.advance(5s);

    EXPECT_EQ(clock.wallNow(), wall - 1h + 5s);
    EXPECT_EQ(clock.steadyNow(), steady + 5s);
}

}  // namespace
}  // namespace gridbridge
