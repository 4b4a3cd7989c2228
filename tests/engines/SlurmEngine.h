#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "bridge/base/Process.h"

namespace gridbridge::testing {

class TempDir;

/// The one Slurm of a test program: two nodes of four processors, started by slurm.sh before the
/// first test and ended after the last; with SLURM_ENGINE_ACCOUNTING=1 in the environment it keeps
/// accounts.
class SlurmEngine {
public:
    SlurmEngine();
    ~SlurmEngine();
    SlurmEngine(const SlurmEngine&) = delete;
    SlurmEngine& operator=(const SlurmEngine&) = delete;
    /// Of the running program. Must have been started.
    static SlurmEngine& get();

    /// The exit code of slurm.sh, 69 where Slurm is not installed; `why` is what it said.
    int start(std::string& why);
    void stop();

    std::string slurmConf() const { return (folder_ / "etc/slurm.conf").string(); }
    /// A command with this cluster's settings, as our own account.
    Finished run(const std::string& shellCommand, int seconds = 60);
    /// When the controller last wrote its jobs to disk, which it does some seconds after a change.
    std::filesystem::file_time_type savedAt() const {
        return std::filesystem::last_write_time(folder_ / "state/job_state");
    }
    /// A signal to `slurmctld`, `slurmd-n1`, `slurmd-n2`, `munged` or `slurmdbd`.
    void kill(const std::string& daemon, const std::string& signal = "KILL");
    /// Starts what does not run; the controller with these lines of slurm.conf besides. Waits until
    /// all nodes take jobs.
    void repair(const std::string& settings = "");

private:
    int engine(const std::string& verb, std::string& said);

    std::unique_ptr<TempDir> temp_;
    std::filesystem::path folder_;
    std::string settings_;
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
};

}  // namespace gridbridge::testing
