#pragma once

#include "backends/diracx/DiracxBackend.h"
#include "tests/engines/DiracHarness.h"
#include "tests/engines/DiracxEngine.h"

namespace gridbridge::testing {

class DiracxHarness final : public DiracHarness<DiracxEngine, DiracxBackend, DiracxConfig> {
public:
    /// As the engine's faults name it.
    static constexpr const char* kSubmitCall = "POST /api/jobs/jdl";

    DiracxHarness()
        : DiracHarness({{}, engine().url(), engine().caFile(), engine().credentials()}) {}
};

}  // namespace gridbridge::testing
