#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gridbridge::payload {

/// One word of a bash script that stands for exactly these bytes (none may be NUL).
std::string shellQuoted(std::string_view text);

/// The same for each of them, a blank before each.
std::string quotedWords(const std::vector<std::string>& words);

/// Without white space at both ends.
std::string_view trimmed(std::string_view text);

/// For a line of the job's log: control characters become `?`, cut after 200 bytes.
std::string oneLine(std::string_view text);

/// In the largest unit of MiB, GiB and TiB of which it has whole ones: `10 GiB`, `1500 MiB`. Parts
/// of a MiB do not show.
std::string sizeText(std::int64_t bytes);

/// Defines gb_tell, which prints its word as GitLab's tool for artifacts and caches does: in a
/// column, coloured where it begins with `WARNING: ` or `ERROR: `.
std::string tellFunction();

/// A statement that prints `text` as GitLab shows notices and commands: bold green.
std::string printGreen(std::string_view text);

}  // namespace gridbridge::payload
