#pragma once

#include "backends/htcondor/HTCondorBackend.h"
#include "tests/engines/EngineHarness.h"
#include "tests/engines/HTCondorEngine.h"

namespace gridbridge::testing {

/// Each job fills half of the machine. As root the jobs are somebody else's, for HTCondor takes
/// none of root.
class HTCondorHarness final
    : public EngineHarness<HTCondorEngine, HTCondorBackend, HTCondorConfig> {
public:
    explicit HTCondorHarness(bool fileTransfer = false)
        : EngineHarness({.condorConfig = engine().condorConfig(),
                         .binDir = engine().commandFolder().string(),
                         .submitOptions = {"request_cpus = 64", "request_memory = 64M",
                                           "request_disk = 1M", "job_lease_duration = 20"}},
                        ::geteuid() == 0 ? "daemon" : "", 2) {
        config.fileTransfer = fileTransfer;
        restart();
    }
};

}  // namespace gridbridge::testing
