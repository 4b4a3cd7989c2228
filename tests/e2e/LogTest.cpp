// Conformance cases 56, 57 and 58: what GitLab shows of a log.
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

}  // namespace
}  // namespace gridbridge::testing
