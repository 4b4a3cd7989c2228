// The real executable, the stand-in GitLab and a real Slurm.
#include <algorithm>
#include <sstream>

#include "tests/e2e/Service.h"
#include "tests/engines/SlurmEngine.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSpec;
using fakegitlab::Status;

class SlurmService : public EndToEnd {
protected:
    void SetUp() override {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        writeFile(service->config(),
                  "check_interval = 1\nstate_dir = \"" + service->stateDir().string() +
                      "\"\nlog_level = \"debug\"\n[[runners]]\nname = \"pool\"\nurl = \"" +
                      gitlab->url() +
                      "\"\ntoken = \"glrt-test\"\nbackend = \"here\"\n"
                      "[backends.here]\ntype = \"slurm\"\nwork_dir = \"" +
                      service->workDir().string() + "\"\nslurm_conf = \"" + engine.slurmConf() +
                      "\"\npartition = \"main\"\npoll_interval = 1\ntrusted_jobs = true\n");
        service->start();
    }
    void TearDown() override {
        engine.repair();
        EndToEnd::TearDown();
    }

    /// A job that counts its starts and prints ten lines, `pause` seconds between them.
    JobId add(const std::string& name, const std::string& pause) {
        JobSpec spec;
        spec.name = name;
        spec.script = {"echo >>" + counter(name).string(),
                       "for i in 0 1 2 3 4 5 6 7 8 9; do echo line $i; sleep " + pause + "; done"};
        spec.variables = {{.key = "GIT_STRATEGY", .value = "none"}};
        return gitlab->addJob(std::move(spec));
    }
    std::filesystem::path counter(const std::string& name) const { return folder.path / name; }
    long starts(const std::string& name) const {
        return static_cast<long>(readFile(counter(name)).size());
    }
    long count(const std::string& state) {
        const auto rows = service->sql("SELECT state FROM job WHERE state = '" + state + "'");
        return std::count(rows.begin(), rows.end(), '\n');
    }
    bool ends(const std::vector<JobId>& ids) {
        return gitlab->waitUntil(
            [&] {
                return std::all_of(ids.begin(), ids.end(),
                                   [&](const JobId id) { return isEnded(gitlab->status(id)); }) &&
                       count("done") == std::ssize(ids);
            },
            std::chrono::seconds(240));
    }
    static bool isWhole(const fakegitlab::JobSnapshot& job) {
        std::string all;
        for (int i = 0; i < 10; ++i) {
            all += "line " + std::to_string(i) + "\n";
        }
        return says(job, all);
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

}  // namespace
}  // namespace gridbridge::testing
