#pragma once

#include <vector>

#include "bridge/app/Config.h"
#include "bridge/store/JobRecord.h"

namespace gridbridge::app {

/// Open jobs can only be ended through the runner that claimed them and the backend that has them:
/// one problem for each name that the configuration does not hold any more.
std::vector<ConfigProblem> missingOwners(const Config& config,
                                         const std::vector<store::JobRecord>& open);

}  // namespace gridbridge::app
