#pragma once

#include <vector>

#include "bridge/app/Config.h"
#include "bridge/store/JobRecord.h"

namespace gridbridge::app {

/// Open jobs can only be ended through the runner that claimed them, at the server that gave them
/// out, and the backend that has them: one problem for each of these that the configuration does
/// not hold any more. A job's token is for its own server alone.
std::vector<ConfigProblem> openJobProblems(const Config& config,
                                           const std::vector<store::JobRecord>& open);

}  // namespace gridbridge::app
