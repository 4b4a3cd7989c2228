#pragma once

#include <set>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// What is wrong is reported to the section.
void takeDiracx(ConfigSection& section, BackendConfig& backend);
KeyChanges changesOfDiracx(const BackendConfig& now, const BackendConfig& next);
std::set<core::Resource> resourcesOfDiracx(const BackendConfig& backend);

}  // namespace gridbridge::app
