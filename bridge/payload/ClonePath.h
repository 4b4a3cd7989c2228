#pragma once

#include <string>

#include "bridge/base/Result.h"
#include "bridge/payload/Variables.h"

namespace gridbridge::payload {

/// GIT_CLONE_PATH (job-execution 2.1) below the folder of builds, without `.` and `..`; empty = not
/// set. Permanent error = it does not lead there; the text is for the job's log and does not hold
/// the value, which may be a secret.
Result<std::string> clonePath(const Variables& variables);

}  // namespace gridbridge::payload
