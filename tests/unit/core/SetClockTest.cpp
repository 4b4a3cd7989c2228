// A clock that is set takes no time from a job and gives it none.
#include "tests/fakes/DatabaseWatch.h"
#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::Outcome;
using store::State;

class SetClock : public CoreFixture, public ::testing::WithParamInterface<Millis> {
protected:
    void set() {
        clock_.jumpWall(GetParam());
        step();
    }
};

TEST_P(SetClock, JobKeepsItsTime) {
    const testing::LogLines lines(log_);
    const auto row = running(1);
    pass(20min);

    set();
    pass(39min - kPoll);
    EXPECT_EQ(job(row).state, State::Running);
    EXPECT_EQ(job(row).cancel, store::Cancel::None);
    backend_.finish(key(row));
    pass(kPoll);

    EXPECT_EQ(job(row).outcome, Outcome::Success);
    EXPECT_EQ(lines.count("the machine's clock was set"), 1);
}

TEST_P(SetClock, JobEndsAtItsDeadline) {
    const auto row = running(1);
    pass(20min);

    set();
    pass(41min);

    EXPECT_FALSE(backend_.job(key(row)).cancels.empty());
}

TEST_P(SetClock, KeptTimeOutlivesARestart) {
    const auto row = running(1);
    pass(20min);
    set();

    restart();
    pass(39min - kPoll);
    EXPECT_EQ(job(row).state, State::Running);
    EXPECT_EQ(job(row).cancel, store::Cancel::None);
    pass(2min);

    EXPECT_FALSE(backend_.job(key(row)).cancels.empty());
}

TEST_P(SetClock, SetWhileTheServiceIsDownItIsFollowedToo) {
    const auto row = running(1);
    pass(20min);
    clock_.jumpWall(GetParam());

    restart();
    restart();
    pass(39min - kPoll);
    EXPECT_EQ(job(row).state, State::Running);
    EXPECT_EQ(job(row).cancel, store::Cancel::None);
    pass(2min);

    EXPECT_FALSE(backend_.job(key(row)).cancels.empty());
}

TEST_P(SetClock, AfterARebootNothingIsKnownOfIt) {
    const auto row = running(1);
    pass(20min);
    testing::Person(database()).execute("UPDATE installation SET boot_id = 'another'");
    const auto claimed = job(row).claimedAt;
    clock_.jumpWall(GetParam());

    restart();

    EXPECT_EQ(job(row).claimedAt, claimed);
}

TEST_P(SetClock, WhatWasClaimedSinceKeepsItsTime) {
    const auto known = running(1);
    clock_.jumpWall(GetParam());
    const auto now = clock_.wallNow();
    const auto row =
        store_->receive("pool", "https://gitlab.example.org", "batch", Secret(body(2)));

    restart();

    EXPECT_EQ(job(row).claimedAt, now);
    EXPECT_LE(std::chrono::abs(job(known).claimedAt - now), kPoll);
}

TEST_P(SetClock, SmallStepsAreNotSummedUpAtARestart) {
    for (int i = 0; i < 20; ++i) {
        clock_.jumpWall(-4s);
        step();
    }
    const auto row = running(1);
    const auto claimed = job(row).claimedAt;

    restart();

    EXPECT_LE(std::chrono::abs(job(row).claimedAt - claimed), 5s);
}

TEST_P(SetClock, JobThatIsNotListedOnceIsNotLost) {
    const auto row = running(1);
    entry().policy.capabilities.visibilityDelay = 60s;
    backend_.lose(key(row));
    pass(kPoll);
    set();
    pass(kPoll);
    EXPECT_EQ(job(row).state, State::Running);

    pass(5min);

    EXPECT_EQ(job(row).failureReason, "runner_system_failure");
}

TEST_P(SetClock, SetRightAfterTheStartItIsFollowedToo) {
    const auto row = running(1);
    entry().policy.capabilities.visibilityDelay = 60s;
    pass(40min);
    backend_.lose(key(row));
    pass(kPoll);
    restart();
    entry().policy.capabilities.visibilityDelay = 60s;

    set();
    pass(kPoll);
    EXPECT_EQ(job(row).state, State::Running);
    pass(2min);

    EXPECT_EQ(job(row).failureReason, "runner_system_failure");
}

TEST_P(SetClock, JobsClaimedSinceAndJustBeforeHaveTheirTimesToo) {
    const auto before = claim(1);
    clock_.jumpWall(GetParam());
    const auto since = claim(2);
    const auto now = clock_.wallNow();

    reconciler().step();

    EXPECT_EQ(job(before).claimedAt, now);
    EXPECT_EQ(job(since).claimedAt, now);
}

TEST_P(SetClock, WhileNothingCanBeStoredHeartbeatsGoOnAndNothingIsDecided) {
    const auto row = running(1);
    pass(20min);
    {
        testing::Person person(database());
        person.execute("BEGIN IMMEDIATE");
        const auto before = gitlab_.calls(testing::FakeRunnerApi::Verb::KeepAlive, 1).size();
        clock_.jumpWall(GetParam());
        for (int second = 0; second < 90; ++second) {
            step();
            finishCalls();
            clock_.advance(1s);
        }
        EXPECT_GE(gitlab_.calls(testing::FakeRunnerApi::Verb::KeepAlive, 1).size(), before + 2);
    }

    pass(37min - kPoll);
    EXPECT_EQ(job(row).state, State::Running);
    EXPECT_EQ(job(row).cancel, store::Cancel::None);
    pass(3min);

    EXPECT_FALSE(backend_.job(key(row)).cancels.empty());
}

TEST_P(SetClock, ReportIsNotGivenUp) {
    auto payload = body(1);
    // {"alg":"RS256"} and {"iat":1767225600,"exp":1767229500}: lives for 65 minutes.
    payload.replace(payload.find("token-1"), 7,
                    "glcbt-eyJhbGciOiJSUzI1NiJ9."
                    "eyJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyOTUwMH0.c2ln");
    const auto row =
        store_->receive("pool", "https://gitlab.example.org", "batch", Secret(payload));
    capacity().take("pool", "batch");
    answers().post({row, 0, [](Facts&, Live&) {}});
    settle();
    gitlab_.answerNext(testing::FakeRunnerApi::Verb::Finish,
                       {.outcome = gitlab::CallOutcome::Retry}, 3);
    backend_.finish(key(row));
    pass(kPoll);
    set();

    pass(2min);

    EXPECT_EQ(job(row).outcome, Outcome::Success);
    EXPECT_EQ(job(row).state, State::Done);
}

INSTANTIATE_TEST_SUITE_P(ByAnHour, SetClock, ::testing::Values(Millis(1h), Millis(-1h)),
                         [](const auto& p) { return p.param > 0ms ? "Forward" : "Back"; });

}  // namespace
}  // namespace gridbridge::core
