#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

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
    };
    std::vector<Path> paths;
    bool untracked = false;
    std::string filename;  ///< For the upload.
    /// Names in paths that are neither GitLab's nor the user's variables: taken as empty.
    std::vector<std::string> unknownNames;
};

/// Whether there is anything to collect for it, in a format that is known: zip, gzip or raw.
bool isCollected(const gitlab::ArtifactEntry& entry);

ArtifactPlan planArtifact(const gitlab::JobDescription& job, const gitlab::ArtifactEntry& entry);

}  // namespace gridbridge::payload
