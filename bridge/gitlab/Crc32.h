#pragma once

#include <cstdint>
#include <string_view>

namespace gridbridge::gitlab {

/// CRC-32 (IEEE, as zlib's) of all bytes so far followed by `bytes`; `soFar` is 0 at the start.
/// What TraceEnd::crc32 holds.
std::uint32_t crc32(std::uint32_t soFar, std::string_view bytes);

}  // namespace gridbridge::gitlab
