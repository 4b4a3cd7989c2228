#include "bridge/app/OpenJobs.h"

#include <algorithm>
#include <map>
#include <string>

namespace gridbridge::app {

namespace {

std::string counted(int jobs, const std::string& one, const std::string& many) {
    return std::to_string(jobs) + (jobs == 1 ? " open job " + one : " open jobs " + many);
}

ConfigProblem missing(const Config& config, const std::string& section, const std::string& kind,
                      const std::string& name, int jobs) {
    return {
        {config.file},
        section,
        counted(jobs, "needs", "need") + " the " + kind + " " + name + ", which is not configured",
        "put its section back until gridbridge jobs shows none of them"};
}

ConfigProblem moved(const RunnerConfig& runner, const std::string& server, int jobs) {
    return {{runner.tokenPlace.file},
            "runners." + runner.name,
            counted(jobs, "is one", "are some") + " of " + server + ", and the runner is one of " +
                runner.url + " now",
            "put the old address back until gridbridge jobs shows none of them; gridbridge drain " +
                runner.name + " takes no more"};
}

/// Databases of earlier versions hold addresses as they were written.
std::string spelled(const std::string& server) {
    return serverUrl(server).value_or(server);
}

}  // namespace

std::vector<ConfigProblem> openJobProblems(const Config& config,
                                           const std::vector<store::JobRecord>& open) {
    std::map<std::string, std::map<std::string, int>> runners;
    std::map<std::string, int> backends;
    for (const auto& job : open) {
        ++runners[job.runner][spelled(job.serverUrl)];
        ++backends[job.backend];
    }
    std::vector<ConfigProblem> problems;
    for (const auto& [name, servers] : runners) {
        const auto runner =
            std::find_if(config.runners.begin(), config.runners.end(),
                         [&name = name](const RunnerConfig& each) { return each.name == name; });
        int orphans = 0;
        for (const auto& [server, jobs] : servers) {
            if (runner == config.runners.end()) {
                orphans += jobs;
            } else if (server != runner->url) {
                problems.push_back(moved(*runner, server, jobs));
            }
        }
        if (orphans > 0) {
            problems.push_back(missing(config, "runners", "runner", name, orphans));
        }
    }
    for (const auto& [name, jobs] : backends) {
        if (config.backend(name) == nullptr) {
            problems.push_back(missing(config, "backends", "backend", name, jobs));
        }
    }
    return problems;
}

}  // namespace gridbridge::app
