#pragma once

#include <string>
#include <vector>

#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/Settings.h"

namespace gridbridge::payload {

/// The texts of the stage files (job-execution 11.3). Each is a bash program of its own that finds
/// the wrapper's GB_... variables in its environment.

std::string getSourcesStage(const gitlab::JobDescription& job, const Settings& settings,
                            const ScriptContext& context);
std::string clearWorktreeStage();

/// A step of the job: `items` in one shell, each printed before it runs.
std::string stepStage(const std::vector<std::string>& items, bool debugTrace);
std::string afterScriptStage(const std::vector<std::string>& items, bool debugTrace);

struct CollectedEntry {
    std::size_t index = 0;  ///< In the job's artifacts.
    bool onSuccess = false;
    bool onFailure = false;
    ArtifactPlan plan;
};
std::string collectStage(const std::vector<CollectedEntry>& entries);

}  // namespace gridbridge::payload
