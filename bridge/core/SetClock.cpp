#include <algorithm>

#include "bridge/core/Reconciler.h"

namespace gridbridge::core {

namespace {

/// More than a time server corrects without setting the clock, or than passes between two reads.
constexpr Millis kSet{5000};

}  // namespace

/// A clock that is set takes no time from a job and gives it none. A clock that was set while the
/// service was down cannot be told from time that has passed.
void Reconciler::followClock() {
    const auto wall = clock_.wallNow();
    const auto steady = clock_.steadyNow();
    const auto by = wall - now_ - std::chrono::floor<Millis>(steady - steadyNow_);
    if (std::chrono::abs(by) >= kSet) {
        try {
            store_.shiftTimes(by, lastBefore_);
        } catch (const store::StoreError& e) {
            noteUnwritable(e);
            return;  // Nothing is decided before it can be.
        }
        log_.warn("the machine's clock was set, the times of open jobs with it seconds={}",
                  std::chrono::round<std::chrono::seconds>(by).count());
    }
    now_ = wall;
    steadyNow_ = steady;
    lastBefore_ = lastAdopted_;
}

}  // namespace gridbridge::core
