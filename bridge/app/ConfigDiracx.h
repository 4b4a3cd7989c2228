#pragma once

#include <set>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// What is wrong is reported to the section.
void takeDiracx(ConfigSection& section, BackendConfig& backend);
KeyChanges changesOfDiracx(const BackendConfig& now, const BackendConfig& next);
void takeDiracCli(ConfigSection& section, BackendConfig& backend);
KeyChanges changesOfDiracCli(const BackendConfig& now, const BackendConfig& next);
/// Of either.
std::set<core::Resource> resourcesOfDirac(const BackendConfig& backend);

}  // namespace gridbridge::app
