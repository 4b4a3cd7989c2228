#include "backends/api/SchedulerBackend.h"

#include <algorithm>
#include <utility>

#include "backends/api/SharedFolder.h"

namespace gridbridge {
namespace {

using Phase = QueuedJob::Phase;

/// A scheduler that is only slow must be able to answer for somebody.
constexpr SteadyTime::duration kLeastShare = std::chrono::seconds(5);

JobRef withId(JobRef ref, const RemoteId& id) {
    ref.id = id;
    return ref;
}

}  // namespace

SchedulerBackend::SchedulerBackend(std::string runAs, folder::JobFolders& folders,
                                   SchedulerSetup setup, ProcessRunner& runner, Clock& clock,
                                   Teller tell)
    : runAs_(std::move(runAs)),
      folders_(folders),
      clock_(clock),
      commands_(std::move(setup), runner, clock),
      tell_(std::move(tell)) {}

SchedulerBackend::Place SchedulerBackend::placeOf(const JobRef& ref) const {
    return {ref.account};
}

SchedulerBackend::ByPlace SchedulerBackend::byPlace(std::span<const JobRef> refs) const {
    ByPlace places;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        places[placeOf(refs[i])].push_back(i);
    }
    return places;
}

void SchedulerBackend::tellOnce(const Place& place, const std::string& command,
                                const std::string& trouble) {
    {
        const std::lock_guard lock(mutex_);
        auto& told = told_[{place, command}];
        if (trouble == told) {
            return;
        }
        told = trouble;
    }
    if (!trouble.empty()) {
        tell_(trouble + "; jobs that are not listed are left as they are");
    }
}

std::vector<Result<Submission>> SchedulerBackend::submitEach(
    const CallContext& ctx, std::span<const BatchJob> jobs,
    const std::function<std::optional<Accepted>(const BatchJob&, const SchedulerQueue&)>& known,
    const std::function<Result<Submission>(const BatchJob&)>& submitOne) {
    std::vector<Result<Submission>> results;
    std::map<std::string, Result<SchedulerQueue>> queues;
    std::map<std::string, Result<Submission>> forAll;  // Of an account.
    for (const auto& job : jobs) {
        if (const auto same = forAll.find(job.account); same != forAll.end()) {
            results.push_back(same->second);
            continue;
        }
        auto queue = queues.find(job.account);
        if (queue == queues.end()) {
            queue = queues.emplace(job.account, queueAt({job.account}, ctx)).first;
        }
        if (!queue->second) {
            results.emplace_back(transientError(queue->second.error().message));
            continue;
        }
        if (const auto accepted = known(job, *queue->second)) {
            results.emplace_back(Submission{.accepted = accepted, .full = {}});
            continue;
        }
        results.push_back(submitOne(job));
        const auto& last = results.back();
        if (last.ok() && last->full) {
            forAll.emplace(job.account, last);
        } else if (!last.ok() && last.error().kind != ErrorKind::Permanent) {
            forAll.emplace(job.account, transientError(last.error().message));
        }
    }
    return results;
}

Result<std::vector<FoundJob>> SchedulerBackend::find(const CallContext& ctx,
                                                     std::span<const JobRef> refs) {
    std::vector<FoundJob> found;
    std::string trouble;
    for (const auto& [place, indices] : byPlace(refs)) {
        std::vector<std::string> names;
        for (const auto i : indices) {
            names.push_back(refs[i].key.value);
        }
        const auto known = search(place, names, ctx);
        if (!known) {
            return known.error();
        }
        for (const auto& name : names) {
            if (const auto job = known->jobs.find(name); job != known->jobs.end()) {
                found.push_back({{name}, job->second.id, job->second.submittedAt});
            } else if (trouble.empty()) {
                trouble = known->trouble;
            }
        }
    }
    return trouble.empty() ? Result<std::vector<FoundJob>>(std::move(found))
                           : transientError(trouble);
}

CallContext SchedulerBackend::shareOf(const CallContext& ctx, std::size_t places) const {
    auto share = ctx;
    const auto now = clock_.steadyNow();
    if (places > 1 && ctx.deadline > now) {
        const auto even = (ctx.deadline - now) / static_cast<std::int64_t>(places);
        share.deadline = std::min(ctx.deadline, now + std::max(even, kLeastShare));
    }
    return share;
}

Result<std::vector<Observation>> SchedulerBackend::observeEach(
    const CallContext& ctx, std::span<const JobRef> refs,
    const std::function<Result<void>(const CallContext&, const Place&,
                                     const std::vector<std::size_t>&, std::vector<Observation>&)>&
        lookAt) {
    std::vector<Observation> seen(refs.size());
    const auto places = byPlace(refs);
    std::vector<std::pair<Place, Error>> failed;
    auto left = places.size();
    for (const auto& [place, indices] : places) {
        if (const auto looked = lookAt(shareOf(ctx, left--), place, indices, seen); !looked) {
            failed.emplace_back(place, withoutEffect(looked.error()));
        } else {
            tellOnce(place, "", "");
        }
    }
    if (!failed.empty() && failed.size() == places.size()) {
        return failed.front().second;
    }
    for (const auto& [place, error] : failed) {
        tellOnce(place, "", (place.account.empty() ? "" : place.account + ": ") + error.message);
        for (const auto i : places.at(place)) {
            seen[i].reason = error.message;
        }
    }
    return seen;
}

std::vector<Result<LogChunk>> SchedulerBackend::readLogs(const CallContext&,
                                                         std::span<const LogRequest> requests) {
    return readSharedLogs(folders_, requests);
}

std::vector<Result<CollectOutcome>> SchedulerBackend::collect(const CallContext&,
                                                              std::span<const JobRef> refs) {
    return collectShared(folders_, refs);
}

void SchedulerBackend::cancelAt(const Place& place, std::span<const CancelRequest> requests,
                                const std::vector<std::size_t>& indices,
                                std::vector<Result<CancelOutcome>>& results,
                                const CallContext& ctx) {
    const auto queue = queueAt(place, ctx);
    struct Removals {
        std::vector<std::size_t> where;
        std::vector<JobRef> jobs;
    };
    std::map<bool, Removals> removals;  // By whether only what waits is meant.
    for (const auto i : indices) {
        const auto& ref = requests[i].ref;
        if (!queue) {
            results[i] = queue.error();
            continue;
        }
        const auto known = queue->jobs.find(ref.key.value);
        const bool soft = requests[i].kind == CancelKind::Soft;
        if (known == queue->jobs.end() && !queue->trouble.empty()) {
            results[i] = transientError(queue->trouble);
        } else if (known == queue->jobs.end() || known->second.phase == Phase::Ended) {
            results[i] = CancelOutcome::AlreadyGone;
        } else if (soft && known->second.phase == Phase::Running) {
            const auto asked = folders_.requestCancel({ref.key, ref.account});
            results[i] = asked ? Result<CancelOutcome>(CancelOutcome::Requested) : asked.error();
        } else {
            removals[soft].where.push_back(i);
            removals[soft].jobs.push_back(withId(ref, known->second.id));
        }
    }
    for (const auto& [onlyWaiting, some] : removals) {
        const auto removed = remove(place, some.jobs, onlyWaiting, ctx);
        for (std::size_t n = 0; n < removed.size(); ++n) {
            results[some.where[n]] =
                removed[n] ? Result<CancelOutcome>(CancelOutcome::Requested) : removed[n].error();
        }
    }
}

std::vector<Result<CancelOutcome>> SchedulerBackend::cancel(
    const CallContext& ctx, std::span<const CancelRequest> requests) {
    std::vector<Result<CancelOutcome>> results(requests.size(), CancelOutcome::AlreadyGone);
    std::vector<JobRef> refs;
    for (const auto& request : requests) {
        refs.push_back(request.ref);
    }
    const auto places = byPlace(refs);
    auto left = places.size();
    for (const auto& [place, indices] : places) {
        cancelAt(place, requests, indices, results, shareOf(ctx, left--));
    }
    return results;
}

void SchedulerBackend::releaseAt(const Place& place, std::span<const JobRef> refs,
                                 const std::vector<std::size_t>& indices,
                                 std::vector<Result<void>>& results, const CallContext& ctx) {
    const auto queue = queueAt(place, ctx);
    std::vector<JobRef> queued;
    std::vector<std::size_t> where;
    for (const auto i : indices) {
        const auto& key = refs[i].key.value;
        if (!queue) {
            results[i] = queue.error();
            continue;
        }
        const auto known = queue->jobs.find(key);
        if (known == queue->jobs.end()) {
            results[i] = queue->trouble.empty() ? Result<void>() : transientError(queue->trouble);
        } else if (known->second.phase == Phase::Running) {
            results[i] = permanentError("the job " + key + " still runs");
        } else if (known->second.stays) {
            queued.push_back(withId(refs[i], known->second.id));
            where.push_back(i);
        }
    }
    if (!queued.empty()) {
        const auto removed = remove(place, queued, false, ctx);
        for (std::size_t n = 0; n < removed.size(); ++n) {
            results[where[n]] = removed[n];
        }
    }
    for (const auto i : indices) {
        if (results[i].ok()) {
            results[i] = folders_.free({refs[i].key, refs[i].account});
        }
    }
}

std::vector<Result<void>> SchedulerBackend::release(const CallContext& ctx,
                                                    std::span<const JobRef> refs) {
    std::vector<Result<void>> results(refs.size());
    const auto places = byPlace(refs);
    auto left = places.size();
    for (const auto& [place, indices] : places) {
        releaseAt(place, refs, indices, results, shareOf(ctx, left--));
    }
    return results;
}

}  // namespace gridbridge
