#pragma once

#include <map>
#include <string>
#include <vector>

#include "backends/api/SchedulerBackend.h"
#include "backends/slurm/SlurmCommands.h"
#include "backends/slurm/SlurmParse.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// Jobs of a Slurm cluster whose nodes see the work folder, by the commands sbatch, squeue, sacct,
/// scancel and sinfo. A job's name is its key, by which it is known: Slurm gives ids out again, and
/// after a crash of its controller forgets jobs that it had accepted. An ended job is shown until
/// the controller forgets it (MinJobAge), and by accounting where there is one, `release` or not.
class SlurmBackend final : public SchedulerBackend {
public:
    /// `runAs`: the Unix account whose jobs they are, empty = the service's own. `folders`,
    /// `runner` and `clock` must outlive it.
    SlurmBackend(SlurmConfig config, std::string runAs, folder::JobFolders& folders,
                 ProcessRunner& runner, Clock& clock, Teller tell);

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override;
    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override;
    Result<std::vector<Observation>> observe(const CallContext& ctx,
                                             std::span<const JobRef> refs) override;

private:
    Result<SchedulerQueue> queueAt(const Place& place, const CallContext& ctx) override;
    Result<SchedulerQueue> search(const Place& place, const std::vector<std::string>& keys,
                                  const CallContext& ctx) override;
    std::vector<Result<void>> remove(const Place& place, const std::vector<JobRef>& jobs,
                                     bool onlyWaiting, const CallContext& ctx) override;
    Result<SlurmListing> queue(const std::string& account, const CallContext& ctx);
    Result<SlurmListing> history(const std::string& account, const std::vector<std::string>& names,
                                 WallTime since, const CallContext& ctx);
    /// Adds what accounting knows of those that the queue does not list.
    void addHistory(SlurmListing& listing, const std::string& account,
                    const std::vector<std::string>& names, WallTime since, const CallContext& ctx);
    using Usages = std::map<std::string, SlurmUsage>;  ///< By key.
    /// What those used that have ended, where accounting tells it. Each is asked for until it is
    /// known, in vain but rarely.
    const Usages& usage(const std::string& account, const std::vector<JobRef>& ended,
                        const CallContext& ctx);
    Result<Submission> submitOne(const BatchJob& job, const CallContext& ctx);
    std::vector<Observation> observations(const SlurmListing& listing, const std::string& account,
                                          const std::vector<JobRef>& refs, const CallContext& ctx);
    void addMemoryKills(std::vector<Observation>& seen, const std::vector<JobRef>& refs);

    const SlurmConfig config_;
    // Only `observe` uses them, and of that one call at a time is under way.
    std::map<std::string, Usages> usages_;  ///< By account: of the jobs of the last look.
    /// By account: accounting is not asked before for what jobs used.
    std::map<std::string, SteadyTime> usageAfter_;
};

}  // namespace gridbridge
