#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include "bridge/folder/Account.h"
#include "bridge/folder/JobFolders.h"
#include "bridge/folder/ProcessTable.h"

namespace gridbridge::folder {

/// Works on the folders in this process. Its account is the service's own; as root it serves
/// other accounts too: files are given to them, processes are started through setpriv, and
/// whatever it opens is checked as JobFolders promises (job-execution, section 10, row 1).
class DirectFolders final : public JobFolders {
public:
    /// `workDir` is absolute and made 0711 when it is absent. Throws std::runtime_error when it
    /// cannot be used: not ours, writable by others, or with characters that a shell would not
    /// take literally (loaders contain the path). `bootId` is other than the machine's in tests.
    explicit DirectFolders(std::filesystem::path workDir, std::string bootId = currentBootId());

    std::filesystem::path path(const FolderRef& folder) const override;
    Result<void> stage(const FolderRef& folder, std::span<const StagedFile> files) override;
    Result<ProcessId> start(const FolderRef& folder, std::span<const std::string> argv,
                            const std::function<bool(const ProcessId&)>& recorded) override;
    std::vector<Result<ReadChunk>> read(std::span<const ReadRequest> requests) override;
    Result<Fd> open(const FolderRef& folder, const std::string& name) override;
    Result<MarkOutcome> mark(const FolderRef& folder) override;
    Result<void> requestCancel(const FolderRef& folder) override;
    Result<void> signal(const FolderRef& folder, const ProcessId& process, int signal) override;
    Result<void> free(const FolderRef& folder) override;

private:
    Result<Account> accountOf(const FolderRef& folder);
    /// The folder that holds the submissions of `folder.account`, made when it is absent.
    Result<Fd> parentOf(const FolderRef& folder);
    /// The submission's folder with in/ and out/, made when it is absent.
    Result<Fd> make(const FolderRef& folder, const Account& account);
    Result<Fd> openOutput(const FolderRef& folder, const std::string& name);
    Result<ReadChunk> readOne(const ReadRequest& request);
    Result<void> writeInput(const Fd& in, const StagedFile& file, const Account& account,
                            const std::string& label);
    Result<Fd> openBatchLog(const FolderRef& folder, const Account& account);

    std::filesystem::path workDir_;
    std::string bootId_;
    Fd root_;
    std::mutex mutex_;
    /// Looking an account up may ask a directory server, and reading a log must not.
    std::map<std::string, Account> accounts_;
};

}  // namespace gridbridge::folder
