#pragma once

#include <string>
#include <vector>

#include "backends/api/SchedulerBackend.h"
#include "backends/htcondor/HTCondorCommands.h"
#include "backends/htcondor/HTCondorParse.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// Jobs of an HTCondor pool, by the commands condor_submit, condor_q, condor_history and condor_rm.
/// Its nodes see the work folder, or HTCondor copies the jobs' files there and back. A job's key is
/// its attribute GridbridgeKey, by which it is known; its id names the schedd that it was submitted
/// to, where that is not the machine's own, and every command about it goes there. An ended job is
/// shown by the queue for some minutes, then by the history, `release` or not.
class HTCondorBackend final : public SchedulerBackend {
public:
    /// `runAs`: the Unix account whose jobs they are, empty = the service's own. `folders`,
    /// `runner` and `clock` must outlive it.
    HTCondorBackend(HTCondorConfig config, std::string runAs, folder::JobFolders& folders,
                    ProcessRunner& runner, Clock& clock, Teller tell);

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override;
    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override;
    Result<std::vector<Observation>> observe(const CallContext& ctx,
                                             std::span<const JobRef> refs) override;
    std::vector<Result<LogChunk>> readLogs(const CallContext& ctx,
                                           std::span<const LogRequest> requests) override;
    std::vector<Result<CancelOutcome>> cancel(const CallContext& ctx,
                                              std::span<const CancelRequest> requests) override;

private:
    Place placeOf(const JobRef& ref) const override;
    Result<SchedulerQueue> queueAt(const Place& place, const CallContext& ctx) override;
    Result<SchedulerQueue> search(const Place& place, const std::vector<std::string>& keys,
                                  const CallContext& ctx) override;
    std::vector<Result<void>> remove(const Place& place, const std::vector<JobRef>& jobs,
                                     bool onlyWaiting, const CallContext& ctx) override;
    SchedulerQueue queueOf(const Place& place, const HTCondorListing& listing) const;
    Result<HTCondorListing> ask(const Place& place, const std::vector<std::string>& argv,
                                const CallContext& ctx);
    Result<HTCondorListing> queue(const Place& place, const CallContext& ctx);
    /// The queue, and what the history knows of those that it does not list.
    Result<HTCondorListing> everything(const Place& place, const std::vector<std::string>& keys,
                                       const CallContext& ctx);
    Result<void> stage(const BatchJob& job);
    std::vector<Result<Submission>> submitStaged(const std::string& account,
                                                 const std::vector<const BatchJob*>& jobs,
                                                 const CallContext& ctx);
    void submitTogether(const std::string& account, std::span<const BatchJob> jobs,
                        const std::vector<std::size_t>& indices,
                        std::vector<Result<Submission>>& results, const CallContext& ctx);
    /// With file transfer, of each: all its files, for HTCondor says that it is complete. Any of
    /// them may come before the others, and the first of them empty.
    std::vector<bool> haveCome(const std::vector<JobRef>& refs, const CallContext& ctx);
    void addStarts(std::vector<Observation>& seen, std::span<const JobRef> refs,
                   const std::vector<std::size_t>& indices);

    const HTCondorConfig config_;
};

}  // namespace gridbridge
