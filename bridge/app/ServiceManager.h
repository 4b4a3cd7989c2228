#pragma once

#include <atomic>
#include <string>

#include "bridge/base/Clock.h"

namespace gridbridge::app {

/// Tells the program that started the service how it fares, by the protocol of sd_notify(3):
/// datagrams to the socket that NOTIFY_SOCKET names. Without that variable nothing happens. What
/// cannot be sent is dropped. Safe for concurrent use.
class ServiceManager {
public:
    /// Reads NOTIFY_SOCKET and WATCHDOG_USEC.
    explicit ServiceManager(const Clock& clock);

    void ready() const;
    /// `ready()` says that it is over.
    void reloading() const;
    void stopping() const;
    /// The core turns: called at every turn, and sent a few times per WATCHDOG_USEC.
    void alive();

private:
    void send(const std::string& text) const;

    const Clock& clock_;
    std::string socket_;
    Millis pause_{0};  ///< Between two signs of life; 0 = nobody watches.
    std::atomic<SteadyTime> next_{};
};

}  // namespace gridbridge::app
