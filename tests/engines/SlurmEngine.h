#pragma once

#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// Two nodes; with SLURM_ENGINE_ACCOUNTING=1 in the environment it keeps accounts.
class SlurmEngine final : public SchedulerEngine {
public:
    static SlurmEngine& get();

    std::string slurmConf() const { return (folder() / "etc/slurm.conf").string(); }
    /// Waits until all nodes take jobs.
    void repair() override { repair(""); }
    /// A controller that is started has these lines of slurm.conf besides.
    void repair(const std::string& settings);

    std::string backendLines(int jobs, const std::filesystem::path& commands,
                             const std::vector<std::string>& options) override;
    std::string shortWallTime() const override { return "--time=2"; }
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
    void interrupt(const std::string& id) override {
        run("scontrol update jobid=" + id + " requeue=1; scontrol requeue " + id);
    }
    void removeAll() override { run("squeue -h -o %A | xargs -r scancel"); }
    void watchMemory() override {}  // It always does.
    void beFull() override;
    void asUsual() override;
    int open() override;

private:
    SlurmEngine();
    std::vector<std::string> environment() const override;

    std::string settings_;
    bool full_ = false;
};

}  // namespace gridbridge::testing
