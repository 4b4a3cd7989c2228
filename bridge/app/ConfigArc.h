#pragma once

#include <set>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// What is wrong is reported to the section.
void takeArc(ConfigSection& section, BackendConfig& backend);
KeyChanges changesOfArc(const BackendConfig& now, const BackendConfig& next);
std::set<core::Resource> resourcesOfArc(const BackendConfig& backend);

}  // namespace gridbridge::app
