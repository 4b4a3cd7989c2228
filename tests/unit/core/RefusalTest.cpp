// How long and how GitLab is asked again when it, or a proxy, does not take what is said to it.
#include <gtest/gtest.h>

#include "bridge/core/Conversation.h"
#include "tests/fakes/DatabaseWatch.h"
#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using gitlab::CallOutcome;
using gitlab::JobAnswer;
using store::Outcome;
using store::State;
using Call = testing::FakeRunnerApi::Verb;

constexpr int kAlways = 100000;

class RefusalTest : public CoreFixture {
protected:
    /// A job whose script has ended; its report is refused with `answer` from the first time on.
    JobRow refused(const JobAnswer& answer, int times = kAlways) {
        const auto row = running(1);
        gitlab_.answerNext(Call::Finish, answer, times);
        backend_.finish(key(row));
        settle();
        EXPECT_EQ(job(row).state, State::Reporting);
        return row;
    }
    /// As running(7), with `what` in the payload replaced.
    JobRow running(const std::string& what, const std::string& by) {
        auto payload = body(7);
        payload.replace(payload.find(what), what.size(), by);
        const auto row =
            store_->receive("pool", "https://gitlab.example.org", "batch", Secret(payload));
        capacity().take("pool", "batch");
        answers().post({row, 0, [](Facts&, Live&) {}});
        settle();
        backend_.run(key(row));
        pass(kPoll);
        EXPECT_EQ(job(row).state, State::Running);
        return row;
    }
    using CoreFixture::running;
    static JobAnswer with(CallOutcome outcome) {
        return {.outcome = outcome, .message = "refused"};
    }
    std::size_t reports() const { return gitlab_.calls(Call::Finish, 1).size(); }
};

TEST_F(RefusalTest, ProxysAnswerToAReportIsBelievedAfterAnHour) {
    for (const auto outcome : {CallOutcome::NotGitLab, CallOutcome::Rejected}) {
        const testing::LogLines lines(log_);
        const auto row = running(outcome == CallOutcome::NotGitLab ? 1 : 2);
        const auto id = *job(row).gitlabId;
        gitlab_.answerNext(Call::Finish, with(outcome), kAlways);
        backend_.finish(key(row));
        pass(58min);
        EXPECT_EQ(job(row).state, State::Reporting);
        EXPECT_GE(gitlab_.calls(Call::Finish, id).size(), 30U) << "it is asked again and again";

        pass(5min);

        EXPECT_EQ(job(row).state, State::Done);
        EXPECT_EQ(job(row).outcome, Outcome::Dropped);
        EXPECT_EQ(lines.count("the final report of a job is given up, it was refused for an hour"),
                  1)
            << lines.all();
        const auto calls = gitlab_.calls().size();
        pass(1h);
        EXPECT_EQ(gitlab_.calls().size(), calls);
    }
}

TEST_F(RefusalTest, HourOfRefusalsBeginsAnewAfterAnOutage) {
    const auto row = running(1);
    gitlab_.answerNext(Call::Finish, with(CallOutcome::NotGitLab), 20);
    gitlab_.answerNext(Call::Finish, with(CallOutcome::Retry), 120);
    gitlab_.answerNext(Call::Finish, with(CallOutcome::NotGitLab), 20);
    backend_.finish(key(row));

    pass(4h);

    EXPECT_EQ(reports(), 161U);
    EXPECT_EQ(job(row).outcome, Outcome::Success);
}

TEST_F(RefusalTest, OutageHasNoLimit) {
    const auto row = refused(with(CallOutcome::Retry));

    pass(4h);

    EXPECT_EQ(job(row).state, State::Reporting);
    EXPECT_GE(reports(), 4U * 30U);
}

TEST_F(RefusalTest, ReportWaitsFiveMinutesAtMostWhateverTheServerNames) {
    const testing::LogLines lines(log_);
    const auto row = refused({.outcome = CallOutcome::Retry, .retryAfter = 3600s}, 1);
    EXPECT_EQ(lines.count("the final report of a job waits 300 s"), 1) << lines.all();

    pass(4min);
    EXPECT_EQ(reports(), 1U) << "the server asked for a pause";
    pass(70s);

    EXPECT_EQ(job(row).outcome, Outcome::Success);
    EXPECT_EQ(job(row).state, State::Done);
}

TEST_F(RefusalTest, ReportThatWaitsIsSentWhenTheOutageIsOver) {
    running(2);
    const auto row = refused({.outcome = CallOutcome::Retry, .retryAfter = 3600s}, 1);
    gitlab_.setAway(true);
    pass(2min);
    gitlab_.setAway(false);

    pass(1min);

    EXPECT_EQ(job(row).state, State::Done);
}

TEST_F(RefusalTest, HeartbeatThatTellsTheEndOfAJobGivesUpItsReport) {
    for (const bool sent : {false, true}) {
        const testing::LogLines lines(log_);
        const auto row = running(sent ? 2 : 1);
        const auto id = *job(row).gitlabId;
        if (sent) {
            gitlab_.answerNext(Call::Finish, with(CallOutcome::Retry));
            backend_.finish(key(row));
            settle();
        }
        gitlab_.setAway(true);
        pass(1min);
        if (!sent) {
            backend_.finish(key(row));
        }
        pass(2min);
        EXPECT_EQ(job(row).state, State::Reporting);
        const auto before = gitlab_.calls(Call::Finish, id).size();
        EXPECT_EQ(before > 0, sent);
        gitlab_.endJob(id, "failed");
        gitlab_.setAway(false);

        pass(1min);

        EXPECT_EQ(gitlab_.calls(Call::Finish, id).size(), before) << "the heartbeat said it";
        EXPECT_EQ(job(row).outcome, Outcome::Dropped);
        EXPECT_EQ(job(row).state, State::Done);
        EXPECT_EQ(lines.count("the final report of a job is given up, GitLab has ended it"), 1)
            << lines.all();
    }
}

TEST_F(RefusalTest, ReportIsGivenUpWithOneLineWhenAProxyAnswersToAllForAnHour) {
    const testing::LogLines lines(log_);
    const auto row = running(1);
    for (const auto verb : {Call::KeepAlive, Call::Trace, Call::Finish}) {
        gitlab_.answerNext(verb, with(CallOutcome::NotGitLab), kAlways);
    }
    pass(25s);
    backend_.finish(key(row));
    pass(58min);
    EXPECT_EQ(job(row).state, State::Reporting);

    pass(5min);

    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).outcome, Outcome::Dropped);
    EXPECT_EQ(lines.count("the final report of a job is given up, it was refused for an hour"), 1)
        << lines.all();
}

TEST_F(RefusalTest, ReportThatHadArrivedIsSettledThoughTheDatabaseIsLocked) {
    const testing::LogLines lines(log_);
    const auto row = running(1);
    gitlab_.loseAnswers(1);
    backend_.finish(key(row));
    settle();
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    gitlab_.setAway(true);
    pass(2min);
    ASSERT_EQ(job(row).state, State::Reporting);
    testing::Person person(database());
    person.execute("BEGIN IMMEDIATE");
    gitlab_.setAway(false);
    pass(30s);
    person.execute("COMMIT");

    pass(10s);

    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).outcome, Outcome::Success);
    EXPECT_EQ(lines.count("given up"), 0) << lines.all();
}

TEST_F(RefusalTest, JobOfWhichOnlyAProxySpeaksForAnHourIsEnded) {
    const auto row = running(1);
    settle();
    gitlab_.answerNext(Call::KeepAlive, with(CallOutcome::NotGitLab), kAlways);
    gitlab_.answerNext(Call::Trace, with(CallOutcome::NotGitLab), kAlways);
    pass(50min);
    EXPECT_EQ(job(row).state, State::Running);

    pass(15min);

    EXPECT_EQ(backend_.job(key(row)).cancels.front(), CancelKind::Hard);
    EXPECT_EQ(job(row).outcome, Outcome::Dropped);
}

TEST_F(RefusalTest, LogThatIsRefusedEndsNoJobWhoseHeartbeatIsHeard) {
    const auto row = running("3600", "36000");
    pass(10s);
    gitlab_.answerNext(Call::Trace, with(CallOutcome::Rejected), kAlways);
    for (int i = 0; i < 14; ++i) {
        backend_.print(key(row), "line\n");
        pass(5min);
    }

    EXPECT_EQ(job(row).state, State::Running);
}

TEST_F(RefusalTest, ReportIsGivenUpWhenTheJobTokenIsDead) {
    const testing::LogLines lines(log_);
    // {"alg":"RS256"} and {"iat":1767225600,"exp":1767229500}: lives for 65 minutes.
    const auto row =
        running("token-7",
                "glcbt-eyJhbGciOiJSUzI1NiJ9.eyJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyOTUwMH0.c2ln");
    gitlab_.answerNext(Call::Finish, with(CallOutcome::Retry), kAlways);
    backend_.finish(key(row));

    pass(64min - kPoll);
    EXPECT_EQ(job(row).state, State::Reporting);
    EXPECT_FALSE(gitlab_.calls(Call::Finish, 7).empty());

    pass(3min);
    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).outcome, Outcome::Dropped);
    EXPECT_EQ(lines.count("given up, the job token is dead"), 1) << lines.all();
}

TEST_F(RefusalTest, ReportIsRepeatedUnchangedForFiveMinutesAndThenWithoutChecksum) {
    const auto row = refused({.outcome = CallOutcome::Deferred, .retryAfter = 20s}, 19);

    pass(7min);

    ASSERT_EQ(reports(), 20U);
    EXPECT_EQ(job(row).state, State::Done);
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U) << "the fake keeps what it accepts";
    EXPECT_FALSE(gitlab_.job(1).reports.front().traceEnd.has_value());
    EXPECT_TRUE(gitlab_.calls(Call::Finish, 1).front().answer.outcome == CallOutcome::Deferred);
}

TEST_F(RefusalTest, ReportOfADeferralWithinFiveMinutesKeepsItsChecksum) {
    refused({.outcome = CallOutcome::Deferred, .retryAfter = 20s}, 10);

    pass(5min);

    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_TRUE(gitlab_.job(1).reports.front().traceEnd.has_value());
}

TEST_F(RefusalTest, LogThatIsTooLargeForAProxyGoesInSmallerPieces) {
    const auto row = running(1);
    pass(kPoll);
    gitlab_.limitBodies(100'000);
    std::string text;
    while (text.size() < 1'500'000) {
        text += "line " + std::to_string(text.size()) + "\n";
    }
    backend_.print(key(row), text);
    backend_.finish(key(row));

    pass(30s);

    EXPECT_EQ(gitlab_.job(1).trace, traceOf(row));
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    std::size_t refusals = 0;
    for (const auto& call : gitlab_.calls(Call::Trace)) {
        refusals += call.answer.outcome == CallOutcome::TooLarge ? 1 : 0;
    }
    EXPECT_GE(refusals, 1U);
    EXPECT_LE(refusals, 5U) << "what does not pass is not tried again for each piece";
}

TEST_F(RefusalTest, ProxyThatLetsNothingPassHoldsUpNoReport) {
    const auto row = running(1);
    pass(kPoll);
    gitlab_.limitBodies(0);
    backend_.print(key(row), std::string(10'000, 'x') + "\n");
    backend_.finish(key(row));

    pass(30s);

    EXPECT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(job(row).state, State::Done);
}

TEST_F(RefusalTest, ServerSaysWhenToComeBack) {
    running(1);
    pass(40s);
    gitlab_.answerNext(Call::KeepAlive, {.outcome = CallOutcome::Retry, .retryAfter = 150s});
    const auto before = gitlab_.calls(Call::KeepAlive).size();

    pass(10min);

    const auto times = seconds(gitlab_.calls(Call::KeepAlive));
    ASSERT_GT(times.size(), before + 1);
    EXPECT_EQ(times[before + 1] - times[before], 150);
}

TEST_F(RefusalTest, ReportComesBackWhenTheServerSays) {
    refused({.outcome = CallOutcome::Retry, .retryAfter = 200s}, 1);

    pass(10min);

    const auto times = seconds(gitlab_.calls(Call::Finish));
    ASSERT_EQ(times.size(), 2U);
    EXPECT_EQ(times[1] - times[0], 200);
}

TEST_F(RefusalTest, OutageIsToldOncePerRunnerAndSoIsItsEnd) {
    const testing::LogLines lines(log_);
    running(1);
    running(2);
    pass(10s);
    gitlab_.answerNext(Call::KeepAlive, with(CallOutcome::Retry), 10);
    pass(10min);

    EXPECT_EQ(lines.count("GitLab does not take what is said about a job"), 1) << lines.all();
    EXPECT_EQ(lines.count("GitLab answers again about jobs"), 1) << lines.all();
}

}  // namespace
}  // namespace gridbridge::core
