#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/base/Clock.h"

namespace gridbridge::core {

/// The bytes of trace lines as the official runner writes them (job-execution 5.1 to 5.3), each
/// with its line end. Control characters of `text` become spaces.
std::string plainLine(std::string_view text);
std::string infoLine(std::string_view text);
std::string warningLine(std::string_view text);
std::string errorLine(std::string_view text);

/// A line of GitLab's tool for artifacts and caches: `text`, which begins with `WARNING: ` or the
/// like where it is no plain message, in a column of its own, and the fields behind it as
/// `name=value`.
std::string toolLine(std::string_view text,
                     const std::vector<std::pair<std::string, std::string>>& fields = {});

std::string sectionStart(WallTime now, std::string_view name, std::string_view header);
std::string sectionEnd(WallTime now, std::string_view name);

/// `1h0m0s`, `2m30s`, `45s`.
std::string goDuration(std::int64_t seconds);

}  // namespace gridbridge::core
