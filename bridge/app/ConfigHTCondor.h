#pragma once

#include <array>
#include <string_view>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// The keys of a backend that are for `type = "htcondor"` alone.
inline constexpr std::array<std::string_view, 3> kHTCondorKeys{"schedd", "condor_config",
                                                               "file_transfer"};

/// What is wrong is reported to the section.
void takeHTCondor(ConfigSection& section, BackendConfig& backend);

}  // namespace gridbridge::app
