// What becomes of jobs when a real DiracX, its object store and its pilots do their worst.
#include <gmock/gmock.h>

#include "tests/engines/DiracFaultFixture.h"
#include "tests/engines/DiracxHarness.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class DiracxFault : public DiracFaultFixture<DiracxHarness> {
protected:
    void faultOfServer(const std::string& kind, const std::string& call) {
        engine.fault(kind + " --name '" + call + "'");
    }
};

TEST_F(DiracxFault, ARefusalNamesTheJobAndWhatIsUnusualInIt) {
    harness.config.platform = "x86_64-lab";
    harness.restart();
    const std::vector<BatchJob> jobs{plan({}), plan({})};

    const auto results = harness.backend().submit(ctx(), jobs);

    for (std::size_t i = 0; i < jobs.size(); ++i) {
        ASSERT_FALSE(results[i].ok());
        EXPECT_EQ(results[i].error().kind, ErrorKind::Permanent);
        EXPECT_THAT(results[i].error().message, HasSubstr(jobs[i].key.value));
        EXPECT_THAT(results[i].error().message, HasSubstr("JDL syntax error"));
        EXPECT_THAT(results[i].error().message, HasSubstr("Platform = \"x86_64-lab\""));
        EXPECT_EQ(found(jobs[i]), 0U);
    }
}

TEST_F(DiracxFault, ATagThatNoPilotHasKeepsAJobWaiting) {
    harness.config.tags = {"Nowhere"};
    harness.restart();
    const auto ref = submit(plan({}));

    EXPECT_TRUE(eventually([&] {
        return look(ref)->reason ==
               "no pilot that fits it has asked for a job yet (Tags = \"Nowhere\")";
    }));
    EXPECT_TRUE(is(ref, BatchState::Pending));
}

TEST_F(DiracxFault, AnOutageChangesNothing) {
    const auto job = plan({.held = true});
    const auto ref = running(job);
    faultOfServer("api-503", "POST /api/jobs/search");
    const auto blind = look(ref);
    faultOfServer("api-503", "POST /api/jobs/jdl");
    const auto other = plan({});
    const auto refused = trySubmit(other);

    ASSERT_FALSE(blind.ok());
    EXPECT_EQ(blind.error().kind, ErrorKind::Transient);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Transient);
    EXPECT_EQ(found(other), 0U);
    EXPECT_TRUE(is(ref, BatchState::Running));
}

TEST_F(DiracxFault, RerunsThatAreAllowedAreCounted) {
    harness.config.rerunsAllowed = true;
    harness.restart();
    const auto job = plan({.output = "again", .held = true});
    faultAt(job, "reschedule --after 0.5");
    const auto ref = submit(job);
    EXPECT_TRUE(eventually([&] { return harness.starts(job) == 2; }));

    harness.letEnd(job);

    const auto seen = ended(ref);
    EXPECT_EQ(seen.cause, EndCause::Exited);
    EXPECT_EQ(seen.run, 2);
    EXPECT_TRUE(eventually([&] { return isDone(ref); }));
    EXPECT_EQ(log(ref).bytes, "again");
}

TEST_F(DiracxFault, AnObjectStoreThatFailsIsAskedAgain) {
    const auto job = plan({.output = "all of it"});
    const auto ref = submit(job);
    ended(ref);
    engine.fault("s3-503");
    EXPECT_FALSE(collect(ref).ok());
    engine.fault("s3-cut");
    EXPECT_FALSE(collect(ref).ok());

    EXPECT_TRUE(isDone(ref));
    EXPECT_EQ(log(ref).bytes, "all of it");
    engine.fault("s3-503");
    const auto refused = trySubmit(plan({.output = "never seen before"}));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Transient);
}

TEST_F(DiracxFault, WhatHoldsAJobIsSaid) {
    const auto job = plan({});
    faultAt(job, "hold --seconds 2 --text 'The following sites are banned: LCG.Lab.org'");
    const auto ref = submit(job);

    EXPECT_TRUE(eventually([&] {
        return look(ref)->reason ==
               "DIRAC's optimizer JobScheduling holds it: The following sites "
               "are banned: LCG.Lab.org";
    }));
    EXPECT_EQ(ended(ref).node, "LCG.Engine.org");
}

TEST_F(DiracxFault, StalledIsNotFailedAndCompletedIsAnEnd) {
    const auto stalled = plan({.held = true});
    const auto completed = plan({.output = "x"});
    faultAt(stalled, "stall --after 0.2 --seconds 2");
    faultAt(completed, "completed --seconds 2");
    const auto stalledRef = submit(stalled);
    const auto completedRef = submit(completed);

    EXPECT_TRUE(eventually([&] { return look(stalledRef)->reason.starts_with("Stalled"); }));
    EXPECT_TRUE(is(stalledRef, BatchState::Running));
    harness.letEnd(stalled);
    EXPECT_EQ(ended(stalledRef).cause, EndCause::Exited);
    EXPECT_EQ(ended(completedRef).cause, EndCause::Exited);
    EXPECT_TRUE(eventually([&] { return isDone(completedRef); }));
    EXPECT_EQ(log(completedRef).bytes, "x");
}

TEST_F(DiracxFault, ALimitIsDiracsAndTheLogComesHome) {
    const auto job = plan({.output = "so far", .held = true});
    faultAt(job, "watchdog --after 0.5");

    const auto ref = submit(job);

    EXPECT_EQ(ended(ref).cause, EndCause::WallTimeLimit);
    EXPECT_TRUE(eventually([&] { return isDone(ref); }));
    EXPECT_EQ(log(ref).bytes.substr(0, 6), "so far");
}

TEST_F(DiracxFault, AKillCountsAlsoWhereANodesClockIsAhead) {
    const auto job = plan({.held = true});
    faultAt(job, "clock-ahead --seconds 60");
    const auto ref = running(job);
    const std::vector<CancelRequest> requests{{ref, CancelKind::Hard}};

    EXPECT_EQ(harness.backend().cancel(ctx(), requests).at(0).value(), CancelOutcome::Requested);

    EXPECT_EQ(ended(ref).cause, EndCause::RemovedByUs);
}

TEST_F(DiracxFault, OfAKillThatTheNodeHasNotHeardOfTheLogTells) {
    const auto job = plan({.held = true});
    faultAt(job, "deaf --after 0 --seconds 4");
    const auto ref = running(job);
    const std::vector<CancelRequest> requests{{ref, CancelKind::Hard}};
    EXPECT_EQ(harness.backend().cancel(ctx(), requests).at(0).value(), CancelOutcome::Requested);

    EXPECT_EQ(ended(ref).cause, EndCause::RemovedByUs);

    EXPECT_TRUE(isDone(ref));
    EXPECT_THAT(log(ref, LogSource::Batch).bytes, HasSubstr("until its next heartbeat"));
}

}  // namespace
}  // namespace gridbridge::testing
