#include <gtest/gtest.h>

#include "tests/fakes/LogLines.h"
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
    /// Steps until the start marker was taken; nobody hears of it.
    void stepUntilMarked() {
        for (int i = 0; i < 1000 && folders_.calls() == 0; ++i) {
            step();
            finishCalls();
            clock_.advance(100ms);
        }
        ASSERT_EQ(folders_.calls(), 1U);
    }
    /// As a person or a disk that writes into the rows of the sealed descriptions.
    void damage(const std::vector<JobRow>& rows) {
        testing::Person person(database());
        for (const auto row : rows) {
            person.execute("UPDATE job_secret SET payload = zeroblob(200) WHERE job = " +
                           std::to_string(static_cast<std::int64_t>(row)));
        }
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

TEST_F(RestartTest, JobOfAProjectRunsAsItsAccountAndIsFoundAmongTheJobsOfThatAccount) {
    entry().runAs = {"ci", {{"g/*", "ciphys"}}};
    backend_.loseSubmitAnswers(1);

    const auto row = claim(1);
    pass(2 * kPoll);

    EXPECT_EQ(calls(Verb::Find), 1U);
    EXPECT_EQ(backend_.job(key(row)).account, "ciphys");
    EXPECT_EQ(backend_.job(key(row)).submits, 1);
    EXPECT_EQ(job(row).account, "ciphys");
    EXPECT_EQ(job(row).state, State::Queued);
}

TEST_F(RestartTest, OpenJobKeepsItsAccountWhateverIsConfiguredThen) {
    entry().runAs = {"ci", {{"g/*", "ciphys"}}};
    const auto row = claim(1);
    stepUntilCalled(Verb::Submit);
    ASSERT_EQ(job(row).state, State::Submitting);

    restart();
    entry().runAs = {"ci", {{"g/*", "other"}}};
    settle();

    EXPECT_EQ(calls(Verb::Find), 1U);
    EXPECT_EQ(job(row).state, State::Queued) << "found, though others of its project run elsewhere";
    EXPECT_EQ(job(row).account, "ciphys");
    backend_.run(key(row));
    pass(kPoll);
    backend_.finish(key(row));
    settle();
    EXPECT_EQ(job(row).outcome, store::Outcome::Success);
    const auto next = claim(2);
    settle();
    EXPECT_EQ(backend_.job(key(next)).account, "other");
}

TEST_F(RestartTest, JobThatWaitsForItsSecondAttemptKeepsItsAccount) {
    entry().runAs = {"ci", {{"g/*", "ciphys"}}};
    backend_.fail(Verb::Submit, transientError("down"));
    const auto row = claim(1);
    settle();
    ASSERT_EQ(job(row).state, State::Claimed);
    backend_.fail(Verb::Submit, std::nullopt);

    restart();
    entry().runAs = {"ci"};
    pass(kPoll);

    ASSERT_TRUE(backend_.has(key(row)));
    EXPECT_EQ(backend_.job(key(row)).account, "ciphys");
}

TEST_F(RestartTest, JobWhoseProjectHasNoNameIsNotRunAsAnybodyWhereTheNameDecides) {
    entry().runAs = {"ci", {{"g/*", "ciphys"}}};
    auto nameless = body(1);
    nameless.replace(nameless.find("g/p\"}"), 3, "");
    const auto row =
        store_->receive("pool", "https://gitlab.example.org", "batch", Secret(nameless));
    capacity().take("pool", "batch");
    answers().post({row, 0, [](Facts&, Live&) {}});

    settle();

    EXPECT_EQ(calls(Verb::Submit), 0U);
    EXPECT_EQ(job(row).failureReason, "runner_configuration_error");
    EXPECT_NE(
        traceOf(row).find("ERROR: Job failed (system failure): the account that a job runs as "
                          "is chosen by its project, and GitLab does not name it"),
        std::string::npos);
}

TEST_F(RestartTest, OwnMarkerOfASubmissionThatNeverWentOutIsNoStart) {
    backend_.fail(Verb::Submit, transientError("killed before it went out"));
    const auto row = claim(1);
    stepUntilCalled(Verb::Submit);
    backend_.fail(Verb::Submit, std::nullopt);
    restart();
    stepUntilMarked();
    ASSERT_EQ(job(row).state, State::Submitting);

    restart();
    pass(kPoll);

    EXPECT_EQ(backend_.job(key(row, 2)).submits, 1);
    EXPECT_EQ(job(row).state, State::Queued);
}

TEST_F(RestartTest, OwnMarkerOfAJobThatIsTakenBackIsNoStart) {
    const auto row = claim(1);
    settle();
    ASSERT_EQ(job(row).state, State::Queued);
    clock_.advance(1h);  // The job's timeout.
    stepUntilMarked();
    ASSERT_EQ(job(row).state, State::Queued);

    restart();
    pass(kPoll);

    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(gitlab_.job(1).reports.front().failureReason, "job_execution_timeout");
    EXPECT_EQ(job(row).startedAt, std::nullopt);
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

TEST_F(RestartTest, ReportWhoseAnswerWasLostIsSettledByTheFirstHeartbeat) {
    const auto row = running(1);
    gitlab_.loseAnswers(1);
    backend_.finish(key(row));
    settle();
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    ASSERT_EQ(job(row).state, State::Reporting);
    gitlab_.setAway(true);
    restart();
    pass(2min);
    gitlab_.setAway(false);

    pass(1min);

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

TEST_F(RestartTest, DescriptionThatDoesNotOpenEndsItsJobAndHarmsNoOther) {
    const auto good = running(1);
    const auto bad = running(2);
    const auto queued = claim(3);
    settle();
    store_->receive("pool", "https://gitlab.example.org", "batch", Secret(body(4)));
    backend_.print(key(good), "well\n");
    damage({bad, queued, JobRow{4}});
    const testing::LogLines lines(log_);

    restartAndSettle();
    backend_.finish(key(bad));
    backend_.finish(key(queued));
    backend_.finish(key(good));
    pass(kPoll);

    EXPECT_EQ(job(good).outcome, Outcome::Success);
    EXPECT_EQ(gitlab_.job(1).trace, traceOf(good));
    for (const auto row : {bad, queued}) {
        EXPECT_EQ(backend_.has(key(row)), false);
        EXPECT_EQ(job(row).state, State::Done);
        EXPECT_EQ(job(row).outcome, Outcome::Dropped);
    }
    EXPECT_EQ(job(JobRow{4}).state, State::Done);
    EXPECT_EQ(lines.count("the stored description of a job cannot be read"), 2) << lines.all();
    EXPECT_EQ(lines.count("a claimed job cannot be read"), 1) << lines.all();
}

TEST_F(RestartTest, LogThatCannotBeMaskedAnyMoreIsNotShown) {
    auto masked = body(1);
    const std::string variables = R"("variables":[)";
    masked.insert(masked.find(variables) + variables.size(),
                  R"({"key":"KEY","value":"hunter2-secret","masked":true},)");
    const auto row = store_->receive("pool", "https://gitlab.example.org", "batch", Secret(masked));
    capacity().take("pool", "batch");
    answers().post({row, 0, [](Facts&, Live&) {}});
    settle();
    ASSERT_EQ(job(row).state, State::Queued);
    damage({row});
    backend_.run(key(row));
    backend_.print(key(row), "near hunter2-secret\n");

    pass(kPoll);
    backend_.finish(key(row));
    pass(kPoll);

    EXPECT_EQ(traceOf(row).find("hunter2"), std::string::npos) << traceOf(row);
    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).failureReason, "runner_system_failure");
    EXPECT_TRUE(job(row).reportedAt);
}

TEST_F(RestartTest, TokenOfADependencyStaysHidden) {
    auto depends = body(1);
    depends.insert(1, R"("dependencies":[{"id":7,"name":"build","token":"token-of-build"}],)");
    const auto row =
        store_->receive("pool", "https://gitlab.example.org", "batch", Secret(depends));
    capacity().take("pool", "batch");
    answers().post({row, 0, [](Facts&, Live&) {}});
    settle();
    backend_.run(key(row));
    backend_.print(key(row), "first token-of-build\n");
    pass(kPoll);
    restart();
    settle();
    backend_.print(key(row), "then token-of-build\n");
    backend_.finish(key(row));
    pass(kPoll);

    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_NE(traceOf(row).find("first [MASKED]\nthen [MASKED]\n"), std::string::npos)
        << traceOf(row);
}

TEST_F(RestartTest, OpenJobsFoundAtStartKeepTheirPlaces) {
    running(1);
    claim(2);
    concurrent_ = 3;

    restart();
    settle();

    EXPECT_EQ(capacity().take("pool", "batch"), Capacity::Place::One);
    EXPECT_EQ(capacity().take("pool", "batch"), Capacity::Place::None);
}

}  // namespace
}  // namespace gridbridge::core
