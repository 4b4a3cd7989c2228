#pragma once

#include <string>
#include <vector>

#include "bridge/payload/CacheKey.h"
#include "bridge/payload/Stages.h"

namespace gridbridge::payload {

/// The stages for `cache`. An entry is a tarball in a folder of its own below
/// `<folder>[/<account>]/<project id>`, which is moved there when it is whole, so that a reader has
/// one or the other; its time of access is that of its last use. What can go wrong with one is told
/// in the log and changes nothing else, but for a `policy` that is none: that fails the restoring.
struct PlannedCache {
    CachePlan plan;
    std::string when;
    gitlab::ArtifactEntry entry;  ///< What it holds, as artifacts would.
    ArtifactPlan files;
};

/// The caches of the job. Adds lines for its log to `warnings`.
std::vector<PlannedCache> planCaches(const gitlab::JobDescription& job, const Variables& variables,
                                     std::vector<std::string>& warnings);

/// Unpacks each cache over the project folder as downloadStage() does archives, whatever an earlier
/// job put into it: a tarball that is not whole changes nothing.
Stage restoreCacheStage(const std::vector<PlannedCache>& caches, const CacheStore& store,
                        long long project, const Settings& settings);

/// For a job that succeeded and for one that did not: those that are wanted. They also remove what
/// the account's caches are too old or too large for.
std::vector<Stage> archiveCacheStages(const std::vector<PlannedCache>& caches,
                                      const CacheStore& store, long long project);

}  // namespace gridbridge::payload
