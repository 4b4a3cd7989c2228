// Conformance cases of the step script, variables, sections and header: job in GitLab, real
// executable, real batch job.
#include <set>
#include <sstream>

#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;
using fakegitlab::Status;

class ScriptEndToEnd : public EndToEnd {
protected:
    JobSnapshot script(std::vector<std::string> items) { return run({.script = std::move(items)}); }
    JobSnapshot withVariables(std::vector<fakegitlab::Variable> variables,
                              std::vector<std::string> items) {
        return run({.script = std::move(items), .variables = std::move(variables)});
    }
    static void failedWith(const JobSnapshot& job, int code) {
        EXPECT_EQ(job.status, Status::Failed);
        EXPECT_EQ(job.failureReason, "script_failure");
        EXPECT_EQ(job.exitCode, code);
        EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code " + std::to_string(code));
    }
};

/// Every byte that a text of GitLab can have: UTF-8 knows no C0, C1 and F5 to FF.
std::string everyByte() {
    std::string text;
    for (int byte = 0x01; byte < 0x80; ++byte) {
        text += static_cast<char>(byte);
    }
    for (int byte = 0x80; byte < 0xC0; ++byte) {
        text += {'\xC3', static_cast<char>(byte)};
    }
    for (int byte = 0xC2; byte < 0xF5; ++byte) {
        text += static_cast<char>(byte);
        text += byte == 0xE0 ? "\xA0" : byte == 0xF0 ? "\x90" : "\x80";
        text += byte < 0xE0 ? "" : byte < 0xF0 ? "\x80" : "\x80\x80";
    }
    return text;
}

TEST_F(ScriptEndToEnd, Case01TrueSucceeds) {
    const auto job = script({"true"});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.exitCode.value_or(0), 0);
    EXPECT_EQ(lastLine(job), "Job succeeded");
    EXPECT_EQ(job.acceptedFinals, 1);
}

TEST_F(ScriptEndToEnd, Case02ExitCodeArrives) {
    failedWith(script({"exit 42"}), 42);
}

TEST_F(ScriptEndToEnd, Case03AndOr) {
    const auto job = script({"false && true", "echo next"});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\nnext\n"));
}

TEST_F(ScriptEndToEnd, Case04AndOrAsLastItemFails) {
    failedWith(script({"echo a", "false && true"}), 1);
}

TEST_F(ScriptEndToEnd, Case05PipeFails) {
    failedWith(script({"false | true"}), 1);
}

TEST_F(ScriptEndToEnd, Case06UnknownCommand) {
    failedWith(script({"nosuchcommand"}), 127);
}

TEST_F(ScriptEndToEnd, Case07SyntaxErrorAfterWhatCameBefore) {
    const auto job = script({"echo a", "if"});
    failedWith(job, 2);
    EXPECT_TRUE(says(job, "\na\n"));
}

TEST_F(ScriptEndToEnd, Case08ExitZeroSkipsTheRest) {
    const auto job = script({"exit 0", "echo never"});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_FALSE(says(job, "never"));
}

TEST_F(ScriptEndToEnd, Case09StdinIsEmpty) {
    const auto job = script({"cat; echo eof"});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\neof\n"));
}

TEST_F(ScriptEndToEnd, Case10StateIsKeptBetweenItems) {
    const auto job = script(
        {"mkdir sub; cd sub", "pwd", "f() { echo called; }", "f", "export A=1", "echo value=$A"});
    EXPECT_TRUE(says(job, "/sub\n"));
    EXPECT_TRUE(says(job, "\ncalled\n"));
    EXPECT_TRUE(says(job, "value=1"));
}

TEST_F(ScriptEndToEnd, Case11BeforeScriptAndScriptAreItemsOfOneShellInOrder) {
    const auto job = script({"SHARED=1; echo from before_script", "echo shared=$SHARED"});
    const auto first = plain(job.trace).find("\nfrom before_script\n");
    ASSERT_NE(first, std::string::npos);
    EXPECT_NE(plain(job.trace).find("\nshared=1\n", first), std::string::npos);
}

TEST_F(ScriptEndToEnd, Case12EveryItemIsEchoedInGreenBeforeItRuns) {
    const auto job = script({"echo hi", "echo second"});
    EXPECT_NE(job.trace.find("\033[32;1m$ echo hi\033[0;m\nhi\n"
                             "\033[32;1m$ echo second\033[0;m\nsecond\n"),
              std::string::npos);
}

TEST_F(ScriptEndToEnd, Case13MultiLineItem) {
    const auto job = script({"for i in 1 2; do\n  echo line$i\ndone"});
    EXPECT_TRUE(says(job, "$ for i in 1 2; do # collapsed multi-line command\nline1\nline2\n"));
}

TEST_F(ScriptEndToEnd, Case14QuotesAndUtf8AreEchoedAsTheyAre) {
    const std::string item = "printf '%s\\n' 'it'\"'\"'s `$x` \\ ! \xC3\xA9\t\"q\"'";
    const auto job = script({item});
    EXPECT_TRUE(says(job, "$ " + item + "\n"));
    EXPECT_TRUE(says(job, "\nit's `$x` \\ ! \xC3\xA9\t\"q\"\n"));
}

TEST_F(ScriptEndToEnd, Case15HereDocument) {
    EXPECT_TRUE(says(script({"cat <<X\nhere $((1+1))\nX"}), "\nhere 2\n"));
}

TEST_F(ScriptEndToEnd, Case16EveryByteOfAValueArrives) {
    const auto value = everyByte();
    ASSERT_EQ(std::set<char>(value.begin(), value.end()).size(), 242U);
    std::string dump;
    for (const char byte : value) {
        constexpr auto kDigits = "0123456789abcdef";
        const auto bits = static_cast<unsigned char>(byte);
        dump += {kDigits[bits >> 4U], kDigits[bits & 15U]};
    }

    const auto job = withVariables({{.key = "V", .value = value, .raw = true}},
                                   {"printf %s \"$V\" | od -An -v -tx1 | tr -d ' \\n'; echo ."});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\n" + dump + ".\n"));
}

TEST_F(ScriptEndToEnd, Case17ValuesAreNeverShellCode) {
    const auto names = folder.path / "delimiters";
    const auto mark = (folder.path / "pwned").string();
    // Every here-document in what is staged for a job.
    const auto first =
        script({R"(sed -n "s/.*<<-\?['\"]\?\([A-Za-z_][A-Za-z0-9_-]*\).*/\1/p" "$GB_IN"/* > )" +
                names.string()});
    ASSERT_EQ(first.status, Status::Success);
    std::string evil = "'; touch " + mark + "; '\"; touch " + mark + "; $(touch " + mark +
                       ") `touch " + mark + "`";
    std::istringstream delimiters(readFile(names) + "EOF\n");
    int count = 0;
    for (std::string delimiter; std::getline(delimiters, delimiter); ++count) {
        evil += "\n" + delimiter + "\ntouch " + mark;
    }
    EXPECT_GE(count, 2);

    const auto job = withVariables({{.key = "V", .value = evil, .raw = true},
                                    {.key = "W", .value = evil},
                                    {.key = "F", .value = evil, .raw = true, .file = true}},
                                   {"printf '<%s>\\n' \"$V\"", "cat \"$F\"; echo '|'"});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\n<" + evil + ">\n"));
    EXPECT_TRUE(says(job, "\n" + evil + "|\n"));
    EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(ScriptEndToEnd, Case18NamesThatNoShellTakesAreSkippedWithALine) {
    const auto job = withVariables({{.key = "A-B", .value = "1"},
                                    {.key = "1X", .value = "1"},
                                    {.key = "UID", .value = "4711"},
                                    {.key = "GOOD", .value = "arrives"}},
                                   {"echo good=$GOOD", "[ \"$UID\" = \"$(id -u)\" ] && echo mine",
                                    "env | grep -E '^(A-B|1X)=' || echo none"});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job,
                     "\nWARNING: variable \"A-B\" is skipped: "
                     "its name is not valid in a shell\n"));
    EXPECT_TRUE(says(job,
                     "\nWARNING: variable \"1X\" is skipped: "
                     "its name is not valid in a shell\n"));
    EXPECT_TRUE(says(job,
                     "\nWARNING: variable \"UID\" is skipped: "
                     "the shell does not allow to set it\n"));
    EXPECT_TRUE(says(job, "\ngood=arrives\n"));
    EXPECT_TRUE(says(job, "\nmine\n"));
    EXPECT_TRUE(says(job, "\nnone\n"));
}

TEST_F(ScriptEndToEnd, Case19RawValueIsNotExpanded) {
    EXPECT_TRUE(
        says(withVariables({{.key = "B", .value = "x"}, {.key = "A", .value = "$B", .raw = true}},
                           {R"(printf '<%s>\n' "$A")"}),
             "\n<$B>\n"));
}

TEST_F(ScriptEndToEnd, Case20ReferencesAreExpanded) {
    const auto job = withVariables({{.key = "B", .value = "x"},
                                    {.key = "PLAIN", .value = "$B"},
                                    {.key = "DOLLAR", .value = "$$B"},
                                    {.key = "BRACES", .value = "${B}y"},
                                    {.key = "NOPE", .value = "$UNSET_NAME"}},
                                   {R"(printf '<%s>' "$PLAIN" "$DOLLAR" "$BRACES" "$NOPE")"});
    EXPECT_TRUE(says(job, "\n<x><$B><xy><>"));
}

TEST_F(ScriptEndToEnd, Case21ExpansionIsNotRepeated) {
    EXPECT_TRUE(says(
        withVariables(
            {{.key = "C", .value = "1"}, {.key = "B", .value = "$C"}, {.key = "A", .value = "$B"}},
            {R"(printf '<%s>\n' "$A")"}),
        "\n<$C>\n"));
}

TEST_F(ScriptEndToEnd, Case22LastValueOfANameCounts) {
    EXPECT_TRUE(
        says(withVariables({{.key = "TWICE", .value = "first"}, {.key = "TWICE", .value = "last"}},
                           {"echo value=$TWICE"}),
             "\nvalue=last\n"));
}

TEST_F(ScriptEndToEnd, Case23FileVariableIsAPathWithExactlyTheContent) {
    const auto job =
        withVariables({{.key = "FILE", .value = "it's $5\nno newline", .raw = true, .file = true},
                       {.key = "PATHTO", .value = "$FILE"}},
                      {"case $FILE in \"$RUNNER_TEMP_PROJECT_DIR\"/*) echo in temp;; esac",
                       "cat \"$FILE\"; echo '|'", "[ \"$PATHTO\" = \"$FILE\" ] && echo same path"});
    EXPECT_TRUE(says(job, "\nin temp\n"));
    EXPECT_TRUE(says(job, "\nit's $5\nno newline|\n"));
    EXPECT_TRUE(says(job, "\nsame path\n"));
}

TEST_F(ScriptEndToEnd, Case24PathOfTheNodeIsPutIntoValues) {
    EXPECT_TRUE(says(withVariables({{.key = "LATE", .value = "$CI_PROJECT_DIR/a"}},
                                   {"[ \"$LATE\" = \"$PWD/a\" ] && echo late bound"}),
                     "\nlate bound\n"));
}

TEST_F(ScriptEndToEnd, Case25VariablesOfTheRunner) {
    const auto job = run(
        {.timeout = std::chrono::seconds(1234),
         .script = {"echo \"<$CI_SERVER> <$CI_DISPOSABLE_ENVIRONMENT> <$CI_JOB_TIMEOUT> "
                    "<$CI_RUNNER_SHORT_TOKEN> <$CI_CONCURRENT_ID> <$CI_CONCURRENT_PROJECT_ID>\"",
                    "[ -n \"$CI_RUNNER_VERSION\" ] && [ -n \"$CI_RUNNER_EXECUTABLE_ARCH\" ] && "
                    "[ -d \"$CI_BUILDS_DIR\" ] && echo named",
                    "[ \"$(pwd)\" = \"$CI_PROJECT_DIR\" ] && echo there"}});
    EXPECT_TRUE(says(job, "\n<yes> <true> <1234> <test> <0> <0>\n"));
    EXPECT_TRUE(says(job, "\nnamed\n"));
    EXPECT_TRUE(says(job, "\nthere\n"));
}

TEST_F(ScriptEndToEnd, Case26VariablesWrittenForLaterStepsArrive) {
    const auto job = run({.script = {"export A=1", "echo B=2 >> $GITLAB_ENV"},
                          .afterScript = {"echo \"<$B> <${A-none}>\""}});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\n<2> <none>\n"));
}

TEST_F(ScriptEndToEnd, Case27ShortTokenOfEveryKindOfRunnerToken) {
    for (const std::string token :
         {"glrt-t1_abcdefghijkl", "GR1348941abcdefghijkl", "abcdefghijkl"}) {
        if (!gitlab) {
            gitlab.emplace(clock, options());
            service.emplace(gitlab->url(), folder.path);
        }
        if (service->running()) {
            EXPECT_EQ(service->stop(), 0);
        }
        gitlab->addRunner(token);
        service->configure("", "trusted_jobs = true\n");
        auto text = readFile(service->config());
        writeFile(service->config(), text.replace(text.find("glrt-test"), 9, token));
        const auto job = script({"echo \"<$CI_RUNNER_SHORT_TOKEN>\""});
        EXPECT_TRUE(says(job, "\n<abcdefghi>\n")) << token;
        EXPECT_TRUE(says(job, "  on pool abcdefghi, system ID: ")) << token;
    }
}

TEST_F(ScriptEndToEnd, Case53ExecutedStagesHaveSectionsAndSkippedOnesNone) {
    const auto full = run({.script = {"echo x > out.txt"},
                           .afterScript = {"true"},
                           .artifacts = {{.paths = {"out.txt"}}}});
    const auto failing = run({.script = {"false"}, .artifacts = {{.paths = {"out.txt"}}}});
    const auto bare = run({.script = {"true"},
                           .afterScript = {"true"},
                           .merge = R"({"features":{"trace_sections":false}})"});

    const auto pairs = [](const std::vector<std::string>& names) {
        std::vector<std::string> all;
        for (const auto& name : names) {
            all.insert(all.end(), {"+" + name, "-" + name});
        }
        return all;
    };
    EXPECT_EQ(sections(full.trace),
              pairs({"prepare_executor", "prepare_script", "get_sources", "step_script",
                     "after_script", "upload_artifacts_on_success"}));
    EXPECT_EQ(sections(failing.trace),
              pairs({"prepare_executor", "prepare_script", "get_sources", "step_script"}));
    EXPECT_EQ(bare.status, Status::Success);
    EXPECT_EQ(sections(bare.trace), std::vector<std::string>{});
}

TEST_F(ScriptEndToEnd, Case54HeaderNamesProgramRunnerAndSystem) {
    const auto job = script({"true"});
    const auto text = plain(job.trace);
    const auto second = text.find('\n') + 1;
    EXPECT_EQ(text.find("Running with gridbridge "), 0U);
    EXPECT_EQ(text.substr(second, text.find('\n', second) - second),
              "  on pool test, system ID: " + job.systemId);
    EXPECT_EQ(job.systemId.find("r_grid"), 0U);
}

TEST_F(ScriptEndToEnd, ScriptThatTerminatesItsOwnWrapperIsNoSystemFailure) {
    const auto job = script({"kill -TERM $PPID; sleep 30"});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 143);
    EXPECT_EQ(lastLine(job),
              "ERROR: Job failed: exit code 143: the job was sent SIGTERM, and not by the batch "
              "system");
}

TEST_F(ScriptEndToEnd, Case80BatchCredentialsAreRemovedAndHomeIsInScratch) {
    gitlab.emplace(clock, options());
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    service->start({{"X509_USER_PROXY", "/tmp/x509up_u0"}, {"BEARER_TOKEN", "of-the-node"}});

    const auto job =
        script({"echo proxy=${X509_USER_PROXY-none} bearer=${BEARER_TOKEN-none}",
                "[ \"$HOME\" = \"${CI_BUILDS_DIR%/builds}/home\" ] && [ -O \"$HOME\" ] && echo "
                "private"});

    EXPECT_TRUE(says(job, "\nproxy=none bearer=none\n"));
    EXPECT_TRUE(says(job, "\nprivate\n"));
}

TEST_F(ScriptEndToEnd, MaskedValueAndJobTokenNeverReachGitLab) {
    const auto job =
        run({.script = {"echo key=$KEY", "echo token=$CI_JOB_TOKEN",
                        "for i in 1 2 3; do printf %s \"${KEY:0:4}\"; done; echo",
                        "printf %s \"${KEY:0:5}\"; sleep 2; echo \"${KEY:5}\""},
             .variables = {{.key = "KEY", .value = "hunter2-secret", .masked = true}}});
    EXPECT_TRUE(says(job, "key=[MASKED]"));
    EXPECT_TRUE(says(job, "token=[MASKED]"));
    EXPECT_EQ(job.trace.find("hunter2-secret"), std::string::npos);
    EXPECT_EQ(readFile(service->stateDir() / "gridbridge.db").find("hunter2"), std::string::npos);
    EXPECT_EQ(service->log().find(job.token), std::string::npos);
}

}  // namespace
}  // namespace gridbridge::testing
