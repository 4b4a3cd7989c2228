#pragma once

#include "backends/diraccli/DiracCliBackend.h"
#include "tests/engines/DiracCliEngine.h"
#include "tests/engines/DiracHarness.h"

namespace gridbridge::testing {

class DiracCliHarness final : public DiracHarness<DiracCliEngine, DiracCliBackend, DiracCliConfig> {
public:
    /// As the engine's faults name it.
    static constexpr const char* kSubmitCall = "RPC submitJob";

    DiracCliHarness() : DiracHarness(engine().config()) {}
    bool tellsTimes() override { return false; }
    /// Each look costs a second of a processor, which the jobs need as well.
    void pass() override { std::this_thread::sleep_for(std::chrono::milliseconds(1500)); }
};

}  // namespace gridbridge::testing
