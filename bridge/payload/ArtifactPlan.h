#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Result.h"
#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/Glob.h"

namespace gridbridge::payload {

/// What one entry of `artifacts` asks for. The script and the service make it of the same
/// description, so that both look for the same files.
struct ArtifactPlan {
    struct Path {
        std::string shown;         ///< As the user wrote it, for messages.
        std::optional<Glob> glob;  ///< Relative to the project folder; nothing = `problem`.
        std::string problem;       ///< A line for the log.
        bool outside = false;      ///< Of the project folder: the reason for having no glob.
    };
    std::vector<Path> paths;
    std::vector<Path> excluded;
    bool untracked = false;
    std::string filename;  ///< For the upload.
    /// For each of `excluded`: what it took off the list on the node, which the service never sees.
    std::vector<std::int64_t> excludedOnNode;

    /// Which of `excluded` leaves out exactly this name (relative, without `./`), which says
    /// nothing of what lies below it. As GitLab's runner does, looks no further than to the first
    /// pattern that leads out of the project folder. Malformed and empty ones fit nothing.
    std::optional<std::size_t> excludedBy(std::string_view name) const;
};

/// Whether there is anything to collect for it, in a format that is known: zip, gzip or raw.
bool isCollected(const gitlab::ArtifactEntry& entry);

/// What may hold references to variables: name, paths and `exclude` in this order.
std::vector<std::string> textsOf(const gitlab::ArtifactEntry& entry);
/// Whether the node expands texts of the entry, since a script may have set variables.
bool isExpandedOnNode(const gitlab::ArtifactEntry& entry);
/// Whether the node tells about the entry in `out/`, in the file namesName().
bool hasNames(const gitlab::ArtifactEntry& entry);

constexpr std::size_t kLargestNames = std::size_t{128} << 10;  ///< Bytes of that file.

/// What patterns of one entry may be long, alternatives written out: each byte costs the service
/// about a hundred.
constexpr std::size_t kLargestPlan = std::size_t{256} << 10;

/// As far as the service knows it without the node. Permanent error = more than kLargestPlan.
Result<ArtifactPlan> planArtifact(const gitlab::JobDescription& job,
                                  const gitlab::ArtifactEntry& entry);
/// With what the node told in that file. Permanent error = it is not what the node writes, too.
Result<ArtifactPlan> planArtifact(const gitlab::JobDescription& job,
                                  const gitlab::ArtifactEntry& entry, std::string_view names);

}  // namespace gridbridge::payload
