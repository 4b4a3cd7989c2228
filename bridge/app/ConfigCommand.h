#pragma once

#include <set>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// What is wrong is reported to the section.
void takeCommand(ConfigSection& section, BackendConfig& backend);
KeyChanges changesOfCommand(const BackendConfig& now, const BackendConfig& next);
/// Those of which `submit` makes something.
std::set<core::Resource> resourcesOfCommand(const BackendConfig& backend);

}  // namespace gridbridge::app
