// The logs of jobs that run, and what their wrappers hear meanwhile.
#include "backends/api/CarriedFiles.h"
#include "backends/api/SharedFolder.h"
#include "backends/diracx/DiracBackend.h"

namespace gridbridge {

std::vector<Result<LogChunk>> DiracBackend::readLogs(const CallContext&,
                                                     std::span<const LogRequest> requests) {
    std::vector<folder::ReadRequest> markers;
    for (const auto& request : requests) {
        markers.push_back(
            {{request.ref.key, request.ref.account}, std::string("in/") + kFetchedName, 0, 0});
    }
    // First, and without it nothing of the rest: what is fetched just now is half there.
    const auto fetched = folders_.read(markers);
    auto results = readSharedLogs(folders_, requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (!fetched[i]) {
            results[i] = fetched[i].error();
        } else if (!fetched[i]->exists) {
            results[i] = liveLog_.read(requests[i]);
        }
    }
    return results;
}

Result<CollectOutcome> DiracBackend::sync(const CallContext& ctx, const JobRef& ref, int run) {
    if (const auto settled = liveLog_.settle(ref, run); !settled) {
        return withoutEffect(settled.error());
    }
    return syncCarried(commands_, folders_, ref, ctx);
}

bool DiracBackend::hears(const JobRef& ref) {
    if (receiver_->hears(ref)) {
        return true;
    }
    // One that has just begun may not have said its first word.
    constexpr std::chrono::seconds kFirstWord{20};
    const auto now = clock_.steadyNow();
    const std::lock_guard lock(mutex_);
    return now < askedToEnd_.emplace(ref.key.value, now).first->second + kFirstWord;
}

std::set<std::string> DiracBackend::askToEnd(const CallContext& ctx,
                                             std::span<const CancelRequest> requests) {
    std::vector<JobRef> soft;
    for (const auto& [ref, kind] : requests) {
        if (kind == CancelKind::Soft && receiver_) {
            soft.push_back(ref);
        }
    }
    std::set<std::string> asked;
    if (soft.empty()) {
        return asked;
    }
    const auto known = look(ctx, soft, Histories::OfCopies);
    for (const auto& ref : soft) {
        const auto* const job = known ? known->of(ref.key) : nullptr;
        if (job != nullptr && !isDiracxFinal(job->status) && !isDiracxWaiting(job->status) &&
            folders_.requestCancel({ref.key, ref.account}) && hears(ref)) {
            asked.insert(ref.key.value);
        }
    }
    return asked;
}

void DiracBackend::forgetLive(const SubmissionKey& key) {
    liveLog_.forget(key);
    if (receiver_) {
        receiver_->forget(key);
    }
}

}  // namespace gridbridge
