#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bridge/payload/CacheKey.h"
#include "bridge/payload/Stages.h"

namespace gridbridge::payload {

/// One entry of `cache`.
struct PlannedCache {
    CachePlan plan;
    std::string when;
    gitlab::ArtifactEntry entry;  ///< What it holds, as artifacts would.
    ArtifactPlan files;
};

// Its tarball has a folder of its own below `FOLDER[/ACCOUNT]/PROJECT` of the store. It is moved
// there when it is whole, so that a reader has the old one or the new one; its time of access is
// that of its last use. What goes wrong is told in the log and changes nothing else, but for a
// `policy` that is none, and a cache of which the project folder got a part: these fail the
// restoring.

/// The caches of the job. Adds lines for its log to `warnings`.
std::vector<PlannedCache> planCaches(const gitlab::JobDescription& job, const Variables& variables,
                                     std::vector<std::string>& warnings);

/// Unpacks each cache over the project folder as downloadStage() does archives, whatever an earlier
/// job put into it: a tarball that is not whole changes nothing.
Stage restoreCacheStage(const std::vector<PlannedCache>& caches, const CacheStore& store,
                        std::int64_t project, const Settings& settings);

/// For a job that succeeded and for one that did not: those that are wanted. They also remove what
/// the account's caches are too old or too large for.
std::vector<Stage> archiveCacheStages(const std::vector<PlannedCache>& caches,
                                      const CacheStore& store, std::int64_t project,
                                      const Settings& settings);

}  // namespace gridbridge::payload
