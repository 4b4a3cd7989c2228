#pragma once

#include "backends/htcondor/HTCondorBackend.h"
#include "tests/engines/EngineHarness.h"
#include "tests/engines/HTCondorEngine.h"

namespace gridbridge::testing {

/// How they come to the nodes, which are this machine. Spooled: its schedd, addressed by its name
/// as one of another machine, reads and writes them in its spool alone.
enum class CondorFiles { Shared, Copied, Spooled };

/// Each job fills half of the machine. As root the jobs are somebody else's, for HTCondor takes
/// none of root.
class HTCondorHarness final
    : public EngineHarness<HTCondorEngine, HTCondorBackend, HTCondorConfig> {
public:
    explicit HTCondorHarness(CondorFiles files = CondorFiles::Shared)
        : EngineHarness({.condorConfig = engine().condorConfig(),
                         .binDir = engine().commandFolder().string(),
                         .submitOptions = {"request_cpus = 64", "request_memory = 64M",
                                           "request_disk = 1M", "job_lease_duration = 20"}},
                        ::geteuid() == 0 ? "daemon" : "", 2) {
        config.fileTransfer = files == CondorFiles::Copied;
        config.spool = files == CondorFiles::Spooled;
        config.schedd = config.spool ? "engine@ci.local" : "";
        restart();
    }
};

}  // namespace gridbridge::testing
