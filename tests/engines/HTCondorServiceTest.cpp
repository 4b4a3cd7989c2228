// What GitLab shows where an administrator holds a job that runs, which is its end; and where the
// nodes do not see the work folder.
#include "tests/engines/EngineService.h"

namespace gridbridge::testing {
namespace {

TEST_F(EngineService, ARunningJobThatIsHeldIsInterruptedAndLeavesTheQueue) {
    serve(8);
    const auto id = addPrinting("job", "5");
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(id), "line 0"); }, "the first line"));

    engine.hold(submission(id, "remote_id"));

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

}  // namespace
}  // namespace gridbridge::testing
