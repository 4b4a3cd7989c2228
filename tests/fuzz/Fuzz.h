#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace gridbridge::fuzz {

/// Ends the program, which libFuzzer reports with the input, unless it holds.
inline void require(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "does not hold: %s\n", what);
        std::abort();
    }
}

/// The text before the first `separator`, which `rest` is moved behind; all of it without one.
inline std::string_view take(std::string_view& rest, char separator) {
    const auto text = rest.substr(0, rest.find(separator));
    rest.remove_prefix(text.size() < rest.size() ? text.size() + 1 : text.size());
    return text;
}

/// Only printable ASCII: nothing of a hostile text but what our own words contain.
inline bool isPlain(std::string_view text) {
    for (const char c : text) {
        if (c < ' ' || c > '~') {
            return false;
        }
    }
    return true;
}

/// What each program tries with one input.
void tryWith(std::string_view input);

}  // namespace gridbridge::fuzz
