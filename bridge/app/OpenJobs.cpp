#include "bridge/app/OpenJobs.h"

#include <algorithm>
#include <map>

namespace gridbridge::app {

namespace {

ConfigProblem missing(const Config& config, const std::string& section, const std::string& kind,
                      const std::string& name, int jobs) {
    return {{config.file},
            section,
            std::to_string(jobs) + (jobs == 1 ? " open job needs the " : " open jobs need the ") +
                kind + " " + name + ", which is not configured",
            "put its section back until gridbridge jobs shows none of them"};
}

}  // namespace

std::vector<ConfigProblem> missingOwners(const Config& config,
                                         const std::vector<store::JobRecord>& open) {
    std::map<std::string, int> runners;
    std::map<std::string, int> backends;
    for (const auto& job : open) {
        ++runners[job.runner];
        ++backends[job.backend];
    }
    std::vector<ConfigProblem> problems;
    for (const auto& [name, jobs] : runners) {
        const bool known =
            std::any_of(config.runners.begin(), config.runners.end(),
                        [&name = name](const RunnerConfig& each) { return each.name == name; });
        if (!known) {
            problems.push_back(missing(config, "runners", "runner", name, jobs));
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
