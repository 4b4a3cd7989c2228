// The real executable, the stand-in GitLab and a real Slurm.
#include "tests/engines/EngineService.h"
#include "tests/engines/SlurmEngine.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;

class SlurmService : public EngineService {
protected:
    void SetUp() override {
        begin("type = \"slurm\"\nslurm_conf = \"" + engine.slurmConf() +
              "\"\npartition = \"main\"\ntrusted_jobs = true\n");
    }
    void TearDown() override {
        engine.repair();
        EndToEnd::TearDown();
    }

    SlurmEngine& engine = SlurmEngine::get();
};

TEST_F(SlurmService, ServiceAndControllerAreKilledInMidRunAndNoJobNotices) {
    std::vector<JobId> ids;
    for (int i = 0; i < 6; ++i) {
        ids.push_back(add("job" + std::to_string(i), "1.5"));
    }
    ASSERT_TRUE(waitFor([&] { return count("running") == 6; }, "all to run"));
    const auto running = std::filesystem::file_time_type::clock::now();
    engine.run("scontrol update jobid=$(squeue -h -o %A | head -n 1) comment=saved");
    ASSERT_TRUE(waitFor([&] { return engine.savedAt() > running; }, "Slurm's state on disk"));

    service->killHard();
    engine.kill("slurmctld");
    service->start();
    engine.repair();

    ASSERT_TRUE(ends(ids));
    for (int i = 0; i < 6; ++i) {
        const auto job = gitlab->job(ids[static_cast<std::size_t>(i)]);
        EXPECT_EQ(job.status, Status::Success);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_TRUE(isWhole(job));
        EXPECT_EQ(starts("job" + std::to_string(i)), 1);
    }
}

TEST_F(SlurmService, JobsThatTheControllerForgetsAreSubmittedAgainUnlessTheirScriptHasStarted) {
    std::vector<JobId> ids;
    for (int i = 0; i < 6; ++i) {
        ids.push_back(add("job" + std::to_string(i), "0.2"));
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
        EXPECT_TRUE(job.failureReason == "runner_system_failure" ||
                    job.failureReason == "runner_interrupted")
            << job.failureReason;
        EXPECT_TRUE(says(job, "Job failed (system failure): ")) << lastLine(job);
    }
    std::cout << "lost " << lost << " of 6, submitted again " << again << "\n";
}

TEST_F(SlurmService, AnAdministratorsRemovalIsAnInterruption) {
    const auto id = add("job", "5");
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(id), "line 0"); }, "the first line"));

    engine.run("scancel $(squeue -h -o %A)");

    ASSERT_TRUE(ends({id}));
    const auto job = gitlab->job(id);
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_TRUE(job.failureReason == "runner_interrupted" ||
                job.failureReason == "runner_system_failure")
        << job.failureReason;
    EXPECT_EQ(lastLine(job),
              "ERROR: Job failed (system failure): batch job was terminated by the backend");
    EXPECT_EQ(service->sql("SELECT cause FROM submission"), "removed_by_other\n");
}

TEST_F(SlurmService, WhatAJobAsksForReachesSlurm) {
    fakegitlab::JobSpec spec;
    spec.script = {"echo \"got $SLURM_CPUS_PER_TASK $SLURM_MEM_PER_NODE $SLURM_JOB_PARTITION\"",
                   "scontrol show job $SLURM_JOB_ID | grep -o 'TimeLimit=[^ ]*'"};
    spec.variables = {{.key = "GIT_STRATEGY", .value = "none"},
                      {.key = "SLURM_CONF", .value = engine.slurmConf()},
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

}  // namespace
}  // namespace gridbridge::testing
