#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backends/api/SchedulerBackend.h"
#include "backends/htcondor/HTCondorCommands.h"
#include "backends/htcondor/HTCondorParse.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// Jobs of an HTCondor pool, by the commands condor_submit, condor_q, condor_history and condor_rm.
/// Its nodes see the work folder, or HTCondor copies the jobs' files there and back, on request
/// through the spool of a schedd that does not see it either. A job's key is
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
    std::vector<Result<CollectOutcome>> collect(const CallContext& ctx,
                                                std::span<const JobRef> refs) override;
    std::vector<Result<void>> release(const CallContext& ctx,
                                      std::span<const JobRef> refs) override;

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
    /// All jobs of the account; for a single key that job alone.
    Result<HTCondorListing> queue(const Place& place, const std::vector<std::string>& keys,
                                  const CallContext& ctx);
    /// The queue, and what the history knows of those that it does not list.
    Result<HTCondorListing> everything(const Place& place, const std::vector<std::string>& keys,
                                       const CallContext& ctx);
    /// Of jobs, of references to them, or of pointers to either.
    template <typename Items>
    static std::vector<std::string> keysOf(const Items& items) {
        std::vector<std::string> keys;
        for (const auto& item : items) {
            if constexpr (requires { item->key; }) {
                keys.push_back(item->key.value);
            } else {
                keys.push_back(item.key.value);
            }
        }
        return keys;
    }
    template <typename Items>
    static std::vector<std::string> keysOf(const Items& items,
                                           const std::vector<std::size_t>& indices) {
        std::vector<const typename Items::value_type*> some;
        for (const auto i : indices) {
            some.push_back(&items[i]);
        }
        return keysOf(some);
    }
    /// The queue. With a spool those of the keys that have waited for their files for too long can
    /// never begin, and are removed before.
    Result<HTCondorListing> withoutUnsent(const Place& place, const std::vector<std::string>& keys,
                                          const CallContext& ctx);
    /// Those whose files were on the way for so long that nobody sends them any more. By our clock,
    /// from when it was first seen: after a restart from then on.
    std::vector<std::string> unsentForLong(const HTCondorListing& listing,
                                           const std::vector<std::string>& keys);
    /// Until the schedd has begun to look after jobs whose files were just sent. Uncertain.
    Result<void> awaitSent(const Place& place, const std::vector<std::string>& keys,
                           const CallContext& ctx);
    std::vector<Result<void>> removeKeys(const Place& place, const std::vector<std::string>& keys,
                                         Removal which, const CallContext& ctx);
    /// Tells the trouble with the removal of unsent jobs when it is another; empty = all is well.
    void tellUnsent(const Place& place, const std::string& trouble);
    /// An error: not all has come. Otherwise hasArrived() tells; `before` lists the job.
    Result<void> fetch(const Place& place, const HTCondorListing& before, const std::string& key,
                       const CallContext& ctx);
    void forgetFetch(const std::string& key);
    /// Whether all that the job left is in its folder, by our fetch, synced or not.
    bool hasArrived(const HTCondorListing& listing, const JobRef& ref);
    /// Done, once what has come outlives a power failure.
    Result<CollectOutcome> sync(const Place& place, const std::string& key, const CallContext& ctx);
    Result<CollectOutcome> collectOne(const JobRef& ref, const CallContext& ctx);
    Result<void> stage(const BatchJob& job);
    std::vector<Result<Submission>> submitStaged(const std::string& account,
                                                 const std::vector<const BatchJob*>& jobs,
                                                 const CallContext& ctx);
    void submitTogether(const std::string& account, std::span<const BatchJob> jobs,
                        const std::vector<std::size_t>& indices,
                        std::vector<Result<Submission>>& results, const CallContext& ctx);
    /// With file transfer, of each: all its files, for HTCondor says that it is complete. Any of
    /// them may come before the others, and the first of them empty. An error says neither.
    std::vector<Result<bool>> haveCome(const std::vector<JobRef>& refs, const CallContext& ctx);
    void addStarts(std::vector<Observation>& seen, std::span<const JobRef> refs,
                   const std::vector<std::size_t>& indices);

    const HTCondorConfig config_;
    const Teller tellSpool_;
    std::mutex spoolMutex_;
    std::map<std::string, SteadyTime> unsentSince_;  ///< By key.
    std::map<Place, std::string> unsentTrouble_;     ///< As it was told.
    /// StageOutFinish before a fetch that succeeded and was not synced, by key. Others do not
    /// count, also those before a restart: a power failure may have undone them.
    std::map<std::string, std::optional<WallTime>> fetchedBefore_;
};

}  // namespace gridbridge
