#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// What jobs may ask the backend for, once its type and commands are known. What is wrong is
/// reported to the section.
void takeResources(ConfigSection& section, BackendConfig& backend);

/// Whose jobs run as which account of the machine; reported likewise.
void takeProjectRunAs(ConfigSection& section, BackendConfig& backend, const Host& host);

}  // namespace gridbridge::app
