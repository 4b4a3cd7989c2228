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
    const auto boot = bootOf(world_, wall, steady);
    const auto by = boot.at - bootAt_;
    if (std::chrono::abs(by) >= kSet) {
        try {
            store_.shiftTimes(by, lastBefore_, boot);
        } catch (const store::StoreError& e) {
            noteUnwritable(e);
            return;  // Nothing is decided before it can be.
        }
        bootAt_ = boot.at;
        tell(log_, by);
    }
    now_ = wall;
    steadyNow_ = steady;
    lastBefore_ = lastAdopted_;
}

void Reconciler::followClockSetWhileDown() {
    const auto boot = bootOf(world_, now_, steadyNow_);
    const auto known = store_.boot();
    if (!known || known->id != boot.id) {
        store_.save(boot);
        bootAt_ = boot.at;
        return;
    }
    bootAt_ = known->at;
    if (const auto by = boot.at - bootAt_; std::chrono::abs(by) >= kSet) {
        // What no life of the service has looked at may have been claimed since.
        JobRow last{};
        for (const auto& job : store_.load(store_.open())) {
            last = job.state == store::State::Received ? last : std::max(last, job.row);
        }
        store_.shiftTimes(by, last, boot);
        bootAt_ = boot.at;
        tell(log_, by);
    }
}

}  // namespace gridbridge::core
