#include "bridge/app/ConfigCache.h"

#include <algorithm>
#include <optional>
#include <set>

#include "bridge/app/Backends.h"
#include "bridge/app/ConfigBackend.h"

namespace gridbridge::app {

namespace {

constexpr std::uint64_t kSmallestLimit = std::uint64_t{1} << 20U;
constexpr std::uint64_t kLargestLimit = std::uint64_t{1} << 50U;
constexpr std::chrono::seconds kLeastAge = std::chrono::hours(1);
constexpr std::chrono::seconds kMostAge = std::chrono::hours(24 * 3650);

bool isOneProject(const std::string& pattern) {
    return pattern.find_first_of("*?[{\\") == std::string::npos;
}

/// Capitals do not matter to GitLab.
std::string lowered(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

/// `SERVER PROJECT` of each project whose jobs the runner can run as the account; nothing = nobody
/// can say how many.
std::optional<std::set<std::string>> projectsAs(const RunnerConfig& runner,
                                                const core::RunAs& runAs,
                                                const std::string& account) {
    const auto& allowed = runner.access.allowedProjects;
    const auto isAllowed = [&](const std::string& project) {
        return allowed.empty() ||
               std::any_of(allowed.begin(), allowed.end(),
                           [&](const auto& each) { return core::fits(each, project); });
    };
    std::set<std::string> projects;
    const auto add = [&](const std::string& project) {
        const auto its = runAs.of(project);
        if (its.ok() && *its == account) {
            projects.insert(runner.url + " " + lowered(project));
        }
    };
    if (!allowed.empty() && std::all_of(allowed.begin(), allowed.end(), isOneProject)) {
        std::for_each(allowed.begin(), allowed.end(), add);
        return projects;
    }
    if (account == runAs.usual) {
        return std::nullopt;
    }
    for (const auto& [pattern, its] : runAs.projects) {
        if (its == account && !isOneProject(pattern)) {
            return std::nullopt;
        }
        if (its == account && isAllowed(pattern)) {
            add(pattern);
        }
    }
    return projects;
}

/// Whether jobs of more than one project, of any runner, run as this account, as one of `runner`
/// does.
bool isShared(const Config& config, const RunnerConfig& runner, const core::RunAs& runAs,
              const std::string& account) {
    const auto own = projectsAs(runner, runAs, account);
    if (own && own->empty()) {
        return false;
    }
    std::set<std::string> all;
    for (const auto& each : config.runners) {
        const auto* backend = config.backend(each.backend);
        const auto accounts =
            backend == nullptr ? std::vector<std::string>() : backend->runAs.all();
        if (std::find(accounts.begin(), accounts.end(), account) == accounts.end()) {
            continue;
        }
        auto projects = projectsAs(each, backend->runAs, account);
        if (!projects) {
            return true;
        }
        all.merge(*projects);
    }
    return all.size() > 1;
}

void takeBounds(ConfigSection& section, RunnerConfig& runner) {
    const auto limit = section.size("cache_limit", kSmallestLimit, kLargestLimit);
    const auto age = section.duration("cache_age", kLeastAge, kMostAge);
    runner.cacheLimit = limit.value_or(runner.cacheLimit);
    runner.cacheAge = age.value_or(runner.cacheAge);
    for (const auto& [key, isGiven] :
         {std::pair("cache_limit", limit.has_value()), std::pair("cache_age", age.has_value())}) {
        if (isGiven && !section.has("cache_dir")) {
            section.report(key, "says nothing without cache_dir", "remove it");
        }
    }
}

}  // namespace

void takeCache(ConfigSection& section, RunnerConfig& runner, const Config& config) {
    takeBounds(section, runner);
    const auto folder = section.absolutePath("cache_dir");
    if (!folder) {
        return;
    }
    runner.cacheDir = *folder;
    const auto apart = [&](const std::filesystem::path& other, const std::string& name) {
        if (!other.empty() && overlap(*folder, other)) {
            section.report("cache_dir",
                           "the folder of caches and " + name + " " + other.string() +
                               " lie within each other",
                           "move one of them");
        }
    };
    apart(config.stateDir, "the state folder");
    for (const auto& backend : config.backends) {
        apart(backend.workDir, "the work folder");
        // In a job it would hide them.
        apart(backend.site.buildsDir, "the builds_dir");
    }
    for (const auto& other : config.runners) {
        // Numbers of projects are those of one server.
        if (!other.cacheDir.empty() && overlap(*folder, other.cacheDir) &&
            (other.url != runner.url || *folder != other.cacheDir)) {
            section.report("cache_dir",
                           "is the folder of the runner " + other.name +
                               (other.url == runner.url ? " in part" : ", whose GitLab is another"),
                           "give each GitLab a folder of its own");
        }
    }
    const auto* backend = config.backend(runner.backend);
    if (backend != nullptr && !backendType(backend->type).runsScripts) {
        section.report("cache_dir", "says nothing for a backend that runs no script", "remove it");
    }
}

std::string sharedAccount(const Config& config, const RunnerConfig& runner) {
    const auto* backend = config.backend(runner.backend);
    if (runner.cacheDir.empty() || backend == nullptr) {
        return "";
    }
    for (const auto& account : backend->runAs.all()) {
        if (!account.empty() && isShared(config, runner, backend->runAs, account)) {
            return account;
        }
    }
    return "";
}

void checkCaches(ConfigReading& reading) {
    for (const auto& runner : reading.config.runners) {
        const auto account = sharedAccount(reading.config, runner);
        if (account.empty()) {
            continue;
        }
        const auto key = "runners." + runner.name + ".cache_dir";
        const auto place = reading.places.find(key);
        reading.problems.push_back(
            {place == reading.places.end() ? Place{reading.config.file, 0} : place->second, key,
             "jobs of several projects run as the account " + account +
                 ", and each of them could read and change the caches of the others",
             "name one project in allowed_projects, or give each project that is allowed an "
             "account of its own with project_run_as, or remove it"});
    }
}

}  // namespace gridbridge::app
