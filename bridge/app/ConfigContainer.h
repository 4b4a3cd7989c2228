#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// How the backend's nodes run images. What is wrong is reported to the section.
void takeContainer(ConfigSection& section, BackendConfig& backend);

/// Reports folders of jobs, all of which have been taken, that no runtime could bind.
void checkBoundFolders(ConfigSection& section, const BackendConfig& backend);

}  // namespace gridbridge::app
