#include "bridge/core/Housekeeper.h"

namespace gridbridge::core {

namespace {
constexpr std::chrono::hours kPause{1};
}

SteadyTime Housekeeper::step() {
    const auto now = clock_.steadyNow();
    if (now < next_) {
        return next_;
    }
    const auto limit = clock_.wallNow() - retention_;
    const auto rows = store_.endedBefore(limit, kBatch);
    for (const auto row : rows) {
        // The rows go last: after a kill they are found again, a forgotten file would stay.
        std::error_code ignored;
        std::filesystem::remove(trace_.path(store::jobKey(store_.installation(), row)), ignored);
    }
    store_.erase(rows, limit);
    if (!rows.empty()) {
        log_.info("old jobs deleted jobs={}", rows.size());
    }
    next_ = rows.size() < kBatch ? now + kPause : now;
    return next_;
}

}  // namespace gridbridge::core
