#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Verdict {
    std::string outcome;
    std::optional<int> exitCode;
    std::string text;
};

Verdict verdictOf(const std::vector<std::string>& script) {
    ScriptRun run(jobWith(script));
    EXPECT_EQ(run.run(), 0);
    const auto status = run.status();
    return {status.outcome, status.exitCode, run.text()};
}

TEST(StepScriptTest, TrueSucceeds) {
    ScriptRun run(jobWith({"true"}));

    EXPECT_EQ(run.run(), 0);

    const auto status = run.status();
    EXPECT_EQ(status.outcome, "success");
    EXPECT_EQ(status.why, "");
    EXPECT_EQ(status.exitCode, std::nullopt);
    EXPECT_EQ(status.stage, "step_script");
    EXPECT_FALSE(status.host.empty());
}

TEST(StepScriptTest, ExitCodeOfTheScriptIsReported) {
    const auto verdict = verdictOf({"exit 42"});
    EXPECT_EQ(verdict.outcome, "failed");
    EXPECT_EQ(verdict.exitCode, 42);
}

TEST(StepScriptTest, FailureInAnAndListEndsOnlyAsTheLastItem) {
    const auto middle = verdictOf({"false && true", "echo next"});
    const auto last = verdictOf({"echo a", "false && true"});

    EXPECT_EQ(middle.outcome, "success");
    EXPECT_THAT(middle.text, HasSubstr("\nnext\n"));
    EXPECT_EQ(last.outcome, "failed");
    EXPECT_EQ(last.exitCode, 1);
}

TEST(StepScriptTest, FailureInsideAPipelineFailsTheJob) {
    const auto verdict = verdictOf({"false | true"});
    EXPECT_EQ(verdict.outcome, "failed");
    EXPECT_EQ(verdict.exitCode, 1);
}

TEST(StepScriptTest, UnknownCommandIs127) {
    EXPECT_EQ(verdictOf({"nosuchcommand"}).exitCode, 127);
}

TEST(StepScriptTest, ItemsBeforeASyntaxErrorAreExecuted) {
    const auto verdict = verdictOf({"echo a", "if"});
    EXPECT_THAT(verdict.text, HasSubstr("\na\n"));
    EXPECT_EQ(verdict.exitCode, 2);
}

TEST(StepScriptTest, ExitZeroSkipsTheRest) {
    const auto verdict = verdictOf({"exit 0", "echo never"});
    EXPECT_EQ(verdict.outcome, "success");
    EXPECT_THAT(verdict.text, Not(HasSubstr("never")));
}

TEST(StepScriptTest, StandardInputIsEmpty) {
    EXPECT_THAT(verdictOf({"cat; echo eof"}).text, HasSubstr("\neof\n"));
}

TEST(StepScriptTest, FolderFunctionsAndVariablesLiveOnBetweenItems) {
    const auto verdict = verdictOf(
        {"mkdir sub", "cd sub", "pwd", "f() { echo from-f; }", "f", "export A=1", "echo A=$A"});
    EXPECT_THAT(verdict.text, HasSubstr("/group/project/sub\n"));
    EXPECT_THAT(verdict.text, HasSubstr("\nfrom-f\n"));
    EXPECT_THAT(verdict.text, HasSubstr("\nA=1\n"));
}

TEST(StepScriptTest, ItemIsPrintedInGreenBeforeItRuns) {
    ScriptRun run(jobWith({"echo hi"}));
    run.run();
    EXPECT_THAT(run.log(), HasSubstr("\033[32;1m$ echo hi\033[0;m\nhi\n"));
}

TEST(StepScriptTest, MultiLineItemIsPrintedCollapsedAndExecutedWhole) {
    const auto verdict = verdictOf({"for i in 1 2; do\n  echo n$i\ndone\n"});
    EXPECT_THAT(verdict.text,
                HasSubstr("$ for i in 1 2; do # collapsed multi-line command\nn1\nn2\n"));
}

TEST(StepScriptTest, SpecialCharactersAreEchoedAndExecutedUnchanged) {
    const std::string item = "printf '%s\\n' \"it's \\$5 `echo x`! \xc3\xa4\t%d\" '\"\\'";
    const auto verdict = verdictOf({item});
    EXPECT_THAT(verdict.text, HasSubstr("$ " + item + "\nit's $5 x! \xc3\xa4\t%d\n\"\\\n"));
}

TEST(StepScriptTest, HereDocumentInsideAnItemWorks) {
    EXPECT_THAT(verdictOf({"cat <<END\nline 1\nEND", "echo after"}).text,
                HasSubstr("\nline 1\n$ echo after\nafter\n"));
}

TEST(StepScriptTest, EmptyItemPrintsAnEmptyLine) {
    EXPECT_THAT(verdictOf({"echo a", "  ", "echo b"}).text, HasSubstr("\na\n\n$ echo b\nb\n"));
}

TEST(StepScriptTest, WritingToDevStderrKeepsWhatWasPrintedBefore) {
    EXPECT_THAT(verdictOf({"echo before", "echo x >/dev/stderr", "echo y >/dev/stdout"}).text,
                HasSubstr("before\n$ echo x >/dev/stderr\nx\n$ echo y >/dev/stdout\ny\n"));
}

TEST(StepScriptTest, SelfKilledShellIs137AndAfterScriptRuns) {
    ScriptRun run(jobWith({"kill -9 $$"}, {"echo after=$CI_JOB_STATUS"}));
    run.run();

    EXPECT_EQ(run.status().exitCode, 137);
    EXPECT_EQ(run.status().stage, "step_script");
    EXPECT_THAT(run.text(), HasSubstr("\nafter=failed\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("Killed")));
}

TEST(StepScriptTest, BackgroundProcessNeitherDelaysTheEndNorSurvivesTheStage) {
    ScriptRun run(jobWith(
        {"sleep 1000 &", "echo $! >pid"},
        {"read -r x x state x </proc/$(cat pid)/stat || true", "echo \"state=${state:-Z}\""}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("\nstate=Z\n"));
}

TEST(StepScriptTest, ProcessThatLeftItsGroupDoesNotDelayTheEndOrTheSizeOfTheLog) {
    ScriptRun run(jobWith({"setsid sleep 1000 &", "echo $! >\"$GB_OUT/pid\"", "sleep 0.1"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_EQ(run.status().logBytes, static_cast<std::int64_t>(run.log().size()));
    EXPECT_EQ(std::system(("kill " + run.file("out/pid")).c_str()), 0);
}

TEST(StepScriptTest, AfterScriptHasItsOwnShellInTheProjectFolder) {
    ScriptRun run(
        jobWith({"X=1", "export Y=1", "cd /"}, {"echo x=$X. y=$Y. status=$CI_JOB_STATUS", "pwd"}));
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("Running after script...\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nx=. y=. status=success\n"));
    EXPECT_THAT(run.text(), HasSubstr("builds/group/project\n"));
}

TEST(StepScriptTest, FailureOfAfterScriptIsAWarningOnly) {
    ScriptRun run(jobWith({"true"}, {"exit 3"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("WARNING: after_script failed, but job will continue "
                                      "unaffected: exit status 3\n"));
}

TEST(StepScriptTest, FailureOfAfterScriptCountsWhenTheJobSaysSo) {
    auto job = jobWith({"true"}, {"exit 3"});
    setVariable(job, "AFTER_SCRIPT_IGNORE_ERRORS", "false");
    auto failing = jobWith({"exit 4"}, {"exit 3"});
    setVariable(failing, "AFTER_SCRIPT_IGNORE_ERRORS", "false");
    ScriptRun run(job);
    ScriptRun failingRun(failing);

    run.run();
    failingRun.run();

    EXPECT_EQ(run.status().outcome, "failed");
    EXPECT_EQ(run.status().exitCode, 3);
    EXPECT_EQ(run.status().stage, "after_script");
    EXPECT_EQ(failingRun.status().exitCode, 4);
}

TEST(StepScriptTest, FurtherStepsRunInOrderUntilOneFails) {
    auto job = jobWith({"echo one"});
    job.steps.push_back({"release", {"echo two $HOME_PAGE", "exit 5"}});
    job.steps.push_back({"x/../y", {"echo three"}});
    setVariable(job, "HOME_PAGE", "page");
    ScriptRun run(job);
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("$ echo two page\ntwo page\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("three")));
    EXPECT_EQ(run.status().stage, "step_release");
    EXPECT_EQ(run.status().exitCode, 5);
}

TEST(StepScriptTest, StepsOfStrangeOrEqualNamesAllRun) {
    auto job = jobWith({"echo one"});
    job.steps.push_back({"script", {"echo two"}});
    job.steps.push_back({"x/../y z", {"echo three"}});
    ScriptRun run(job);
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("\ntwo\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nthree\n"));
    EXPECT_EQ(run.status().stage, "step_x____y_z");
}

/// Names of sections in the order of their marks, `+` for a start and `-` for an end.
std::vector<std::string> sections(const std::string& log) {
    std::vector<std::string> found;
    for (auto at = log.find("section_"); at != std::string::npos; at = log.find("section_", at)) {
        const bool start = log.compare(at, 14, "section_start:") == 0;
        const auto name = log.find(':', log.find(':', at) + 1) + 1;
        found.push_back((start ? "+" : "-") + log.substr(name, log.find('\r', name) - name));
        at = name;
    }
    return found;
}

TEST(StepScriptTest, EveryExecutedStageHasASectionAndSkippedOnesNone) {
    ScriptRun run(jobWith({"true"}, {"true"}));
    ScriptRun failing(jobWith({"false"}));
    run.run();
    failing.run();

    EXPECT_THAT(
        sections(run.log()),
        ::testing::ElementsAre("+prepare_script", "-prepare_script", "+get_sources", "-get_sources",
                               "+step_script", "-step_script", "+after_script", "-after_script"));
    EXPECT_THAT(sections(failing.log()),
                ::testing::ElementsAre("+prepare_script", "-prepare_script", "+get_sources",
                                       "-get_sources", "+step_script", "-step_script"));
    EXPECT_THAT(run.log(), ::testing::ContainsRegex(
                               "section_start:[0-9]+:step_script\r\033\\[0K\033\\[0K\033\\[36;1m"
                               "Executing \"step_script\" stage of the job script\033\\[0;m"
                               "\033\\[0;m\n"));
}

TEST(StepScriptTest, NoSectionsWhereTheServerDoesNotKnowThem) {
    auto job = jobWith({"echo hi"});
    job.traceSections = false;
    ScriptRun run(job);
    run.run();

    EXPECT_THAT(run.log(), Not(HasSubstr("section_")));
    EXPECT_THAT(run.log(), StartsWith("Running on "));
    EXPECT_THAT(run.text(), HasSubstr(" via bridge.example.org...\n"));
}

TEST(StepScriptTest, CredentialsOfTheNodeAreRemovedAndHomeIsInScratch) {
    ScriptRun run(jobWith({"echo p=${X509_USER_PROXY-none} b=${BASH_ENV-none}", "echo h=$HOME",
                           "ls -A ~ | grep -vc gitconfig || true"}));
    run.setEnvironment("X509_USER_PROXY", "/tmp/x509up_u1");
    run.setEnvironment("BASH_ENV", "/nonexistent/env");
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("\np=none b=none\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nh=" + run.scratch().string() + "/gb."));
    EXPECT_THAT(run.text(), HasSubstr("\n0\n"));
}

TEST(StepScriptTest, SecondStartEndsWith71AndExecutesNothing) {
    ScriptRun run(jobWith({"echo x >>\"$GB_OUT/count\""}));

    EXPECT_EQ(run.run(), 0);
    const auto log = run.log();
    const auto status = run.file("out/status");

    EXPECT_EQ(run.run(), 71);
    EXPECT_EQ(run.file("out/count"), "x\n");
    EXPECT_EQ(run.log(), log);
    EXPECT_EQ(run.file("out/status"), status);
}

TEST(StepScriptTest, ScratchIsRemovedAlsoWhenTheScriptMadeItUnwritable) {
    ScriptRun run(jobWith({"mkdir -p a/b", "touch a/b/c", "chmod 500 a/b a"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_TRUE(std::filesystem::is_empty(run.scratch()));
}

TEST(StepScriptTest, StatusSaysHowLongTheLogIs) {
    ScriptRun run(jobWith({"seq 1 20000"}));
    run.run();

    EXPECT_EQ(run.status().logBytes, static_cast<std::int64_t>(run.log().size()));
    EXPECT_THAT(run.log(), HasSubstr("\n20000\n"));
}

TEST(StepScriptTest, FilesOfAScriptAreReadableByOthersAndTheLogIsNot) {
    ScriptRun run(jobWith({"umask"}));
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("\n0022\n"));
    EXPECT_EQ(std::filesystem::status(run.folder() / "out/log").permissions(),
              std::filesystem::perms(0600));
}

TEST(StepScriptTest, NodeWithoutRoomForScratchIsASystemFailureOfPrepareScript) {
    ScriptRun run(jobWith({"echo never"}));
    run.setEnvironment("TMPDIR", "/nonexistent");
    run.run();

    EXPECT_EQ(run.status().outcome, "system");
    EXPECT_EQ(run.status().stage, "prepare_script");
    EXPECT_THAT(run.text(), HasSubstr("ERROR: prepare environment: no folder can be made in "
                                      "/nonexistent\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
}

TEST(StepScriptTest, DebugTraceShowsCommandsButNotTheValuesOfVariables) {
    auto job = jobWith({"echo hi"});
    setVariable(job, "CI_DEBUG_TRACE", "true");
    setVariable(job, "SECRET", "hunter2");
    ScriptRun run(job);
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("\n+ echo hi\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace gridbridge::payload
