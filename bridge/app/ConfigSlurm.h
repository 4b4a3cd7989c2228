#pragma once

#include <array>
#include <string_view>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// The keys of a backend that are for `type = "slurm"` alone.
inline constexpr std::array<std::string_view, 6> kSlurmKeys{
    "partition", "account", "qos", "submit_options", "slurm_conf", "bin_dir"};

/// What is wrong is reported to the section.
void takeSlurm(ConfigSection& section, BackendConfig& backend);

}  // namespace gridbridge::app
