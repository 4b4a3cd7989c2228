#pragma once

#include "backends/diracx/DiracxBackend.h"
#include "tests/engines/DiracxEngine.h"
#include "tests/engines/EngineHarness.h"

namespace gridbridge::testing {

class DiracxHarness final : public EngineHarness<DiracxEngine, DiracxBackend, DiracxConfig> {
public:
    DiracxHarness()
        : EngineHarness({.url = engine().url(),
                         .caFile = engine().caFile(),
                         .credentials = engine().credentials()},
                        "", 2) {}

    BatchJob job(int number, const JobPlan& plan) override {
        auto result = EngineHarness::job(number, plan);
        // Its folder on the node is gone when it has ended.
        const std::string there = "out/starts";
        const auto at = result.loader.find(there);
        result.loader.replace(at, there.size(), counter(result));
        return result;
    }
    int starts(const BatchJob& job) override {
        return static_cast<int>(readFile(counter(job)).size());
    }

private:
    std::string counter(const BatchJob& job) { return temp_.path() / ("starts-" + job.key.value); }

    TempDir temp_;
};

}  // namespace gridbridge::testing
