#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "bridge/base/Process.h"

namespace gridbridge::testing {

class TempDir;

/// The one HTCondor pool of a test program: one machine of sixteen processors, started by
/// htcondor.sh before the first test and ended after the last.
class HTCondorEngine {
public:
    HTCondorEngine();
    ~HTCondorEngine();
    HTCondorEngine(const HTCondorEngine&) = delete;
    HTCondorEngine& operator=(const HTCondorEngine&) = delete;
    /// Of the running program. Must have been started.
    static HTCondorEngine& get();

    /// The exit code of htcondor.sh, 69 where HTCondor is not there; `why` is what it said.
    int start(std::string& why);
    void stop();

    std::string condorConfig() const { return (folder_ / "etc/condor_config").string(); }
    /// A signal to all processes of that name: condor_schedd, condor_startd, condor_shadow, … The
    /// master starts daemons again within some seconds.
    void kill(const std::string& name, const std::string& signal = "KILL");
    void killAll();
    /// Starts what does not run, and waits until the schedd answers.
    void repair();
    /// Lines of condor_config besides its own, for running daemons; empty = no more.
    void configure(const std::string& lines);
    /// A command with this pool's settings and programs, as our own account: an administrator.
    Finished run(const std::string& shellCommand, int seconds = 60);

private:
    /// Another version can be chosen from outside, see htcondor.sh.
    static std::string suite();
    int engine(const std::string& verb, std::string& said);

    void signal(const std::string& pattern, const std::string& signal);

    std::unique_ptr<TempDir> temp_;
    std::filesystem::path folder_;
    std::string config_;  ///< Its own text, once there are others.
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
};

}  // namespace gridbridge::testing
