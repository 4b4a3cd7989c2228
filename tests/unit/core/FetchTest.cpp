// Where log and status file come only when they are collected.
#include "bridge/core/DecisionSteps.h"
#include "tests/unit/core/CoreFixture.h"
#include "tests/unit/core/DecisionFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::Outcome;
using store::State;

class FetchDecision : public DecisionFixture {
protected:
    FetchDecision() {
        policy.capabilities.filesByCollect = true;
        policy.capabilities.visibilityDelay = 60s;
        in(State::Running);
    }
    Decision seesEnd(Millis later = 0ms) {
        sees(BatchState::Ended, EndCause::Exited);
        return go(later);
    }
    void failsToCome(const Error& error, Millis failing = 120s) {
        facts.collected = Result<CollectOutcome>(error);
        facts.failures = 20;
        facts.failing = failing;
    }
};

TEST_F(FetchDecision, AnEndIsNoVerdictBeforeItsFilesAreFetchedAndRead) {
    EXPECT_TRUE(seesEnd(10s).effects.has(Effect::Collect));
    facts.inFlight.add(Effect::Collect);
    EXPECT_TRUE(seesEnd(10min).effects.empty());
    EXPECT_EQ(job.state, State::Running);

    facts.collected = Result<CollectOutcome>(CollectOutcome::Done);
    EXPECT_TRUE(go().effects.has(Effect::Look));
    EXPECT_EQ(job.state, State::Running);

    facts.fetched = true;
    ends("success", "", 0);
    facts.log = LogFact{};
    go();
    EXPECT_EQ(job.state, State::Collecting);
}

TEST_F(FetchDecision, WhatCannotBeFetchedYetIsTriedAgainAfterAPause) {
    seesEnd();
    failsToCome(transientError("the schedd is away"));
    EXPECT_TRUE(go(1s).effects.empty());
    facts.failures = 3;
    EXPECT_FALSE(seesEnd(60s).effects.has(Effect::Collect));
    facts.failures = 3;
    EXPECT_TRUE(seesEnd().effects.has(Effect::Collect));
}

TEST_F(FetchDecision, WhatWillNeverComeIsNotWaitedForAndTheSystemsFailure) {
    seesEnd(90s);
    facts.collected = Result<CollectOutcome>(CollectOutcome::Never);
    go();
    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_EQ(job.submission.cause, kNotFetched);
}

TEST_F(FetchDecision, WhatNeverCameOfAJobThatWasRemovedIsNoNews) {
    sees(BatchState::Ended, EndCause::RemovedByOther);
    go();
    facts.collected = Result<CollectOutcome>(CollectOutcome::Never);
    go();
    EXPECT_EQ(job.submission.cause, "removed_by_other");
}

TEST_F(FetchDecision, WhatCannotBeFetchedIsTriedUntilTheTimeoutIsOverAndWasTriedForSomeTime) {
    job.deadline = now + 60s;  // Its wall time.
    seesEnd(30min);
    failsToCome(transientError("the schedd is away"));
    go(30min);
    EXPECT_EQ(job.state, State::Running);
    facts.failures = 20;
    EXPECT_TRUE(seesEnd().effects.has(Effect::Collect));
    facts.inFlight.add(Effect::Collect);
    seesEnd();
    failsToCome(transientError("the schedd is away"), 119s);
    go();
    EXPECT_EQ(job.state, State::Running);
    failsToCome(transientError("the schedd is away"));
    go();
    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_EQ(job.submission.cause, kNotFetched);
}

TEST_F(FetchDecision, AJobPastItsDeadlineIsEndedOnceItIsKnownToRun) {
    now = *job.deadline + policy.overtime;
    auto decision = go(1s);
    EXPECT_TRUE(decision.effects.has(Effect::Collect));
    EXPECT_FALSE(decision.effects.has(Effect::CancelHard));

    facts.collected = Result<CollectOutcome>(CollectOutcome::NotYet);
    decision = go();

    EXPECT_TRUE(decision.effects.has(Effect::CancelHard));
    EXPECT_EQ(job.submission.cause, "wall_time");
    EXPECT_EQ(job.state, State::Collecting);
}

TEST_F(FetchDecision, AJobThatIsSeenToRunPastItsDeadlineIsEndedWithoutAFetch) {
    now = *job.deadline + policy.overtime;
    sees(BatchState::Running);
    failsToCome(transientError("its account cannot be reached"));
    const auto decision = go();
    EXPECT_TRUE(decision.effects.has(Effect::CancelHard));
    EXPECT_EQ(job.submission.cause, "wall_time");
}

TEST_F(FetchDecision, AQueuedJobIsTakenBackByTheBatchSystemAndOverWhenItsEndIsSeen) {
    in(State::Queued);
    job.cancel = store::Cancel::Soft;
    sees(BatchState::Pending);
    const auto decision = go(10s);
    EXPECT_TRUE(decision.effects.has(Effect::CancelHard));
    EXPECT_FALSE(decision.effects.has(Effect::Mark));
    EXPECT_EQ(job.state, State::Queued);

    sees(BatchState::Ended, EndCause::RemovedByUs);
    go();
    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_EQ(job.outcome, Outcome::Canceled);
}

TEST_F(FetchDecision, AQueuedJobThatWaitedTooLongIsTakenBackOnlyWhileItIsSeenToWait) {
    in(State::Queued);
    policy.pendingLimit = 60s;
    now += 60s;
    EXPECT_TRUE(go().effects.empty());
    sees(BatchState::Unknown);
    EXPECT_TRUE(go().effects.empty()) << "a schedd that is away is asked at each poll, not at once";
    sees(BatchState::Running);
    EXPECT_FALSE(go().effects.has(Effect::CancelHard));
    EXPECT_EQ(job.state, State::Running);
}

TEST_F(FetchDecision, AQueuedJobThatWaitedTooLongAndThenBeganHasBegun) {
    in(State::Queued);
    policy.pendingLimit = 60s;
    now += 60s;
    sees(BatchState::Pending);
    EXPECT_TRUE(go().effects.has(Effect::CancelHard));
    sees(BatchState::Running);
    go();
    EXPECT_EQ(job.state, State::Running);

    sees(BatchState::Ended, EndCause::RemovedByUs);
    EXPECT_TRUE(go().effects.has(Effect::Collect));
    EXPECT_EQ(job.state, State::Running);
}

TEST_F(FetchDecision, AQueuedJobThatIsLostIsTakenBackOnlyWhenItWasCanceled) {
    in(State::Queued);
    job.cancel = store::Cancel::Soft;
    sees(BatchState::Absent);
    go(60s);
    EXPECT_EQ(job.state, State::Queued);
    sees(BatchState::Absent);
    go();
    EXPECT_EQ(job.outcome, Outcome::Canceled);
}

TEST_F(FetchDecision, AQueuedJobOfWhichNothingIsHeardIsAskedForPastItsDeadline) {
    in(State::Queued);
    now = *job.deadline + policy.overtime;
    EXPECT_TRUE(go().effects.has(Effect::Collect));
    facts.collected = Result<CollectOutcome>(CollectOutcome::NotYet);
    EXPECT_TRUE(go().effects.has(Effect::CancelHard));
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
}

TEST_F(FetchDecision, ASearchThatAlwaysFailsHoldsNoJobThatGitLabTookBack) {
    in(State::Submitting);
    facts.found = Result<std::optional<FoundJob>>(transientError("its files are on the way"));
    go();
    EXPECT_EQ(job.state, State::Submitting);

    job.cancel = store::Cancel::Hard;
    facts.found = Result<std::optional<FoundJob>>(transientError("its files are on the way"));
    EXPECT_TRUE(go().effects.has(Effect::CancelHard));
    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_EQ(job.outcome, Outcome::Dropped);
}

class FetchTest : public CoreFixture {
protected:
    FetchTest() {
        backend_.abilities.filesByCollect = true;
        backend_.abilities.liveLog = false;
        entry().policy.capabilities = backend_.abilities;
    }
    using Verb = Backend::Verb;
    void cancel() {
        auto canceling = GitLab::done();
        canceling.status = gitlab::JobStatus::Canceling;
        gitlab_.answerNext(GitLab::Verb::KeepAlive, canceling);
    }
    /// The next poll, whose answer is there then.
    void look() {
        clock_.advance(kPoll);
        step();
        finishReads();
    }
};

TEST_F(FetchTest, AFinishedJobsLogIsWholeAndItsVerdictThatOfItsStatusFile) {
    const auto row = running(1);
    backend_.print(key(row), "from the node\n");
    backend_.finish(key(row), 3);

    pass(kPoll);
    settle();

    EXPECT_EQ(job(row).outcome, Outcome::Failed);
    EXPECT_EQ(job(row).exitCode, 3);
    EXPECT_NE(traceOf(row).find("from the node\n"), std::string::npos);
}

TEST_F(FetchTest, OneCallBringsTheFilesOfAsManyJobsAsTheBackendTakes) {
    for (const std::size_t most : {1U, 3U}) {
        backend_.abilities.maxCollect = most;
        entry().policy.capabilities = backend_.abilities;
        const auto before = calls(Verb::Collect);
        std::vector<JobRow> rows;
        for (std::int64_t i = 0; i < 3; ++i) {
            rows.push_back(running(most == 1 ? 1 + i : 11 + i));
        }
        for (const auto row : rows) {
            backend_.finish(key(row), 0);
        }
        pass(kPoll);
        settle();
        EXPECT_EQ(calls(Verb::Collect) - before, 3 / most);
    }
}

TEST_F(FetchTest, ALogThatIsLiveIsShownBeforeTheEndAndNotTwice) {
    backend_.abilities.liveLog = true;
    entry().policy.capabilities = backend_.abilities;
    const auto row = running(1);
    backend_.print(key(row), "while it runs\n");
    look();
    step();
    EXPECT_NE(traceOf(row).find("while it runs\n"), std::string::npos);
    EXPECT_EQ(job(row).state, State::Running);

    backend_.print(key(row), "its last word\n");
    backend_.finish(key(row), 3);
    pass(kPoll);
    settle();

    EXPECT_EQ(job(row).exitCode, 3);
    const auto trace = traceOf(row);
    EXPECT_NE(trace.find("while it runs\nits last word\n"), std::string::npos);
    EXPECT_EQ(trace.find("while it runs"), trace.rfind("while it runs"));
}

TEST_F(FetchTest, AKillAfterTheFetchLosesNothing) {
    const auto row = running(1);
    backend_.print(key(row), "from the node\n");
    backend_.finish(key(row));
    for (int i = 0; i < 100 && calls(Backend::Verb::Collect) == 0; ++i) {
        step();
        finishCalls();
        clock_.advance(1s);
    }
    ASSERT_EQ(calls(Backend::Verb::Collect), 1U);
    ASSERT_EQ(job(row).state, State::Running);

    restart();
    pass(kPoll);
    settle();

    EXPECT_EQ(job(row).outcome, Outcome::Success);
    EXPECT_NE(traceOf(row).find("from the node\n"), std::string::npos);
}

TEST_F(FetchTest, AKillWhileItsLogIsReadLosesNothingOfIt) {
    const auto row = running(1);
    const std::string log(700'000, 'x');
    backend_.print(key(row), log);
    backend_.finish(key(row));
    while (job(row).rawOffset == 0) {
        ASSERT_LT(clock_.steadyNow(), start_ + 5min);
        step();
        finishCalls();
        clock_.advance(1s);
    }
    ASSERT_EQ(job(row).state, State::Running);
    ASSERT_LT(job(row).rawOffset, std::ssize(log));

    restart();
    backend_.fail(Verb::Collect, transientError("the schedd is away"));
    pass(5min);

    EXPECT_EQ(job(row).outcome, Outcome::Success);
    EXPECT_NE(traceOf(row).find(log), std::string::npos);
}

TEST_F(FetchTest, AFetchThatHangsDelaysNoSubmission) {
    Lane fetches("fetches", 1, [](const std::string& what) { ADD_FAILURE() << what; });
    entry().fetches = &fetches;
    const auto row = running(1);
    backend_.gate(Verb::Collect).close();
    backend_.finish(key(row));
    look();
    step();
    backend_.gate(Verb::Collect).awaitSomebody();

    const auto other = claim(2);
    for (int i = 0; i < 5; ++i) {
        step();
        finishEffects();
    }

    EXPECT_EQ(job(other).state, State::Queued);
    backend_.openAllGates();
}

TEST_F(FetchTest, ALookThatBeganBeforeTheFilesCameSaysNothingOfThem) {
    const auto row = running(1);
    backend_.print(key(row), "from the node\n");
    backend_.gate(Verb::Collect).close();
    backend_.finish(key(row));
    look();
    step();
    backend_.gate(Verb::Collect).awaitSomebody();
    backend_.answerGate(Verb::Observe).close();
    clock_.advance(kPoll);
    step();
    backend_.answerGate(Verb::Observe).awaitSomebody();

    backend_.gate(Verb::Collect).open();
    finishEffects();
    step();
    EXPECT_EQ(calls(Verb::ReadLogs), 0U);
    backend_.openAllGates();
    settle();

    EXPECT_EQ(calls(Verb::ReadLogs), 1U);
    EXPECT_EQ(job(row).outcome, Outcome::Success);
    EXPECT_NE(traceOf(row).find("from the node\n"), std::string::npos);
}

TEST_F(FetchTest, OfALiveLogALookThatBeganBeforeTheFilesCameIsNoEnd) {
    backend_.abilities.liveLog = true;
    backend_.abilities.visibilityDelay = 1s;
    entry().policy.capabilities = backend_.abilities;
    const auto row = running(1);
    backend_.print(key(row), "from the node\n");
    look();
    step();
    backend_.gate(Verb::Collect).close();
    backend_.finish(key(row));
    look();
    step();
    backend_.gate(Verb::Collect).awaitSomebody();
    backend_.answerGate(Verb::ReadLogs).close();
    clock_.advance(kPoll);
    step();
    backend_.answerGate(Verb::ReadLogs).awaitSomebody();

    backend_.gate(Verb::Collect).open();
    finishEffects();
    step();
    backend_.openAllGates();
    finishReads();
    step();
    EXPECT_EQ(job(row).state, State::Running);
    settle();

    EXPECT_EQ(job(row).outcome, Outcome::Success) << traceOf(row);
}

TEST_F(FetchTest, AQueuedJobThatIsCanceledIsReportedOnlyWhenItsEndIsSeen) {
    const auto row = claim(1);
    settle();
    cancel();
    pass(2min);
    EXPECT_FALSE(backend_.job(key(row)).cancels.empty());
    EXPECT_EQ(job(row).state, State::Queued);

    backend_.run(key(row));
    pass(kPoll);
    EXPECT_EQ(job(row).state, State::Running);
}

TEST_F(FetchTest, AResultThatIsSafeIsReportedAfterTheDeadlineToo) {
    const auto row = running(1);
    backend_.print(key(row), "from the node\n");
    backend_.finish(key(row));
    backend_.fail(Verb::Collect, transientError("the schedd is away"));
    pass(kPoll);
    ASSERT_TRUE(job(row).submission.endedAt);
    backend_.fail(Verb::Observe, transientError("the schedd is away"));
    clock_.advance(3h);

    restart();
    pass(kPoll);
    backend_.fail(Verb::Observe, std::nullopt);
    backend_.fail(Verb::Collect, std::nullopt);
    pass(6 * kPoll);

    EXPECT_EQ(job(row).outcome, Outcome::Success);
    EXPECT_NE(traceOf(row).find("from the node\n"), std::string::npos);
}

TEST_F(FetchTest, AResultWhoseEndNobodyCouldSeeIsReportedAfterTheDeadlineToo) {
    const auto row = running(1);
    backend_.finish(key(row));
    backend_.fail(Verb::Collect, transientError("the schedd is away"));
    backend_.fail(Verb::Observe, transientError("the schedd is away"));
    pass(62min);
    EXPECT_EQ(job(row).state, State::Running);

    backend_.fail(Verb::Observe, std::nullopt);
    backend_.fail(Verb::Collect, std::nullopt);
    pass(6 * kPoll);

    EXPECT_EQ(job(row).outcome, Outcome::Success);
}

TEST_F(FetchTest, WhatCannotBeFetchedIsTheSystemsFailure) {
    const auto row = running(1);
    backend_.finish(key(row));
    backend_.fail(Verb::Collect, transientError("the schedd is away"));

    pass(59min);
    EXPECT_EQ(job(row).state, State::Running);
    pass(5min);

    EXPECT_EQ(job(row).failureReason, "runner_system_failure");
    EXPECT_NE(traceOf(row).find("could not be fetched: the schedd is away"), std::string::npos);
}

TEST_F(FetchTest, ACanceledJobWaitsTwoMinutesForItsFiles) {
    const auto row = running(1);
    backend_.finish(key(row));
    backend_.fail(Verb::Collect, transientError("the schedd is away"));
    pass(kPoll);
    cancel();

    pass(1min);
    EXPECT_EQ(job(row).state, State::Running);
    pass(3min);

    EXPECT_EQ(job(row).outcome, Outcome::Canceled);
}

TEST_F(FetchTest, WhatHasNotComeYetIsAskedForAfterPauses) {
    const auto row = running(1);
    backend_.finish(key(row));
    backend_.sayOfFiles(CollectOutcome::NotYet);

    pass(10min);

    EXPECT_EQ(job(row).state, State::Running);
    EXPECT_LE(calls(Verb::Collect), 17U);
}

TEST_F(FetchTest, EachJobIsFetchedByItself) {
    const auto first = running(1);
    const auto second = running(2);
    backend_.finish(key(first));
    backend_.finish(key(second));

    pass(kPoll);
    settle();

    EXPECT_EQ(job(first).outcome, Outcome::Success);
    EXPECT_EQ(job(second).outcome, Outcome::Success);
    for (const auto size : backend_.calls(Verb::Collect)) {
        EXPECT_EQ(size, 1U);
    }
}

TEST_F(FetchTest, AJobThatNobodyKnowsIsLostAndNotBefore) {
    entry().policy.capabilities.visibilityDelay = 60s;
    const auto row = running(1);
    backend_.lose(key(row));

    pass(50s);
    EXPECT_EQ(job(row).state, State::Running);
    pass(1min);

    EXPECT_EQ(job(row).failureReason, "runner_system_failure");
}

}  // namespace
}  // namespace gridbridge::core
