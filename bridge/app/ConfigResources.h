#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// What jobs may ask the backend for, once its type and commands are known. What is wrong is
/// reported to the section.
void takeResources(ConfigSection& section, BackendConfig& backend);

/// Of texts `pattern=account`: patterns of projects with the account behind each; reported
/// likewise.
std::vector<std::pair<std::string, std::string>> byProject(ConfigSection& section,
                                                           std::string_view key);

}  // namespace gridbridge::app
