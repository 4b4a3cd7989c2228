#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gridbridge {

/// Replaces every byte that is not part of valid UTF-8 by U+FFFD.
std::string validUtf8(std::string_view text);

/// Length of `text` without a last character that is not complete yet.
std::size_t completeUtf8(std::string_view text);

}  // namespace gridbridge
