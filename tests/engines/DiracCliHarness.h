#pragma once

#include "backends/diraccli/DiracCliBackend.h"
#include "tests/engines/DiracCliEngine.h"
#include "tests/engines/DiracHarness.h"

namespace gridbridge::testing {

class DiracCliHarness final : public DiracHarness<DiracCliEngine, DiracCliBackend, DiracCliConfig> {
public:
    DiracCliHarness() : DiracHarness(engine().config()) {}
    bool tellsTimes() override { return false; }
};

}  // namespace gridbridge::testing
