#pragma once

#include "backends/command/CommandBackend.h"
#include "tests/engines/EngineHarness.h"
#include "tests/engines/SgeEngine.h"

namespace gridbridge::testing {

/// The command backend. Grid Engine takes no jobs of root.
class SgeHarness final : public EngineHarness<SgeEngine, CommandBackend, CommandConfig> {
public:
    SgeHarness() : EngineHarness(settings(), "nobody", 4) {}

    bool tellsTimes() override { return false; }

private:
    static CommandConfig settings() {
        auto config = commandPreset("sge").value();
        config.environment = engine().settings();
        return config;
    }
};

}  // namespace gridbridge::testing
