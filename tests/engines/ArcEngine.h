#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// An ARC CE that runs two jobs at a time on this machine, as nobody.
class ArcEngine final : public Engine {
public:
    static ArcEngine& get();

    /// Of its clients: ARC_URL, ARC_CA_FILE and the like.
    std::string setting(const std::string& name);
    /// Kills `arex`, which runs jobs, or `ws`, which takes calls.
    void kill(const std::string& daemon) { killByPidFile(daemon, "KILL"); }
    /// What its clients read their settings from.
    std::filesystem::path settings() const { return folder() / "env.sh"; }

private:
    ArcEngine() : Engine("ARC", ARC_SH) {}
    std::vector<std::string> environment() const override {
        return {"ARC_ENGINE_INSTALLED_ONLY=1", "ARC_ENGINE_SLOTS=2"};
    }
};

}  // namespace gridbridge::testing
