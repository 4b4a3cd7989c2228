#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bridge/base/Clock.h"

namespace gridbridge::core {

/// Who wrote a line of a timestamped log.
enum class LogStream { Runner, Job };

/// Bytes in front of each line: `2026-05-01T08:09:10.123456Z 01O ` (job-execution 5.4).
constexpr std::size_t kStampBytes = 32;

/// `text` with a stamp before every line. With `midLine` it goes on in a line that somebody else
/// has begun: that line is ended, and the mark `+` has GitLab join the two again.
std::string stamped(std::string_view text, LogStream stream, WallTime at, bool midLine);

/// Nothing where too little of it is there to tell: it ends, or goes on with zeros.
std::optional<bool> beginsWithStamp(std::string_view text);

}  // namespace gridbridge::core
