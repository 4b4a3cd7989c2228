#include <gtest/gtest.h>

#include "tests/unit/core/DecisionFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::Cancel;
using store::JobRecord;
using store::Outcome;
using store::State;

using DecisionTest = DecisionFixture;

TEST_F(DecisionTest, ClaimedJobStoresTheKeyBeforeItIsSubmitted) {
    in(State::Claimed);

    const auto decision = decided();

    EXPECT_EQ(decision.next.state, State::Submitting);
    EXPECT_EQ(decision.next.submission.key.value, "gb-abcd1234-7-1");
    EXPECT_TRUE(decision.effects.has(Effect::Submit));
}

TEST_F(DecisionTest, FullBackendKeepsTheJobClaimed) {
    in(State::Claimed);
    facts.backendFull = true;

    const auto decision = decided();

    EXPECT_EQ(decision.next.state, State::Claimed);
    EXPECT_TRUE(decision.effects.empty());
    EXPECT_EQ(decision.next.dueAt, now + policy.poll);
}

TEST_F(DecisionTest, CertainlyNotAcceptedIsTriedAgainWithTheSameKey) {
    in(State::Submitting);
    facts.submitted = Result<Submission>(transientError("controller down"));
    go();
    ASSERT_EQ(job.state, State::Claimed);
    now = *job.dueAt;

    go();

    EXPECT_EQ(job.state, State::Submitting);
    EXPECT_EQ(job.submission.key.value, "gb-abcd1234-7-1");
}

TEST_F(DecisionTest, UncertainSubmissionIsAskedAboutAndNeverRepeatedAtOnce) {
    in(State::Submitting);
    facts.submitted = Result<Submission>(uncertainError("timeout"));

    const auto decision = decided();

    EXPECT_EQ(decision.next.state, State::Submitting);
    EXPECT_TRUE(decision.effects.has(Effect::Find));
    EXPECT_FALSE(decision.effects.has(Effect::Submit));
    EXPECT_NE(decision.after.find("waits: timeout; whether the batch"), std::string::npos);
}

TEST_F(DecisionTest, RestartWhileSubmittingAsksFirst) {
    in(State::Submitting);

    const auto decision = decided();

    EXPECT_TRUE(decision.effects.has(Effect::Find));
    EXPECT_FALSE(decision.effects.has(Effect::Submit));
}

TEST_F(DecisionTest, FoundSubmissionIsAdopted) {
    in(State::Submitting);
    facts.found =
        Result<std::optional<FoundJob>>(std::optional(FoundJob{job.submission.key, {"17"}, now}));

    const auto decision = decided();

    EXPECT_EQ(decision.next.state, State::Queued);
    EXPECT_EQ(decision.next.submission.id.value, "17");
}

TEST_F(DecisionTest, NotFoundCountsOnlyTwiceAGraceApartAndThenTheMarkerIsTaken) {
    policy.capabilities.visibilityDelay = 60s;
    in(State::Submitting);
    const Result<std::optional<FoundJob>> nothing{std::optional<FoundJob>{}};
    facts.found = nothing;
    EXPECT_TRUE(go(59s).effects.empty());
    facts.found = nothing;
    EXPECT_FALSE(go(1s).effects.has(Effect::Mark));
    facts.found = nothing;

    EXPECT_TRUE(decided().effects.has(Effect::Mark));
}

TEST_F(DecisionTest, FailedLookForASubmissionSaysNothing) {
    in(State::Submitting);
    facts.found = Result<std::optional<FoundJob>>(transientError("down"));

    const auto decision = decided();

    EXPECT_FALSE(decision.next.submission.absentSince.has_value());
    EXPECT_EQ(decision.next.state, State::Submitting);
}

TEST_F(DecisionTest, OnlyATakenMarkerAllowsANewAttempt) {
    in(State::Submitting);
    facts.marked = Result<bool>(true);
    EXPECT_TRUE(go().effects.has(Effect::Release));
    facts.released = Result<void>(transientError("down"));
    EXPECT_FALSE(go(policy.longestBackoff).effects.has(Effect::Release));
    EXPECT_TRUE(go().effects.has(Effect::Release));
    ASSERT_EQ(job.state, State::Submitting);  // Nobody would come back to free it.
    facts.released = Result<void>();
    go();
    ASSERT_EQ(job.state, State::Claimed);
    EXPECT_GT(*job.dueAt, now);  // A scheduler that loses every submission is not asked in a loop.
    now = *job.dueAt;

    go();

    EXPECT_EQ(job.submission.key.value, "gb-abcd1234-7-2");
}

TEST_F(DecisionTest, LostMarkerMeansTheScriptHasStarted) {
    in(State::Submitting);
    facts.marked = Result<bool>(false);

    EXPECT_EQ(decided().next.state, State::Queued);
    EXPECT_FALSE(decided().effects.has(Effect::Submit));
}

TEST_F(DecisionTest, RefusalReachesTheUserWithTheSchedulersSentence) {
    in(State::Submitting);
    facts.submitted = Result<Submission>(permanentError("queue `long` does not exist"));

    const auto decision = decided();

    EXPECT_EQ(decision.next.state, State::Reporting);
    EXPECT_EQ(decision.next.failureReason, "runner_configuration_error");
    EXPECT_NE(decision.after.find("queue `long` does not exist"), std::string::npos);
}

TEST_F(DecisionTest, UnknownStateNeverConcludes) {
    in(State::Running);
    for (int i = 0; i < 100; ++i) {
        sees(BatchState::Unknown);
        facts.log = LogFact{};
        go(20s);
        ASSERT_EQ(job.state, State::Running);
    }
}

TEST_F(DecisionTest, StatusFileCountsOnceTheLogHasTheSizeItStates) {
    in(State::Running);
    ends("success", "", 0);
    facts.end->logBytes = 10;
    facts.log = LogFact{"12345", true};
    auto decision = go();
    EXPECT_EQ(job.state, State::Running);
    EXPECT_TRUE(decision.effects.has(Effect::Look));
    job.rawOffset = 5;
    ends("success", "", 0);
    facts.end->logBytes = 10;
    facts.log = LogFact{"67890", true};

    decision = go();

    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_TRUE(decision.endOfLog);
}

TEST_F(DecisionTest, NothingBeyondTheOutputLimitIsWaitedFor) {
    in(State::Running);
    job.traceState = store::TraceState::Limited;
    sees(BatchState::Running);
    facts.log = LogFact{"12345", false};
    EXPECT_FALSE(go().effects.has(Effect::Look));
    ends("failed", "", 4);
    facts.end->logBytes = 1'000'000'000'000;
    facts.log = LogFact{"67890", false};

    const auto decision = go();

    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_EQ(decision.after, "");
}

TEST_F(DecisionTest, SigtermIsJudgedOnceTheSchedulerSaysWhoEndedTheJob) {
    in(State::Running);
    ends("canceled", "terminated", {});
    facts.log = LogFact{};

    go();
    EXPECT_EQ(job.state, State::Running);

    ends("canceled", "terminated", {});
    sees(BatchState::Ended, EndCause::Preempted);
    go();
    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_EQ(job.submission.cause, "preempted");
}

TEST_F(DecisionTest, SigtermOfAJobThatTheSchedulerForgotIsTheSchedulers) {
    policy.capabilities.visibilityDelay = 60s;
    in(State::Running);
    ends("canceled", "terminated", {});
    facts.log = LogFact{};
    go(30s);
    for (int i = 0; i < 2; ++i) {
        ends("canceled", "terminated", {});
        sees(BatchState::Absent);
        EXPECT_EQ(job.state, State::Running);
        go(60s);
    }

    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_EQ(job.submission.cause, "lost");
}

TEST_F(DecisionTest, SigtermOfAJobThatTheSchedulerNeverEndsIsJudgedAfterAMinute) {
    in(State::Running);
    ends("canceled", "terminated", {});
    facts.log = LogFact{};
    go();
    now += 60s;
    ends("canceled", "terminated", {});

    go();

    EXPECT_EQ(job.state, State::Collecting);
}

TEST_F(DecisionTest, EndedJobWithoutStatusIsJudgedThoughItsLogHasNoEnd) {
    in(State::Running);
    job.traceState = store::TraceState::Limited;
    sees(BatchState::Ended, EndCause::Exited);
    facts.log = LogFact{"12345", false};
    go();
    facts.log = LogFact{"67890", false};

    go();

    EXPECT_EQ(job.state, State::Collecting);
}

TEST_F(DecisionTest, CancelInTheQueueTakesTheMarkerBeforeItReports) {
    in(State::Queued);
    facts.contact = Contact::Canceling;
    auto decision = go();
    EXPECT_TRUE(decision.effects.has(Effect::Mark));
    EXPECT_EQ(job.state, State::Queued);
    facts.marked = Result<bool>(true);

    decision = go();

    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_EQ(job.outcome, Outcome::Canceled);
    EXPECT_TRUE(decision.effects.has(Effect::CancelHard));
}

TEST_F(DecisionTest, CancelOfARunningJobAsksItsWrapperAndWaitsForIt) {
    in(State::Running);
    facts.contact = Contact::Canceling;

    const auto decision = decided();

    EXPECT_EQ(decision.next.state, State::Running);
    EXPECT_EQ(decision.next.cancel, Cancel::Soft);
    EXPECT_TRUE(decision.effects.has(Effect::CancelSoft));
}

TEST_F(DecisionTest, JobTakenAwayIsKilledAndNeverReported) {
    in(State::Running);
    facts.contact = Contact::Gone;
    auto decision = go();
    EXPECT_TRUE(decision.effects.has(Effect::CancelHard));
    EXPECT_FALSE(decision.effects.has(Effect::Report));
    EXPECT_EQ(job.outcome, Outcome::Dropped);
    sees(BatchState::Ended, EndCause::RemovedByUs);

    decision = go();
    EXPECT_TRUE(decision.effects.has(Effect::Release));
    EXPECT_FALSE(decision.effects.has(Effect::Report));
    facts.released = Result<void>();

    decision = go();
    EXPECT_EQ(job.state, State::Done);
    EXPECT_TRUE(decision.forgetSecrets);
}

TEST_F(DecisionTest, JobWhoseDescriptionCannotBeReadIsEndedAndFreedWhateverItsState) {
    for (const auto state : {State::Claimed, State::Submitting, State::Queued, State::Running,
                             State::Collecting, State::Reporting}) {
        job = {};
        job.row = JobRow{7};
        in(state);
        facts.unreadable = true;
        const bool submitted = job.submission.attempt > 0;
        auto decision = go();
        if (state == State::Submitting) {
            facts.unreadable = true;
            facts.submitted = Result<Submission>(Submission{Accepted{{"17"}, now}, {}});
            go();
            facts.unreadable = true;
            decision = go();
        }
        EXPECT_EQ(job.outcome, Outcome::Dropped) << store::nameOf(state);
        EXPECT_FALSE(decision.effects.has(Effect::Report)) << store::nameOf(state);
        EXPECT_EQ(decision.effects.has(Effect::CancelHard), submitted) << store::nameOf(state);
        EXPECT_EQ(job.state, submitted ? State::Reporting : State::Done) << store::nameOf(state);
    }
}

TEST_F(DecisionTest, JobTakenAwayDuringItsSubmissionIsNotSubmittedAgain) {
    in(State::Submitting);
    facts.contact = Contact::Gone;
    EXPECT_EQ(go().next.state, State::Submitting);  // It may be there, and has to be ended then.
    facts.submitted = Result<Submission>(transientError("controller down"));
    go();
    now = *job.dueAt;

    const auto decision = decided();

    EXPECT_FALSE(decision.effects.has(Effect::Submit));
    EXPECT_EQ(decision.next.state, State::Reporting);
    EXPECT_EQ(decision.next.outcome, Outcome::Dropped);
}

TEST_F(DecisionTest, JobThatGitLabGaveTwiceIsClosedOnce) {
    in(State::Received);
    facts.duplicate = true;

    const auto decision = decided();

    EXPECT_EQ(decision.next.state, State::Done);
    EXPECT_EQ(decision.next.outcome, Outcome::Dropped);
    EXPECT_TRUE(decision.forgetSecrets);
    EXPECT_TRUE(decision.effects.empty());
}

TEST_F(DecisionTest, DoneNeedsTheReportAndTheRelease) {
    in(State::Reporting);
    job.submission.batchState = "ended";
    facts.reported = ReportFact{ReportOutcome::Settled, false, 0ms};
    auto decision = go();
    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_FALSE(decision.forgetSecrets);
    facts.released = Result<void>();

    EXPECT_EQ(go().next.state, State::Done);
}

TEST_F(DecisionTest, ReleaseThatFailsIsTriedAgainAfterAPause) {
    in(State::Reporting);
    job.reportedAt = now;
    sees(BatchState::Ended);
    EXPECT_TRUE(go().effects.has(Effect::Release)) << "at once";
    for (int failures = 1; failures < 20; ++failures) {
        facts.released = Result<void>(transientError("down"));
        facts.failures = failures;
        EXPECT_FALSE(go().effects.has(Effect::Release));
        const auto pause = *job.dueAt - now;
        EXPECT_GE(pause, std::min(policy.longestBackoff, policy.firstBackoff * failures));
        EXPECT_LE(pause, policy.longestBackoff);
        sees(BatchState::Ended);
        facts.failures = failures;
        EXPECT_FALSE(go(pause).effects.has(Effect::Release)) << "a look came too early";
        facts.failures = failures;
        EXPECT_TRUE(go().effects.has(Effect::Release));
    }
}

TEST_F(DecisionTest, ReleaseOfALostJobIsTriedAgainWithoutANewProof) {
    in(State::Reporting);
    job.reportedAt = now;
    sees(BatchState::Absent);
    go(policy.capabilities.visibilityDelay + 1s);
    sees(BatchState::Absent);
    EXPECT_TRUE(go().effects.has(Effect::Release));
    facts.released = Result<void>(transientError("down"));
    facts.failures = 1;
    go();
    now = *job.dueAt;
    facts.failures = 1;
    EXPECT_TRUE(decided().effects.has(Effect::Release));

    sees(BatchState::Running);
    facts.failures = 1;
    EXPECT_FALSE(decided().effects.has(Effect::Release)) << "it was there after all";
}

TEST_F(DecisionTest, UploadThatMustWaitKeepsTheJobAndItsVerdict) {
    in(State::Collecting);
    ends("success", "", 0);
    facts.uploaded = TransferFact{TransferOutcome::Later, 7s, {"a line\n"}};
    EXPECT_EQ(decided().after, "a line\n");
    go();
    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_EQ(*job.dueAt, now + 7s);
    now = *job.dueAt;
    ends("success", "", 0);
    EXPECT_TRUE(go().effects.has(Effect::Collect));
    facts.collected = Result<CollectOutcome>(CollectOutcome::Done);
    facts.hasUploads = true;
    ends("success", "", 0);
    EXPECT_TRUE(go().effects.has(Effect::Upload));
    ends("success", "", 0);
    facts.uploaded = TransferFact{};
    go();
    EXPECT_EQ(job.outcome, Outcome::Success);
}

TEST_F(DecisionTest, ReportIsRepeatedUntilItIsSettled) {
    in(State::Reporting);
    job.submission.batchState = "ended";
    job.submission.releasedAt = now;
    for (int i = 0; i < 1000; ++i) {
        facts.reported = ReportFact{ReportOutcome::Later, false, 0ms};
        facts.failures = i;
        go();
        ASSERT_EQ(job.state, State::Reporting);
        ASSERT_LE(*job.dueAt, now + policy.longestBackoff);
        now = *job.dueAt;
        ASSERT_TRUE(go().effects.has(Effect::Report));
    }
}

TEST_F(DecisionTest, BatchJobHasAMinuteToCleanUpAfterItsStatusFile) {
    in(State::Reporting);
    job.reportedAt = now;
    job.submission.statusAt = now;
    sees(BatchState::Running);
    EXPECT_FALSE(go(60s).effects.has(Effect::CancelHard));
    sees(BatchState::Running);

    EXPECT_TRUE(decided().effects.has(Effect::CancelHard));
    EXPECT_FALSE(decided().effects.has(Effect::Release));
}

TEST_F(DecisionTest, DeadlineInTheQueueFailsTheJobOnceItCannotStart) {
    in(State::Queued);
    now = *job.deadline;
    EXPECT_TRUE(go().effects.has(Effect::Mark));
    facts.marked = Result<bool>(true);

    const auto decision = go();

    EXPECT_EQ(job.failureReason, "job_execution_timeout");
    EXPECT_NE(decision.after.find("raise `timeout:`"), std::string::npos);
}

TEST_F(DecisionTest, RunningJobThatIgnoresItsDeadlineIsEnded) {
    in(State::Running);
    now = *job.deadline + policy.overtime;

    const auto decision = go();

    EXPECT_TRUE(decision.effects.has(Effect::CancelHard));
    facts.batchLog = Result<std::string>(std::string());
    go();
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
}

TEST_F(DecisionTest, UndecodableJobWithoutIdIsKeptAndClosed) {
    Decoded decoded;
    decoded.refusal = "the body cannot be read";
    decoded.refusalReason = "runner_system_failure";
    facts.decoded = decoded;

    const auto decision = decided();

    EXPECT_EQ(decision.next.state, State::Done);
    EXPECT_FALSE(decision.forgetSecrets);
}

TEST_F(DecisionTest, NothingNewChangesNothing) {
    for (const auto state : {State::Claimed, State::Queued, State::Running, State::Done}) {
        in(state);
        job.dueAt = now + 5min;
        job.submission.cause.clear();
        EXPECT_EQ(decided().next, job) << store::nameOf(state);
        EXPECT_TRUE(decided().effects.empty());
    }
}

TEST_F(DecisionTest, JobThatWasTakenBackNeverStartsEvenIfTheClockGoesBack) {
    in(State::Queued);
    now += 2h;
    EXPECT_TRUE(go().effects.has(Effect::Mark));
    now -= 2h;
    facts.marked = Result<bool>(true);
    go();

    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
}

}  // namespace
}  // namespace gridbridge::core
