// Conformance cases 28 and 55 to 59: what GitLab shows of a log.
#include <regex>
#include <set>
#include <sstream>

#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;

class LogEndToEnd : public EndToEnd {
protected:
    /// GitLab has what the service keeps, and was told its checksum and size.
    void isWholeAtGitLab(const fakegitlab::JobSnapshot& job) {
        const auto key = service->sql(
            "SELECT (SELECT 'gb-' || id FROM installation) || '-' || id FROM job WHERE gitlab_id "
            "= " +
            std::to_string(job.id));
        const auto kept =
            readFile(service->stateDir() / "traces" / (key.substr(0, key.find('\n')) + ".log"));
        EXPECT_FALSE(kept.empty());
        EXPECT_TRUE(job.trace == kept);
        // The stand-in server compares the checksum that it gets with its own.
        EXPECT_EQ(job.lastChecksum.find("crc32:"), 0U);
        EXPECT_EQ(job.lastBytesize, static_cast<std::int64_t>(kept.size()));
    }
};

TEST_F(LogEndToEnd, Case28DebugTraceShowsCommandsAndGitLabIsToldSo) {
    const auto job =
        run({.script = {"true first"}, .variables = {{.key = "CI_DEBUG_TRACE", .value = "true"}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "+ true first\n")) << plain(job.trace);
    EXPECT_TRUE(job.debugTrace);
    for (const auto& request : job.requests) {
        EXPECT_EQ(request.query, request.method == "PATCH" ? "debug_trace=true" : "");
    }
}

TEST_F(LogEndToEnd, Case28DebugTraceCanBeForbidden) {
    gitlab.emplace(clock, options());
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    service->configure("debug_trace_disabled = true\n", "trusted_jobs = true\n");

    const auto job =
        run({.script = {"true first"}, .variables = {{.key = "CI_DEBUG_TRACE", .value = "true"}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "WARNING: CI_DEBUG_TRACE: usage is disabled on this Runner\n"));
    EXPECT_FALSE(says(job, "+ true first\n"));
    EXPECT_FALSE(job.debugTrace);
}

TEST_F(LogEndToEnd, Case55MaskedValuesAreHiddenHoweverTheyArePrinted) {
    start();
    const auto go = folder.path / "go";
    const std::string wait = "until [ -e " + go.string() + " ]; do sleep 0.1; done";
    const auto id = gitlab->addJob(
        {.script = {"echo \"plain $KEY.\"", "echo \"longer $LONGER.\"",
                    "echo \"overlapping ${KEY}${OTHER:9}.\"",
                    "printf 'split %s' \"${KEY:0:9}\"; " + wait + "; echo \"${KEY:9}.\"",
                    "printf 'end %s' \"$KEY\""},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"},
                       {.key = "KEY", .value = "hunter2-topsecret", .masked = true},
                       {.key = "LONGER", .value = "my-hunter2-topsecret-key", .masked = true},
                       {.key = "OTHER", .value = "topsecret-tail", .masked = true}}});
    // The first half has been read, and is not shown.
    ASSERT_TRUE(gitlab->waitForTrace(id, "\nsplit "));
    EXPECT_FALSE(says(gitlab->job(id), "\nsplit h"));
    writeFile(go, "");

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Success);
    for (const auto* line :
         {"\nplain [MASKED].\n", "\nlonger [MASKED].\n", "\noverlapping [MASKED].\n",
          "\nsplit [MASKED].\n", "\nend [MASKED]"}) {
        EXPECT_TRUE(says(job, line)) << line << plain(job.trace);
    }
    for (const auto* part : {"hunter2", "topsecret", "my-", "-key", "-tail"}) {
        EXPECT_FALSE(says(job, part)) << part;
    }
    isWholeAtGitLab(job);
}

TEST_F(LogEndToEnd, Case56TokensAndParametersOfUrlsAreMasked) {
    const auto job =
        run({.script = {"echo glpat-abc_123", "echo 'https://h/?private_token=abc&x=1'",
                        "printf 'cut glpat-12'; sleep 1.5; echo 34,",
                        "printf 'cut ?private_tok'; sleep 1.5; echo 'en=ab#c end'"}});

    EXPECT_EQ(job.status, Status::Success);
    for (const auto* line : {"\nglpat-[MASKED]\n", "\nhttps://h/?private_token=[MASKED]&x=1\n",
                             "\n$ echo glpat-[MASKED]\n", "\ncut glpat-[MASKED],\n",
                             "\ncut ?private_token=[MASKED] end\n"}) {
        EXPECT_TRUE(says(job, line)) << line << plain(job.trace);
    }
    isWholeAtGitLab(job);
}

TEST_F(LogEndToEnd, Case57InvalidUtf8BecomesAReplacementAndChecksumAndSizeFit) {
    const auto job = run({.script = {R"(printf 'a\377b \303\251 \342\202 c\n')"}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job,
                     "\na\xEF\xBF\xBD"
                     "b \xC3\xA9 \xEF\xBF\xBD\xEF\xBF\xBD c\n"))
        << plain(job.trace);
    isWholeAtGitLab(job);
}

TEST_F(LogEndToEnd, Case58OutputAboveTheLimitIsCutOnceAndTheVerdictStands) {
    gitlab.emplace(clock, options());
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    service->configure("output_limit = 200\n", "trusted_jobs = true\n");
    const auto done = (folder.path / "done").string();

    const auto job = run({.script = {"seq 100000", "echo x > " + done, "exit 7"}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.exitCode, 7);
    EXPECT_EQ(readFile(done), "x\n") << "the script went on";
    const std::string notice =
        "\n\033[33;1mJob's log exceeded limit of 204800 bytes.\nJob execution will continue but no "
        "more output will be collected.\033[0;m\n";
    const auto at = job.trace.find(notice);
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(job.trace.find("exceeded limit", at + notice.size()), std::string::npos);
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code 7");
    EXPECT_LE(job.trace.size(), 204800U);
    EXPECT_GT(at, 100000U);
    isWholeAtGitLab(job);
}

TEST_F(LogEndToEnd, Case59TimestampedLogJoinsToTheSameText) {
    const auto job =
        run({.script = {"echo one; printf 'two '; sleep 1.5; echo three; echo; printf end"},
             .variables = {{.key = "FF_TIMESTAMPS", .value = "true"}}});

    EXPECT_EQ(job.status, Status::Success);
    const std::regex stamp(R"(^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (0[01])O([ +]))");
    std::istringstream in(job.trace);
    std::string joined;
    std::set<std::string> times;
    std::set<std::string> streams;
    for (std::string line; std::getline(in, line);) {
        std::smatch parts;
        ASSERT_TRUE(std::regex_search(line, parts, stamp)) << line;
        times.insert(parts[1]);
        streams.insert(parts[2]);
        if (parts[3] == "+") {
            joined.pop_back();
        }
        joined += line.substr(32) + "\n";
    }
    const auto text = plain(joined);
    const std::regex end(R"(\none\ntwo three\n\nendThe job ran for \d+s on \S+\nJob succeeded\n)");
    EXPECT_TRUE(std::regex_search(text, end)) << text;
    EXPECT_EQ(streams, (std::set<std::string>{"00", "01"}));
    EXPECT_GE(times.size(), 2U);
    isWholeAtGitLab(job);
}

}  // namespace
}  // namespace gridbridge::testing
