#pragma once

#include <string>

#include "tests/engines/EngineFault.h"

namespace gridbridge::testing {

/// Faults of an engine of DIRAC. `Harness` is a DiracHarness.
template <typename Harness>
class DiracFaultFixture : public EngineFault<Harness> {
protected:
    using EngineFault<Harness>::harness;
    using EngineFault<Harness>::engine;

    /// At the next job of that key.
    void faultAt(const BatchJob& job, const std::string& words) {
        engine.fault(words + " --name " + job.key.value);
    }
    Result<CollectOutcome> collect(const JobRef& ref) {
        return harness.backend().collect(this->ctx(), std::vector{ref}).at(0);
    }
    bool isDone(const JobRef& ref) {
        const auto outcome = collect(ref);
        return outcome.ok() && *outcome == CollectOutcome::Done;
    }
    LogChunk log(const JobRef& ref, LogSource source = LogSource::Job) {
        const std::vector<LogRequest> requests{{ref, 1, 0, 1 << 20, source}};
        return harness.backend().readLogs(this->ctx(), requests).at(0).value();
    }
};

}  // namespace gridbridge::testing
