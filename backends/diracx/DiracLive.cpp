// The logs of jobs that run, and what their wrappers hear meanwhile.
#include "backends/api/CarriedFiles.h"
#include "backends/api/SharedFolder.h"
#include "backends/diracx/DiracBackend.h"

namespace gridbridge {

std::vector<Result<LogChunk>> DiracBackend::readLogs(const CallContext&,
                                                     std::span<const LogRequest> requests) {
    auto results = readSharedLogs(folders_, requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        auto live = liveLog_.read(requests[i]);
        if (!live) {
            results[i] = live.error();
        } else if (*live) {
            results[i] = **live;
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
