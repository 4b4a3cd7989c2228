#pragma once

#include <array>
#include <string_view>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// The keys of a backend that are for `type = "slurm"` alone.
inline constexpr std::array<std::string_view, 4> kSlurmKeys{"partition", "account", "qos",
                                                            "slurm_conf"};

/// What is wrong is reported to the section.
void takeSlurm(ConfigSection& section, BackendConfig& backend);

}  // namespace gridbridge::app
