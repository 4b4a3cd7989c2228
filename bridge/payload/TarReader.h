#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "bridge/base/Result.h"
#include "bridge/payload/JobScript.h"
#include "bridge/payload/Members.h"

namespace gridbridge::payload {

/// The files of a gzip-compressed tar archive that `wanted` accepts, their contents one after the
/// other in `spool`. The last of several of one name counts. Permanent error when the archive is
/// damaged, holds what no collection writes (hard links, devices, names that lead out), or is
/// larger than 500,000 entries or 10 GiB unpacked; Transient when the spool cannot be written;
/// an error of `tarball` as it is. Entries whose names are no UTF-8 are left out and counted in
/// `unreadable`.
Result<Members> readTarball(const Pieces& tarball, int spool,
                            const std::function<bool(const std::string&)>& wanted,
                            std::int64_t& unreadable);

}  // namespace gridbridge::payload
