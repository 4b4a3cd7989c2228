#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "bridge/base/Result.h"
#include "bridge/payload/JobScript.h"

namespace gridbridge::payload {

/// A file, folder or link as it lies in an archive; its name is the key of Members.
struct Member {
    enum class Kind { File, Folder, Link };
    Kind kind = Kind::File;
    unsigned mode = 0;            ///< Permission bits only.
    std::int64_t modifiedAt = 0;  ///< Seconds since 1970.
    std::int64_t size = 0;
    std::int64_t offset = 0;  ///< Of the content in the spool.
    std::string target;       ///< Of a link.
};
/// By path, relative, without a `/` at the end; sorted, so that folders precede what they hold.
using Members = std::map<std::string, Member>;

/// The files of a gzip-compressed tar archive that `wanted` accepts, their contents one after the
/// other in `spool`. The last of several of one name counts. Permanent error when the archive is
/// damaged, holds what no collection writes (hard links, devices, names that lead out), or is
/// larger than 500,000 entries or 10 GiB unpacked; Transient when the spool cannot be written;
/// an error of `tarball` as it is. Entries whose names are no UTF-8 are left out and counted in
/// `unreadable`.
Result<Members> readTarball(const Pieces& tarball, int spool,
                            const std::function<bool(const std::string&)>& wanted,
                            std::int64_t& unreadable);

/// Writes the members into `zip` as GitLab wants it (job-execution 6.4). Transient error when a
/// file cannot be read or written.
Result<void> writeZip(const Members& members, int spool, int zip);

}  // namespace gridbridge::payload
