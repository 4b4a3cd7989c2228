#pragma once

#include <atomic>

#include "bridge/base/Clock.h"

namespace gridbridge::testing {

/// The machine's clocks, with a wall clock that a test can set ahead or back. Safe for concurrent
/// use.
class LaterClock final : public Clock {
public:
    WallTime wallNow() const override { return clock_.wallNow() + ahead.load(); }
    SteadyTime steadyNow() const override { return clock_.steadyNow(); }
    bool sleepUntil(SteadyTime deadline, std::stop_token stop) override {
        return clock_.sleepUntil(deadline, stop);
    }
    std::atomic<Millis> ahead{Millis(0)};

private:
    SystemClock clock_;
};

}  // namespace gridbridge::testing
