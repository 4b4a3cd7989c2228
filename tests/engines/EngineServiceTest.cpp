// What GitLab shows of jobs on a real batch system, whichever it is.
#include "tests/engines/EngineService.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::Status;

TEST_F(EngineService, JobsEndWithTheirExitCodeAndTheirWholeLog) {
    serve(8);
    const auto good = addPrinting("good", "0.1");
    const auto bad = add("bad", {"echo all of it", "exit 7"});

    ASSERT_TRUE(ends({good, bad}));

    const auto success = gitlab->job(good);
    EXPECT_EQ(success.status, Status::Success);
    EXPECT_TRUE(isWhole(success));
    EXPECT_TRUE(says(success, engine.tellsNode() ? "Started on " : "Started after "))
        << plain(success.trace);
    const auto failure = gitlab->job(bad);
    EXPECT_EQ(failure.status, Status::Failed);
    EXPECT_EQ(failure.failureReason, "script_failure");
    EXPECT_EQ(failure.exitCode, 7);
    EXPECT_TRUE(says(failure, "all of it\n"));
    EXPECT_EQ(lastLine(failure), "ERROR: Job failed: exit code 7");
}

TEST_F(EngineService, ACancelInGitLabEndsTheBatchJob) {
    serve(8);
    const auto id = addPrinting("job", "30");
    ASSERT_TRUE(begins(id, "job"));

    gitlab->cancel(id);

    ASSERT_TRUE(ends({id}));
    EXPECT_EQ(gitlab->status(id), Status::Canceled);
    EXPECT_FALSE(says(gitlab->job(id), "line 9"));
    if (engine.tellsLive()) {
        EXPECT_EQ(lastLine(gitlab->job(id)), "ERROR: Job failed: canceled");
    }
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
}

TEST_F(EngineService, AnAdministratorsRemovalIsAnInterruption) {
    serve(8);
    const auto id = addPrinting("job", "5");
    ASSERT_TRUE(begins(id, "job"));

    engine.remove(submission(id, "remote_id"));

    ASSERT_TRUE(ends({id}));
    const auto job = gitlab->job(id);
    EXPECT_TRUE(isLost(job)) << job.failureReason;
    EXPECT_EQ(lastLine(job),
              "ERROR: Job failed (system failure): batch job was terminated by the backend");
    EXPECT_EQ(submission(id, "cause"), "removed_by_other");
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
}

TEST_F(EngineService, ServiceAndQueueAreKilledInMidRunAndNoJobNotices) {
    serve(8);
    std::vector<JobId> ids;
    for (int i = 0; i < 6; ++i) {
        ids.push_back(addPrinting("job" + std::to_string(i), "1.5"));
    }
    ASSERT_TRUE(reaches(6, "running"));
    engine.awaitSaved();

    service->killHard();
    engine.kill(engine.daemons().front());
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

}  // namespace
}  // namespace gridbridge::testing
