#include "bridge/app/ConfigBackend.h"

#include <algorithm>
#include <array>
#include <span>
#include <thread>

#include "bridge/app/Backends.h"
#include "bridge/app/ConfigAccounts.h"
#include "bridge/app/ConfigContainer.h"
#include "bridge/app/ConfigResources.h"
#include "bridge/app/ConfigSite.h"

namespace gridbridge::app {

namespace {

using std::filesystem::path;

/// GitLab's longest timeout of a job.
constexpr std::chrono::seconds kLongestPatience = std::chrono::hours(24 * 30);
/// Schedulers ask their users not to look all the time.
constexpr std::chrono::seconds kSchedulerPoll{10};

/// Keys of every batch system that is driven by commands.
constexpr std::array<std::string_view, 2> kCommandKeys{"submit_options", "bin_dir"};
/// Of every one that has no queue of its own.
constexpr std::array<std::string_view, 1> kSlotKeys{"slots"};
/// Of every one whose jobs may run on this machine.
constexpr std::array<std::string_view, 3> kAccountKeys{"run_as", "project_run_as", "trusted_jobs"};
/// Of every one that runs scripts.
constexpr std::array<std::string_view, 13> kScriptKeys{
    "run_as",         "project_run_as", "trusted_jobs",    "container",  "container_command",
    "container_pull", "container_stop", "container_binds", "shell_init", "scratch",
    "min_scratch",    "home",           "builds_dir"};

std::vector<std::string_view> typeNames() {
    std::vector<std::string_view> names;
    for (const BackendType& type : backendTypes()) {
        names.push_back(type.name);
    }
    return names;
}

/// `"a", "b" and "c"`: the types that are driven by commands.
std::string schedulerNames() {
    std::string names;
    std::string last;
    for (const BackendType& type : backendTypes()) {
        if (type.isScheduler() && type.onThisMachine) {
            names += (names.empty() ? "" : ", ") + last;
            last = "\"" + std::string(type.name) + "\"";
        }
    }
    return names + " and " + last;
}

bool isFor(const KnownKey& key, std::string_view type) {
    const auto all = " " + std::string(key.type) + " ";
    return all.find(" " + std::string(type) + " ") != std::string::npos;
}

/// `"a" and "b"` of `a b`, or the only one.
std::string quotedTypes(std::string names) {
    if (const auto blank = names.find(' '); blank != std::string::npos) {
        names.replace(blank, 1, "\" and \"");
    }
    return "\"" + names + "\"";
}

path resolved(const path& folder) {
    std::error_code ignored;
    const path real = std::filesystem::weakly_canonical(folder, ignored);
    return ignored ? folder : real;
}

/// How long a job may wait, and how often it is submitted.
void patience(ConfigSection& section, BackendConfig& backend) {
    backend.pendingLimit =
        section.duration("pending_limit", std::chrono::seconds(1), kLongestPatience)
            .value_or(backend.pendingLimit);
    backend.minimumRunTime =
        section.duration("minimum_run_time", std::chrono::seconds(0), kLongestPatience)
            .value_or(backend.minimumRunTime);
    take(backend.infrastructureRetries, section.integer("infrastructure_retries", 0, 10));
}

void refuse(ConfigSection& section, std::span<const std::string_view> keys,
            const std::string& why) {
    for (const std::string_view key : keys) {
        if (section.has(key)) {
            section.report(key, why, "remove it");
        }
    }
}

/// The keys that not every type has.
void ofType(ConfigSection& section, BackendConfig& backend, const Host& host) {
    const BackendType& type = backendType(backend.type);
    const auto quoted = "type = \"" + backend.type + "\"";
    if (type.runsScripts && type.onThisMachine) {
        takeAccounts(section, backend, host);
    } else if (type.runsScripts) {
        refuse(section, kAccountKeys, "says nothing for " + quoted + ", whose jobs run elsewhere");
    }
    if (type.runsScripts) {
        takeContainer(section, backend);
    } else {
        refuse(section, kScriptKeys, "says nothing for " + quoted + ", which runs no script");
    }
    if (type.isScheduler()) {
        refuse(section, kSlotKeys, "says nothing for " + quoted + ", which has its own");
    }
    if (!type.isScheduler() || !type.onThisMachine) {
        refuse(section, kCommandKeys, "is for type = " + schedulerNames() + " only");
    }
    for (const KnownKey& key : knownKeys()) {
        if (!key.type.empty() && !isFor(key, type.name)) {
            refuse(section, std::span(&key.name, 1),
                   "is for type = " + quotedTypes(std::string(key.type)) + " only");
        }
    }
    if (type.take != nullptr) {
        type.take(section, backend);
    }
    if (type.runsScripts) {
        takeSite(section, backend);
        checkBoundFolders(section, backend);
    }
    takeResources(section, backend);
}

void workFolder(ConfigSection& section, BackendConfig& backend, const Config& config) {
    if (!section.has("work_dir")) {
        section.report("work_dir", "is missing",
                       "name a folder for the jobs' files, outside state_dir");
    }
    const auto folder = section.absolutePath("work_dir");
    if (!folder) {
        return;
    }
    backend.workDir = *folder;
    if (overlap(*folder, config.stateDir)) {
        section.report("work_dir",
                       "the work folder " + folder->string() + " and the state folder " +
                           config.stateDir.string() + " lie within each other",
                       "jobs must never see the state folder: move one of them");
    }
    for (const BackendConfig& other : config.backends) {
        if (!other.workDir.empty() && overlap(*folder, other.workDir)) {
            section.report("work_dir",
                           "the work folders of backends." + other.name + " and backends." +
                               backend.name + " lie within each other",
                           "give each backend its own");
        }
    }
}

}  // namespace

bool overlap(const path& a, const path& b) {
    const auto within = [](const path& inner, const path& outer) {
        const path way = inner.lexically_relative(outer);
        return !way.empty() && *way.begin() != "..";
    };
    const path realA = resolved(a);
    const path realB = resolved(b);
    return within(realA, realB) || within(realB, realA);
}

BackendConfig takeBackend(ConfigSection& section, const std::string& name, const Config& config,
                          const Host& host) {
    BackendConfig backend;
    backend.name = name;
    backend.slots = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    if (!section.has("type")) {
        section.report("type", "is missing", "write type = \"local\"");
    }
    backend.type = section.choice("type", typeNames()).value_or("local");
    workFolder(section, backend, config);
    backend.pollInterval =
        section.duration("poll_interval", std::chrono::seconds(1), kLongestInterval)
            .value_or(backendType(backend.type).isScheduler() ? kSchedulerPoll
                                                              : backend.pollInterval);
    take(backend.maxPending, section.integer("max_pending", 1, kMostJobs));
    patience(section, backend);
    take(backend.slots, section.integer("slots", 1, kMostJobs));
    backend.trustedJobs = section.flag("trusted_jobs").value_or(false);
    ofType(section, backend, host);
    return backend;
}

}  // namespace gridbridge::app
