#pragma once

#include <string_view>

/// What GitLab's pages show of a log in colour. Names and bytes as in the Python package
/// gitlab_runner_api.
namespace gridbridge::gitlab::ansi {

inline constexpr std::string_view kBoldBlack = "\033[30;1m";
inline constexpr std::string_view kBoldRed = "\033[31;1m";
inline constexpr std::string_view kBoldGreen = "\033[32;1m";
inline constexpr std::string_view kBoldYellow = "\033[33;1m";
inline constexpr std::string_view kBoldBlue = "\033[34;1m";
inline constexpr std::string_view kBoldMagenta = "\033[35;1m";
inline constexpr std::string_view kBoldCyan = "\033[36;1m";
inline constexpr std::string_view kBoldWhite = "\033[37;1m";
inline constexpr std::string_view kYellow = "\033[0;33m";
inline constexpr std::string_view kReset = "\033[0;m";
inline constexpr std::string_view kClear = "\033[0K";  ///< To the end of the line.

}  // namespace gridbridge::gitlab::ansi
