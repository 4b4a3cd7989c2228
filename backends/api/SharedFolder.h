#pragma once

#include <span>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// What backends have in common whose nodes see the submission's folder itself.

/// The loader's name in `in/`.
inline constexpr const char* kLoaderName = "loader.sh";

/// The files that `in/` must hold before the job starts: its inputs, and the loader, in which
/// `@FOLDER@` is replaced and which names its interpreter, for some batch systems want that.
/// `onNode`: the folder's path there, empty = as here. Permanent: the job cannot be submitted as it
/// is.
Result<std::vector<folder::StagedFile>> filesOf(const folder::JobFolders& folders,
                                                const BatchJob& job,
                                                const std::string& onNode = {});

/// `out/log` from each request's offset, its size, and `out/status` once it is there. What the job
/// itself made unreadable counts as an empty log or an empty, hence invalid, status; an error only
/// when neither of the two can be read.
std::vector<Result<LogChunk>> readSharedLogs(folder::JobFolders& folders,
                                             std::span<const LogRequest> requests);

/// In the job's `in/`, made by markRemoved().
inline constexpr const char* kRemovedName = "removed";
/// In the job's `in/`: we asked the batch system for its end, whatever it says later of who did.
/// What cannot be written is left out: then the end is only told as somebody else's.
void markRemoved(folder::JobFolders& folders, const JobRef& ref);

/// What the folder of a submission tells of it.
struct FolderMarks {
    bool started = false;  ///< Also when that cannot be told: a script must rather not start twice.
    bool removed = false;
    bool hasStatus = false;
};
std::vector<FolderMarks> readMarks(folder::JobFolders& folders, std::span<const JobRef> refs);

/// The outputs are written where they belong: where the folder is, they are.
std::vector<Result<CollectOutcome>> collectShared(folder::JobFolders& folders,
                                                  std::span<const JobRef> refs);

/// In a submission's `in/`: all its files are here and synced.
inline constexpr const char* kFetchedName = "fetched";
/// All files in this folder outlive a power failure from then on, and `marker` is made, which tells
/// so.
std::vector<std::string> syncCommand(const std::filesystem::path& folder,
                                     const std::filesystem::path& marker);

/// Whether a copy took the start marker. Also true when that cannot be told: a script must
/// rather not start than start twice.
bool isMarked(folder::JobFolders& folders, const folder::FolderRef& folder);

}  // namespace gridbridge
