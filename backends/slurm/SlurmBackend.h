#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "backends/api/Backend.h"
#include "backends/api/SchedulerCommands.h"
#include "backends/slurm/SlurmCommands.h"
#include "backends/slurm/SlurmParse.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// Jobs of a Slurm cluster whose nodes see the work folder, by the commands sbatch, squeue, sacct,
/// scancel and sinfo. A job's name is its key, by which it is known: Slurm gives ids out again, and
/// after a crash of its controller forgets jobs that it had accepted. An ended job is shown until
/// the controller forgets it (MinJobAge), and by accounting where there is one, `release` or not.
class SlurmBackend final : public Backend {
public:
    /// What happens only once in a while and concerns no certain job, for the service's log.
    using Teller = std::function<void(const std::string&)>;

    /// `runAs`: the Unix account whose jobs they are, empty = the service's own. `folders`,
    /// `runner` and `clock` must outlive it.
    SlurmBackend(SlurmConfig config, std::string runAs, folder::JobFolders& folders,
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
    using Queues = std::map<std::string, Result<SlurmListing>>;
    const Result<SlurmListing>& queueOf(Queues& queues, const std::string& account,
                                        const CallContext& ctx);
    Result<SlurmListing> queue(const std::string& account, const CallContext& ctx);
    Result<SlurmListing> history(const std::string& account, const std::vector<std::string>& names,
                                 WallTime since, const CallContext& ctx);
    /// Adds what accounting knows of those that the queue does not list.
    void addHistory(SlurmListing& listing, const std::string& account,
                    const std::vector<std::string>& names, WallTime since, const CallContext& ctx);
    Result<Submission> submitOne(const BatchJob& job, const CallContext& ctx);
    std::vector<Observation> observations(const SlurmListing& listing,
                                          const std::vector<JobRef>& refs);
    Result<void> remove(const JobRef& ref, const RemoteId& id, bool onlyPending,
                        const CallContext& ctx);
    Result<CancelOutcome> cancelOne(const CancelRequest& request, const SlurmListing& listing,
                                    const CallContext& ctx);
    Result<void> releaseOne(const JobRef& ref, const SlurmListing& listing, const CallContext& ctx);
    void tellOnce(const std::string& trouble);

    const SlurmConfig config_;
    const std::string runAs_;
    folder::JobFolders& folders_;
    Clock& clock_;
    SchedulerCommands commands_;
    Teller tell_;
    std::mutex mutex_;
    std::string told_;
};

}  // namespace gridbridge
