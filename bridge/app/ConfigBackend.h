#pragma once

#include <string>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// The section of the backend `name`; `config` holds what stands above it. What is wrong is
/// reported to the section.
BackendConfig takeBackend(ConfigSection& section, const std::string& name, const Config& config,
                          const Host& host);

/// Whether one of the folders is, or lies within, the other; links are followed.
bool overlap(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace gridbridge::app
