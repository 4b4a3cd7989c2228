#include <gtest/gtest.h>

#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::Outcome;
using store::State;
using Verb = testing::ScriptedBackend::Verb;
using Call = testing::FakeRunnerApi::Verb;

/// The service is killed at a moment of a job's life, and begins again with the same database.
class RestartTest : public CoreFixture {
protected:
    /// Steps until `verb` was called; its answer is not heard.
    void stepUntilCalled(Verb verb) {
        const auto before = calls(verb);
        for (int i = 0; i < 20 && calls(verb) == before; ++i) {
            step();
            finishCalls();
        }
        ASSERT_EQ(calls(verb), before + 1);
    }
    /// A new core comes to rest without waiting for any moment to come.
    void restartAndSettle() {
        restart();
        const auto before = clock_.steadyNow();
        settle();
        EXPECT_LT(clock_.steadyNow() - before, 100ms);
    }
};

TEST_F(RestartTest, SubmissionOfUnknownOutcomeIsAskedAboutAtOnceAndNotRepeated) {
    const auto row = claim(1);
    stepUntilCalled(Verb::Submit);
    ASSERT_EQ(job(row).state, State::Submitting);

    restartAndSettle();

    EXPECT_EQ(calls(Verb::Find), 1U);
    EXPECT_EQ(calls(Verb::Submit), 1U);
    EXPECT_EQ(backend_.job(key(row)).submits, 1);
    EXPECT_EQ(job(row).state, State::Queued);
}

TEST_F(RestartTest, SubmissionThatNeverWentOutIsRepeatedUnderANewKey) {
    backend_.fail(Verb::Submit, transientError("killed before it went out"));
    const auto row = claim(1);
    stepUntilCalled(Verb::Submit);
    ASSERT_EQ(job(row).state, State::Submitting);
    backend_.fail(Verb::Submit, std::nullopt);

    restart();
    pass(kPoll);

    EXPECT_GE(calls(Verb::Find), 2U);
    EXPECT_FALSE(backend_.has(key(row, 1)));
    EXPECT_EQ(backend_.job(key(row, 2)).submits, 1);
    EXPECT_EQ(job(row).state, State::Queued);
}

TEST_F(RestartTest, QueuedJobIsLookedAtAtOnce) {
    const auto row = claim(1);
    settle();
    ASSERT_EQ(job(row).state, State::Queued);
    backend_.run(key(row));

    restartAndSettle();

    EXPECT_EQ(job(row).state, State::Running);
}

TEST_F(RestartTest, CollectingGoesOnAtOnce) {
    const auto row = running(1);
    backend_.finish(key(row));
    stepUntilCalled(Verb::Collect);
    ASSERT_EQ(job(row).state, State::Collecting);

    restartAndSettle();

    EXPECT_EQ(calls(Verb::Collect), 2U);
    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(gitlab_.job(1).reports.size(), 1U);
}

TEST_F(RestartTest, ReportThatWaitedForItsTurnIsSentAtOnce) {
    const auto row = running(1);
    gitlab::JobAnswer later;
    later.retryAfter = 300s;
    gitlab_.answerNext(Call::Finish, later);
    backend_.finish(key(row), 7);
    settle();
    ASSERT_EQ(job(row).state, State::Reporting);
    ASSERT_TRUE(gitlab_.job(1).reports.empty());

    restartAndSettle();

    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(gitlab_.job(1).reports.front().exitCode, 7);
    EXPECT_EQ(job(row).state, State::Done);
}

TEST_F(RestartTest, ReportWhoseAnswerWasLostIsNotGivenTwice) {
    const auto row = running(1);
    backend_.finish(key(row));
    for (int i = 0; i < 20 && gitlab_.job(1).reports.empty(); ++i) {
        step();
        finishCalls();
    }
    ASSERT_EQ(job(row).state, State::Reporting);

    restartAndSettle();

    EXPECT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).outcome, Outcome::Success);
}

TEST_F(RestartTest, TraceGoesOnAtTheExactByte) {
    const auto row = running(1);
    backend_.print(key(row), "before ");
    pass(kPoll);
    backend_.print(key(row), "and ");
    clock_.advance(kPoll);
    step();
    finishCalls();
    step();  // Stored, perhaps sent, and not known to be sent.

    restart();
    backend_.print(key(row), "after\n");
    pass(kPoll);

    const auto trace = gitlab_.job(1).trace;
    EXPECT_EQ(trace, traceOf(row));
    EXPECT_NE(trace.find("before and after\n"), std::string::npos) << trace;
}

TEST_F(RestartTest, OpenJobsFoundAtStartKeepTheirPlaces) {
    running(1);
    claim(2);
    concurrent_ = 3;

    restart();
    settle();

    EXPECT_TRUE(capacity().take("pool", "batch"));
    EXPECT_FALSE(capacity().take("pool", "batch"));
}

}  // namespace
}  // namespace gridbridge::core
