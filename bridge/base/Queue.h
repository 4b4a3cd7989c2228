#pragma once

#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "bridge/base/Clock.h"

namespace gridbridge {

/// Hands values from many threads to one. Unbounded: what may pile up is bounded by its senders
/// (one effect per job and kind in flight). Safe for concurrent use.
template <typename T>
class Queue {
public:
    void push(T value) {
        {
            const std::lock_guard lock(mutex_);
            items_.push_back(std::move(value));
        }
        changed_.notify_one();
    }

    /// Everything that is there now, in order, without waiting.
    std::vector<T> takeAll() {
        const std::lock_guard lock(mutex_);
        std::vector<T> taken(std::make_move_iterator(items_.begin()),
                             std::make_move_iterator(items_.end()));
        items_.clear();
        return taken;
    }

    /// The next value, without waiting for one.
    std::optional<T> tryPop() {
        const std::lock_guard lock(mutex_);
        return items_.empty() ? std::nullopt : std::optional(takeFirst());
    }

    /// Blocks until something is there, `deadline` has passed or `stop` was requested.
    void waitUntil(SteadyTime deadline, std::stop_token stop) {
        std::unique_lock lock(mutex_);
        changed_.wait_until(lock, stop, deadline, [this] { return !items_.empty(); });
    }

    /// Blocks for the next value; nothing once `stop` was requested and the queue is empty.
    std::optional<T> pop(std::stop_token stop) {
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [this] { return !items_.empty(); })) {
            return std::nullopt;
        }
        return takeFirst();
    }

private:
    T takeFirst() {
        T value = std::move(items_.front());
        items_.pop_front();
        return value;
    }

    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<T> items_;
};

}  // namespace gridbridge
