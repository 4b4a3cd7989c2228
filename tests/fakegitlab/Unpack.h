#pragma once

#include <map>
#include <optional>
#include <string>

namespace gridbridge::fakegitlab {

/// What one or more gzip members hold, one after the other; nullopt = these are none.
std::optional<std::string> gunzipped(const std::string& bytes);

/// The regular files of a zip archive by their names; nullopt = it is none, or damaged.
std::optional<std::map<std::string, std::string>> unzipped(const std::string& bytes);

}  // namespace gridbridge::fakegitlab
