#pragma once

#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// Two nodes; with SLURM_ENGINE_ACCOUNTING=1 in the environment it keeps accounts.
class SlurmEngine final : public ServiceEngine {
public:
    static SlurmEngine& get();

    std::string slurmConf() const { return (folder() / "etc/slurm.conf").string(); }
    /// Waits until all nodes take jobs.
    void repair() override { repair(""); }
    /// A controller that is started has these lines of slurm.conf besides.
    void repair(const std::string& settings);

    std::string backendLines(int jobs, const std::filesystem::path& commands) const override;
    std::filesystem::path commandFolder() const override { return "/usr/bin"; }
    std::vector<std::string> commands() const override {
        return {"sbatch", "squeue", "scancel", "sacct", "sinfo"};
    }
    std::vector<std::string> daemons() const override {
        return {"slurmctld", "slurmd-n1", "slurmd-n2", "munged"};
    }
    /// Also of slurmdbd.
    void kill(const std::string& daemon, const std::string& signal = "KILL") override {
        killByPidFile(daemon, signal);
    }
    /// The controller writes some seconds after a change.
    void awaitSaved() override;
    void hold(const std::string& id) override { run("scontrol hold " + id); }
    void letGo(const std::string& id) override { run("scontrol release " + id); }
    void remove(const std::string& id) override { run("scancel " + id); }
    void removeAll() override { run("squeue -h -o %A | xargs -r scancel"); }
    int open() override;

private:
    SlurmEngine();
    std::vector<std::string> environment() const override;

    std::string settings_;
};

}  // namespace gridbridge::testing
