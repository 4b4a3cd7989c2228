#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Result.h"
#include "bridge/store/JobRecord.h"

namespace gridbridge::app {

/// `ID`, `RUNNER/ID` or its key, as people name a job. Only the key names one that never had an id.
struct JobName {
    std::string runner = {};  ///< Empty = any.
    std::int64_t id = 0;
    std::string key = {};  ///< store::jobKey; empty = the others count.
    JobRow row{};          ///< In the key.
};
std::optional<JobName> parseJobName(const std::string& text);

/// The one that `job` names, the newest where one runner has used the id twice. Permanent error:
/// there is none, or it could be several.
Result<store::JobRecord> chooseJob(const JobName& job, std::vector<store::JobRecord> candidates);

}  // namespace gridbridge::app
