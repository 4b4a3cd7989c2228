// What GitLab shows where an administrator holds a job that runs, which is its end; and where the
// nodes do not see the work folder.
#include <fstream>

#include "tests/engines/EngineService.h"

namespace gridbridge::testing {
namespace {

TEST_F(EngineService, ARunningJobThatIsHeldIsInterruptedAndLeavesTheQueue) {
    serve(8);
    const auto id = addPrinting("job", "5");
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(id), "line 0"); }, "the first line"));

    SchedulerEngine::get().hold(submission(id, "remote_id"));

    ASSERT_TRUE(ends({id}));
    const auto job = gitlab->job(id);
    EXPECT_TRUE(isLost(job)) << job.failureReason;
    EXPECT_TRUE(says(job,
                     "The batch system ended the job: it was removed, and not by gridbridge "
                     "(via condor_hold"))
        << plain(job.trace);
    EXPECT_EQ(starts("job"), 1);
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
}

TEST_F(EngineService, AScriptThatSucceedsThoughItsMemoryWasTooMuchSucceedsWithAWarning) {
    serve(8, "poll_interval = 10\n");  // So long its status file waits for HTCondor's word.
    SchedulerEngine::get().watchMemory();
    fakegitlab::JobSpec spec;
    spec.script = {"echo done"};
    // It ends well once HTCondor has told the job to go.
    spec.afterScript = {"x=$(head -c 300000000 /dev/zero | tr '\\0' x)",
                        "until [ -s \"$GB_CTL/term\" ]; do sleep 0.1; done"};
    spec.variables = {{.key = "GIT_STRATEGY", .value = "none"}};
    const auto id = gitlab->addJob(std::move(spec));

    const auto ended = ends({id});

    SchedulerEngine::get().asUsual();
    ASSERT_TRUE(ended);
    const auto job = gitlab->job(id);
    EXPECT_EQ(job.status, fakegitlab::Status::Success) << plain(job.trace);
    EXPECT_EQ(job.acceptedFinals, 1);
    EXPECT_EQ(submission(id, "cause"), "memory");
    EXPECT_TRUE(says(job, "WARNING: the batch system ended the job: it was out of memory"))
        << plain(job.trace);
    EXPECT_TRUE(says(job, "; its script had succeeded, and that decides\n")) << plain(job.trace);
    EXPECT_EQ(lastLine(job), "Job succeeded");
}

constexpr const char* kCopies = "poll_interval = 1\nfile_transfer = true\n";

TEST_F(EngineService, WhereFilesAreCopiedServiceAndScheddAreKilledAndNoJobNotices) {
    serve(8, kCopies);
    std::vector<fakegitlab::JobId> ids;
    for (int i = 0; i < 4; ++i) {
        ids.push_back(addPrinting("job" + std::to_string(i), "1.5"));
    }
    for (const auto id : ids) {
        ASSERT_TRUE(waitFor([&] { return says(gitlab->job(id), "line 1\n"); }, "its live log"));
    }

    service->killHard();
    engine.kill("condor_schedd");
    service->start();
    engine.repair();

    ASSERT_TRUE(ends(ids));
    for (int i = 0; i < 4; ++i) {
        const auto job = gitlab->job(ids[static_cast<std::size_t>(i)]);
        EXPECT_EQ(job.status, fakegitlab::Status::Success);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_TRUE(isWhole(job)) << plain(job.trace);
        EXPECT_EQ(starts("job" + std::to_string(i)), 1);
    }
}

TEST_F(EngineService, WhereFilesAreCopiedAFailureAndACancelAreToldApart) {
    serve(8, kCopies);
    const auto failing = add("failing", {"echo all of it", "exit 7"});
    const auto canceled = addPrinting("canceled", "10");
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(canceled), "line 0\n"); }, "its live log"));

    gitlab->cancel(canceled);

    ASSERT_TRUE(ends({failing, canceled}));
    EXPECT_EQ(gitlab->job(failing).exitCode, 7);
    EXPECT_TRUE(says(gitlab->job(failing), "all of it\n"));
    EXPECT_EQ(gitlab->status(canceled), fakegitlab::Status::Canceled);
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
}

TEST_F(EngineService, WhereFilesAreCopiedJobsHaveLinesOfTheSiteAndCaches) {
    runnerLines = cacheLines();
    serve(8, std::string(kCopies) + "shell_init = \"export SITE='of the site'\"\n");

    const auto first = runCached({"echo \"$SITE\"; mkdir lib; echo made >lib/a"});
    const auto second =
        runCached({"cat lib/a; echo \"in ${CI_PROJECT_DIR#\"$_CONDOR_SCRATCH_DIR\"}\""});

    EXPECT_TRUE(says(first, "\nof the site\n")) << plain(first.trace);
    EXPECT_EQ(second.status, fakegitlab::Status::Success) << plain(second.trace);
    EXPECT_TRUE(says(second, "\nmade\nin /gb.")) << plain(second.trace);
}

TEST_F(EngineService, ThroughASpoolServiceAndScheddAreKilledBeforeTheFilesAreFetched) {
    serve(8, "poll_interval = 1\nschedd = \"engine@ci.local\"\nspool = true\n");
    const auto go = folder.path / "starts" / "go";  // They end only when nobody looks any more.
    const std::string wait = "until [ -e " + go.string() + " ]; do sleep 0.2; done";
    const auto printing =
        add("printing", {wait, "for i in 0 1 2 3 4 5 6 7 8 9; do echo line $i; done"});
    const auto failing = add("failing", {wait, "echo all of it", "exit 7"});
    ASSERT_TRUE(
        waitFor([&] { return starts("printing") == 1 && starts("failing") == 1; }, "their starts"));

    service->killHard();
    std::ofstream(go).close();
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "their ends"));
    engine.kill("condor_schedd");
    engine.repair();
    EXPECT_FALSE(says(gitlab->job(printing), "line 0\n"));
    service->start();

    ASSERT_TRUE(ends({printing, failing}));
    EXPECT_EQ(gitlab->job(printing).status, fakegitlab::Status::Success);
    EXPECT_TRUE(isWhole(gitlab->job(printing))) << plain(gitlab->job(printing).trace);
    EXPECT_EQ(gitlab->job(failing).exitCode, 7);
    EXPECT_TRUE(says(gitlab->job(failing), "all of it\n"));
    EXPECT_EQ(starts("printing") + starts("failing"), 2);
}

}  // namespace
}  // namespace gridbridge::testing
