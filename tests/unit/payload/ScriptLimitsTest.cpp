#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using std::chrono::seconds;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kTimeoutWarning =
    "step_script could not run to completion because the timeout was exceeded. For more control "
    "over job and script timeouts see: https://docs.gitlab.com/ci/runners/configure_runners/"
    "#set-script-and-after_script-timeouts\n";

gitlab::JobDescription withArchive(gitlab::JobDescription job) {
    job.artifacts.push_back(archiveOf({"out"}));
    job.artifacts.back().when = "always";
    return job;
}

ScriptContext endingIn(seconds time) {
    auto context = contextNow();
    context.deadline = SystemClock().wallNow() + time;
    return context;
}

TEST(ScriptLimitsTest, ScriptTimeoutStopsTheScriptAndRunsAfterScript) {
    auto job = withArchive(jobWith({"echo x >out", "sleep 60"}, {"echo after=$CI_JOB_STATUS"}));
    setVariable(job, "RUNNER_SCRIPT_TIMEOUT", "1s");
    ScriptRun run(job);

    run.run();

    EXPECT_EQ(run.status().outcome, "timedout");
    EXPECT_EQ(run.status().why, "stage_timeout");
    EXPECT_EQ(run.status().stage, "step_script");
    EXPECT_THAT(run.text(), HasSubstr(std::string("WARNING: ") + kTimeoutWarning));
    EXPECT_THAT(run.text(), HasSubstr("\nafter=timedout\n"));
    EXPECT_TRUE(run.exists("out/artifact.0.tar.gz"));
}

TEST(ScriptLimitsTest, StepsShareTheScriptTimeout) {
    auto job = jobWith({"sleep 4"});
    job.steps.push_back(
        {"more", {"trap 'echo of its own: $SECONDS; exit 1' TERM; sleep 60 & wait"}});
    setVariable(job, "RUNNER_SCRIPT_TIMEOUT", "8s");
    ScriptRun run(job);

    run.run();

    EXPECT_EQ(run.status().stage, "step_more");
    EXPECT_EQ(run.status().why, "stage_timeout");
    EXPECT_THAT(run.text(), ContainsRegex("\nof its own: [0-7]\n"));
}

TEST(ScriptLimitsTest, AfterScriptTimeoutLeavesTheVerdict) {
    auto job = jobWith({"true"}, {"sleep 60"});
    setVariable(job, "RUNNER_AFTER_SCRIPT_TIMEOUT", "1s");
    ScriptRun run(job);

    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("WARNING: after_script could not run to completion"));
    EXPECT_THAT(run.text(), HasSubstr("but job will continue unaffected: context deadline"));
}

TEST(ScriptLimitsTest, DeadlineEndsEverythingWithoutAfterScriptOrArtifacts) {
    ScriptRun run(withArchive(jobWith({"echo x >out", "sleep 60"}, {"echo never-after"})),
                  endingIn(seconds(2)));

    run.run();

    EXPECT_EQ(run.status().outcome, "timedout");
    EXPECT_EQ(run.status().why, "job_timeout");
    EXPECT_THAT(run.text(), Not(HasSubstr("never-after\n")));
    EXPECT_TRUE(run.status().outputs.empty());
    EXPECT_FALSE(run.exists("out/artifact.0.tar.gz"));
}

TEST(ScriptLimitsTest, WallTimeBeginsOnTheNodeAndEndsEverything) {
    auto context = endingIn(seconds(600));
    context.wallTime = seconds(2);
    ScriptRun run(withArchive(jobWith({"echo x >out", "sleep 60"}, {"echo never-after"})), context);

    run.run();

    EXPECT_EQ(run.status().outcome, "timedout");
    EXPECT_EQ(run.status().why, "wall_timeout");
    EXPECT_THAT(run.text(), Not(HasSubstr("never-after\n")));
    EXPECT_FALSE(run.exists("out/artifact.0.tar.gz"));
}

TEST(ScriptLimitsTest, OfWallTimeAndDeadlineTheFirstCounts) {
    auto context = endingIn(seconds(2));
    context.wallTime = seconds(600);
    ScriptRun run(jobWith({"sleep 60"}), context);

    run.run();

    EXPECT_EQ(run.status().why, "job_timeout");
}

TEST(ScriptLimitsTest, DeadlineInThePastStartsNoStage) {
    ScriptRun run(jobWith({"echo never"}), endingIn(seconds(-5)));

    run.run();

    EXPECT_EQ(run.status().why, "job_timeout");
    EXPECT_EQ(run.status().stage, "get_sources");
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
}

TEST(ScriptLimitsTest, DeadlineDuringAfterScriptIsAJobTimeout) {
    ScriptRun run(jobWith({"true"}, {"sleep 60"}), endingIn(seconds(2)));

    run.run();

    EXPECT_EQ(run.status().why, "job_timeout");
    EXPECT_EQ(run.status().stage, "after_script");
}

TEST(ScriptLimitsTest, CancelFlagStopsTheScriptAndRunsAfterScriptAsCanceled) {
    ScriptRun run(withArchive(jobWith({"echo x >out", ": >\"$GB_IN/cancel\"", "sleep 60"},
                                      {"echo after=$CI_JOB_STATUS"})));

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_EQ(run.status().why, "canceled");
    EXPECT_THAT(run.text(), HasSubstr("WARNING: script canceled externally\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nafter=canceled\n"));
    EXPECT_TRUE(run.exists("out/artifact.0.tar.gz"));
}

TEST(ScriptLimitsTest, CancelFlagDuringAfterScriptHasNoEffect) {
    ScriptRun run(jobWith({"true"}, {": >\"$GB_IN/cancel\"", "sleep 1.5", "echo finished"}));

    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("\nfinished\n"));
}

TEST(ScriptLimitsTest, CancelFlagBeforeTheStartRunsNothing) {
    auto job = withArchive(jobWith({"echo never"}, {"echo never"}));
    ScriptRun run(job);
    { std::ofstream(run.folder() / "in/cancel") << ""; }

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_EQ(run.status().why, "canceled");
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
}

TEST(ScriptLimitsTest, CancelFlagDuringSourcesRunsNeitherScriptNorAfterScript) {
    auto job = jobWith({"echo never"}, {"echo never"});
    job.variables.clear();
    job.hooks.push_back({"pre_get_sources_script", {": >\"$GB_IN/cancel\"", "sleep 60"}});
    ScriptRun run(job);

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_EQ(run.status().stage, "get_sources");
    EXPECT_THAT(run.text(), Not(HasSubstr("\nnever\n")));
}

TEST(ScriptLimitsTest, ScriptThatIgnoresTheSignalIsKilledAfterTheGrace) {
    auto job = jobWith({"trap '' TERM", ": >\"$GB_IN/cancel\"", "while :; do sleep 0.2; done"},
                       {"echo after=$CI_JOB_STATUS"});
    ScriptRun run(job);
    run.shorten("gb_grace", 1);

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_THAT(run.text(), HasSubstr("\nafter=canceled\n"));
}

TEST(ScriptLimitsTest, SignalToTheWrapperStopsTheScriptAndRunsAfterScript) {
    ScriptRun run(jobWith({"kill -TERM $PPID", "sleep 60"}, {"echo after=$CI_JOB_STATUS"}));

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_EQ(run.status().why, "terminated");
    EXPECT_EQ(run.status().stage, "step_script");
    EXPECT_THAT(run.text(), HasSubstr("\nafter=canceled\n"));
}

TEST(ScriptLimitsTest, WarningOfATimeLimitStopsTheScriptLikeASignalAndIsTold) {
    ScriptRun run(jobWith({"kill -USR1 $PPID", "sleep 60"}, {"echo after=$CI_JOB_STATUS"}));

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_EQ(run.status().why, "limit");
    EXPECT_THAT(run.text(), HasSubstr("\nafter=canceled\n"));
}

TEST(ScriptLimitsTest, WarningOfATimeLimitThatTheJobNeverReachesIsNothing) {
    ScriptRun run(jobWith({"true"}, {"kill -USR1 $PPID"}));

    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_EQ(run.status().why, "");
}

TEST(ScriptLimitsTest, WrapperThatASignalKillsClaimsNoOutcome) {
    // Schedulers warn with some of them. SIGPIPE, when the log cannot be written, is one more.
    for (const std::string signal : {"USR2", "XCPU", "ALRM"}) {
        SCOPED_TRACE(signal);
        ScriptRun run(jobWith({"echo before", "kill -" + signal + " $PPID", "sleep 0.1; exit 3"}));

        EXPECT_NE(run.run(), 0);

        EXPECT_FALSE(run.exists("out/status"));
        EXPECT_THAT(run.text(), HasSubstr("\nbefore\n"));
    }
}

TEST(ScriptLimitsTest, SignalToAllProcessesIsTheSameAndKeepsTheLog) {
    ScriptRun run(jobWith({"echo before", "kill -TERM $PPID $$ $(pgrep -s 0 cat)"},
                          {"echo after=$CI_JOB_STATUS"}));

    run.run();

    EXPECT_EQ(run.status().why, "terminated");
    EXPECT_THAT(run.text(), HasSubstr("\nbefore\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nafter=canceled\n"));
}

TEST(ScriptLimitsTest, SignalThatReachesTheScriptFirstIsNoFailureOfTheScript) {
    // Slurm signals the processes of a job one by one; the wrapper's turn is a tenth of a second
    // later here. Who sends it must have left the stage, which is killed with all that is in it.
    ScriptRun run(jobWith({"setsid sh -c \"touch left; sleep 0.1; kill -TERM $PPID\" &",
                           "until [ -e left ]; do sleep 0.01; done; kill -TERM $$"},
                          {"echo after=$CI_JOB_STATUS"}));

    run.shorten("gb_term_delay", 400);

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_EQ(run.status().why, "terminated");
    EXPECT_THAT(run.text(), HasSubstr("\nafter=canceled\n"));
}

TEST(ScriptLimitsTest, AfterScriptGetsOnlyTheBudgetOnceTheWrapperWasSignalled) {
    ScriptRun run(jobWith({"kill -TERM $PPID", "sleep 60"}, {"echo in-after", "sleep 60"}));
    run.shorten("gb_term_budget", 3);

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_EQ(run.status().why, "terminated");
    EXPECT_THAT(run.text(), HasSubstr("\nin-after\n"));
    EXPECT_THAT(run.text(), HasSubstr("will continue unaffected: terminated\n"));
}

TEST(ScriptLimitsTest, NodeThatGoesDuringCollectionIsNotTheScriptsFault) {
    // The script has ended by itself when the signal comes, and the budget is over at once.
    ScriptRun run(withArchive(jobWith({"echo x >out"}, {"kill -TERM $PPID"})));
    run.shorten("gb_term_budget", 0);

    run.run();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_EQ(run.status().why, "terminated");
    EXPECT_EQ(run.status().stage, "collect");
}

TEST(ScriptLimitsTest, SignalInTheMomentInWhichAStageEndsNeverHangsTheWrapper) {
    // Signal and end of the child reach bash together: nearly every time one of these rounds
    // meets the moment in which bash forgets the child.
    for (int round = 0; round < 15 && !HasFailure(); ++round) {
        ScriptRun run(withArchive(jobWith({"echo x >out; kill -TERM $PPID"},
                                          {"echo after=$CI_JOB_STATUS; kill -TERM $PPID"})));

        run.run();

        const auto status = run.status();
        EXPECT_TRUE(status.outcome == "success" || status.why == "terminated") << status.outcome;
        EXPECT_THAT(run.text(), HasSubstr("\nafter=" + status.outcome + "\n"));
        EXPECT_TRUE(run.exists("out/artifact.0.tar.gz") || status.why == "terminated");
    }
}

}  // namespace
}  // namespace gridbridge::payload
