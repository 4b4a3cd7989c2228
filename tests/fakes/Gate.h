#pragma once

#include <gtest/gtest.h>

#include <chrono>
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
    /// Returns once some thread waits at the closed gate. Where none comes the test has failed.
    void awaitSomebody() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(50), [this] {
            return waiting_ > 0;
        })) << "nobody comes to the gate";
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
    int waiting_ = 0;
};

}  // namespace gridbridge::testing
