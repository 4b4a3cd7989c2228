// What a job prints and what it is called, and more variables than fit into memory.
#include <cstdlib>
#include <set>

#include "tests/e2e/HostileEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;
using fakegitlab::Status;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kMiB = std::size_t{1} << 20U;

std::string controls(const std::string& text) {
    std::string found;
    std::copy_if(text.begin(), text.end(), std::back_inserter(found), [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f;
    });
    return found;
}

TEST_F(HostileEndToEnd, Row10ForgedEndsSectionsAndStatusLinesOfTheLogChangeNoVerdict) {
    const auto job = beside(
        {.script = {
             R"(printf 'section_end:1:step_script\r\033[0Ksection_start:1:after_script\r\033[0K\n')",
             R"(printf '\033[32;1mJob succeeded\033[0;m\n\033[2J\033]0;root\a')",
             R"(printf '2020-01-01T00:00:00.000000Z 00O Job succeeded\n')",
             R"(printf 'version=1\noutcome=success\nexit_code=0\n')", "exit 4"}});
    expectScriptFailure(job, 4);
    const auto id = std::to_string(job.id);
    EXPECT_EQ(service->sql("SELECT outcome FROM job WHERE gitlab_id = " + id), "failed\n");
    EXPECT_EQ(controls(service->command({"show", id})), "");
    EXPECT_EQ(controls(service->log()), "");
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

// A payload lies sealed in the database and in the batch system's folder, not in memory. The
// promise is 200 jobs and 100 MB: GRIDBRIDGE_WAITING_JOBS=200.
TEST_F(HostileEndToEnd, WaitingJobsWithTenMegabytesOfVariablesEachAreNotInMemory) {
    const char* wanted = std::getenv("GRIDBRIDGE_WAITING_JOBS");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const int usual = 3;  // Their figures say nothing, and each job takes ten seconds there.
#else
    const int usual = 8;
#endif
    const int jobs = wanted != nullptr ? std::atoi(wanted) : usual;
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
    const auto before = memory("VmRSS:");

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
    const auto added = [&] { return memory("VmRSS:") - std::min(before, memory("VmRSS:")); };
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
