#include <condition_variable>
#include <mutex>

#include "bridge/base/Clock.h"

namespace gridbridge {

WallTime SystemClock::wallNow() const {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::steadyNow() const {
    return std::chrono::steady_clock::now();
}

bool SystemClock::sleepUntil(SteadyTime deadline, std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait_until(lock, stop, deadline, [] { return false; });
    return !stop.stop_requested();
}

}  // namespace gridbridge
