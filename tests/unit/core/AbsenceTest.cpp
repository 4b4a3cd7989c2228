// What is concluded when the batch system does not know a job, or says that it has ended.
#include "tests/unit/core/DecisionFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::State;

using AbsenceTest = DecisionFixture;

TEST_F(AbsenceTest, AbsentIsLostOnlyAtTheSecondLookAGraceLater) {
    policy.capabilities.visibilityDelay = 60s;
    in(State::Running);
    sees(BatchState::Absent);
    facts.log = LogFact{};
    go(30s);
    sees(BatchState::Absent);
    facts.log = LogFact{};
    go(30s);
    ASSERT_EQ(job.state, State::Running);
    sees(BatchState::Absent);
    facts.log = LogFact{};
    go();

    ASSERT_EQ(job.state, State::Collecting);
    facts.batchLog = Result<std::string>(std::string());
    go();
    EXPECT_EQ(job.failureReason, "runner_system_failure");
}

TEST_F(AbsenceTest, WhatWasKnownOfAJobThatIsAbsentStaysTrue) {
    policy.capabilities.visibilityDelay = 60s;
    in(State::Running);
    sees(BatchState::Ended, EndCause::Exited);
    facts.observed->run = 2;
    facts.observed->exitCode = 71;
    facts.observed->reason = "started again";
    facts.log = LogFact{};
    go(30s);
    sees(BatchState::Absent);
    facts.log = LogFact{};
    go();

    EXPECT_EQ(job.submission.run, 2);
    EXPECT_EQ(job.submission.exitCode, 71);
    EXPECT_EQ(job.submission.reason, "started again");
}

TEST_F(AbsenceTest, LooksThatSayNothingProveNoAbsence) {
    policy.capabilities.visibilityDelay = 60s;
    in(State::Running);
    sees(BatchState::Absent);
    facts.log = LogFact{};
    go(10min);
    facts.log = LogFact{};
    go(10min);
    sees(BatchState::Unknown);
    facts.log = LogFact{};
    go();

    EXPECT_EQ(job.state, State::Running);
}

TEST_F(AbsenceTest, TheGraceBeginsWhenTheEndIsSeenWhateverTheSchedulersClockSays) {
    policy.capabilities.visibilityDelay = 60s;
    in(State::Running);
    sees(BatchState::Ended, EndCause::Exited);
    facts.observed->endedAt = now - 1h;
    facts.log = LogFact{};
    go(30s);
    facts.log = LogFact{};
    go();

    EXPECT_EQ(job.state, State::Running);
}

TEST_F(AbsenceTest, AnAbsentJobIsReleasedOnlyAtTheSecondLookAGraceLater) {
    policy.capabilities.visibilityDelay = 60s;
    in(State::Reporting);
    sees(BatchState::Absent);
    EXPECT_FALSE(go(1h).effects.has(Effect::Release));
    EXPECT_FALSE(go().effects.has(Effect::Release));
    sees(BatchState::Absent);

    EXPECT_TRUE(go().effects.has(Effect::Release));
}

TEST_F(AbsenceTest, NothingIsFreedWhileTheStartMarkerIsBeingTaken) {
    in(State::Reporting);
    job.reportedAt = now;
    sees(BatchState::Ended);
    facts.inFlight.add(Effect::Mark);
    EXPECT_FALSE(go().effects.has(Effect::Release)) << "the marker would make the folder anew";
    facts.marked = Result<bool>(false);

    EXPECT_TRUE(go().effects.has(Effect::Release));
}

TEST_F(AbsenceTest, JobSeenAgainIsNotLost) {
    in(State::Running);
    job.submission.absentSince = now - 1h;
    sees(BatchState::Running);
    facts.log = LogFact{};

    EXPECT_FALSE(decided().next.submission.absentSince.has_value());
}

TEST_F(AbsenceTest, EndedJobIsJudgedOnlyAfterALaterLookAtItsFolder) {
    in(State::Running);
    sees(BatchState::Ended, EndCause::Exited);
    facts.log = LogFact{};
    auto decision = go();
    EXPECT_EQ(job.state, State::Running);
    EXPECT_TRUE(decision.effects.has(Effect::Look));
    facts.log = LogFact{};

    go();

    EXPECT_EQ(job.state, State::Collecting);
}

}  // namespace
}  // namespace gridbridge::core
