#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bridge/base/Process.h"

namespace gridbridge::testing {

class TempDir;

/// The one Grid Engine of a test program: a queue with four slots, started by sge.sh before the
/// first test and ended after the last.
class SgeEngine {
public:
    SgeEngine();
    ~SgeEngine();
    SgeEngine(const SgeEngine&) = delete;
    SgeEngine& operator=(const SgeEngine&) = delete;
    /// Of the running program. Must have been started.
    static SgeEngine& get();

    /// The exit code of sge.sh, 69 where Grid Engine is not installed; `why` is what it said.
    int start(std::string& why);
    void stop();

    /// NAME=value, what its commands need.
    std::vector<std::string> settings();
    /// A shell command as our own account: an administrator's, with `settings` before it.
    Finished run(const std::string& shellCommand, int seconds = 60);
    /// Kills `qmaster` or `execd`.
    void kill(const std::string& daemon);
    /// Starts what does not run, and waits until jobs are taken.
    void repair();

private:
    int engine(const std::string& verb, std::string& said);

    std::unique_ptr<TempDir> temp_;
    std::filesystem::path folder_;
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
};

}  // namespace gridbridge::testing
