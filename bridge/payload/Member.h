#pragma once

#include <cstdint>
#include <string>

namespace gridbridge::payload {

/// A file, folder or link as it lies in an archive.
struct Member {
    enum class Kind { File, Folder, Link };
    std::string name;  ///< Relative, without a `/` at the end.
    Kind kind = Kind::File;
    unsigned mode = 0;            ///< Permission bits only.
    std::int64_t modifiedAt = 0;  ///< Seconds since 1970.
    std::int64_t size = 0;
    std::string target;  ///< Of a link.
};

}  // namespace gridbridge::payload
