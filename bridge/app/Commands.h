#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "bridge/app/Config.h"
#include "bridge/app/GitLabAccess.h"
#include "bridge/app/JobName.h"
#include "bridge/base/Clock.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::app {

/// Why a backend takes no jobs.
struct BackendFault {
    /// The key that has to be changed before the service can start; empty = it is the batch
    /// system that is ill, and the service waits for it.
    std::string key = {};
    std::string what = {};
    std::string cure = {};
};
struct BackendHealth {
    std::optional<BackendFault> fault = {};
    /// How each account of its jobs but the service's own is reached, for people.
    std::vector<std::string> accounts = {};
};
using BackendProbe = std::function<BackendHealth(const Config&, const BackendConfig&)>;

/// What commands use of the world. All references must outlive it.
struct CommandWorld {
    std::ostream& out;
    std::ostream& err;
    std::istream& in;
    Clock& clock;
    Host host;
    GitLabAccess& gitlab;
    BackendProbe probeBackend;
    /// Reads the configuration again as a start would. Throws ConfigError.
    using Reread = std::function<Config()>;
    std::function<int(const Config&, const Reread&)> runService;
};

/// Parses `arguments` (without the program's name), does what they ask, and returns the exit code.
/// Failures are one sentence on `err` each; nothing is thrown.
int runCommandLine(const std::vector<std::string>& arguments, const CommandWorld& world);

struct JobsRequest {
    store::JobFilter filter;
    bool json = false;
};

/// The commands themselves; each returns the exit code and may throw store::StoreError.
int listJobs(const std::filesystem::path& config, const JobsRequest& request,
             const CommandWorld& world);
int showJob(const std::filesystem::path& config, const JobName& job, bool json,
            const CommandWorld& world);
int printLog(const std::filesystem::path& config, const JobName& job, bool follow,
             const CommandWorld& world);
int cancelJob(const std::filesystem::path& config, const JobName& job, const CommandWorld& world);
/// `kind` is Drain or Resume; an empty `runner` means all.
int drainRunner(const std::filesystem::path& config, const std::string& runner,
                store::RequestKind kind, const CommandWorld& world);
int checkInstallation(const std::filesystem::path& config, const CommandWorld& world);
int runService(const std::filesystem::path& config, const CommandWorld& world);

}  // namespace gridbridge::app
