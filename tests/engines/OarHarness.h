#pragma once

#include "backends/command/CommandBackend.h"
#include "tests/engines/EngineHarness.h"
#include "tests/engines/OarEngine.h"

namespace gridbridge::testing {

/// The command backend. OAR takes no jobs of root.
class OarHarness final : public EngineHarness<OarEngine, CommandBackend, CommandConfig> {
public:
    OarHarness() : EngineHarness(settings(), "nobody", 2) {}

    bool tellsTimes() override { return false; }
    bool removesLater() override { return true; }
    /// Longer than elsewhere: its commands are programs in Perl, and most of what the tests cost.
    void pass() override { std::this_thread::sleep_for(std::chrono::milliseconds(500)); }

private:
    static CommandConfig settings() {
        auto config = commandPreset("oar").value();
        config.binDir = engine().commandFolder();
        return config;
    }
};

}  // namespace gridbridge::testing
