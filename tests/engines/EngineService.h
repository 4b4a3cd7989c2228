#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/e2e/Service.h"

namespace gridbridge::testing {

/// The real executable, the stand-in GitLab and a real batch system. Jobs count their starts where
/// every account may write.
class EngineService : public EndToEnd {
protected:
    using JobId = fakegitlab::JobId;

    /// Starts the service with this backend; `work_dir` and `poll_interval` are there.
    void begin(const std::string& backendLines) {
        std::filesystem::permissions(folder.path, std::filesystem::perms(0711));
        std::filesystem::create_directories(counters());
        std::filesystem::permissions(counters(), std::filesystem::perms::all);
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        // The account of the jobs must be able to run it, wherever it was built.
        const auto executable = folder.path / "gridbridge";
        std::filesystem::copy_file(GRIDBRIDGE_EXECUTABLE, executable);
        service->launchWith({}, executable);
        writeFile(service->config(),
                  "check_interval = 1\nstate_dir = \"" + service->stateDir().string() +
                      "\"\nlog_level = \"debug\"\n[[runners]]\nname = \"pool\"\nurl = \"" +
                      gitlab->url() +
                      "\"\ntoken = \"glrt-test\"\nbackend = \"here\"\n[backends.here]\n"
                      "work_dir = \"" +
                      service->workDir().string() + "\"\npoll_interval = 1\n" + backendLines);
        service->start();
    }
    /// A job that counts its starts and prints ten lines, `pause` seconds between them.
    JobId add(const std::string& name, const std::string& pause) {
        fakegitlab::JobSpec spec;
        spec.name = name;
        spec.script = {"echo >>" + counter(name).string(),
                       "for i in 0 1 2 3 4 5 6 7 8 9; do echo line $i; sleep " + pause + "; done"};
        spec.variables = {{.key = "GIT_STRATEGY", .value = "none"}};
        return gitlab->addJob(std::move(spec));
    }
    long starts(const std::string& name) const {
        return static_cast<long>(readFile(counter(name)).size());
    }
    long count(const std::string& state) {
        const auto rows = service->sql("SELECT state FROM job WHERE state = '" + state + "'");
        return std::count(rows.begin(), rows.end(), '\n');
    }
    bool ends(const std::vector<JobId>& ids) {
        return gitlab->waitUntil(
            [&] {
                return std::all_of(ids.begin(), ids.end(),
                                   [&](const JobId id) { return isEnded(gitlab->status(id)); }) &&
                       count("done") == std::ssize(ids);
            },
            std::chrono::seconds(240));
    }
    static bool isWhole(const fakegitlab::JobSnapshot& job) {
        std::string all;
        for (int i = 0; i < 10; ++i) {
            all += "line " + std::to_string(i) + "\n";
        }
        return says(job, all);
    }

private:
    std::filesystem::path counters() const { return folder.path / "counters"; }
    std::filesystem::path counter(const std::string& name) const { return counters() / name; }
};

}  // namespace gridbridge::testing
