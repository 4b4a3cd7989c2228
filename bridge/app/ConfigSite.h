#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// How the nodes are used by jobs, of a backend that runs scripts, once its type's own keys are
/// taken. What is wrong is reported to the section.
void takeSite(ConfigSection& section, BackendConfig& backend);

}  // namespace gridbridge::app
