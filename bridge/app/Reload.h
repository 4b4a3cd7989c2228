#pragma once

#include <string>
#include <vector>

#include "bridge/app/Config.h"

namespace gridbridge::app {

/// What becomes of a configuration that is read again while the service runs.
struct Reload {
    /// What holds from now on. A runner that was taken out stays with `limit` 0, for its open jobs.
    Config config;
    std::vector<std::string> later;  ///< Keys that change with the next start, one line each.
};

/// Pure; both configurations are sound.
Reload planReload(const Config& now, const Config& next);

}  // namespace gridbridge::app
