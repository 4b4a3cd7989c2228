#include <gtest/gtest.h>

#include "bridge/app/StateLock.h"
#include "tests/unit/app/ConfigFolder.h"
#include "tests/unit/app/OtherProcess.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;
using gridbridge::testing::holderSeenElsewhere;
using gridbridge::testing::LockedElsewhere;
using gridbridge::testing::OtherProcess;

TEST(StateLock, ASecondServiceIsRefusedWithThePidOfTheFirst) {
    const ConfigFolder folder;
    const LockedElsewhere first(folder.path());
    const auto second = StateLock::take(folder.path());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind, ErrorKind::Transient);
    EXPECT_EQ(second.error().message,
              "the state folder " + folder.path().string() +
                  " belongs to a running service, pid=" + std::to_string(first.pid()) +
                  "; stop that one or give this one another state_dir");
}

TEST(StateLock, IsFreeAgainWhenItsServiceWasKilled) {
    const ConfigFolder folder;
    { const LockedElsewhere first(folder.path()); }
    EXPECT_TRUE(StateLock::take(folder.path()).ok());
}

TEST(StateLock, TellsItsHolder) {
    const ConfigFolder folder;
    EXPECT_EQ(holderSeenElsewhere(folder.path()), 0);
    {
        const auto lock = StateLock::take(folder.path());
        EXPECT_EQ(holderSeenElsewhere(folder.path()), ::getpid());
    }
    EXPECT_EQ(holderSeenElsewhere(folder.path()), 0);
}

TEST(StateLock, AChildThatOutlivesTheServiceNeverKeepsIt) {
    // Not even between fork and exec, where it still has all descriptors.
    const ConfigFolder folder;
    std::optional<Result<StateLock>> lock(StateLock::take(folder.path()));
    ASSERT_TRUE(lock->ok());
    const OtherProcess child([] { return 0; });
    lock.reset();
    EXPECT_EQ(holderSeenElsewhere(folder.path()), 0);
}

TEST(StateLock, AFolderThatIsNotThereIsNoReasonToTryAgain) {
    const ConfigFolder folder;
    const auto lock = StateLock::take(folder.path() / "none");
    ASSERT_FALSE(lock.ok());
    EXPECT_EQ(lock.error().kind, ErrorKind::Permanent);
}

}  // namespace
}  // namespace gridbridge::app
