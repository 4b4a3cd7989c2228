#pragma once

#include <cstdint>
#include <map>
#include <string>

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

}  // namespace gridbridge::payload
