#pragma once

#include <cstdint>
#include <string>

namespace gridbridge::fakegitlab {

/// Dotenv reports must be smaller than this.
inline constexpr std::uint64_t kDotenvLimit = 5 * 1024;

/// The format GitLab demands for a type of artifacts; empty = unknown type.
std::string formatFor(const std::string& type);
/// Most bytes of an artifact: some types have limits below that of all.
std::uint64_t limitFor(const std::string& type, std::uint64_t limitOfAll);
/// Why GitLab does not take a dotenv report of `size` bytes; empty = it does. `gzip` is not looked
/// at when there are too many of them.
std::string dotenvProblem(std::uint64_t size, const std::string& gzip);

}  // namespace gridbridge::fakegitlab
