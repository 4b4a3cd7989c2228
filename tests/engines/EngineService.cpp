#include "tests/engines/EngineService.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <set>
#include <sstream>

namespace gridbridge::testing {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;

SchedulerEngine& SchedulerEngine::get() {
    return dynamic_cast<SchedulerEngine&>(ServiceEngine::get());
}

void EngineService::TearDown() {
    engine.repair();
    engine.removeAll();
    // Slurm may know jobs as running that had ended before its controller was killed.
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
    EndToEnd::TearDown();
}

void EngineService::serve(int jobs, const std::string& lines,
                          const std::filesystem::path& commands) {
    gitlab.emplace(clock, options());
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    writeFile(service->config(),
              "check_interval = 1\nstate_dir = \"" + service->stateDir().string() +
                  "\"\nlog_level = \"debug\"\n[[runners]]\nname = \"pool\"\nurl = \"" +
                  gitlab->url() + "\"\ntoken = \"glrt-test\"\nbackend = \"here\"\n" + runnerLines +
                  "[backends.here]\nwork_dir = \"" + service->workDir().string() + "\"\n" +
                  engine.backendLines(jobs, commands, submitOptions) + lines);
    openFolder("starts");
    service->start();
}

JobId EngineService::add(const std::string& name, std::vector<std::string> script,
                         fakegitlab::Seconds timeout) {
    JobSpec spec;
    spec.timeout = timeout;
    spec.name = name;
    spec.script = std::move(script);
    spec.script.insert(spec.script.begin(), "echo >>" + (folder.path / "starts" / name).string());
    spec.variables = {{.key = "GIT_STRATEGY", .value = "none"}};
    return gitlab->addJob(std::move(spec));
}

JobSnapshot EngineService::runCached(std::vector<std::string> script) {
    const auto id = gitlab->addJob({.project = "physics/detector",
                                    .script = std::move(script),
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .cache = {{.paths = {"lib/"}}}});
    EXPECT_TRUE(ends({id}));
    return gitlab->job(id);
}

std::string EngineService::cacheLines() {
    return "allowed_projects = [\"physics/detector\"]\ncache_dir = \"" + openFolder("caches") +
           "\"\n";
}

std::string EngineService::openFolder(const std::string& name) {
    using std::filesystem::perms;
    std::filesystem::create_directory(folder.path / name);
    std::filesystem::permissions(folder.path / name, perms::all | perms::sticky_bit);
    return (folder.path / name).string();
}

JobId EngineService::addPrinting(const std::string& name, const std::string& pause,
                                 const std::string& first) {
    return add(name,
               {first, "for i in 0 1 2 3 4 5 6 7 8 9; do echo line $i; sleep " + pause + "; done"});
}

long EngineService::starts(const std::string& name) const {
    return static_cast<long>(readFile(folder.path / "starts" / name).size());
}

long EngineService::count(const std::string& state) const {
    // A service that has just been started may have no database yet.
    return std::atol(
        service->sql("SELECT count(*) FROM job WHERE state = '" + state + "'").c_str());
}

::testing::AssertionResult EngineService::reaches(long jobs, const std::string& state) const {
    return waitFor([&] { return count(state) == jobs; },
                   std::to_string(jobs) + " jobs to be " + state);
}

std::string EngineService::submission(JobId id, const std::string& column) const {
    const auto row = service->sql("SELECT submission." + column +
                                  " FROM submission JOIN job ON job.id = submission.job "
                                  "WHERE job.gitlab_id = " +
                                  std::to_string(id) + " ORDER BY attempt DESC LIMIT 1");
    return row.substr(0, row.find('\n'));
}

::testing::AssertionResult EngineService::begins(JobId id, const std::string& name) const {
    return waitFor(
        [&] {
            return starts(name) > 0 && (!engine.tellsLive() || says(gitlab->job(id), "line 0"));
        },
        "the script of " + name);
}

bool EngineService::areDone(const std::vector<JobId>& ids) const {
    std::istringstream rows(service->sql("SELECT gitlab_id FROM job WHERE state = 'done'"));
    const std::set<JobId> done{std::istream_iterator<JobId>(rows), {}};
    return std::all_of(ids.begin(), ids.end(), [&](JobId id) { return done.contains(id); });
}

::testing::AssertionResult EngineService::ends(const std::vector<JobId>& ids, Millis limit) {
    const bool ended = gitlab->waitUntil(
        [&] {
            return std::all_of(ids.begin(), ids.end(),
                               [&](const JobId id) { return isEnded(gitlab->status(id)); }) &&
                   areDone(ids);
        },
        limit);
    return ended ? ::testing::AssertionSuccess()
                 : ::testing::AssertionFailure() << "not all has ended";
}

bool EngineService::isWhole(const JobSnapshot& job) {
    return printedLines(job) == 10;
}

int EngineService::printedLines(const JobSnapshot& job) {
    std::istringstream trace(plain(job.trace));
    int next = 0;
    for (std::string line; std::getline(trace, line);) {
        if (line.starts_with("line ")) {
            if (line != "line " + std::to_string(next)) {
                return -1;
            }
            ++next;
        }
    }
    return next;
}

int EngineService::chosen(const char* variable, int usual) {
    const char* const value = std::getenv(variable);
    return value == nullptr ? usual : std::atoi(value);
}

bool EngineService::isLost(const JobSnapshot& job) {
    return job.status == fakegitlab::Status::Failed &&
           (job.failureReason == "runner_system_failure" ||
            job.failureReason == "runner_interrupted") &&
           lastLine(job).starts_with("ERROR: Job failed (system failure): ");
}

}  // namespace gridbridge::testing
