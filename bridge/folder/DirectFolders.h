#pragma once

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "bridge/base/Fd.h"
#include "bridge/folder/Account.h"
#include "bridge/folder/JobFolders.h"
#include "bridge/folder/ProcessTable.h"

namespace gridbridge::folder {

/// Works on the folders in this process, as the account it runs as; refuses any other. Whatever it
/// opens is checked as JobFolders promises (job-execution, section 10, row 1).
class DirectFolders final : public JobFolders {
public:
    /// `workDir` is absolute and made 0711 when it is absent. Throws std::runtime_error when it
    /// cannot be used: not ours, writable by others, or with characters that a shell would not
    /// take literally (loaders contain the path). `bootId` is other than the machine's in tests.
    explicit DirectFolders(std::filesystem::path workDir, std::string bootId = currentBootId());

    std::filesystem::path path(const FolderRef& folder) const override;
    Result<void> stage(const FolderRef& folder, std::span<const StagedFile> files) override;
    Result<void> append(const FolderRef& folder, const std::string& path, std::int64_t offset,
                        std::string_view bytes) override;
    Result<ProcessId> start(const FolderRef& folder, std::span<const std::string> argv,
                            const std::function<bool(const ProcessId&)>& recorded) override;
    std::vector<Result<ReadChunk>> read(std::span<const ReadRequest> requests) override;
    Result<MarkOutcome> mark(const FolderRef& folder) override;
    Result<MarkOutcome> begin(const FolderRef& folder) override;
    Result<void> requestCancel(const FolderRef& folder) override;
    Result<void> signal(const FolderRef& folder, const ProcessId& process, int signal) override;
    ProcessEnd reap(const FolderRef& folder, const ProcessId& process) override;
    Result<void> free(const FolderRef& folder) override;
    /// A part of `free` that is soon done, however much there is; true = nothing is left.
    Result<bool> freeSome(const FolderRef& folder);

private:
    /// Into `in` or `out`.
    Result<void> write(const FolderRef& folder, const std::string& inner,
                       std::span<const StagedFile> files);
    Result<Account> accountOf(const FolderRef& folder);
    /// The submission's folder with in/ and out/, made when it is absent.
    Result<Fd> make(const FolderRef& folder);
    Result<ReadChunk> readOne(const ReadRequest& request);
    /// `made` gives the marker of that name, newly made or ours; invalid with EEXIST: another's.
    Result<MarkOutcome> take(const FolderRef& folder,
                             const std::function<Fd(int out, const char* name)>& made);
    Result<Fd> openBatchLog(const FolderRef& folder);

    std::filesystem::path workDir_;
    std::string bootId_;
    Fd root_;
    std::mutex mutex_;
    std::optional<Account> account_;  ///< To look it up may ask a directory server.
};

/// Calls `some`, a freeSome(), until nothing is left. Gives up on a folder that somebody fills
/// meanwhile.
Result<void> freeInParts(const std::function<Result<bool>()>& some);

}  // namespace gridbridge::folder
