#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "backends/htcondor/HTCondorCommands.h"
#include "bridge/base/Process.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

/// What runs on a node whose files HTCondor copies.
class HTCondorFollower : public ::testing::Test {
protected:
    Finished follow(const std::string& loader) {
        std::filesystem::create_directories(here_ / "in");
        std::ofstream(here_ / "in/loader.sh") << loader;
        std::ofstream(here_ / "in/follower.sh") << followerScript();
        return runner_
            .run({.argv = {"/bin/bash", "-c", "cd \"$0\" && exec bash in/follower.sh",
                           here_.string()},
                  .environment = {"PATH=/usr/bin:/bin"}},
                 {clock_.steadyNow() + std::chrono::seconds(60)}, std::size_t{1} << 20)
            .value();
    }

    testing::TempDir temp_;
    std::filesystem::path here_ = temp_.path() / "a job's folder";
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
};

TEST_F(HTCondorFollower, PrintsTheWholeLogAndEndsAsTheJob) {
    const auto ended = follow("for i in 1 2 3; do echo $i >>out/log; sleep 0.1; done; exit 3\n");

    EXPECT_EQ(ended.out, "1\n2\n3\n");
    EXPECT_EQ(ended.exitCode, 3);
    EXPECT_EQ(follow("echo 4 >>out/log; kill -9 $$\n").signal, SIGKILL);
    EXPECT_EQ(follow("echo not of the log; kill -INT $$; exit 1\n").signal, SIGINT);
}

TEST_F(HTCondorFollower, ASignalReachesTheJobWhichEndsInItsOwnTime) {
    const auto ended = follow(
        "trap 'sleep 0.5; echo saved >>out/log; exit 5' TERM\n"
        "echo begun >>out/log; kill -TERM $PPID; while :; do sleep 0.1; done\n");

    EXPECT_EQ(ended.out, "begun\nsaved\n");
    EXPECT_EQ(ended.exitCode, 5);
}

TEST_F(HTCondorFollower, WhateverAJobMakesOfItsOutputsCanBeCopied) {
    for (const char* deed : {"rm -rf out", "rm -rf out; ln -s / out",
                             "mkdir -p out/batch.log out/x", "rm -rf out; echo >out",
                             "mkfifo out/status; ln -s /dev/zero out/endless", "chmod 0 out"}) {
        EXPECT_EQ(follow(std::string(deed) + "; exit 7\n").exitCode, 7) << deed;

        EXPECT_TRUE(std::filesystem::is_directory(std::filesystem::symlink_status(here_ / "out")))
            << deed;
        for (const auto& each : std::filesystem::recursive_directory_iterator(here_ / "out")) {
            EXPECT_TRUE(each.symlink_status().type() == std::filesystem::file_type::regular)
                << deed << each;
        }
    }
}

}  // namespace
}  // namespace gridbridge
