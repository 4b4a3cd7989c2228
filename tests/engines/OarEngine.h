#pragma once

#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// Two resources, each for one job.
class OarEngine final : public Engine {
public:
    static OarEngine& get();

    /// Where its commands are.
    std::string commandFolder() const { return (folder() / "bin").string(); }
    /// Kills all of its processes with that name.
    void kill(const std::string& daemon) { run("inside pkill -KILL -f " + daemon); }

private:
    OarEngine();
    std::vector<std::string> environment() const override {
        return {"OAR_ENGINE_INSTALLED_ONLY=1", "OAR_ENGINE_SLOTS=2"};
    }
    std::string programs() const override { return commandFolder() + ":"; }
};

}  // namespace gridbridge::testing
