#pragma once

#include <set>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// What is wrong is reported to the section.
void takeSlurm(ConfigSection& section, BackendConfig& backend);
KeyChanges changesOfSlurm(const BackendConfig& now, const BackendConfig& next);
std::set<core::Resource> resourcesOfSlurm(const BackendConfig& backend);

}  // namespace gridbridge::app
