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

std::set<std::string> DiracBackend::askToEnd(std::span<const CancelRequest> requests) {
    std::set<std::string> asked;
    for (const auto& [ref, kind] : requests) {
        if (kind == CancelKind::Soft && receiver_ && receiver_->hears(ref) &&
            folders_.requestCancel({ref.key, ref.account})) {
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
