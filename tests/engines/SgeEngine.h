#pragma once

#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// A queue with four slots.
class SgeEngine final : public Engine {
public:
    static SgeEngine& get();

    /// NAME=value, what its commands need.
    std::vector<std::string> settings();
    /// Kills `qmaster` or `execd`.
    void kill(const std::string& daemon) { killByPidFile(daemon, "KILL"); }

private:
    SgeEngine();
    std::vector<std::string> environment() const override {
        return {"SGE_ENGINE_INSTALLED_ONLY=1"};
    }
};

}  // namespace gridbridge::testing
