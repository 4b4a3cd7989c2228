// How jobs use the nodes of a real batch system, whichever it is.
#include <cstdlib>

#include "tests/e2e/Program.h"
#include "tests/engines/ContainerEngine.h"
#include "tests/engines/EngineService.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;

TEST_F(EngineService, JobsHaveWhatTheBackendSaysOfItsNodesAndTheNextOneFindsWhatOneKept) {
    const auto scratch = openFolder("node");
    runnerLines = cacheLines();
    serve(8,
          "poll_interval = 1\nshell_init = \"export SITE='of the site'\"\nhome = \"project\"\n"
          "scratch = \"" +
              scratch + "\"\n");

    const auto first = runCached(
        {"echo \"$SITE $CI_PROJECT_DIR\"", "echo home >~/kept", "mkdir lib; echo made >lib/a"});
    const auto second = runCached({"cat ~/kept lib/a"});

    EXPECT_EQ(first.status, Status::Success) << plain(first.trace);
    EXPECT_TRUE(says(first, "\nof the site " + scratch + "/gb.")) << plain(first.trace);
    EXPECT_TRUE(says(first, "Failed to extract cache\n")) << plain(first.trace);
    EXPECT_EQ(second.status, Status::Success) << plain(second.trace);
    EXPECT_TRUE(says(second, "Successfully extracted cache\n"));
    EXPECT_TRUE(says(second, "\nhome\nmade\n")) << plain(second.trace);
    EXPECT_TRUE(std::filesystem::is_empty(scratch));
}

/// Jobs of an account that can run containers.
class EngineServiceOfContainers : public EngineService {
protected:
    void SetUp() override {
        if (!isRoot()) {
            GTEST_SKIP() << leftOut("jobs in containers on " + engine.name());
        }
        std::string why;
        const int started = podman.emplace().start(why);
        if (started != 0) {
            constexpr int kMissing = 69;  // As in EngineMain.cpp.
            constexpr int kImpossible = 75;
            const bool mayMiss = std::getenv("GRIDBRIDGE_REQUIRE_ENGINES") == nullptr;
            EXPECT_TRUE(started == kImpossible || (started == kMissing && mayMiss)) << why;
            GTEST_SKIP() << "SKIPPED, NOTHING WAS TESTED: podman cannot run here: " << why;
        }
    }
    void TearDown() override {
        EngineService::TearDown();
        if (podman) {
            podman->stop();  // None of its jobs is left.
        }
    }

    std::optional<ContainerEngine> podman;
};

TEST_F(EngineServiceOfContainers, AJobRunsInItsImage) {
    serve(8, "poll_interval = 1\ncontainer = \"podman\"\nproject_run_as = [\"**=" +
                 podman->account() + "\"]\n");
    const auto in = [&](std::vector<std::string> script) {
        return gitlab->addJob({.script = std::move(script),
                               .afterScript = {"echo \"after $(cat /in-image)\""},
                               .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                               .image = "localhost/gridbridge/small"});
    };
    const auto job = in({"echo \"in $(cat /in-image), bash=[${BASH_VERSION-}]\"", "exit 125"});
    // GitLab says with the next piece of a log that the job is cancelled.
    const auto canceled = in({"echo waiting; sleep 4731 &", "while sleep 0.5; do echo tick; done"});
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(canceled), "\nwaiting"); }, "its script"));

    gitlab->cancel(canceled);

    ASSERT_TRUE(ends({job, canceled}));
    const auto failed = gitlab->job(job);
    EXPECT_TRUE(says(failed, "\nin small, bash=[]\n")) << plain(failed.trace);
    EXPECT_TRUE(says(failed, "\nafter small\n"));
    EXPECT_EQ(failed.exitCode, 125);
    EXPECT_EQ(failed.failureReason, "script_failure");
    EXPECT_EQ(gitlab->status(canceled), Status::Canceled);
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
    EXPECT_EQ(podman->asAccount("podman ps --all --quiet"), "");
    EXPECT_EQ(podman->run("pgrep -fx 'sleep 4731'").out, "");
}

}  // namespace
}  // namespace gridbridge::testing
