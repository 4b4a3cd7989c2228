#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "backends/api/Backend.h"
#include "backends/api/SchedulerCommands.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// What backends have in common whose nodes see no folder of ours: a job's files are carried there
/// and back.

/// Names in `out/` that come back with each job, `log` and `status` first.
std::vector<std::string> carriedOutputs(const BatchJob& job);

/// In their order: what lies in the folder `in` besides `others`: what the core put there before
/// the job was submitted. No folder, no names.
Result<std::vector<std::string>> namesPut(const std::filesystem::path& in,
                                          const std::set<std::string>& others);

/// A note in a submission's `in/`: one name a line.
folder::StagedFile noteOf(const std::string& note, const std::vector<std::string>& names);
/// The names in it; none where there is no such note.
Result<std::vector<std::string>> namesIn(folder::JobFolders& folders,
                                         const folder::FolderRef& folder, const std::string& note);

/// What of these has not come yet, which `kFetchedName` tells: Done for the others, and Never for
/// what has no folder. `fetch` brings those of one.
std::vector<Result<CollectOutcome>> collectCarried(
    folder::JobFolders& folders, std::span<const JobRef> refs,
    const std::function<Result<CollectOutcome>(const JobRef&)>& fetch);

/// Done: all that is in the job's `out/` outlives a power failure, and `kFetchedName` tells that it
/// is there.
Result<CollectOutcome> syncCarried(SchedulerCommands& commands, folder::JobFolders& folders,
                                   const JobRef& ref, const CallContext& ctx);

}  // namespace gridbridge
