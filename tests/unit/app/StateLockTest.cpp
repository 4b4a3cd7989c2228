#include <gtest/gtest.h>

#include <csignal>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/app/StateLock.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;

TEST(StateLock, ASecondServiceIsRefusedWithThePidOfTheFirst) {
    const ConfigFolder folder;
    const auto first = StateLock::take(folder.path());
    ASSERT_TRUE(first.ok()) << first.error().message;
    const auto second = StateLock::take(folder.path());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind, ErrorKind::Transient);
    EXPECT_EQ(second.error().message,
              "the state folder " + folder.path().string() +
                  " belongs to a running service, pid=" + std::to_string(::getpid()) +
                  "; stop that one or give this one another state_dir");
}

TEST(StateLock, IsFreeAgainWhenItsServiceIsGone) {
    const ConfigFolder folder;
    EXPECT_TRUE(StateLock::take(folder.path()).ok());
    EXPECT_TRUE(StateLock::take(folder.path()).ok());
}

TEST(StateLock, TellsItsHolder) {
    const ConfigFolder folder;
    EXPECT_EQ(*StateLock::holder(folder.path()), std::nullopt);
    {
        const auto lock = StateLock::take(folder.path());
        EXPECT_EQ(*StateLock::holder(folder.path()), std::optional(::getpid()));
    }
    EXPECT_EQ(*StateLock::holder(folder.path()), std::nullopt);
}

TEST(StateLock, AJobThatOutlivesTheServiceDoesNotKeepIt) {
    const ConfigFolder folder;
    pid_t child = 0;
    {
        const auto lock = StateLock::take(folder.path());
        ASSERT_TRUE(lock.ok());
        std::string program = "sleep";
        std::string time = "60";
        char* const argv[] = {program.data(), time.data(), nullptr};
        ASSERT_EQ(::posix_spawnp(&child, "sleep", nullptr, nullptr, argv, environ), 0);
    }
    EXPECT_TRUE(StateLock::take(folder.path()).ok());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
}

TEST(StateLock, AFolderThatIsNotThereIsNoReasonToTryAgain) {
    const ConfigFolder folder;
    const auto lock = StateLock::take(folder.path() / "none");
    ASSERT_FALSE(lock.ok());
    EXPECT_EQ(lock.error().kind, ErrorKind::Permanent);
}

}  // namespace
}  // namespace gridbridge::app
