#include <gtest/gtest.h>

#include "bridge/core/Decision.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;

/// A job whose batch job has ended and whose outputs are collected.
class VerdictTest : public ::testing::Test {
protected:
    VerdictTest() {
        job.state = store::State::Collecting;
        job.submission.attempt = 1;
        job.submission.startedAt = now;
        facts.collected = Result<CollectOutcome>(CollectOutcome::Done);
    }
    /// GitLab's reason after a status file that says `system`, seen so long after the start.
    std::string reasonOfSystem(const std::string& stage, Millis after) {
        facts.end = ScriptEnd{"text", true, "system", "", stage, {}, 0};
        job.submission.statusAt = now + after;
        return decide(job, facts, now, {}).next.failureReason;
    }
    bool lastLineSays(const std::string& text) {
        return decide(job, facts, now, {}).after.find(text) != std::string::npos;
    }

    const WallTime now = fromEpoch(1767225600000ms);
    store::JobRecord job;
    Facts facts;
};

TEST_F(VerdictTest, SystemFailureOfTheNodeIsBelievedOnlyBeforeAnyScriptCouldForgeIt) {
    EXPECT_EQ(reasonOfSystem("prepare_script", 59s), "runner_system_failure");
    EXPECT_EQ(reasonOfSystem("prepare_script", 60s), "script_failure");
    EXPECT_EQ(reasonOfSystem("step_script", 1s), "script_failure");
}

TEST_F(VerdictTest, JobWithoutStatusFileIsToldWhatEndedIt) {
    job.submission.cause = "exited";
    job.submission.signal = 9;
    EXPECT_TRUE(lastLineSays(
        "Job failed: exit code 1: the batch job left no valid status file (exited, signal 9)"));

    job.submission.signal.reset();
    job.submission.exitCode = 71;
    EXPECT_TRUE(lastLineSays(
        "Job failed: exit code 71: the batch job left no valid status file (exited, exit code "
        "71)"));
}

}  // namespace
}  // namespace gridbridge::core
