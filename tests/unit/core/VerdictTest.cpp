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
        job.timeoutSeconds = 3600;
        facts.collected = Result<CollectOutcome>(CollectOutcome::Done);
        facts.batchLog = Result<std::string>(std::string());
    }
    void ends(const std::string& outcome, const std::string& why, std::optional<int> code) {
        facts.end = ScriptEnd{"text", true, outcome, why, "step_script", code, 0};
    }
    Decision decided() const { return decide(job, facts, now, policy); }
    /// GitLab's reason after a status file that says `system`, seen so long after the start.
    std::string reasonOfSystem(const std::string& stage, Millis after) {
        facts.end = ScriptEnd{"text", true, "system", "", stage, {}, 0};
        job.submission.statusAt = now + after;
        return decided().next.failureReason;
    }
    bool lastLineSays(const std::string& text) {
        return decided().after.find(text) != std::string::npos;
    }

    const WallTime now = fromEpoch(1767225600000ms);
    store::JobRecord job;
    Facts facts;
    Policy policy;
};

struct VerdictCase {
    const char* outcome;
    const char* why;
    std::optional<int> code;
    const char* reason;
    std::optional<int> exitCode;
    const char* lastLine;
};

TEST_F(VerdictTest, StatusFileGivesTheVerdict) {
    const std::vector<VerdictCase> cases{
        {"success", "", 0, "", {}, "Job succeeded"},
        {"success", "collect_failed", 0, "script_failure", 1, "Job failed: exit code 1"},
        {"failed", "", 42, "script_failure", 42, "Job failed: exit code 42"},
        {"failed", "image_failed", 125, "script_failure", 125,
         "Job failed: exit code 125: its image could not be pulled or started"},
        {"timedout",
         "stage_timeout",
         {},
         "job_execution_timeout",
         {},
         "Job failed: script timeout: context deadline exceeded"},
        {"timedout",
         "job_timeout",
         {},
         "job_execution_timeout",
         {},
         "Job failed: execution took longer than 1h0m0s seconds"},
        {"canceled",
         "terminated",
         {},
         "script_failure",
         143,
         "Job failed: exit code 143: the job was sent SIGTERM, and not by the batch system"},
        {"system", "", {}, "script_failure", 1, "Job failed: exit code 1"}};
    job.deadline = now;
    for (const auto& c : cases) {
        ends(c.outcome, c.why, c.code);
        const auto decision = decided();
        EXPECT_EQ(decision.next.state, store::State::Reporting) << c.outcome;
        EXPECT_EQ(decision.next.failureReason, c.reason) << c.outcome << c.why;
        EXPECT_EQ(decision.next.exitCode, c.exitCode) << c.outcome << c.why;
        EXPECT_NE(decision.after.find(c.lastLine), std::string::npos) << decision.after;
    }
}

TEST_F(VerdictTest, NodeThatEndsAJobAnHourEarlyHasAWrongClock) {
    job.submission.node = "node17";
    job.deadline = now + 1h;
    ends("timedout", "job_timeout", {});

    const auto decision = decided();

    EXPECT_EQ(decision.next.failureReason, "runner_system_failure");
    EXPECT_NE(decision.after.find("node17"), std::string::npos);
}

TEST_F(VerdictTest, NodesWordThatTheWallTimeIsOverNeedsNoClock) {
    policy.wallTime = 10min;
    ends("timedout", "wall_timeout", {});

    const auto decision = decided();

    EXPECT_EQ(decision.next.failureReason, "job_execution_timeout");
    EXPECT_NE(decision.after.find("Job failed: execution took longer than its wall time of 10m0s"),
              std::string::npos)
        << decision.after;
}

TEST_F(VerdictTest, MissingStatusFileIsTheSchedulersWordOrElseTheScripts) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"node_failure", "runner_system_failure"},
        {"lost", "runner_system_failure"},
        {"never_runnable", "runner_system_failure"},
        {"wall_time", "job_execution_timeout"},
        {"not_fetched", "runner_system_failure"},
        {"preempted", "runner_interrupted"},
        {"removed_by_us", "script_failure"},
        {"exited", "script_failure"},
        {"memory", "script_failure"}};
    for (const auto& [cause, reason] : cases) {
        job.submission.cause = cause;
        EXPECT_EQ(decided().next.failureReason, reason) << cause;
    }
    policy.capabilities.filesByCollect = true;
    job.submission.cause = "removed_by_us";
    EXPECT_EQ(decided().next.failureReason, "runner_interrupted");
    job.deadline = now;  // That is why it was removed.
    EXPECT_EQ(decided().next.failureReason, "job_execution_timeout");
}

TEST_F(VerdictTest, SystemFailureOfTheNodeIsBelievedOnlyBeforeAnyScriptCouldForgeIt) {
    EXPECT_EQ(reasonOfSystem("prepare_script", 59s), "runner_system_failure");
    EXPECT_EQ(reasonOfSystem("prepare_script", 60s), "script_failure");
    EXPECT_EQ(reasonOfSystem("step_script", 1s), "script_failure");
}

TEST_F(VerdictTest, SigtermIsASystemFailureOnlyWhenTheSchedulerEndedTheJob) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"preempted", "runner_interrupted"},
        {"removed_by_other", "runner_interrupted"},
        {"removed_by_us", "runner_interrupted"},
        {"node_failure", "runner_interrupted"},
        {"lost", "runner_system_failure"},
        {"wall_time", "job_execution_timeout"},
        {"memory", "script_failure"},
        {"exited", "script_failure"},
        {"unknown", "script_failure"},
        {"", "script_failure"}};
    ends("canceled", "terminated", {});
    for (const auto& [cause, reason] : cases) {
        job.submission.cause = cause;
        EXPECT_EQ(decided().next.failureReason, reason) << cause;
    }
}

TEST_F(VerdictTest, SigtermBeforeTheBatchSystemStartsTheJobAgainIsAnInterruption) {
    ends("canceled", "terminated", {});
    job.submission.run = 2;
    for (const std::string cause : {"", "exited"}) {
        job.submission.cause = cause;
        EXPECT_EQ(decided().next.failureReason, "runner_interrupted") << cause;
    }
    ends("canceled", "limit", {});
    EXPECT_EQ(decided().next.failureReason, "job_execution_timeout");

    ends("canceled", "terminated", {});
    job.submission.run = 1;
    job.startedAt = now;
    job.submission.startedAt = now + 5s;  // By another clock.
    EXPECT_EQ(decided().next.failureReason, "script_failure");
}

TEST_F(VerdictTest, WarningOfATimeLimitIsATimeoutUnlessTheSchedulerSaysOtherwise) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"exited", "job_execution_timeout"},
        {"", "job_execution_timeout"},
        {"wall_time", "job_execution_timeout"},
        {"preempted", "runner_interrupted"},
        {"memory", "script_failure"}};
    ends("canceled", "limit", {});
    for (const auto& [cause, reason] : cases) {
        job.submission.cause = cause;
        const auto decision = decided();
        EXPECT_EQ(decision.next.failureReason, reason) << cause;
        const bool told =
            decision.after.find("longer than the batch system's time limit") != std::string::npos;
        EXPECT_EQ(told, reason == "job_execution_timeout") << decision.after;
    }
}

TEST_F(VerdictTest, JobWithoutStatusFileShowsWhatTheBatchSystemPrinted) {
    facts.batchLog.reset();
    auto decision = decided();
    EXPECT_EQ(decision.next.state, store::State::Collecting);
    EXPECT_TRUE(decision.effects.has(Effect::ReadBatchLog));

    facts.batchLog = Result<std::string>("step killed: out of memory");
    decision = decided();
    EXPECT_EQ(decision.next.state, store::State::Reporting);
    EXPECT_NE(
        decision.after.find("The batch system printed:\033[0;m\nstep killed: out of memory\n"),
        std::string::npos)
        << decision.after;

    facts.batchLog = Result<std::string>(transientError("the folder is away"));
    EXPECT_EQ(decided().next.state, store::State::Reporting);
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

TEST_F(VerdictTest, ARunThatLostTheStartMarkerSaysNothingOfTheScript) {
    job.submission.cause = "exited";
    job.submission.run = 2;
    // Launched in vain, a batch system may give it any code before its loader runs.
    for (const int code : {71, 1}) {
        job.submission.exitCode = code;
        EXPECT_EQ(decided().next.failureReason, "runner_system_failure");
        EXPECT_TRUE(lastLineSays("started the job again"));
    }

    job.submission.exitCode = 71;
    job.submission.run = 1;  // A script can make its wrapper exit so.
    job.startedAt = job.submission.startedAt = WallTime(std::chrono::hours(1));
    EXPECT_EQ(decided().next.failureReason, "script_failure");

    job.submission.startedAt = *job.startedAt + std::chrono::seconds(5);
    for (const int code : {71, 1}) {
        job.submission.exitCode = code;
        EXPECT_EQ(decided().next.failureReason, "runner_system_failure") << "it started twice";
        EXPECT_TRUE(lastLineSays("started the job again"));
    }
}

}  // namespace
}  // namespace gridbridge::core
