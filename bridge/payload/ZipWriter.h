#pragma once

#include "bridge/base/Result.h"
#include "bridge/payload/Members.h"

namespace gridbridge::payload {

/// Writes the members into `zip` as GitLab wants it (job-execution 6.4). Transient error when a
/// file cannot be read or written.
Result<void> writeZip(const Members& members, int spool, int zip);

}  // namespace gridbridge::payload
