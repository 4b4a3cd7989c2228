#pragma once

#include <utility>

#include "bridge/base/Clock.h"

namespace gridbridge::core {

/// Says once that calls have begun to fail, and once that they go well again, however often they
/// fail in between. One thread at a time.
class Outage {
public:
    /// True = an outage begins with this failure.
    bool failed(SteadyTime now) {
        last_ = now;
        return !std::exchange(open_, true);
    }
    /// True = an outage is over: nothing has failed for a minute.
    bool worked(SteadyTime now) {
        return open_ && now - last_ >= std::chrono::minutes(1) && std::exchange(open_, false);
    }

private:
    bool open_ = false;
    SteadyTime last_ = {};
};

}  // namespace gridbridge::core
