#pragma once

#include "backends/diracx/DiracxBackend.h"
#include "tests/engines/DiracHarness.h"
#include "tests/engines/DiracxEngine.h"

namespace gridbridge::testing {

class DiracxHarness final : public DiracHarness<DiracxEngine, DiracxBackend, DiracxConfig> {
public:
    DiracxHarness()
        : DiracHarness({{}, engine().url(), engine().caFile(), engine().credentials()}) {}
};

}  // namespace gridbridge::testing
