// How jobs are ended, and forgotten.
#include <algorithm>

#include "backends/api/SharedFolder.h"
#include "backends/arc/ArcBackend.h"

namespace gridbridge {
namespace {

std::vector<JobRef> refsOf(std::span<const CancelRequest> requests) {
    std::vector<JobRef> refs;
    for (const auto& request : requests) {
        refs.push_back(request.ref);
    }
    return refs;
}

}  // namespace

Result<CancelOutcome> ArcBackend::cancelOne(const CallContext& ctx, Turn& turn, const Job& job,
                                            bool soft) {
    // ARC's `fork` ends no process of a job, and a soft cancel ARC does not have at all: its own
    // program and script look for these files.
    const std::string file = soft ? "in/cancel" : "in/kill";
    const auto asked = patience_.ask(ctx, turn, job.id, file, [&](const CallContext& brief) {
        return client_.put(brief, job.id, file, 0, "", 0);
    });
    return asked ? Result<CancelOutcome>(CancelOutcome::Requested) : asked.error();
}

std::vector<Result<CancelOutcome>> ArcBackend::cancel(const CallContext& ctx,
                                                      std::span<const CancelRequest> requests) {
    const auto refs = refsOf(requests);
    const auto known = look(ctx, refs, false);
    if (!known) {
        return {requests.size(), withoutEffect(known.error())};
    }
    const auto isSoft = [](const CancelRequest& request, const Job& job) {
        return request.kind == CancelKind::Soft && isArcInside(job.state);
    };
    std::vector<std::string> hard;
    for (const auto& request : requests) {
        const auto job = known->of(request.ref);
        if (job && !isArcFinal(job->state) && !isSoft(request, *job)) {
            markRemoved(folders_, request.ref);
            hard.push_back(job->id);
        }
    }
    // All of them before the first that may be slow.
    const auto killed = client_.demand(ctx, "kill", hard);
    Turn turn{.until = ctx.deadline};
    std::vector<Result<CancelOutcome>> results(requests.size(), CancelOutcome::AlreadyGone);
    ArcPatience::each(refs, canceled_, turn, [&](std::size_t i) {
        const auto job = known->of(requests[i].ref);
        if (job && !isArcFinal(job->state)) {
            const bool soft = isSoft(requests[i], *job);
            results[i] = cancelOne(ctx, turn, *job, soft);
            if (results[i] && !soft && !killed) {
                results[i] = killed.error();
            }
        }
    });
    return results;
}

Result<ArcBackend::Known> ArcBackend::takeBack(const CallContext& ctx,
                                               std::span<const JobRef> refs) {
    constexpr int kTries = 75;  // A-REX hears of it within a second or two, where it is not busy.
    std::set<std::string> taken;
    for (int tries = 0;; ++tries) {
        auto known = look(ctx, refs, false);
        if (!known) {
            return known;
        }
        std::vector<std::string> waiting;
        for (const auto& ref : refs) {
            for (const auto& job : known->all(ref)) {
                if (isArcWaiting(job.state)) {
                    waiting.push_back(job.id);
                }
            }
        }
        taken.insert(waiting.begin(), waiting.end());
        const auto isThere = [&](const std::string& id) {
            const auto state = known->states.find(id);
            return state != known->states.end() && !isArcFinal(state->second) &&
                   !isArcGone(state->second);
        };
        if (std::none_of(taken.begin(), taken.end(), isThere) || tries == kTries) {
            return known;
        }
        if (const auto killed = client_.demand(ctx, "kill", waiting); !killed) {
            return killed.error();
        }
        const auto next = clock_.steadyNow() + Millis(200);
        if (next >= ctx.deadline || !clock_.sleepUntil(next, ctx.stop)) {
            return transientError("there was no time for ARC to take the jobs back");
        }
    }
}

Result<void> ArcBackend::releaseOne(const CallContext& ctx, const JobRef& ref, const Known& known,
                                    const std::map<std::string, ArcEntry>& told) {
    const auto jobs = known.all(ref);
    std::vector<std::string> ids;
    for (const auto& job : jobs) {
        if (isArcWaiting(job.state) || job.state == "KILLING") {
            return transientError("ARC has not taken the job back");
        }
        if (isArcInside(job.state)) {
            return permanentError("the job " + ref.key.value + " still runs");
        }
        ids.push_back(job.id);
    }
    const auto left = ids.empty() ? absence(ref, known, told) : client_.demand(ctx, "clean", ids);
    if (!left) {
        return left;
    }
    ids.push_back(ref.id.value);
    for (const auto& id : ids) {
        patience_.forget(id);
        const std::lock_guard lock(mutex_);
        ended_.erase(id);
        started_.erase(id);
        whole_.erase(id);
        doubts_.erase(id);
        std::erase_if(again_, [&](const auto& each) { return each.first.first == id; });
    }
    return folders_.free({ref.key, ref.account});
}

std::vector<Result<void>> ArcBackend::release(const CallContext& ctx,
                                              std::span<const JobRef> refs) {
    const auto known = takeBack(ctx, refs);
    if (!known) {
        return {refs.size(), withoutEffect(known.error())};
    }
    const auto told = informationOf(ctx, refs, *known);
    if (!told) {
        return {refs.size(), withoutEffect(told.error())};
    }
    std::vector<Result<void>> results;
    for (const auto& ref : refs) {
        results.push_back(releaseOne(ctx, ref, *known, *told));
    }
    return results;
}

}  // namespace gridbridge
