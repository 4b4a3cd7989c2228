#pragma once

#include <condition_variable>
#include <mutex>

namespace gridbridge::testing {

/// A place where threads can be made to wait, as in a call that hangs. Open at first.
/// Safe for concurrent use.
class Gate {
public:
    /// Waits while the gate is closed.
    void pass() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !closed_; });
        --waiting_;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    void open() {
        const std::lock_guard lock(mutex_);
        closed_ = false;
        changed_.notify_all();
    }
    /// Returns once some thread waits at the closed gate.
    void awaitSomebody() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_ > 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
    int waiting_ = 0;
};

}  // namespace gridbridge::testing
