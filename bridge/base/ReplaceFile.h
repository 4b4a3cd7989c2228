#pragma once

#include <filesystem>
#include <string_view>

#include "bridge/base/Result.h"

namespace gridbridge {

/// Writes `file` so that whoever opens it finds the old content or all of the new, also after a
/// kill or a power failure: written beside it, then renamed. Mode 0600 from the first byte on;
/// what was there before, a link too, is replaced. The error (Permanent) names the file.
Result<void> replaceFile(const std::filesystem::path& file, std::string_view content);

}  // namespace gridbridge
