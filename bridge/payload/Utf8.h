#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gridbridge::payload {

/// The code point at `at`, which moves behind it. A byte that does not belong to valid UTF-8
/// (no overlong forms, no surrogates) gives 0xDC00 + byte, which no valid text contains.
char32_t nextCodePoint(std::string_view text, std::size_t& at);
/// The bytes that `nextCodePoint` made this of.
std::string bytesOf(char32_t codePoint);
bool isValidUtf8(std::string_view text);

}  // namespace gridbridge::payload
