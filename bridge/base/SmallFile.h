#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <sys/types.h>

#include "bridge/base/Result.h"

namespace gridbridge {

/// A whole file with the mode of what was read.
struct SmallFile {
    std::string text;
    mode_t mode = 0;
};

/// A regular file of at most `limit` bytes. The error (Permanent) says what is wrong with it, after
/// its name: `cannot be read: Permission denied`. Never waits, as for a pipe.
Result<SmallFile> readSmallFile(const std::filesystem::path& file, std::size_t limit);

}  // namespace gridbridge
