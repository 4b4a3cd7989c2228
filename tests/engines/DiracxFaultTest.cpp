// What becomes of jobs when a real DiracX, its object store and its pilots do their worst.
#include <gmock/gmock.h>

#include "tests/engines/DiracxHarness.h"
#include "tests/engines/EngineFault.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class DiracxFault : public EngineFault<DiracxHarness> {
protected:
    /// At the next job of that key.
    void faultAt(const BatchJob& job, const std::string& words) {
        engine.fault(words + " --name " + job.key.value);
    }
    void faultOfServer(const std::string& kind, const std::string& call) {
        engine.fault(kind + " --name '" + call + "'");
    }
    Result<CollectOutcome> collect(const JobRef& ref) {
        return harness.backend().collect(ctx(), std::vector{ref}).at(0);
    }
    bool isDone(const JobRef& ref) {
        const auto outcome = collect(ref);
        return outcome.ok() && *outcome == CollectOutcome::Done;
    }
    LogChunk log(const JobRef& ref, LogSource source = LogSource::Job) {
        const std::vector<LogRequest> requests{{ref, 1, 0, 1 << 20, source}};
        return harness.backend().readLogs(ctx(), requests).at(0).value();
    }
};

TEST_F(DiracxFault, ASubmissionWithoutAnAnswerIsUncertainAndAdopted) {
    const auto job = plan({.output = "once"});
    faultOfServer("api-lost", "POST /api/jobs/jdl");

    const auto lost = trySubmit(job);

    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(lost.error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(found(job), 1U);
    const auto ref = submit(job);
    EXPECT_EQ(ended(ref).cause, EndCause::Exited);
    EXPECT_TRUE(eventually([&] { return isDone(ref); }));
    EXPECT_EQ(log(ref).bytes, "once");
    EXPECT_EQ(harness.starts(job), 1);
}

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

TEST_F(DiracxFault, AJobThatGoesBackAfterItsScriptStartedIsKilled) {
    const auto job = plan({.held = true});
    faultAt(job, "reschedule --after 3");
    const auto ref = running(job);
    faultAt(job, "never-match");  // Else it may be on a node again before anybody knows.

    const auto seen = ended(ref);

    EXPECT_EQ(seen.cause, EndCause::NodeFailure);
    EXPECT_THAT(seen.reason, HasSubstr("it is not to start twice"));
    EXPECT_TRUE(seen.started);
    EXPECT_EQ(harness.starts(job), 1);
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

TEST_F(DiracxFault, AnOutputThatIsLateIsWaitedForAndOneThatIsLostNotForgotten) {
    const auto late = plan({.output = "late", .exitCode = 3});
    const auto lost = plan({});
    faultAt(late, "late-output --seconds 2");
    faultAt(lost, "lose-output");
    const auto lateRef = submit(late);
    const auto lostRef = submit(lost);

    EXPECT_EQ(ended(lateRef).cause, EndCause::Exited);
    EXPECT_TRUE(eventually([&] { return isDone(lateRef); }));
    EXPECT_EQ(log(lateRef).bytes, "late");
    EXPECT_EQ(look(lateRef)->exitCode, 3);
    ended(lostRef);
    EXPECT_EQ(collect(lostRef).value(), CollectOutcome::NotYet);
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

TEST_F(DiracxFault, WhoEndedAJobIsTold) {
    const auto killed = plan({.held = true});
    const auto dead = plan({.held = true});
    faultAt(killed, "operator-kill --after 0.2");
    faultAt(dead, "pilot-dies --after 0.2 --seconds 1");
    const auto killedRef = submit(killed);
    const auto deadRef = submit(dead);

    EXPECT_EQ(ended(killedRef).cause, EndCause::RemovedByOther);
    const auto seen = ended(deadRef);
    EXPECT_EQ(seen.cause, EndCause::NodeFailure);
    EXPECT_THAT(seen.reason, HasSubstr("pilot not running"));
    EXPECT_TRUE(isDone(deadRef));
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

TEST_F(DiracxFault, AJobThatDiracHasPurgedIsAbsent) {
    const auto job = plan({});
    faultAt(job, "purge --seconds 1");
    const auto ref = submit(job);

    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Absent); }));
    EXPECT_FALSE(collect(ref).ok());
    EXPECT_EQ(found(job), 0U);
}

}  // namespace
}  // namespace gridbridge::testing
