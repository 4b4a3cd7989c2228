#pragma once

#include "backends/diracx/LiveLogConfig.h"
#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// The keys `live_log_*`: all that is needed, or none of them. What is wrong is reported to the
/// section.
LiveLogConfig takeLiveLog(ConfigSection& section);
KeyChanges changesOfLiveLog(const LiveLogConfig& now, const LiveLogConfig& next);

}  // namespace gridbridge::app
