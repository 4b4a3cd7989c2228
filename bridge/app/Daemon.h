#pragma once

#include "bridge/app/Commands.h"
#include "bridge/app/Config.h"

namespace gridbridge::app {

/// The service: claims and carries jobs until SIGTERM or SIGINT, which every thread blocks; SIGHUP
/// calls `reread`. The caller holds the state lock. Returns an exit code. Throws store::StoreError.
int runDaemon(const Config& config, const CommandWorld::Reread& reread);

/// Whether the batch system would take jobs, and the jobs' account reaches its folders and nothing
/// of the service's own. Blocks for at most a minute.
BackendHealth probeBackend(const Config& config, const BackendConfig& backend);

}  // namespace gridbridge::app
