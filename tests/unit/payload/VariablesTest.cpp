#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/payload/Variables.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

/// What a stage sees in `$NAME`, for every name, by really running the script.
std::string seen(gitlab::JobDescription job, const std::string& name,
                 std::vector<std::string>* warnings = nullptr) {
    job.steps = {{"script", {"printf %s \"$" + name + "\" >\"$GB_OUT/value\""}}};
    ScriptRun run(job);
    run.run();
    EXPECT_EQ(run.status().outcome, "success") << run.log();
    if (warnings != nullptr) {
        *warnings = run.script().warnings;
    }
    return run.file("out/value");
}

std::string expandedText(const gitlab::JobDescription& job, const std::string& text) {
    std::size_t budget = 1000;
    return plainText(Variables(job).expand(text, budget));
}

TEST(VariablesTest, ReferencesAreReplacedAsGitLabDoes) {
    auto job = jobWith({});
    setVariable(job, "B", "x");

    EXPECT_EQ(expandedText(job, "$B"), "x");
    EXPECT_EQ(expandedText(job, "${B}y"), "xy");
    EXPECT_EQ(expandedText(job, "a$NOPE-$B"), "a-x");
    EXPECT_EQ(expandedText(job, "$$B"), "$B");
    EXPECT_EQ(expandedText(job, "${B:-b}"), "");
    EXPECT_EQ(expandedText(job, "a$*$#$@$!$?$-$0$9z"), "az");
    EXPECT_EQ(expandedText(job, "a${}b${B"), "abB");
    EXPECT_EQ(expandedText(job, "$ $. $/ 5$"), "$ $. $/ 5$");
    EXPECT_EQ(expandedText(job, "$BC$B"), "x");
}

TEST(VariablesTest, RawValueIsNotExpandedAndOthersAreOnce) {
    auto job = jobWith({});
    job.variables.push_back({.key = "RAW", .value = "$B", .raw = true});
    setVariable(job, "A", "$B");
    setVariable(job, "B", "$C");
    setVariable(job, "C", "1");
    setVariable(job, "FROM_RAW", "${RAW}");

    EXPECT_EQ(seen(job, "RAW"), "$B");
    EXPECT_EQ(seen(job, "A"), "$C");
    EXPECT_EQ(seen(job, "B"), "1");
    EXPECT_EQ(seen(job, "FROM_RAW"), "$B");
}

TEST(VariablesTest, EveryByteOfAValueArrives) {
    std::string bytes;
    for (int byte = 1; byte < 256; ++byte) {
        bytes += static_cast<char>(byte);
    }
    auto job = jobWith({});
    job.variables.push_back({.key = "V", .value = bytes, .raw = true});

    EXPECT_EQ(seen(job, "V"), bytes);
}

TEST(VariablesTest, ValuesAreNeverShellCode) {
    const std::string evil = "'; touch pwned; ' $(touch pwned) `touch pwned`\nEOF\n#\"";
    auto job = jobWith({});
    job.variables.push_back({.key = "V", .value = evil, .raw = true});
    job.variables.push_back({.key = "F", .value = evil, .raw = true, .file = true});
    job.steps = {{"script",
                  {"printf %s \"$V\" >\"$GB_OUT/value\"", "cat \"$F\" >\"$GB_OUT/file\"",
                   "test ! -e pwned"}}};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_EQ(run.file("out/value"), evil);
    EXPECT_EQ(run.file("out/file"), evil);
}

TEST(VariablesTest, NamesAndValuesThatNoShellCanHoldAreSkippedWithALine) {
    auto job = jobWith({});
    for (const auto* key : {"A-B", "1X", "", "UID", "BASHOPTS", "GB_OUT", "bad\nname"}) {
        setVariable(job, key, "1");
    }
    setVariable(job, "NUL", std::string("a\0b", 3));
    setVariable(job, "FROM_NUL", "$NUL");
    setVariable(job, "GOOD", "1");
    std::vector<std::string> warnings;

    EXPECT_EQ(seen(job, "GOOD", &warnings), "1");
    EXPECT_THAT(
        warnings,
        UnorderedElementsAre("variable \"A-B\" is skipped: its name is not valid in a shell",
                             "variable \"1X\" is skipped: its name is not valid in a shell",
                             "variable \"\" is skipped: its name is not valid in a shell",
                             "variable \"bad?name\" is skipped: its name is not valid in a shell",
                             "variable \"UID\" is skipped: the shell does not allow to set it",
                             "variable \"BASHOPTS\" is skipped: the shell does not allow to set it",
                             "variable \"GB_OUT\" is skipped: the name is used by the runner",
                             "variable \"NUL\" is skipped: its value has a NUL byte",
                             "variable \"FROM_NUL\" is skipped: its value has a NUL byte"));
}

TEST(VariablesTest, LastValueOfANameCounts) {
    auto job = jobWith({});
    setVariable(job, "A", "1");
    setVariable(job, "A", "2");

    EXPECT_EQ(seen(job, "A"), "2");
}

TEST(VariablesTest, FileVariableIsAPathWithExactlyTheContent) {
    auto job = jobWith({});
    setVariable(job, "B", "x");
    job.variables.push_back({.key = "KEY", .value = "no newline $B", .file = true});
    setVariable(job, "X", "$KEY");
    job.steps = {{"script",
                  {"test \"$KEY\" = \"$RUNNER_TEMP_PROJECT_DIR/KEY\"", "test \"$X\" = \"$KEY\"",
                   "cat \"$KEY\" >\"$GB_OUT/value\""}}};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_EQ(run.file("out/value"), "no newline x");
}

TEST(VariablesTest, PathsOfTheNodeArePutIntoValues) {
    auto job = jobWith({});
    setVariable(job, "X", "it's <$CI_PROJECT_DIR/a>");
    job.steps = {
        {"script", {"test \"$X\" = \"it's <$PWD/a>\"", "test \"$PWD\" = \"$CI_PROJECT_DIR\""}}};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
}

TEST(VariablesTest, RunnerProvidesItsVariablesAndTheConfiguredOnes) {
    auto job = jobWith({"env | sort >\"$GB_OUT/env\""});
    setVariable(job, "FROM_SITE_AND_JOB", "job");
    auto context = contextNow();
    context.environment = {"SITE=a=b", "FROM_SITE_AND_JOB=site"};
    context.tlsCa = "-----BEGIN CERTIFICATE-----\n";
    ScriptRun run(job, context);
    run.run();
    const auto environment = "\n" + run.file("out/env");

    for (const auto* line :
         {"CI_SERVER=yes", "CI_DISPOSABLE_ENVIRONMENT=true", "CI_JOB_TIMEOUT=3600",
          "CI_RUNNER_VERSION=1.2.3", "CI_RUNNER_EXECUTABLE_ARCH=linux/",
          "CI_RUNNER_SHORT_TOKEN=abcdefghi\n", "CI_CONCURRENT_ID=0\n",
          "CI_CONCURRENT_PROJECT_ID=0\n", "CI_JOB_STATUS=running\n", "SITE=a=b\n",
          "FROM_SITE_AND_JOB=job\n"}) {
        EXPECT_THAT(environment, HasSubstr(std::string("\n") + line));
    }
    const auto root = run.scratch().string() + "/gb.";
    EXPECT_THAT(environment, HasSubstr("\nCI_BUILDS_DIR=" + root));
    EXPECT_THAT(environment, HasSubstr("\nCI_PROJECT_DIR=" + root));
    EXPECT_THAT(environment, HasSubstr("\nCI_SERVER_TLS_CA_FILE=" + root));
}

TEST(VariablesTest, JobCannotMoveTheProjectFolderByAVariable) {
    auto job = jobWith({"echo v=$CI_PROJECT_DIR", "pwd"});
    setVariable(job, "CI_PROJECT_DIR", "/tmp");
    ScriptRun run(job);
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("\nv=/tmp\n"));
    EXPECT_THAT(run.text(), HasSubstr("/builds/group/project\n"));
}

TEST(VariablesTest, LinesInGitlabEnvReachLaterStages) {
    ScriptRun run(jobWith({"echo ' B=2 ' >>\"$GITLAB_ENV\"", "echo 'C=x y' >>\"$GITLAB_ENV\"",
                           "printf 'D=unfinished' >>\"$GITLAB_ENV\""},
                          {"echo \"b=$B c=$C d=$D.\""}));
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("\nb=2 c=x y d=.\n"));
}

TEST(VariablesTest, MaskedValuesAreListedExpandedAndWithTheToken) {
    auto job = jobWith({"true"});
    setVariable(job, "B", "world");
    job.variables.push_back({.key = "M1", .value = "hello-$B", .masked = true});
    job.variables.push_back({.key = "M2", .value = "$CI_PROJECT_DIR/secret-part", .masked = true});
    job.variables.push_back({.key = "M3", .value = "$CI_PROJECT_DIR/x", .masked = true});

    const auto script = makeScript(job, contextNow());

    ASSERT_TRUE(script);
    EXPECT_THAT(script->maskPhrases,
                UnorderedElementsAre("hello-world", "/secret-part", "glcbt-64_token-of-the-job"));
}

TEST(VariablesTest, ValuesThatGrowWithoutBoundAreRefused) {
    auto job = jobWith({"true"});
    setVariable(job, "BIG", std::string(1 << 20, 'x'));
    std::string references;
    for (int i = 0; i < 1000; ++i) {
        references += "$BIG";
    }
    setVariable(job, "HUGE", references);

    const auto script = makeScript(job, contextNow());

    ASSERT_FALSE(script);
    EXPECT_THAT(script.error().message, HasSubstr("longer than 64 MiB"));
}

TEST(VariablesTest, ValueThatMayKeepProgramsFromStartingIsWarnedOf) {
    auto job = jobWith({"true"});
    setVariable(job, "BIG", std::string(101 << 10, 'x'));

    const auto script = makeScript(job, contextNow());

    ASSERT_TRUE(script);
    EXPECT_THAT(script->warnings,
                ElementsAre("variable \"BIG\" is longer than 100 KiB: programs may not start "
                            "because of it"));
}

}  // namespace
}  // namespace gridbridge::payload
