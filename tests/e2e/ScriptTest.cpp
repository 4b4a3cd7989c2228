// Conformance cases 1 to 24 of the step script: job in GitLab, real executable, real batch job.
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;
using fakegitlab::Status;

class ScriptEndToEnd : public EndToEnd {
protected:
    JobSnapshot script(std::vector<std::string> items) { return run({.script = std::move(items)}); }
    static bool says(const JobSnapshot& job, const std::string& text) {
        return plain(job.trace).find(text) != std::string::npos;
    }
    static std::string lastLine(const JobSnapshot& job) {
        auto text = plain(job.trace);
        text.pop_back();
        return text.substr(text.rfind('\n') + 1);
    }
    static void failedWith(const JobSnapshot& job, int code) {
        EXPECT_EQ(job.status, Status::Failed);
        EXPECT_EQ(job.failureReason, "script_failure");
        EXPECT_EQ(job.exitCode, code);
        EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code " + std::to_string(code));
    }
};

TEST_F(ScriptEndToEnd, Case01TrueSucceeds) {
    const auto job = script({"true"});

    EXPECT_EQ(job.status, Status::Success);
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

TEST_F(ScriptEndToEnd, Case11And12ItemsRunInOrderBehindTheirGreenEcho) {
    const auto job = script({"echo hi", "echo second"});
    const auto echo = job.trace.find("\033[32;1m$ echo hi\033[0;m\nhi\n");
    ASSERT_NE(echo, std::string::npos);
    EXPECT_GT(job.trace.find("second\n", echo), echo);
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

TEST_F(ScriptEndToEnd, Case19To24Variables) {
    const auto job =
        run({.script = {"printf '<%s>' \"$RAW\" \"$X\" \"$DOLLAR\" \"$BRACES\" \"$NOPE\" \"$ONCE\" "
                        "\"$TWICE\" \"$LATE\"",
                        "cat \"$FILE\"; echo '|'", "[ \"$PATHTO\" = \"$FILE\" ] && echo same path",
                        "[ \"$LATE\" = \"$PWD/a\" ] && echo late bound"},
             .variables = {{.key = "B", .value = "x"},
                           {.key = "RAW", .value = "$B", .raw = true},
                           {.key = "X", .value = "$B"},
                           {.key = "DOLLAR", .value = "$$B"},
                           {.key = "BRACES", .value = "${B}y"},
                           {.key = "NOPE", .value = "$UNSET_NAME"},
                           {.key = "C", .value = "$B2"},
                           {.key = "B2", .value = "1"},
                           {.key = "ONCE", .value = "$C"},
                           {.key = "TWICE", .value = "first"},
                           {.key = "TWICE", .value = "last"},
                           {.key = "FILE", .value = "content", .file = true},
                           {.key = "PATHTO", .value = "$FILE"},
                           {.key = "LATE", .value = "$CI_PROJECT_DIR/a"}}});
    EXPECT_TRUE(says(job, "<$B><x><$B><xy><><$B2><last><"));
    EXPECT_TRUE(says(job, "\ncontent|\n"));
    EXPECT_TRUE(says(job, "\nsame path\n"));
    EXPECT_TRUE(says(job, "\nlate bound\n"));
}

TEST_F(ScriptEndToEnd, Case53And54HeaderAndSections) {
    const auto job = script({"true"});
    const auto text = plain(job.trace);
    EXPECT_EQ(text.find("Running with gridbridge "), 0U);
    EXPECT_NE(text.find("\n  on pool test"), std::string::npos);
    EXPECT_NE(text.find(", system ID: r_grid"), std::string::npos);
    for (const std::string name :
         {"prepare_executor", "prepare_script", "get_sources", "step_script"}) {
        const auto start = job.trace.find(":" + name + "\r");
        EXPECT_NE(start, std::string::npos) << name;
        EXPECT_NE(job.trace.find(":" + name + "\r", start + 1), std::string::npos) << name;
    }
    EXPECT_EQ(job.trace.find("after_script"), std::string::npos);
}

TEST_F(ScriptEndToEnd, Case53NoSectionsWhereTheServerDoesNotWantThem) {
    const auto job = run({.script = {"true"}, .merge = R"({"features":{"trace_sections":false}})"});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.trace.find("section_"), std::string::npos);
}

TEST_F(ScriptEndToEnd, Case80BatchCredentialsAreRemovedAndHomeIsPrivate) {
    const auto job =
        script({"echo proxy=${X509_USER_PROXY-none}", "case $HOME in */home) echo private;; esac"});
    EXPECT_TRUE(says(job, "proxy=none"));
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
