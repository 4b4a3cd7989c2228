#pragma once

#include <mutex>

#include "bridge/base/Clock.h"

namespace gridbridge::testing {

/// A clock that moves only when told. `sleepUntil` moves it instead of blocking.
/// Safe for concurrent use.
class FakeClock final : public Clock {
public:
    explicit FakeClock(WallTime start = fromEpoch(std::chrono::milliseconds(1767225600000)))
        : wall_(start) {}

    WallTime wallNow() const override {
        const std::lock_guard lock(mutex_);
        return wall_;
    }
    SteadyTime steadyNow() const override {
        const std::lock_guard lock(mutex_);
        return steady_;
    }
    bool sleepUntil(SteadyTime deadline, std::stop_token stop) override {
        const std::lock_guard lock(mutex_);
        if (deadline > steady_) {
            moveBoth(std::chrono::ceil<Millis>(deadline - steady_));
        }
        return !stop.stop_requested();
    }

    void advance(Millis by) {
        const std::lock_guard lock(mutex_);
        moveBoth(by);
    }
    /// Moves only the wall clock, as an administrator or a broken time server does.
    void jumpWall(Millis by) {
        const std::lock_guard lock(mutex_);
        wall_ += by;
    }

private:
    void moveBoth(Millis by) {
        wall_ += by;
        steady_ += by;
    }

    mutable std::mutex mutex_;
    WallTime wall_;
    SteadyTime steady_{std::chrono::hours(1)};
};

}  // namespace gridbridge::testing
