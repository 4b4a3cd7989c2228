#pragma once

#include <filesystem>
#include <string>

#include "backends/api/Backend.h"
#include "backends/local/LocalJobs.h"
#include "backends/local/LocalRecords.h"
#include "bridge/folder/JobFolders.h"
#include "bridge/folder/ProcessTable.h"

namespace gridbridge {

struct LocalConfig {
    std::filesystem::path workDir;  ///< That of the folders; holds `.local`, the backend's memory.
    int slots = 1;                  ///< Jobs that run at a time; the others wait in order.
    std::string node = {};          ///< This machine's name, for people.
    std::string bootId = folder::currentBootId();  ///< The folders' own; other only in tests.
};

/// Runs jobs on this machine, each in its own session that outlives the service.
class LocalBackend final : public Backend {
public:
    /// Goes on with the jobs of `config.workDir`. `folders` and `clock` must outlive it; `changed`
    /// may be called before this returns. Throws std::runtime_error when the memory is unusable.
    LocalBackend(LocalConfig config, folder::JobFolders& folders, Clock& clock,
                 ChangeListener changed);

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override;
    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override;
    Result<std::vector<FoundJob>> find(const CallContext& ctx,
                                       std::span<const JobRef> refs) override;
    Result<std::vector<Observation>> observe(const CallContext& ctx,
                                             std::span<const JobRef> refs) override;
    std::vector<Result<LogChunk>> readLogs(const CallContext& ctx,
                                           std::span<const LogRequest> requests) override;
    std::vector<Result<CancelOutcome>> cancel(const CallContext& ctx,
                                              std::span<const CancelRequest> requests) override;
    std::vector<Result<CollectOutcome>> collect(const CallContext& ctx,
                                                std::span<const JobRef> refs) override;
    std::vector<Result<void>> release(const CallContext& ctx,
                                      std::span<const JobRef> refs) override;

private:
    /// Nothing: the call may go on.
    Result<void> timeLeft(const CallContext& ctx) const;
    Result<LocalRecord> record(const CallContext& ctx, const BatchJob& job);
    Observation observeOne(const JobRef& ref);

    const LocalConfig config_;
    folder::JobFolders& folders_;
    Clock& clock_;
    LocalRecords records_;
    LocalJobs jobs_;
};

}  // namespace gridbridge
