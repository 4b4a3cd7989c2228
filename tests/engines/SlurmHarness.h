#pragma once

#include "backends/slurm/SlurmBackend.h"
#include "tests/engines/EngineHarness.h"
#include "tests/engines/SlurmEngine.h"

namespace gridbridge::testing {

/// Each job fills half of the nodes.
class SlurmHarness final : public EngineHarness<SlurmEngine, SlurmBackend, SlurmConfig> {
public:
    explicit SlurmHarness(std::string account = {})
        : EngineHarness({.slurmConf = engine().slurmConf(),
                         .submitOptions = {"--cpus-per-task=64", "--mem=200"}},
                        std::move(account), 2) {}
};

}  // namespace gridbridge::testing
