#pragma once

#include <filesystem>
#include <string>

#include "bridge/base/Process.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// The one Slurm of a test program: two nodes of four processors, started by slurm.sh before the
/// first test and ended after the last.
class SlurmEngine {
public:
    /// Of the running program. Must have been started.
    static SlurmEngine& get();

    /// The exit code of slurm.sh, 69 where Slurm is not installed; `why` is what it said.
    int start(std::string& why);
    void stop();

    std::string slurmConf() const { return (folder_ / "etc/slurm.conf").string(); }
    /// A command with this cluster's settings, as our own account.
    Finished run(const std::string& shellCommand, int seconds = 60);
    /// `slurm.sh VERB` for it; the exit code.
    int engine(const std::string& verb);
    void kill(const std::string& daemon, const std::string& signal = "KILL");
    const std::filesystem::path& folder() const { return folder_; }

private:
    TempDir temp_;
    std::filesystem::path folder_ = temp_.path() / "slurm";
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
};

}  // namespace gridbridge::testing
