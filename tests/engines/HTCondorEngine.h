#pragma once

#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// A pool of one machine.
class HTCondorEngine final : public SchedulerEngine {
public:
    static HTCondorEngine& get();

    std::string condorConfig() const { return (folder() / "etc/condor_config").string(); }
    void killAll() { kill("condor_[a-z_]*"); }
    /// Also waits until the schedd answers.
    void repair() override;
    /// Lines of condor_config besides its own, for running daemons; empty = no more.
    void configure(const std::string& lines);

    std::string backendLines(int jobs, const std::filesystem::path& commands,
                             const std::vector<std::string>& options) override;
    std::string shortWallTime() const override { return "+AllowedJobDuration = 10"; }
    std::filesystem::path commandFolder() const override { return folder() / "bin"; }
    std::vector<std::string> commands() const override {
        return {"condor_submit", "condor_q", "condor_history", "condor_rm"};
    }
    std::vector<std::string> daemons() const override {
        return {"condor_schedd", "condor_startd", "condor_collector", "condor_negotiator",
                "condor_master"};
    }
    /// Waits for one to run: the master starts daemons again within some seconds.
    void kill(const std::string& daemon, const std::string& signal = "KILL") override;
    /// The schedd writes down all it knows at once.
    void awaitSaved() override {}
    void hold(const std::string& id) override { run("condor_hold " + id); }
    void letGo(const std::string& id) override { run("condor_release " + id); }
    void remove(const std::string& id) override { run("condor_rm " + id); }
    void interrupt(const std::string& id) override { run("condor_vacate_job " + id); }
    void removeAll() override { run("condor_rm -all"); }
    void watchMemory() override { configure("use policy: HOLD_IF_MEMORY_EXCEEDED\n"); }
    void beFull() override;
    void asUsual() override { configure(""); }
    int open() override;

private:
    HTCondorEngine();
    std::vector<std::string> environment() const override;
    std::string programs() const override { return commandFolder().string() + ":"; }

    std::string config_;  ///< Its own text, once there are others.
};

}  // namespace gridbridge::testing
