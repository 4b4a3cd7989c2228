#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gridbridge::payload {

/// A relative path without `.`, `..` and doubled slashes; `.` for the folder itself, nothing when
/// it leads out. Looks at the text alone.
std::optional<std::string> cleanedPath(std::string_view path);

}  // namespace gridbridge::payload
