#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "bridge/base/Keys.h"
#include "bridge/base/Result.h"

namespace gridbridge::folder {

/// Which submission's folder: `<work_dir>/[<account>/]<key>/` with `in/` and `out/`.
struct FolderRef {
    SubmissionKey key;
    std::string account;  ///< Empty = the service's own.
};

struct StagedFile {
    std::string name;     ///< In `in/`; [A-Za-z0-9._-]+
    std::string content;  ///< Written 0600.
};

struct ReadRequest {
    FolderRef folder;
    std::string name;  ///< In `out/`; or `in/NAME`, which was staged.
    std::int64_t offset = 0;
    std::size_t limit = 0;
};
struct ReadChunk {
    bool exists = false;
    std::string bytes;
    std::int64_t size = 0;
};

enum class MarkOutcome {
    Taken,          ///< The script has not started and never will.
    AlreadyStarted  ///< Some copy has the marker.
};

/// A started process that cannot be mistaken for another: the pid, when it was started (clock
/// ticks since boot, /proc/<pid>/stat field 22) and in which boot.
struct ProcessId {
    pid_t pid = 0;
    std::uint64_t startTicks = 0;
    std::string bootId;
    bool operator==(const ProcessId&) const = default;
};

/// Both empty: it has not ended, or nobody knows.
struct ProcessEnd {
    std::optional<int> exitCode = {};
    std::optional<int> signal = {};
    bool operator==(const ProcessEnd&) const = default;
};

/// The only access to the files of submissions, as the account that owns them. What lies in a
/// folder is hostile: nothing is opened through links, only regular files of the right owner with
/// one name are read, and no call waits for a writer. Safe for concurrent use.
class JobFolders {
public:
    virtual ~JobFolders() = default;

    virtual std::filesystem::path path(const FolderRef& folder) const = 0;
    /// Makes the folder (0700, owned by the account) and the files of `in/`. Repeatable. A power
    /// failure soon after may undo it. Transient where the disk has no room for a job to begin.
    virtual Result<void> stage(const FolderRef& folder, std::span<const StagedFile> files) = 0;
    /// Writes `bytes` at `offset` of the file `name` in `in/`, for what is too large for `stage`;
    /// or of `out/NAME`, for what a batch system gave to the service itself. 0 makes folder and
    /// file anew, any other must be its size. Errors as those of `stage`.
    virtual Result<void> append(const FolderRef& folder, const std::string& name,
                                std::int64_t offset, std::string_view bytes) = 0;
    /// Starts `argv` as the account in its own session, with `argv` as given, an environment of
    /// PATH, HOME, USER, LOGNAME, LANG and GB_FOLDER (its path) only, stdin from the null device
    /// and both outputs in `out/batch.log`. The process does nothing before `recorded` has returned
    /// true: with false, or when the service dies before, it ends without having run `argv`.
    /// `recorded` must not use this object. Uncertain: it was recorded, and may have begun or not;
    /// if not, it ends by itself.
    virtual Result<ProcessId> start(const FolderRef& folder, std::span<const std::string> argv,
                                    const std::function<bool(const ProcessId&)>& recorded) = 0;
    /// One chunk per request, in order. An absent file is not an error; a link, a FIFO or a
    /// foreign owner is (Permanent). The start marker is absent while it is the service's.
    virtual std::vector<Result<ReadChunk>> read(std::span<const ReadRequest> requests) = 0;
    /// Takes the start marker `out/started` for the service: as a folder, which no copy makes, so
    /// that it is known again whenever the service was killed. Repeatable: Taken again. A job that
    /// forges it is a job that has not started, to its own harm alone. Taken outlives a power
    /// failure. Uncertain: it may be taken.
    virtual Result<MarkOutcome> mark(const FolderRef& folder) = 0;
    /// Takes it as the loader of a copy does, for a batch system that runs none. Once.
    virtual Result<MarkOutcome> begin(const FolderRef& folder) = 0;
    /// Makes `in/cancel`, which asks the wrapper to stop gracefully.
    virtual Result<void> requestCancel(const FolderRef& folder) = 0;
    /// Sends `signal` to every process of the session that `process` leads, and to those that left
    /// it with its GB_FOLDER in their environment. Well when none is left.
    virtual Result<void> signal(const FolderRef& folder, const ProcessId& process, int signal) = 0;
    /// How a process that ended did so, for its parent, once.
    virtual ProcessEnd reap(const FolderRef& folder, const ProcessId& process) = 0;
    /// Removes the folder and all in it. Well when it is absent.
    virtual Result<void> free(const FolderRef& folder) = 0;
};

}  // namespace gridbridge::folder
