#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "backends/api/Backend.h"
#include "backends/api/SchedulerCommands.h"
#include "backends/api/SharedFolder.h"
#include "backends/command/CommandParse.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// Jobs of any batch system whose nodes see the work folder, by commands of the configuration. A
/// job is known by its key, its name there; that it has ended, by its status file or by what the
/// batch system knows of a job that its list does not show any more.
class CommandBackend final : public Backend {
public:
    /// What happens only once in a while and concerns no certain job, for the service's log.
    using Teller = std::function<void(const std::string&)>;

    /// `runAs`: the Unix account whose jobs they are, empty = the service's own. Throws
    /// std::invalid_argument for a pattern that is none. `folders`, `runner` and `clock` must
    /// outlive it.
    CommandBackend(CommandConfig config, std::string runAs, folder::JobFolders& folders,
                   ProcessRunner& runner, Clock& clock, Teller tell);

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override;
    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override;
    Result<std::vector<FoundJob>> find(const CallContext& ctx,
                                       std::span<const SubmissionKey> keys) override;
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
    /// The queues of the accounts that one call is about, each asked for once.
    using Queues = std::map<std::string, Result<CommandListing>>;
    const Result<CommandListing>& queueOf(Queues& queues, const std::string& account,
                                          const CallContext& ctx);
    Result<CommandListing> queue(const std::string& account, const CallContext& ctx);
    Result<Submission> submitOne(const BatchJob& job, const CallContext& ctx);
    /// Of a job that is listed, or whose id is in its folder.
    std::optional<Accepted> accepted(const SubmissionKey& key, const std::string& account,
                                     const CommandListing& listing);
    Observation look(const JobRef& ref, const CommandListing& listing, const FolderMarks& marks,
                     const CallContext& ctx);
    Observation resultOf(const JobRef& ref, const CallContext& ctx);
    Result<void> remove(const JobRef& ref, const RemoteId& id, const CallContext& ctx);
    Result<CancelOutcome> cancelOne(const CancelRequest& request, const CommandListing& listing,
                                    const CallContext& ctx);
    Result<void> releaseOne(const JobRef& ref, const CommandListing& listing,
                            const CallContext& ctx);
    void tellOnce(const std::string& trouble);

    const CommandConfig config_;
    const std::string runAs_;
    const CommandParser parser_;
    folder::JobFolders& folders_;
    Clock& clock_;
    SchedulerCommands commands_;
    Teller tell_;
    std::mutex mutex_;
    std::string told_;
};

}  // namespace gridbridge
