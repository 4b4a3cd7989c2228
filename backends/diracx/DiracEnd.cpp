// How jobs are ended, and forgotten.
#include "backends/api/SharedFolder.h"
#include "backends/diracx/DiracBackend.h"

namespace gridbridge {

std::vector<DiracxKill> DiracBackend::unwanted(const Known& known, bool onlyWaiting) {
    std::vector<DiracxKill> kills;
    for (const auto& [key, jobs] : known.jobs) {
        for (const auto& job : jobs) {
            if (!isDiracxFinal(job.status) && (!onlyWaiting || isDiracxWaiting(job.status))) {
                kills.push_back(killOf(job, known.serverNow, kDiracxNotWanted));
                markKill(key, kDiracxNotWanted);
            }
        }
    }
    return kills;
}

DiracBackend::Killed DiracBackend::killAll(const CallContext& ctx, std::span<const JobRef> refs,
                                           bool onlyWaiting) {
    Killed killed;
    // What DIRAC heard of a job between our look and our kill is newer than that, which does
    // nothing then.
    constexpr int kMostTries = 4;
    for (int tries = 0; tries < kMostTries; ++tries) {
        auto known = look(ctx, refs, historyTellsWhoKilled() ? Histories::All : Histories::None);
        if (!known) {
            killed.error = withoutEffect(known.error());
            return killed;
        }
        killed.known = std::move(known).value();
        auto kills = unwanted(killed.known, onlyWaiting);
        const auto states = kill(ctx, kills);
        if (!states) {
            killed.error = states.error();
            return killed;
        }
        std::erase_if(kills, [&](const DiracxKill& each) {
            const auto state = states->find(each.id);
            if (state != states->end() && state->second == "Killed") {
                killed.ids.insert(each.id);
            }
            return state != states->end() && isDiracxFinal(state->second);
        });
        if (kills.empty()) {
            return killed;
        }
    }
    killed.error = transientError("DIRAC has not killed the job");
    return killed;
}

std::vector<Result<CancelOutcome>> DiracBackend::cancel(const CallContext& ctx,
                                                        std::span<const CancelRequest> requests) {
    const auto asked = askToEnd(ctx, requests);
    std::vector<JobRef> refs;
    for (const auto& request : requests) {
        if (!asked.contains(request.ref.key.value)) {
            refs.push_back(request.ref);
        }
    }
    const auto killed = refs.empty() ? Killed{} : killAll(ctx, refs, false);
    std::vector<Result<CancelOutcome>> results;
    for (const auto& [ref, kind] : requests) {
        const auto* const job = killed.known.of(ref.key);
        if (asked.contains(ref.key.value)) {
            results.emplace_back(CancelOutcome::Requested);
        } else if (job != nullptr && killed.ids.contains(job->id)) {
            results.emplace_back(CancelOutcome::Requested);
        } else if (killed.known.hides(ref)) {
            results.emplace_back(transientError(kDiracHidden));
        } else if (killed.error && (job == nullptr || !isDiracxFinal(job->status))) {
            results.emplace_back(*killed.error);
        } else {
            results.emplace_back(CancelOutcome::AlreadyGone);
        }
    }
    return results;
}

std::vector<Result<void>> DiracBackend::release(const CallContext& ctx,
                                                std::span<const JobRef> refs) {
    const auto killed = killAll(ctx, refs, true);
    std::vector<Result<void>> results;
    for (const auto& ref : refs) {
        const auto* const job = killed.known.of(ref.key);
        const bool isOver =
            job != nullptr && (killed.ids.contains(job->id) || isDiracxFinal(job->status));
        if (killed.error && !isOver) {
            results.emplace_back(
                Error{ErrorKind::Transient, killed.error->message, killed.error->misconfigured});
            continue;
        }
        if (killed.known.hides(ref)) {
            results.emplace_back(transientError(kDiracHidden));
            continue;
        }
        if (job != nullptr && !isOver) {
            results.emplace_back(permanentError("the job " + ref.key.value + " still runs"));
            continue;
        }
        liveLog_.close(ref.key);
        results.push_back(folders_.free({ref.key, ref.account}));
        forgetLive(ref.key);
        const std::lock_guard lock(mutex_);
        remembered_.erase(ref.key.value);
        outputMissing_.erase(ref.key.value);
        askedToEnd_.erase(ref.key.value);
    }
    return results;
}

}  // namespace gridbridge
