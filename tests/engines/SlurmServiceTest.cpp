// What GitLab shows where a controller has forgotten what it had accepted; and what Slurm gives.
#include "tests/e2e/TemporaryAccount.h"
#include "tests/engines/EngineService.h"
#include "tests/engines/SlurmEngine.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::Status;

TEST_F(EngineService, JobsThatTheControllerForgetsAreSubmittedAgainUnlessTheirScriptHasStarted) {
    serve(8);
    std::vector<JobId> ids;
    for (int i = 0; i < 6; ++i) {
        ids.push_back(addPrinting("job" + std::to_string(i), "0.2"));
    }
    ASSERT_TRUE(waitFor([&] { return count("queued") + count("running") >= 3; }, "submissions"));
    engine.kill("slurmctld");
    engine.repair();

    ASSERT_TRUE(ends(ids));
    long lost = 0;
    long again = 0;
    for (int i = 0; i < 6; ++i) {
        const auto job = gitlab->job(ids[static_cast<std::size_t>(i)]);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_LE(starts("job" + std::to_string(i)), 1);
        if (job.status == Status::Success) {
            EXPECT_TRUE(isWhole(job));
            EXPECT_EQ(starts("job" + std::to_string(i)), 1);
            again += says(job, "the batch system lost the job; its script had not started") ? 1 : 0;
            continue;
        }
        ++lost;
        EXPECT_TRUE(isLost(job)) << job.failureReason << "; " << lastLine(job);
    }
    std::cout << "lost " << lost << " of 6, submitted again " << again << "\n";
    // What Slurm still ends of them by their ids is not to strike the jobs of the next test.
    engine.kill("slurmctld");
    SlurmEngine::get().repair("FirstJobId=1000\n");
}

TEST_F(EngineService, WhatAJobAsksForReachesSlurm) {
    serve(8);
    fakegitlab::JobSpec spec;
    spec.script = {"echo \"got $SLURM_CPUS_PER_TASK $SLURM_MEM_PER_NODE $SLURM_JOB_PARTITION\"",
                   "scontrol show job $SLURM_JOB_ID | grep -o 'TimeLimit=[^ ]*'"};
    spec.variables = {{.key = "GIT_STRATEGY", .value = "none"},
                      {.key = "SLURM_CONF", .value = SlurmEngine::get().slurmConf()},
                      {.key = "GRIDBRIDGE_CPUS", .value = "2"},
                      {.key = "GRIDBRIDGE_MEMORY", .value = "300M"},
                      {.key = "GRIDBRIDGE_WALLTIME", .value = "7m"}};
    const auto id = gitlab->addJob(std::move(spec));

    ASSERT_TRUE(ends({id}));

    const auto job = gitlab->job(id);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "got 2 300 main\n")) << job.trace;
    EXPECT_TRUE(says(job, "TimeLimit=00:10:00\n")) << job.trace;
}

class EngineServiceOfAccounts : public EngineService {
protected:
    void TearDown() override {
        EngineService::TearDown();
        theirs_.reset();  // None of its jobs is left.
    }

    std::optional<TemporaryAccount> theirs_;
};

TEST_F(EngineServiceOfAccounts, JobsOfAProjectAreSubmittedAndEndedAsItsAccount) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("Slurm jobs of two accounts");
    }
    const auto name = theirs_.emplace("gb-engine-").name;
    serve(8, "poll_interval = 1\nproject_run_as = [\"biology/**=" + name + "\"]\n");
    const auto of = [&](const std::string& project, const std::string& wait) {
        fakegitlab::JobSpec spec;
        spec.project = project;
        spec.script = {"echo \"me $(id -un) $SLURM_JOB_USER\"", wait};
        spec.variables = {{.key = "GIT_STRATEGY", .value = "none"}};
        return gitlab->addJob(std::move(spec));
    };
    const auto usual = of("physics/detector", "true");
    const auto job = of("biology/cells", "true");
    const auto canceled = of("biology/cells", "sleep 600");
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(canceled), "me "); }, "the first line"));
    service->killHard();
    service->start();

    gitlab->cancel(canceled);

    ASSERT_TRUE(ends({usual, job, canceled}));
    EXPECT_EQ(gitlab->status(canceled), Status::Canceled);
    EXPECT_EQ(gitlab->status(job), Status::Success);
    EXPECT_TRUE(says(gitlab->job(job), "me " + name + " " + name + "\n")) << gitlab->job(job).trace;
    EXPECT_EQ(gitlab->status(usual), Status::Success);
    EXPECT_TRUE(says(gitlab->job(usual), "me root root\n")) << gitlab->job(usual).trace;
}

}  // namespace
}  // namespace gridbridge::testing
