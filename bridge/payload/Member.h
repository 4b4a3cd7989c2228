#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gridbridge::payload {

/// Of one archive.
constexpr std::int64_t kMostMembers = 1'000'000;
constexpr std::int64_t kMostMemberBytes = std::int64_t{10} << 30;

/// A file, folder or link as it lies in an archive.
struct Member {
    enum class Kind { File, Folder, Link };
    std::string name;  ///< Relative, without a `/` at the end.
    Kind kind = Kind::File;
    unsigned mode = 0;            ///< Permission bits only.
    std::int64_t modifiedAt = 0;  ///< Seconds since 1970.
    std::int64_t size = 0;
    std::string target = {};  ///< Of a link.
};

/// The name under which an archive has something, as a Member's; empty = the folder itself;
/// nothing = it may lead elsewhere, or is longer than 4096 bytes.
std::optional<std::string> memberName(std::string_view path);

}  // namespace gridbridge::payload
