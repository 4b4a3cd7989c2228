#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// How the backend's nodes run images. What is wrong is reported to the section.
void takeContainer(ConfigSection& section, BackendConfig& backend);

}  // namespace gridbridge::app
