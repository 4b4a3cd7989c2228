#pragma once

#include <array>
#include <string_view>

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// The keys of a backend that are for `type = "htcondor"` alone.
inline constexpr std::array<std::string_view, 4> kHTCondorKeys{"schedd", "condor_config",
                                                               "file_transfer", "spool"};

/// What is wrong is reported to the section.
void takeHTCondor(ConfigSection& section, BackendConfig& backend);

}  // namespace gridbridge::app
