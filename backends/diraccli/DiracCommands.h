#pragma once

#include <filesystem>
#include <mutex>
#include <string>
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
    Result<void> write(const std::string& name, const std::string& text) const;

private:
    std::filesystem::path path_;  ///< Empty: it could not be made.
    std::string why_;
};

/// DIRAC's commands, as the service's own account. What they leave behind, as caches and sandboxes,
/// lies in a scratch folder. Each runs with a guard that is loaded by their Python through
/// PYTHONPATH: archives, which come from nodes, are unpacked to plain files of plain names in the
/// folder that they are to go to, 256 MiB at most, or not at all.
class DiracCommands {
public:
    /// `runner` and `clock` must outlive it.
    DiracCommands(const DiracCliConfig& config, ProcessRunner& runner, Clock& clock);

    /// The proxy that is there now.
    Result<DiracProxy> proxy() const;
    /// What the command printed, whatever its exit code. Errors as those of SchedulerCommands::run,
    /// with those of proxy(); misconfigured, too: its Python loaded no guard.
    Result<Finished> run(const CallContext& ctx, const DiracProxy& proxy,
                         const DiracScratch& scratch, const std::vector<std::string>& argv);
    /// The same, and Transient where it failed.
    Result<Finished> ask(const CallContext& ctx, const DiracProxy& proxy,
                         const DiracScratch& scratch, const std::vector<std::string>& argv);

private:
    std::vector<std::string> variablesFor(const DiracScratch& scratch) const;

    const DiracCliConfig config_;
    Clock& clock_;
    SchedulerCommands commands_;
};

}  // namespace gridbridge
