#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/Variables.h"

namespace gridbridge::payload {

/// Where one entry of `cache` is looked for and kept, and when (job-execution 7.2).
struct CachePlan {
    std::vector<std::string> keys;  ///< Looked for in this order; it is kept under the first.
    bool pull = true;
    bool push = true;
    std::string unknownPolicy = {};  ///< What `policy` is when it is none; then neither holds.
};

/// The key with `%2f`, `%2e` and `\` read as what they stand for, without a `/` in front, `.`,
/// `..` and blanks at the end of a part. Empty = nothing is left.
std::string cleanedCacheKey(std::string_view key);

/// The name of the key's folder: whatever the key is, hex digits of one length, and no two keys
/// have the same.
std::string cacheFolderName(std::string_view key);

/// Nothing when the entry has no key. Adds lines for the job's log to `warnings`.
std::optional<CachePlan> planCache(const gitlab::JobDescription& job,
                                   const gitlab::CacheEntry& entry, const Variables& variables,
                                   std::vector<std::string>& warnings);

}  // namespace gridbridge::payload
