#pragma once

#include <span>
#include <string_view>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// The keys of a backend that are for `type = "command"` alone.
std::span<const std::string_view> commandKeys();

/// What is wrong is reported to the section.
void takeCommand(ConfigSection& section, BackendConfig& backend);

}  // namespace gridbridge::app
