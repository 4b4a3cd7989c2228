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
    /// A command with this pool's settings and programs, as our own account: an administrator.
    Finished run(const std::string& shellCommand, int seconds = 60);

private:
    /// Another version can be chosen from outside, see htcondor.sh.
    static std::string suite();
    int engine(const std::string& verb, std::string& said);

    std::unique_ptr<TempDir> temp_;
    std::filesystem::path folder_;
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
};

}  // namespace gridbridge::testing
