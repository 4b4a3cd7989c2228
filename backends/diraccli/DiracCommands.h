#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/api/SchedulerCommands.h"
#include "backends/diraccli/DiracProxy.h"
#include "backends/diracx/DiracxJdl.h"

namespace gridbridge {

struct DiracCliConfig : DiracJobConfig {
    std::string binDir = {};                    ///< Where the commands are; empty = in PATH.
    std::vector<std::string> environment = {};  ///< NAME=value that they need.
    std::filesystem::path proxy = {};           ///< The file of the proxy, of a robot.
    std::string group = {};                     ///< Of DIRAC, which the proxy must be of.
    bool operator==(const DiracCliConfig&) const = default;
};

/// A private folder, which ends with this, and all in it.
class DiracScratch {
public:
    /// In `parent`, which is made. Check good() before anything else.
    explicit DiracScratch(const std::filesystem::path& parent);
    ~DiracScratch();
    DiracScratch(const DiracScratch&) = delete;
    DiracScratch& operator=(const DiracScratch&) = delete;

    Result<void> good() const;
    const std::filesystem::path& path() const { return path_; }
    /// A new file, 0600.
    Result<void> write(const std::string& name, std::string_view text) const;

    /// Removes what a service that was killed has left in `parent`; what another process uses
    /// stays.
    static void sweep(const std::filesystem::path& parent);

private:
    std::filesystem::path path_;  ///< Empty: it could not be made.
    std::string why_;
    int lock_ = -1;  ///< Held as long as it is in use.
};

/// What the commands of one call share: the proxy as it was read, of which the folder has a copy
/// that they show, so that whose it is cannot change between.
struct DiracSession {
    DiracProxy proxy;
    std::unique_ptr<DiracScratch> scratch;
};

/// DIRAC's commands, as the service's own account. What they leave behind, as caches and sandboxes,
/// lies in the session's folder. Each runs with `diracGuard()`, which their Python loads through
/// PYTHONPATH.
class DiracCommands {
public:
    /// Folders of sessions are made in `workDir`, and what is left of others is removed there.
    /// `runner` and `clock` must outlive it.
    DiracCommands(const DiracCliConfig& config, std::filesystem::path workDir,
                  ProcessRunner& runner, Clock& clock);

    /// With the proxy that is there now. Errors as those of readDiracProxy(), and Transient.
    Result<DiracSession> begin() const;
    /// What the command printed, whatever its exit code. Errors as those of SchedulerCommands::run;
    /// misconfigured, too: its Python loaded no guard.
    Result<Finished> run(const CallContext& ctx, const DiracSession& session,
                         const std::vector<std::string>& argv);
    /// The same, and Transient where it failed.
    Result<Finished> ask(const CallContext& ctx, const DiracSession& session,
                         const std::vector<std::string>& argv);

private:
    std::vector<std::string> variablesFor(const DiracScratch& scratch) const;

    const DiracCliConfig config_;
    const std::filesystem::path workDir_;
    Clock& clock_;
    SchedulerCommands commands_;
};

}  // namespace gridbridge
