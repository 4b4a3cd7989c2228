#include <algorithm>

#include "bridge/core/Reconciler.h"

namespace gridbridge::core {

namespace {

/// More than a time server corrects without setting the clock, or than passes between two reads.
constexpr Millis kSet{5000};

store::Boot bootOf(const World& world, WallTime wall, SteadyTime steady) {
    return {world.bootId, wall - std::chrono::floor<Millis>(steady.time_since_epoch())};
}

void tell(spdlog::logger& log, Millis by) {
    log.warn("the machine's clock was set, the times of open jobs with it seconds={}",
             std::chrono::round<std::chrono::seconds>(by).count());
}

}  // namespace

/// A clock that is set takes no time from a job and gives it none. What was set while the machine
/// was off cannot be told from time that has passed.
void Reconciler::followClock() {
    const auto wall = clock_.wallNow();
    const auto steady = clock_.steadyNow();
    const auto by = wall - now_ - std::chrono::floor<Millis>(steady - steadyNow_);
    if (std::chrono::abs(by) >= kSet) {
        try {
            store_.shiftTimes(by, lastBefore_, bootOf(world_, wall, steady));
        } catch (const store::StoreError& e) {
            noteUnwritable(e);
            return;  // Nothing is decided before it can be.
        }
        tell(log_, by);
    }
    now_ = wall;
    steadyNow_ = steady;
    lastBefore_ = lastAdopted_;
}

void Reconciler::followClockSetWhileDown(JobRow last) {
    const auto boot = bootOf(world_, now_, steadyNow_);
    const auto known = store_.boot();
    if (!known || known->id != boot.id) {
        return store_.save(boot);
    }
    if (const auto by = boot.at - known->at; std::chrono::abs(by) >= kSet) {
        store_.shiftTimes(by, last, boot);
        tell(log_, by);
    }
}

}  // namespace gridbridge::core
