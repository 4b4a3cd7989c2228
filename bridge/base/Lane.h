#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "bridge/base/Queue.h"

namespace gridbridge {

/// A named queue with a fixed number of threads, for calls that block. Tasks start in the order
/// they were posted. Destruction lets running tasks end, asks them to stop through their token,
/// and drops tasks that have not started. `post` is safe for concurrent use.
class Lane {
public:
    using Task = std::function<void(std::stop_token)>;

    /// `name` is at most 15 characters: it becomes the threads' name. `onDefect` receives the
    /// text of an exception that escaped a task, which is a defect of that task.
    Lane(std::string name, int width, std::function<void(const std::string&)> onDefect);
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    ~Lane();

    void post(Task task);
    /// The first task that waits, if any, for the caller to run: a lane of `width` 0 has no
    /// threads, and its owner says who does its work and when. Safe for concurrent use.
    std::optional<Task> takeNext() { return tasks_.tryPop(); }

private:
    void work(std::stop_token stop);

    std::string name_;
    std::function<void(const std::string&)> onDefect_;
    Queue<Task> tasks_;
    std::vector<std::jthread> threads_;
};

}  // namespace gridbridge
