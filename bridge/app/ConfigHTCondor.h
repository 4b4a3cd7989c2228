#pragma once

#include <set>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// What is wrong is reported to the section.
void takeHTCondor(ConfigSection& section, BackendConfig& backend);
KeyChanges changesOfHTCondor(const BackendConfig& now, const BackendConfig& next);
std::set<core::Resource> resourcesOfHTCondor(const BackendConfig& backend);

}  // namespace gridbridge::app
