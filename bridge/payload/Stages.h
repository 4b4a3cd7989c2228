#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/Settings.h"

namespace gridbridge::payload {

/// One stage of a job (job-execution 1.1): a bash program of its own, `in/NAME.sh`, that finds the
/// wrapper's GB_... variables in its environment.
struct Stage {
    /// Decides when the wrapper runs it. The phases follow each other, and within one the stages in
    /// their order.
    enum class Phase {
        Prepare,  ///< Until one fails: then there is no Script, but a Save.
        Script,   ///< Until one fails. All share the limit RUNNER_SCRIPT_TIMEOUT.
        After,    ///< When a Script began, with a limit of its own; a cancel lets it end.
        Save,     ///< When it is wanted for how the job ended; a cancel lets it end.
    };
    Phase phase = Phase::Script;
    std::string name;   ///< Letters, digits and `_`; of at most one stage.
    std::string title;  ///< Of its section in the log; empty = it has none.
    std::string text;
    int attempts = 1;                 ///< Of Prepare.
    std::vector<Stage> repairs = {};  ///< Of Prepare: what runs before each further attempt.
    bool onSuccess = true;            ///< Of Save, as are the next two: whether it is wanted.
    bool onFailure = true;
    std::string why = {};  ///< Status::why when it fails, unless there is one already.
};

/// `aged`: the files become as old as the pipeline.
Stage getSourcesStage(const gitlab::JobDescription& job, const Settings& settings,
                      const ScriptContext& context, bool aged);

/// Unpacks `in/dependency.N.tar.gz` of each dependency that has an archive over the project folder,
/// in their order: what was there under the same name, also a link, is replaced. No file is written
/// where a link leads, as long as each folder of a tarball stands in it before what lies in that,
/// as packDependency() writes them.
Stage downloadStage(const std::vector<gitlab::Dependency>& dependencies, const Settings& settings);

/// A step of the job: `items` in one shell, each printed before it runs.
Stage stepStage(const std::string& name, const std::vector<std::string>& items, bool debugTrace);
Stage afterScriptStage(const std::vector<std::string>& items, bool debugTrace);

struct CollectedEntry {
    std::size_t index = 0;  ///< In the job's artifacts.
    bool onSuccess = false;
    bool onFailure = false;
    gitlab::ArtifactEntry entry;
    ArtifactPlan plan;  ///< Of it, as the service knows it before the job runs.
};
/// `limit`: bytes that the tarball of an entry may have.
Stage collectStage(const std::vector<CollectedEntry>& entries, std::int64_t limit);

}  // namespace gridbridge::payload
