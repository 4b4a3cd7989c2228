// What the log of a job says while it waits, starts and ends, and how long it may wait.
#include <gmock/gmock.h>

#include "tests/unit/core/DecisionFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::State;
using ::testing::HasSubstr;

class WaitingTest : public DecisionFixture {
protected:
    void waitsFor(const std::string& reason, BatchState state = BatchState::Pending) {
        sees(state);
        facts.observed->reason = reason;
    }
    /// Its batch job ends with `cause` at a node before anything was printed, and a grace passes.
    void fails(EndCause cause, bool started = false) {
        for (int look = 0; look < 2; ++look) {
            sees(BatchState::Ended, cause);
            facts.observed->reason = "NodeDown";
            facts.observed->started = started;
            facts.log = LogFact{"", true};
            last = go(policy.capabilities.visibilityDelay);
        }
    }
    /// As a loader that could not take the marker.
    void exitsWith71() {
        for (int look = 0; look < 2; ++look) {
            sees(BatchState::Ended, EndCause::Exited);
            facts.observed->exitCode = 71;
            facts.log = LogFact{"", true};
            last = go(policy.capabilities.visibilityDelay);
        }
    }
    void isMarked(bool taken) {
        facts.marked = Result<bool>(taken);
        last = go();
    }
    Decision last;
};

TEST_F(WaitingTest, ReasonIsToldOnceAndAgainWhenItChanges) {
    in(State::Queued);
    waitsFor("Priority");
    EXPECT_THAT(go().after, HasSubstr("The job waits in backend here: Priority"));
    waitsFor("Priority");
    EXPECT_EQ(go().after, "");
    waitsFor("Resources");
    EXPECT_THAT(go().after, HasSubstr("The job waits in backend here: Resources"));
    waitsFor("JobHeldUser", BatchState::Held);
    EXPECT_THAT(go().after, HasSubstr("The job is held in backend here: JobHeldUser"));
}

TEST_F(WaitingTest, EachRunIsToldOnceAlsoWhereNobodySawTheJobWait) {
    in(State::Queued);
    sees(BatchState::Running);
    EXPECT_THAT(go().before, Not(HasSubstr("run")));
    sees(BatchState::Running);
    facts.observed->run = 2;
    EXPECT_THAT(go().before, HasSubstr("WARNING: the batch system has put the job back, to start "
                                       "it again: run 2\033"));
    sees(BatchState::Running);
    facts.observed->run = 2;
    EXPECT_EQ(go().before, "");
    sees(BatchState::Ended, EndCause::Exited);
    facts.observed->run = 4;
    EXPECT_THAT(go().before, HasSubstr("to start it again: runs 3 to 4\033"));
}

TEST_F(WaitingTest, StartIsToldWithTheNodeAndTheTimeThatItTook) {
    in(State::Queued);
    now += 75s;
    sees(BatchState::Running);
    facts.observed->node = "n7";
    EXPECT_THAT(go().before, HasSubstr("Started on n7 after 1m15s"));
}

TEST_F(WaitingTest, EndIsToldWithTheTimeThatItTookAndWhoEndedIt) {
    in(State::Collecting);
    job.startedAt = now;
    job.submission.node = "n7";
    job.submission.endedAt = now + 90s;
    job.submission.cause = "memory";
    facts.batchLog = Result<std::string>(std::string());
    const auto text = decided().after;
    EXPECT_THAT(text, HasSubstr("The batch system ended the job: it was out of memory"));
    EXPECT_THAT(text, HasSubstr("The job ran for 1m30s on n7"));
}

TEST_F(WaitingTest, SuccessOfTheScriptOutweighsAnOutOfMemoryKillThatIsTold) {
    in(State::Collecting);
    job.submission.endedAt = now;
    job.submission.cause = "memory";
    ends("success", "", 0);
    facts.collected = Result<CollectOutcome>(CollectOutcome::Done);
    const auto decision = decided();
    EXPECT_EQ(decision.next.outcome, store::Outcome::Success);
    EXPECT_THAT(decision.after, HasSubstr("WARNING: the batch system ended the job: it was out of "
                                          "memory; its script had succeeded"));
}

TEST_F(WaitingTest, EndWaitsOnePollForWhatTheJobUsedAndTellsIt) {
    policy.capabilities.reportsUsage = true;
    in(State::Running);
    job.startedAt = now;
    sees(BatchState::Running);
    ends("success", "", 0);
    facts.log = LogFact{"", true};
    go(policy.poll);
    EXPECT_EQ(job.state, State::Running);
    sees(BatchState::Ended, EndCause::Exited);
    facts.observed->usage = {.elapsed = 75s, .cpu = 72500ms, .memory = 340 << 20};
    ends("success", "", 0);
    facts.log = LogFact{"", true};
    go();
    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_EQ(job.submission.cpuMs, 72500);
    ends("success", "", 0);
    facts.collected = Result<CollectOutcome>(CollectOutcome::Done);
    EXPECT_THAT(go().after, HasSubstr("The job ran for 1m15s, used 1m12s of processor time and at "
                                      "most 340 MiB of memory"));
}

TEST_F(WaitingTest, OutputsThatAreNotThereAreAskedForAgainAfterAPause) {
    for (const auto& answer : {Result<CollectOutcome>(CollectOutcome::NotYet),
                               Result<CollectOutcome>(transientError("down"))}) {
        in(State::Collecting);
        ends("success", "", 0);
        facts.collected = answer;
        EXPECT_FALSE(go().effects.has(Effect::Collect));
        ends("success", "", 0);
        EXPECT_FALSE(go(policy.firstBackoff).effects.has(Effect::Collect));
        ends("success", "", 0);
        EXPECT_TRUE(go().effects.has(Effect::Collect));
    }
}

TEST_F(WaitingTest, OutputsThatNobodyBringsAreWaitedForUntilTheTimeoutIsOver) {
    for (const auto& answer : {Result<CollectOutcome>(CollectOutcome::NotYet),
                               Result<CollectOutcome>(transientError("down"))}) {
        in(State::Collecting);
        now = *job.deadline - 1s;
        const auto answered = [&] {
            ends("success", "", 0);
            facts.collected = answer;
            facts.failing = policy.settleTime;
        };
        answered();
        go(1s);
        EXPECT_EQ(job.state, State::Collecting);
        answered();
        facts.hasUploads = true;
        EXPECT_TRUE(go().effects.has(Effect::Upload)) << "what has come counts";
        answered();
        go();
        EXPECT_EQ(job.outcome, store::Outcome::Success) << "nothing was to come";
    }
}

TEST_F(WaitingTest, EndIsNotHeldUpByABatchSystemThatDoesNotNoticeIt) {
    policy.capabilities.reportsUsage = true;
    in(State::Running);
    for (int look = 0; look < 2; ++look) {
        sees(BatchState::Running);
        ends("success", "", 0);
        facts.log = LogFact{"", true};
        go(policy.poll);
    }
    EXPECT_EQ(job.state, State::Collecting);
}

TEST_F(WaitingTest, JobThatWaitsForTooLongIsTakenBack) {
    policy.pendingLimit = 10min;
    in(State::Queued);
    job.submission.reason = "Priority";
    now += 10min;
    EXPECT_TRUE(go().effects.has(Effect::Mark));
    isMarked(true);
    EXPECT_EQ(job.failureReason, "runner_system_failure");
    EXPECT_THAT(last.after, HasSubstr("backend here did not start the job within 10m0s: Priority"));
}

TEST_F(WaitingTest, JobWithTooLittleTimeLeftIsNotStartedAnyMore) {
    policy.minimumRunTime = 20min;
    in(State::Queued);
    now += 39min;
    EXPECT_FALSE(go(1min).effects.has(Effect::Mark));
    EXPECT_TRUE(go().effects.has(Effect::Mark));
    isMarked(true);
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
    EXPECT_THAT(last.after, HasSubstr("less than 20m0s of its timeout of 1h0m0s was left"));
}

TEST_F(WaitingTest, NodeThatFailsBeforeTheScriptStartedCostsOnlyAnAttempt) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    fails(EndCause::NodeFailure);
    ASSERT_TRUE(last.effects.has(Effect::Mark));
    isMarked(true);
    EXPECT_EQ(job.state, State::Submitting);
    EXPECT_TRUE(last.effects.has(Effect::Release));
    EXPECT_THAT(last.after, HasSubstr("the node failed: NodeDown; its script had not started, so "
                                      "it is submitted again"));
    EXPECT_EQ(job.submission.cause, "node_failure") << "kept for people";
    facts.released = Result<void>();
    go(policy.longestBackoff);
    EXPECT_EQ(go().next.submission.key.value, "gb-abcd1234-7-2");
    EXPECT_FALSE(job.startedAt);
}

TEST_F(WaitingTest, WallTimeBeginsWithTheJobAndAnewWithAnotherAttempt) {
    policy.capabilities.sharedFolder = true;
    policy.wallTime = 10min;
    const auto full = *job.deadline;
    in(State::Queued);
    now += 5min;
    sees(BatchState::Running);
    facts.observed->started = false;
    go();
    EXPECT_EQ(*job.deadline, now + 10min);
    fails(EndCause::NodeFailure);
    ASSERT_TRUE(last.effects.has(Effect::Mark));
    isMarked(true);
    ASSERT_EQ(job.state, State::Submitting);
    EXPECT_EQ(*job.deadline, full);
}

TEST_F(WaitingTest, JobThatItsNodeDoesNotEndAfterItsWallTimeIsEndedByTheService) {
    policy.wallTime = 10min;
    in(State::Queued);
    sees(BatchState::Running);
    go(10min + policy.overtime);
    sees(BatchState::Running);
    EXPECT_TRUE(go().effects.has(Effect::CancelHard));
    ASSERT_EQ(job.state, State::Collecting);
    facts.batchLog = Result<std::string>("");
    EXPECT_THAT(go().after, HasSubstr("execution took longer than its wall time of 10m0s"));
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
}

TEST_F(WaitingTest, WallTimeBeyondTheTimeoutChangesNothing) {
    policy.wallTime = 5h;
    const auto full = *job.deadline;
    in(State::Queued);
    sees(BatchState::Running);
    go();
    EXPECT_EQ(*job.deadline, full);
}

TEST_F(WaitingTest, MarkerThatCouldNotBeAskedForIsAskedForAgain) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    fails(EndCause::NodeFailure);
    facts.marked = Result<bool>(transientError("the agent starts anew"));
    EXPECT_TRUE(go().effects.has(Effect::Mark));
    EXPECT_EQ(job.state, State::Queued);
    isMarked(true);
    EXPECT_EQ(job.state, State::Submitting);
}

TEST_F(WaitingTest, JobThatIsListedAgainBeforeItsMarkerIsKnownGoesOn) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    for (int look = 0; look < 2; ++look) {
        sees(BatchState::Absent);
        facts.log = LogFact{"", true};
        last = go(policy.capabilities.visibilityDelay);
    }
    ASSERT_TRUE(last.effects.has(Effect::Mark));
    ASSERT_EQ(job.submission.cause, "lost");
    sees(BatchState::Running);
    facts.inFlight.add(Effect::Mark);
    go();
    EXPECT_EQ(job.submission.cause, "lost") << "the marker may still become ours";
    isMarked(false);
    EXPECT_EQ(job.submission.cause, "");
    sees(BatchState::Running);
    go();
    EXPECT_EQ(job.state, State::Running);
}

TEST_F(WaitingTest, NothingIsAddedToALogThatHasItsLastLine) {
    in(State::Reporting);
    job.submission.batchState = "pending";
    job.submission.reason = "Priority";
    waitsFor("Resources");
    EXPECT_EQ(go().after, "");
}

TEST_F(WaitingTest, LookThatDidNotShowItIsNoNewReasonToWait) {
    in(State::Queued);
    waitsFor("Priority");
    go();
    sees(BatchState::Absent);
    go();
    waitsFor("Priority");
    EXPECT_EQ(go().after, "");
}

TEST_F(WaitingTest, AttemptThatCannotBeFreedIsEndedAndHoldsUpNoCancel) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    fails(EndCause::NodeFailure);
    isMarked(true);
    facts.released = Result<void>(permanentError("it still runs"));
    EXPECT_TRUE(go().effects.has(Effect::CancelHard));
    EXPECT_EQ(job.state, State::Submitting);
    facts.contact = Contact::Canceling;
    const auto end = go();
    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_EQ(job.outcome, store::Outcome::Canceled);
    EXPECT_EQ(end.after.find("The batch system ended"), std::string::npos) << "told before";
}

TEST_F(WaitingTest, AttemptThatStillRunsWhereNoMarkerIsSeenIsTheJob) {
    policy.capabilities.filesByCollect = true;
    in(State::Submitting);
    job.submission.cause = "never_started";
    facts.released = Result<void>(transientError("down"));
    EXPECT_FALSE(go().effects.has(Effect::CancelHard));
    ASSERT_EQ(job.state, State::Submitting);
    facts.released = Result<void>(permanentError("it still runs"));

    EXPECT_FALSE(go().effects.has(Effect::CancelHard));

    EXPECT_EQ(job.state, State::Queued);
    EXPECT_EQ(job.submission.cause, "");
}

TEST_F(WaitingTest, MarkerThatWeTookIsNoStartOfTheScript) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    fails(EndCause::NodeFailure);
    sees(BatchState::Ended, EndCause::NodeFailure);
    facts.observed->started = true;
    facts.inFlight.add(Effect::Mark);
    EXPECT_EQ(go().before, "");
    isMarked(true);
    EXPECT_EQ(job.state, State::Submitting);
    EXPECT_EQ(last.before, "");
}

TEST_F(WaitingTest, CopyThatFoundOurMarkerIsSubmittedAgain) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    exitsWith71();
    EXPECT_TRUE(last.effects.has(Effect::Mark));
    EXPECT_EQ(job.state, State::Queued);
    isMarked(true);
    EXPECT_EQ(job.state, State::Submitting);
    EXPECT_THAT(last.after, HasSubstr("could not begin; its script had not started"));
}

TEST_F(WaitingTest, CopyOfWhichTheBatchSystemTellsNothingIsSubmittedAgainIfTheMarkerIsOurs) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    fails(EndCause::Unknown);
    isMarked(true);
    EXPECT_EQ(job.state, State::Submitting);
    EXPECT_THAT(last.after, HasSubstr("could not begin"));
}

TEST_F(WaitingTest, CopyThatFoundOurMarkerIsNoFailureOfTheScriptWhereNothingIsSubmittedAgain) {
    for (const bool shared : {true, false}) {
        policy.capabilities.sharedFolder = shared;
        in(State::Running);
        job.submission = {.attempt = shared ? 3 : 1, .key = {"gb-abcd1234-7-3"}};
        exitsWith71();
        EXPECT_TRUE(last.effects.has(Effect::Mark));
        isMarked(true);
        EXPECT_EQ(job.state, State::Collecting);
        facts = {};  // A restart.
        facts.batchLog = Result<std::string>(std::string());
        go();
        EXPECT_EQ(job.failureReason, "runner_system_failure");
    }
}

TEST_F(WaitingTest, CopyThatFoundOurMarkerAfterItsLastTimeToStartIsTakenBack) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    now = job.claimedAt + policy.pendingLimit;
    exitsWith71();
    isMarked(true);
    facts.batchLog = Result<std::string>(std::string());
    const auto end = go();
    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_NE(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, std::nullopt);
}

TEST_F(WaitingTest, CopyThatEndsAsIfWithoutMarkerThoughItHasItIsTheScripts) {
    policy.capabilities.sharedFolder = true;
    in(State::Running);
    exitsWith71();
    isMarked(false);
    facts.batchLog = Result<std::string>(std::string());
    go();
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 71);
}

TEST_F(WaitingTest, RunThatEndedBeforeItsScriptOpensTheSectionAgain) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    sees(BatchState::Running);
    facts.observed->started = false;
    EXPECT_THAT(go().before, HasSubstr("section_end"));
    fails(EndCause::NodeFailure);
    isMarked(true);
    EXPECT_EQ(job.state, State::Submitting);
    EXPECT_THAT(last.after, HasSubstr("section_start"));
}

TEST_F(WaitingTest, FullBatchSystemIsToldOnce) {
    in(State::Submitting);
    facts.submitted = Result<Submission>(Submission{.accepted = {}, .full = Full{"limit of jobs"}});
    EXPECT_THAT(go(policy.longestBackoff).after, HasSubstr("The job waits: limit of jobs"));
    go();
    facts.submitted = Result<Submission>(Submission{.accepted = {}, .full = Full{"limit of jobs"}});
    EXPECT_EQ(go().after, "");
}

TEST_F(WaitingTest, NothingIsSubmittedAgainOnceItsScriptHasStarted) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    fails(EndCause::NodeFailure);
    isMarked(false);
    EXPECT_EQ(job.state, State::Collecting);

    in(State::Queued);
    job.submission = {.attempt = 1, .key = {"gb-abcd1234-7-1"}};
    fails(EndCause::NodeFailure, true);
    EXPECT_FALSE(last.effects.has(Effect::Mark));
    EXPECT_EQ(job.state, State::Collecting);
}

TEST_F(WaitingTest, ScriptsOwnEndsAndTooManyAttemptsAreVerdicts) {
    policy.capabilities.sharedFolder = true;
    for (const auto cause : {EndCause::Exited, EndCause::RemovedByOther, EndCause::MemoryLimit}) {
        in(State::Queued);
        job.submission = {.attempt = 1, .key = {"gb-abcd1234-7-1"}};
        fails(cause);
        EXPECT_EQ(job.state, State::Collecting);
    }
    in(State::Queued);
    job.submission = {.attempt = 3, .key = {"gb-abcd1234-7-3"}};
    fails(EndCause::NodeFailure);
    EXPECT_EQ(job.state, State::Collecting);
}

TEST_F(WaitingTest, JobThatTheBatchSystemLostBeforeItsStartIsSubmittedAgain) {
    policy.capabilities.sharedFolder = true;
    in(State::Queued);
    for (int look = 0; look < 2; ++look) {
        sees(BatchState::Absent);
        facts.log = LogFact{"", true};
        last = go(1s);
    }
    ASSERT_TRUE(last.effects.has(Effect::Mark));
    isMarked(true);
    EXPECT_EQ(job.state, State::Submitting);
}

}  // namespace
}  // namespace gridbridge::core
