#pragma once

#include <utility>

#include "bridge/base/Clock.h"

namespace gridbridge::core {

/// Whether GitLab takes a runner's claims. Three refusals in a row pause them for an hour, as in
/// the official runner (protocol 2.4). One thread at a time.
class Health {
public:
    static constexpr int kRefusals = 3;
    static constexpr std::chrono::hours kPause{1};

    bool paused(SteadyTime now) const { return now < pausedUntil_; }
    /// True = a pause begins with this refusal; one that goes on is not told again.
    bool refused(SteadyTime now) {
        if (++refusals_ < kRefusals) {
            return false;
        }
        pausedUntil_ = now + kPause;
        ill_ = true;
        return refusals_ == kRefusals;
    }
    /// True = the runner was ill until now.
    bool accepted() {
        refusals_ = 0;
        return std::exchange(ill_, false);
    }
    /// Something has changed that may be the cure: the pause is over.
    void tryAgain() {
        refusals_ = 0;
        pausedUntil_ = {};
    }

private:
    int refusals_ = 0;
    bool ill_ = false;
    SteadyTime pausedUntil_ = {};
};

}  // namespace gridbridge::core
