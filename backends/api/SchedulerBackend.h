#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backends/api/Backend.h"
#include "backends/api/SchedulerCommands.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// One of our jobs as a scheduler's queue shows it.
struct QueuedJob {
    enum class Phase { Waiting, Running, Ended };
    RemoteId id;
    WallTime submittedAt{};
    Phase phase = Phase::Running;
    bool stays = false;  ///< It does not run, and is listed until it is removed.
};

/// Our jobs of a queue, by key.
struct SchedulerQueue {
    std::map<std::string, QueuedJob> jobs;
    /// Why a job that is not listed may be there nevertheless, one line; empty = the list is whole.
    std::string trouble;
};

/// What backends have in common whose batch system is driven by commands and whose nodes see the
/// work folder: its queue is asked once for all jobs of an account, and tells what may be done with
/// each. The classes below it know the commands and what they print.
class SchedulerBackend : public Backend {
public:
    /// What happens only once in a while and concerns no certain job, for the service's log.
    using Teller = std::function<void(const std::string&)>;

    Result<std::vector<FoundJob>> find(const CallContext& ctx,
                                       std::span<const JobRef> refs) override;
    std::vector<Result<LogChunk>> readLogs(const CallContext& ctx,
                                           std::span<const LogRequest> requests) override;
    std::vector<Result<CancelOutcome>> cancel(const CallContext& ctx,
                                              std::span<const CancelRequest> requests) override;
    std::vector<Result<CollectOutcome>> collect(const CallContext& ctx,
                                                std::span<const JobRef> refs) override;
    std::vector<Result<void>> release(const CallContext& ctx,
                                      std::span<const JobRef> refs) override;

protected:
    /// Whose jobs, and which server of the batch system has them; empty = its only one.
    struct Place {
        std::string account;
        std::string server = {};
        auto operator<=>(const Place&) const = default;
    };
    using ByPlace = std::map<Place, std::vector<std::size_t>>;

    /// `runAs`: the Unix account whose jobs they are, empty = the service's own. `folders`,
    /// `runner` and `clock` must outlive it.
    SchedulerBackend(std::string runAs, folder::JobFolders& folders, SchedulerSetup setup,
                     ProcessRunner& runner, Clock& clock, Teller tell);

    /// Where a job is, or is to go when it has no id yet.
    virtual Place placeOf(const JobRef& ref) const;
    /// Transient or Permanent errors: asking has no effect.
    virtual Result<SchedulerQueue> queueAt(const Place& place, const CallContext& ctx) = 0;
    /// What the batch system knows of jobs with these keys, the ended included.
    virtual Result<SchedulerQueue> search(const Place& place, const std::vector<std::string>& keys,
                                          const CallContext& ctx) = 0;
    /// Asks for the end of queued jobs of one place, each with the queue's id; one answer for each.
    /// `onlyWaiting`: not of those that have started meanwhile.
    virtual std::vector<Result<void>> remove(const Place& place, const std::vector<JobRef>& jobs,
                                             bool onlyWaiting, const CallContext& ctx) = 0;

    ByPlace byPlace(std::span<const JobRef> refs) const;
    /// For batch systems with one server: `submitOne` for each that `known` does not know; after an
    /// answer that says it for all, the others of that account are not even tried.
    std::vector<Result<Submission>> submitEach(
        const CallContext& ctx, std::span<const BatchJob> jobs,
        const std::function<std::optional<Accepted>(const BatchJob&, const SchedulerQueue&)>& known,
        const std::function<Result<Submission>(const BatchJob&)>& submitOne);
    /// Of the time that is left, what the first of `places` may take: one that hangs leaves the
    /// others theirs.
    CallContext shareOf(const CallContext& ctx, std::size_t places) const;
    /// Asks of each place by itself, `lookAt` of the jobs at those indices. What cannot be asked of
    /// one place says nothing of its jobs alone; an error when no place could be asked.
    Result<std::vector<Observation>> observeEach(
        const CallContext& ctx, std::span<const JobRef> refs,
        const std::function<Result<void>(const CallContext&, const Place&,
                                         const std::vector<std::size_t>&,
                                         std::vector<Observation>&)>& lookAt);
    /// Tells the trouble with what a command lists of a place, and the next one when it is another;
    /// empty = all is well.
    void tellOnce(const Place& place, const std::string& command, const std::string& trouble);

    const std::string runAs_;
    folder::JobFolders& folders_;
    Clock& clock_;
    SchedulerCommands commands_;

private:
    void cancelAt(const Place& place, std::span<const CancelRequest> requests,
                  const std::vector<std::size_t>& indices,
                  std::vector<Result<CancelOutcome>>& results, const CallContext& ctx);
    void releaseAt(const Place& place, std::span<const JobRef> refs,
                   const std::vector<std::size_t>& indices, std::vector<Result<void>>& results,
                   const CallContext& ctx);

    const Teller tell_;
    std::mutex mutex_;
    std::map<std::pair<Place, std::string>, std::string> told_;  ///< By place and command.
};

}  // namespace gridbridge
