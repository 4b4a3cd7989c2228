#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// The keys of a runner about caches; `config` holds the backends. What is wrong is reported to the
/// section.
void takeCache(ConfigSection& section, RunnerConfig& runner, const Config& config);

/// The account as which jobs of several projects run, those of this runner too, so that they could
/// read and change what it keeps in caches; empty = there is none. The service's own account is
/// that of trusted jobs.
std::string sharedAccount(const Config& config, const RunnerConfig& runner);

/// Reports runners whose caches jobs of several projects could read and change, since these run as
/// one account. All sections have been read.
void checkCaches(ConfigReading& reading);

}  // namespace gridbridge::app
