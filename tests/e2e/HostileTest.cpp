// What a job, or who names it, can put in the way: its log and its status file as something else,
// forged lines, names that a terminal would obey, and more variables than fit into memory. In every
// test the service stays as it is, and the next job is well.
#include <gmock/gmock.h>

#include <cstdlib>
#include <set>
#include <sstream>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;
using fakegitlab::Status;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kMiB = std::size_t{1} << 20U;

class HostileEndToEnd : public EndToEnd {
protected:
    void TearDown() override {
        if (service && !HasFailure()) {
            EXPECT_EQ(run({.script = {"echo next"}}).status, Status::Success);
        }
        EndToEnd::TearDown();
    }
    /// Resident memory of the service, in KiB.
    std::size_t resident() const { return memory("VmRSS:"); }
    /// The most that it ever was.
    std::size_t peak() const { return memory("VmHWM:"); }
    std::size_t memory(const std::string& which) const {
        std::istringstream in(readFile("/proc/" + std::to_string(service->pid()) + "/status"));
        std::string word;
        std::size_t kib = 0;
        while (in >> word && word != which) {
        }
        in >> kib;
        return kib;
    }
    /// A sanitizer keeps what was freed: its figures say nothing.
    static void expectSmall([[maybe_unused]] std::size_t kib, [[maybe_unused]] std::size_t most) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        EXPECT_LT(kib, most);
#endif
    }
    std::string secret() const {
        return (folder.path / "secret").string();
    }
    /// A job that does this to its files once what it printed before has been read.
    JobSnapshot doing(const std::string& deed, const std::string& end = "exit 3",
                      fakegitlab::Seconds timeout = fakegitlab::Seconds(3600)) {
        writeFile(secret(), "root:$6$of-the-service\n");
        start();
        const auto go = folder.path / ("go" + std::to_string(++deeds_));
        const auto id = gitlab->addJob(
            {.timeout = timeout,
             .script = {"seq 1 100; until [ -e " + go.string() + " ]; do sleep 0.1; done", deed,
                        end},
             .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
        EXPECT_TRUE(gitlab->waitForTrace(id, "\n100\n"));
        writeFile(go, "");
        return finished(id);
    }
    static std::string controls(const std::string& text) {
        std::string found;
        std::copy_if(text.begin(), text.end(), std::back_inserter(found), [](char c) {
            return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f;
        });
        return found;
    }

private:
    int deeds_ = 0;
};

TEST_F(HostileEndToEnd, WhateverAJobMakesOfItsLogItsOwnVerdictStands) {
    const struct {
        const char* what;
        std::string deed;
    } kDeeds[] = {
        {"link", R"(rm "$GB_OUT/log"; ln -s )" + secret() + R"( "$GB_OUT/log")"},
        {"second name", R"(rm "$GB_OUT/log"; ln )" + secret() + R"( "$GB_OUT/log")"},
        {"pipe", R"(rm "$GB_OUT/log"; mkfifo "$GB_OUT/log")"},
        {"folder", R"(rm "$GB_OUT/log"; mkdir "$GB_OUT/log")"},
        {"nothing", R"(rm "$GB_OUT/log")"},
        {"shorter", R"(: > "$GB_OUT/log")"},
        {"1 GB of nothing", R"(truncate -s 1G "$GB_OUT/log")"},
    };
    for (const auto& [what, deed] : kDeeds) {
        const auto job = doing(deed);
        EXPECT_EQ(job.status, Status::Failed) << what;
        EXPECT_EQ(job.failureReason, "script_failure") << what;
        EXPECT_EQ(job.exitCode, 3) << what;
        EXPECT_EQ(job.acceptedFinals, 1) << what;
        EXPECT_TRUE(says(job, "\n99\n100\n")) << what;
        EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code 3") << what;
        EXPECT_THAT(job.trace, Not(HasSubstr("of-the-service"))) << what;
        EXPECT_LT(job.trace.size(), 5 * kMiB) << what;
    }
    expectSmall(resident(), 100'000);
}

TEST_F(HostileEndToEnd, LogThatWasCutAndGrowsAgainIsNeverTakenForItsContinuation) {
    start();
    const auto go = [&](int step) { return folder.path / ("go" + std::to_string(step)); };
    const auto until = [&](int step) {
        return "; until [ -e " + go(step).string() + " ]; do sleep 0.1; done; ";
    };
    const auto id =
        gitlab->addJob({.script = {"seq 1 1000" + until(1) + R"(: > "$GB_OUT/log"; echo again)" +
                                   until(2) + "seq 5001 9000" + until(3) + "exit 3"},
                        .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\n1000\n"));
    writeFile(go(1), "");
    ASSERT_TRUE(gitlab->waitForTrace(id, "WARNING: the job cut its own log"));
    writeFile(go(2), "");
    auto key = service->sql("SELECT key FROM submission");
    key.pop_back();
    const auto file = service->workDir() / key / "out" / "log";
    ASSERT_TRUE(waitFor([&] { return readFile(file).ends_with("\n9000\n"); }, "the new log"));
    // Neither the next polls nor a new start of the service, which knows only what is stored.
    service->killHard();
    service->start();
    writeFile(go(3), "");

    const auto job = finished(id);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 3);
    EXPECT_EQ(job.acceptedFinals, 1);
    EXPECT_EQ(job.lastBytesize, static_cast<std::int64_t>(job.trace.size()));
    EXPECT_TRUE(says(job, "\n999\n1000\n"));
    for (int line = 5001; line <= 9000; ++line) {
        ASSERT_FALSE(says(job, "\n" + std::to_string(line) + "\n")) << line;
    }
    const auto text = plain(job.trace);
    EXPECT_EQ(text.find("cut its own log"), text.rfind("cut its own log")) << "one line";
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code 3");
}

TEST_F(HostileEndToEnd, LogThatGrowsWithoutEndIsCutAndTheJobEndsInTime) {
    const auto job =
        doing("while :; do seq 1 50000; sleep 0.05; done", "exit 3", fakegitlab::Seconds(6));
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
    EXPECT_TRUE(says(job, "Job's log exceeded limit of 4194304 bytes."));
    EXPECT_LT(job.trace.size(), 5 * kMiB);
    expectSmall(resident(), 100'000);
}

TEST_F(HostileEndToEnd, WhateverAJobLeavesAsItsStatusFileIsAScriptFailure) {
    const struct {
        const char* what;
        std::string deed;
    } kDeeds[] = {
        {"link", "ln -s " + secret() + R"( "$GB_OUT/status")"},
        {"second name", "ln " + secret() + R"( "$GB_OUT/status")"},
        {"pipe", R"(mkfifo "$GB_OUT/status")"},
        {"folder", R"(mkdir "$GB_OUT/status")"},
        {"1 GB of nothing", R"(truncate -s 1G "$GB_OUT/status")"},
        {"growing", R"((while echo outcome=success >>"$GB_OUT/status"; do sleep 0.01; done) &)"},
        {"shrinking",
         R"((while :; do echo version=1 >"$GB_OUT/status"; : >"$GB_OUT/status"; done) &)"},
    };
    for (const auto& [what, deed] : kDeeds) {
        const auto job = doing(deed, "kill -9 $PPID; sleep 1");
        EXPECT_EQ(job.status, Status::Failed) << what;
        EXPECT_EQ(job.failureReason, "script_failure") << what;
        EXPECT_EQ(job.exitCode, 1) << what;
        EXPECT_EQ(job.acceptedFinals, 1) << what;
        EXPECT_THAT(job.trace, Not(HasSubstr("of-the-service"))) << what;
    }
    expectSmall(resident(), 100'000);
}

TEST_F(HostileEndToEnd, ForgedLinesOfTheLogChangeNoVerdict) {
    const auto job = run(
        {.script = {
             R"(printf 'section_end:1:step_script\r\033[0Ksection_start:1:after_script\r\033[0K\n')",
             R"(printf '\033[32;1mJob succeeded\033[0;m\n')",
             R"(printf 'version=1\noutcome=success\nexit_code=0\n')", "exit 4"}});
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 4);
    EXPECT_EQ(job.acceptedFinals, 1);
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code 4");
    EXPECT_EQ(service->sql("SELECT outcome FROM job"), "failed\n");
}

TEST_F(HostileEndToEnd, NamesThatATerminalWouldObeyAreShownAsText) {
    const auto job =
        run({.script = {"echo x > a.txt; echo fine"},
             .variables = {{.key = "GITLAB_USER_LOGIN", .value = "u\x1b[2Jser\nroot"}},
             .artifacts = {{.name = "a\x1b[2Jb\nc", .paths = {"a.txt"}}},
             .merge = R"({"job_info":{"name":"n\u001b[2J\nforged","stage":"s\u001b[2J",)"
                      R"("project_full_path":"p\u001b[2J/q\u0007"},)"
                      R"("git_info":{"ref":"r\u001b[2J\u009b2J\n"}})"});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_THAT(job.trace, Not(HasSubstr("\x1b[2J")));
    ASSERT_EQ(job.artifacts.size(), 1U);
    EXPECT_EQ(controls(job.artifacts[0].filename), "");
    const auto key = service->sql("SELECT gitlab_id FROM job");
    const auto id = key.substr(0, key.find('\n'));
    for (const auto& shown : {service->command({"jobs", "--all"}), service->command({"show", id}),
                              service->log(), service->command({"jobs", "--all", "--json"}),
                              service->command({"show", id, "--json"})}) {
        EXPECT_EQ(controls(shown), "") << shown;
        EXPECT_THAT(shown, Not(HasSubstr("\nforged")));
        EXPECT_THAT(shown, Not(HasSubstr("\nroot")));
    }
    EXPECT_THAT(service->command({"show", id}), HasSubstr("n\\x1b[2J\\x0aforged"));
}

TEST_F(HostileEndToEnd, VariablesOfAJobDoNotReachItsWrapper) {
    const auto evil = folder.path / "evil.sh";
    const auto seen = folder.path / "seen";
    writeFile(evil, "printf '%s\\n' \"$0\" >> " + seen.string() + "\n");
    const auto job = run({.script = {"bash -c true", "PATH=/nowhere:", "exit 5"},
                          .variables = {{.key = "BASH_ENV", .value = evil.string()},
                                        {.key = "ENV", .value = evil.string()},
                                        {.key = "LD_PRELOAD", .value = "/nowhere/evil.so"},
                                        {.key = "IFS", .value = "o"},
                                        {.key = "GB_OUT", .value = "/nowhere"},
                                        {.key = "gb_outcome", .value = "success"}}});
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 5);
    EXPECT_EQ(readFile(seen), "bash\n") << "only what the script itself starts";
}

// A payload lies sealed in the database and in the batch system's folder, not in memory. The
// promise is 200 jobs and 100 MB: GRIDBRIDGE_WAITING_JOBS=200.
TEST_F(HostileEndToEnd, WaitingJobsWithTenMegabytesOfVariablesEachAreNotInMemory) {
    const char* wanted = std::getenv("GRIDBRIDGE_WAITING_JOBS");
    const int jobs = wanted != nullptr ? std::atoi(wanted) : 8;
    const std::size_t allowed = jobs > 50 ? 100'000 : 40'000;  // KiB
    gitlab.emplace(clock, options());
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    service->configure("", "trusted_jobs = true\nmax_pending = 1000\n");
    auto text = readFile(service->config());
    text.replace(text.find("limit = 100"), 11, "limit = 900");
    text.replace(text.find("slots = 4"), 9, "slots = 1");
    writeFile(service->config(), text);
    start();
    const auto go = folder.path / "go";
    const auto first = gitlab->addJob(
        {.script = {"echo begun; until [ -e " + go.string() + " ]; do sleep 0.2; done"},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(first, "begun"));
    const auto before = resident();

    std::vector<JobId> waiting;
    for (int i = 0; i < jobs; ++i) {
        waiting.push_back(gitlab->addJob(
            {.script = {"true"},
             .variables = {{.key = "GIT_STRATEGY", .value = "none"},
                           {.key = "BIG", .value = std::string(10 * kMiB, 'x'), .file = true}}}));
    }
    const auto all = std::to_string(jobs) + "\n";
    ASSERT_TRUE(gitlab->waitUntil(
        [&] { return service->sql("SELECT count(*) FROM job WHERE state = 'queued'") == all; },
        std::chrono::seconds(60 + 10 * jobs)));
    const auto added = [&] { return resident() - std::min(before, resident()); };
    // The last of them are let go when their submission is over, a moment after it was stored.
    gitlab->waitUntil([&] { return added() < allowed; }, std::chrono::seconds(5));
    const auto kept = added();
    std::cout << jobs << " waiting jobs with 10 MB of variables each add " << kept / 1024
              << " MiB to " << before / 1024 << " MiB, at most "
              << (peak() - std::min(before, peak())) / 1024 << " MiB\n";
    expectSmall(kept, allowed);
    expectSmall(peak() - std::min(before, peak()), 150'000);

    // A start reads them one after the other, whatever their number.
    ASSERT_EQ(service->stop(), 0);
    const auto restarted = clock.wallNow();
    service->start();
    ASSERT_TRUE(gitlab->waitUntil(
        [&] {
            std::set<JobId> heard;
            for (const auto& request : gitlab->requests()) {
                if (request.at >= restarted && request.job != 0) {
                    heard.insert(request.job);
                }
            }
            return heard.size() == waiting.size() + 1;
        },
        std::chrono::seconds(60 + 10 * jobs)));
    std::cout << "a restart with them takes at most " << peak() / 1024 << " MiB\n";
    expectSmall(peak() - std::min(before, peak()), 100'000);
    gitlab->waitUntil([&] { return added() < allowed; }, std::chrono::seconds(5));
    expectSmall(added(), allowed);

    for (const auto id : waiting) {
        gitlab->cancel(id);
    }
    writeFile(go, "");
    EXPECT_EQ(finished(first).status, Status::Success);
    for (const auto id : waiting) {
        EXPECT_EQ(finished(id).status, Status::Canceled);
    }
}

}  // namespace
}  // namespace gridbridge::testing
