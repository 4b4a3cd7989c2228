// Rows 1 to 5 and 11: what a job can make of its log, its status file and the files it leaves.
#include "tests/e2e/HostileEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using ::testing::IsEmpty;

constexpr std::size_t kLargestLog = std::size_t{1} << 20U;

void expectOwnVerdictAfterItsLog(const JobSnapshot& job) {
    EXPECT_EQ(job.exitCode, 3) << job.name;
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code 3") << job.name;
    EXPECT_TRUE(says(job, "\n99\n100\n")) << job.name;
    EXPECT_FALSE(says(job, "of-the-service")) << job.name;
    EXPECT_LT(job.trace.size(), kLargestLog) << job.name;
}

/// The job's own end, without a byte of log that would have to be waited for.
const std::string kOwnEnd =
    R"(; sed -i 's/^outcome=.*/outcome=failed/; s/^exit_code=.*/exit_code=3/' "$GB_OUT/status")";

TEST_F(HostileEndToEnd, Row01LinksInPlaceOfLogStatusArtifactAndFolderLeadNowhere) {
    const auto elsewhere = (folder.path / "elsewhere").string();
    const auto jobs = doing(
        {{"log",
          R"(rm "$GB_OUT/log"; ln -s )" + secret() + R"( "$GB_OUT/log"; )" + forge() + kOwnEnd,
          kNoWrapper},
         {"status", forge({}, elsewhere) + "; ln -s " + elsewhere + R"( "$GB_OUT/status")",
          kNoWrapper},
         {"artifact",
          "ln -s " + secret() + R"( "$GB_OUT/artifact.0.tar.gz"; )" +
              forge("output.artifact.0.tar.gz=" + std::to_string(kSecret.size()) + R"(\n)"),
          kNoWrapper},
         {"folder", R"(mv "$GB_OUT" "$GB_OUT.away"; mkdir )" + elsewhere + ".d; cp " + secret() +
                        " " + elsewhere + ".d/log; ln -s " + elsewhere + R"(.d "$GB_OUT")"}},
        {{.paths = {"a.txt"}, .when = "always"}});

    expectScriptFailure(jobs[0], 3);
    expectOwnVerdictAfterItsLog(jobs[0]);
    expectScriptFailure(jobs[1], 1);
    expectScriptFailure(jobs[2], 1);
    EXPECT_TRUE(says(jobs[2], "artifact.0.tar.gz is, or lies behind, a link\n"));
    expectScriptFailure(jobs[3], 1);
    EXPECT_FALSE(says(jobs[3], "of-the-service"));
    for (const auto& job : jobs) {
        EXPECT_THAT(job.artifacts, IsEmpty()) << job.name;
    }
    EXPECT_EQ(readFile(elsewhere + ".d/log"), kSecret) << "not removed with the folder";
}

TEST_F(HostileEndToEnd, Row02PipesAndDevicesInPlaceOfFilesBlockNothing) {
    const auto jobs = doing(
        {{"log", R"(rm "$GB_OUT/log"; mkfifo "$GB_OUT/log")"},
         {"device as log",
          R"(rm "$GB_OUT/log"; mknod "$GB_OUT/log" c 1 5 || mkfifo "$GB_OUT/log")"},
         {"folder as log", R"(rm "$GB_OUT/log"; mkdir "$GB_OUT/log")"},
         {"status", R"(mkfifo "$GB_OUT/status")", kNoWrapper},
         {"device as status", R"(mknod "$GB_OUT/status" c 1 5 || mkfifo "$GB_OUT/status")",
          kNoWrapper},
         {"folder as status", R"(mkdir "$GB_OUT/status")", kNoWrapper},
         {"artifact",
          R"(mkfifo "$GB_OUT/artifact.0.tar.gz"; )" + forge(R"(output.artifact.0.tar.gz=100\n)"),
          kNoWrapper}},
        {{.paths = {"a.txt"}}});

    for (const std::size_t i : {0U, 1U, 2U}) {
        expectScriptFailure(jobs[i], 3);
        expectOwnVerdictAfterItsLog(jobs[i]);
    }
    for (const std::size_t i : {3U, 4U, 5U, 6U}) {
        expectScriptFailure(jobs[i], 1);
    }
    EXPECT_THAT(jobs[6].artifacts, IsEmpty());
}

TEST_F(HostileEndToEnd, Row03SecondNamesOfOtherFilesAreNotRead) {
    const auto elsewhere = (folder.path / "elsewhere").string();
    const auto jobs = doing(
        {{"log", R"(rm "$GB_OUT/log"; ln )" + secret() + R"( "$GB_OUT/log"; )" + forge() + kOwnEnd,
          kNoWrapper},
         {"status", forge({}, elsewhere) + "; ln " + elsewhere + R"( "$GB_OUT/status")",
          kNoWrapper},
         {"artifact",
          "ln " + secret() + R"( "$GB_OUT/artifact.0.tar.gz"; )" +
              forge("output.artifact.0.tar.gz=" + std::to_string(kSecret.size()) + R"(\n)"),
          kNoWrapper}},
        {{.paths = {"a.txt"}}});

    expectScriptFailure(jobs[0], 3);
    expectOwnVerdictAfterItsLog(jobs[0]);
    expectScriptFailure(jobs[1], 1);
    expectScriptFailure(jobs[2], 1);
    EXPECT_TRUE(says(jobs[2], "artifact.0.tar.gz has a second name\n")) << plain(jobs[2].trace);
    EXPECT_THAT(jobs[2].artifacts, IsEmpty());
}

TEST_F(HostileEndToEnd, Row04LogsCutRemovedOrReplacedChangeNothingThatWasSent) {
    limitLogs();
    const auto jobs = doing({
        {"nothing", R"(rm "$GB_OUT/log")"},
        {"shorter", R"(: > "$GB_OUT/log")"},
        {"another", R"(rm "$GB_OUT/log"; echo of-the-service > "$GB_OUT/log")"},
        {"1 GB of nothing", R"(truncate -s 1G "$GB_OUT/log")"},
    });
    for (const auto& job : jobs) {
        expectScriptFailure(job, 3);
        expectOwnVerdictAfterItsLog(job);
    }
    expectSmall(peak(), 120'000);
}

TEST_F(HostileEndToEnd, LogThatWasCutAndGrowsAgainIsNeverTakenForItsContinuation) {
    begin();
    const auto step = [&](int number) { return folder.path / ("step" + std::to_string(number)); };
    const auto until = [&](int number) {
        return "; until [ -e " + step(number).string() + " ]; do sleep 0.1; done; ";
    };
    const auto id =
        gitlab->addJob({.script = {"seq 1 1000" + until(1) + R"(: > "$GB_OUT/log"; echo again)" +
                                   until(2) + "seq 5001 9000" + until(3) + "exit 3"},
                        .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\n1000\n"));
    writeFile(step(1), "");
    ASSERT_TRUE(gitlab->waitForTrace(id, "WARNING: the job cut its own log"));
    writeFile(step(2), "");
    const auto file = submissionFolder(id, "") / "out" / "log";
    ASSERT_TRUE(waitFor([&] { return readFile(file).ends_with("\n9000\n"); }, "the new log"));
    // Neither the next polls nor a new start of the service, which knows only what is stored.
    service->killHard();
    service->start();
    writeFile(step(3), "");

    const auto job = finished(id);
    expectScriptFailure(job, 3);
    EXPECT_EQ(job.lastBytesize, static_cast<std::int64_t>(job.trace.size()));
    EXPECT_TRUE(says(job, "\n999\n1000\n"));
    for (int line = 5001; line <= 9000; ++line) {
        ASSERT_FALSE(says(job, "\n" + std::to_string(line) + "\n")) << line;
    }
    const auto text = plain(job.trace);
    EXPECT_EQ(text.find("cut its own log"), text.rfind("cut its own log")) << "one line";
}

TEST_F(HostileEndToEnd, Row05LogThatGrowsWithoutEndIsCutAndTheVerdictStands) {
    limitLogs();
    begin();
    const auto id =
        gitlab->addJob({.script = {"(while :; do seq 1 50000; sleep 0.05; done) &",
                                   "until [ -e " + go() + " ]; do sleep 0.1; done; exit 3"},
                        .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "Job's log exceeded limit of 262144 bytes."));
    writeFile(go(), "");
    const auto job = finished(id);

    expectScriptFailure(job, 3);
    EXPECT_LT(job.trace.size(), kLargestLog);
    expectSmall(peak(), 120'000);
}

TEST_F(HostileEndToEnd, Row11WhateverAJobLeavesAsItsStatusFileIsAScriptFailure) {
    const auto jobs = doing({
        {"none", "true", kNoWrapper},
        {"system failure", forge() + R"(; sed -i 's/^outcome=.*/outcome=system/' "$GB_OUT/status")",
         kNoWrapper},
        {"of another job",
         forge() + R"(; sed -i 's/^nonce=.*/nonce=gb-other-1-1/' "$GB_OUT/status")", kNoWrapper},
        {"a key twice", forge(R"(outcome=success\n)"), kNoWrapper},
        {"no number", forge() + R"(; sed -i 's/^log_bytes=.*/log_bytes=-1/' "$GB_OUT/status")",
         kNoWrapper},
        {"noise", R"(head -c 500 /dev/urandom > "$GB_OUT/status")", kNoWrapper},
        {"1 GB of nothing", R"(truncate -s 1G "$GB_OUT/status")", kNoWrapper},
        {"growing", R"((while echo outcome=success >>"$GB_OUT/status"; do sleep 0.01; done) &)",
         kNoWrapper},
        {"shrinking",
         R"((while :; do echo version=1 >"$GB_OUT/status"; : >"$GB_OUT/status"; done) &)",
         kNoWrapper},
    });
    for (const auto& job : jobs) {
        expectScriptFailure(job, 1);
    }
    expectSmall(peak(), 120'000);
}

}  // namespace
}  // namespace gridbridge::testing
