#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/JobScript.h"

namespace gridbridge::payload {

/// One line for the job's log when the job cannot run here; nothing = it can.
std::optional<std::string> refusal(const gitlab::JobDescription& job, const ScriptContext& context);

/// Adds a line for the job's log for each thing that is left out of a job that runs.
void warnOfUnsupported(const gitlab::JobDescription& job, const ScriptContext& context,
                       std::vector<std::string>& warnings);

}  // namespace gridbridge::payload
