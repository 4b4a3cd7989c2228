#pragma once

#include <chrono>
#include <optional>
#include <stop_token>

namespace gridbridge {

/// Time that people and other machines read: UTC, milliseconds since 1970. Stored times are this.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
/// Time for intervals; not comparable after a restart.
using SteadyTime = std::chrono::steady_clock::time_point;
using Millis = std::chrono::milliseconds;

/// Source of time for everything outside main(). Safe for concurrent use.
class Clock {
public:
    virtual ~Clock() = default;
    /// For timestamps that people or other machines read. May jump.
    virtual WallTime wallNow() const = 0;
    /// For intervals, deadlines and back-off. Never goes backwards.
    virtual SteadyTime steadyNow() const = 0;
    /// Blocks until `deadline`. Returns false if `stop` was requested first.
    virtual bool sleepUntil(SteadyTime deadline, std::stop_token stop) = 0;

protected:
    Clock() = default;
    Clock(const Clock&) = default;
    Clock& operator=(const Clock&) = default;
};

/// The machine's clocks. The only place that reads them.
class SystemClock final : public Clock {
public:
    WallTime wallNow() const override;
    SteadyTime steadyNow() const override;
    bool sleepUntil(SteadyTime deadline, std::stop_token stop) override;
};

/// How long a blocking call may take, and a way to end it early. Every call that blocks has one.
struct CallContext {
    SteadyTime deadline;
    std::stop_token stop = {};
    /// Until then a stop does not end the wait for an answer: what was sent may have had its
    /// effect, and the answer be on its way.
    SteadyTime stopNotBefore = {};
};

inline std::chrono::milliseconds sinceEpoch(WallTime time) {
    return time.time_since_epoch();
}
inline WallTime fromEpoch(std::chrono::milliseconds sinceEpochMs) {
    return WallTime(sinceEpochMs);
}

}  // namespace gridbridge
