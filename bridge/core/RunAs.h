#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bridge/base/Result.h"

namespace gridbridge::core {

/// Which Unix account the jobs of a backend run as. A job gets its account once, when its
/// description is first read, and keeps it whatever is configured later.
struct RunAs {
    std::string usual = {};  ///< Empty = the service's own.
    /// Patterns of projects, see fits(), each with the account of their jobs.
    std::vector<std::pair<std::string, std::string>> projects = {};

    /// That of the first pattern that fits, else the usual one. Permanent error, for the job's log:
    /// the project has no name and the account depends on it.
    Result<std::string> of(const std::string& project) const;
    /// Each once; the usual one is the first.
    std::vector<std::string> all() const;
    bool operator==(const RunAs&) const = default;
};

}  // namespace gridbridge::core
