// What a job depends on comes into its folder before it is submitted.
#include <gmock/gmock.h>

#include "bridge/core/DecisionSteps.h"
#include "tests/unit/core/DecisionFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::Cancel;
using store::Outcome;
using store::State;
using ::testing::HasSubstr;

class DownloadDecisionTest : public DecisionFixture {
protected:
    DownloadDecisionTest() {
        in(State::Claimed);
        facts.lacksInputs = true;
    }
    /// The first decision: the download is under way.
    void begin() { EXPECT_TRUE(go().effects.has(Effect::Download)); }
    void ends(TransferOutcome outcome, const std::string& line = {}) {
        facts.lacksInputs = outcome != TransferOutcome::Done;
        facts.downloaded = TransferFact{outcome, 7s, {line + "\n"}};
    }
};

TEST_F(DownloadDecisionTest, NothingIsSubmittedBeforeAllIsThere) {
    auto decision = go();

    EXPECT_EQ(job.state, State::Claimed);
    EXPECT_TRUE(decision.effects.has(Effect::Download));
    EXPECT_FALSE(decision.effects.has(Effect::Submit));
    EXPECT_EQ(job.submission.key.value, "gb-abcd1234-7-1") << "what is made is found by it";

    ends(TransferOutcome::Done, "it is there");
    decision = go();
    EXPECT_EQ(job.state, State::Submitting);
    EXPECT_TRUE(decision.effects.has(Effect::Submit));
    EXPECT_EQ(job.submission.key.value, "gb-abcd1234-7-1");
    EXPECT_THAT(decision.after, HasSubstr("it is there\n"));
}

TEST_F(DownloadDecisionTest, OneIsUnderWayAtATime) {
    begin();
    facts.lacksInputs = true;
    facts.inFlight.add(Effect::Download);
    now = *job.dueAt;

    EXPECT_TRUE(go().effects.empty());
    EXPECT_GT(*job.dueAt, now) << "and nobody looks at it without end";
}

TEST_F(DownloadDecisionTest, WhatMustWaitIsTriedAgainAfterItsPause) {
    begin();
    ends(TransferOutcome::Later, "no answer");

    const auto decision = go(7s);

    EXPECT_EQ(job.state, State::Claimed);
    EXPECT_EQ(*job.dueAt, now);
    EXPECT_THAT(decision.after, HasSubstr("no answer\n"));
    EXPECT_TRUE(decision.effects.empty());
    facts.lacksInputs = true;
    EXPECT_TRUE(go().effects.has(Effect::Download));
    EXPECT_EQ(job.submission.attempt, 1);
}

TEST_F(DownloadDecisionTest, WhatCannotBeHadFailsTheJobUnsubmitted) {
    begin();
    ends(TransferOutcome::Failed, "not found");

    const auto decision = go();

    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_EQ(job.outcome, Outcome::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_THAT(decision.after, HasSubstr("not found\n"));
    EXPECT_FALSE(decision.effects.has(Effect::Submit));
}

TEST_F(DownloadDecisionTest, CancelDoesNotWaitForItAndNothingIsFreedUnderIt) {
    begin();
    facts.inFlight.add(Effect::Download);
    job.cancel = Cancel::Soft;
    go();
    EXPECT_EQ(job.state, State::Reporting);
    EXPECT_EQ(job.outcome, Outcome::Canceled);

    sees(BatchState::Ended);
    facts.inFlight.add(Effect::Download);
    EXPECT_FALSE(go().effects.has(Effect::Release));
    sees(BatchState::Ended);
    EXPECT_TRUE(go().effects.has(Effect::Release));
}

TEST_F(DownloadDecisionTest, ANewAttemptGetsItsOwn) {
    in(State::Submitting);
    job.state = State::Claimed;
    job.submission.cause = kNeverStarted;

    EXPECT_TRUE(go().effects.has(Effect::Download));
    EXPECT_EQ(job.submission.attempt, 2);
}

TEST_F(DownloadDecisionTest, AfterARestartItBeginsAnewWithTheSameKey) {
    begin();
    facts.lacksInputs = true;
    facts.restarted = true;

    EXPECT_TRUE(go().effects.has(Effect::Download));
    EXPECT_EQ(job.submission.attempt, 1);
}

}  // namespace
}  // namespace gridbridge::core
