#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/app/Config.h"
#include "bridge/app/ConfigSection.h"
#include "bridge/base/Process.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge::app {

/// What a backend uses besides its configuration. `folders`, `processes` and `clock` must outlive
/// it.
struct BackendUses {
    folder::JobFolders& folders;
    ProcessRunner& processes;
    Clock& clock;
    std::string account = {};  ///< The Unix account whose jobs they are; empty = the service's own.
    std::string node = {};     ///< This machine's name.
    std::function<void(const std::string&)> tell = {};  ///< For the service's log.
    bool listens = false;            ///< The service: no command beside it listens in its place.
    std::uint64_t minFreeSpace = 0;  ///< Bytes.
    ChangeListener changed = {};
};

/// One `type` of `[backends.NAME]`: all that the program knows of it. docs/backend-contract.md says
/// how to add one.
struct BackendType {
    std::string_view name;
    std::unique_ptr<Backend> (*make)(const BackendConfig& backend, const BackendUses& uses);
    /// Takes its own keys, which have its name in knownKeys(), and those of all schedulers.
    void (*take)(ConfigSection& section, BackendConfig& backend) = nullptr;
    /// Which of these differ.
    KeyChanges (*changes)(const BackendConfig& now, const BackendConfig& next) = nullptr;
    /// What jobs can ask it for besides a wall time.
    std::set<core::Resource> (*resources)(const BackendConfig& backend) = nullptr;
    bool runsScripts = true;
    /// Its commands are run on this machine, and so may its jobs be.
    bool onThisMachine = true;
    /// For people: a batch system that is there without us; empty = there is none to ask.
    std::string_view scheduler = {};
    std::string_view keysToSee = {};  ///< Where asking it fails for good.

    bool isScheduler() const { return !scheduler.empty(); }
};

/// Every type there is.
const std::vector<BackendType>& backendTypes();

/// The one of that name, which must be there.
const BackendType& backendType(std::string_view name);

}  // namespace gridbridge::app
