#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

namespace gridbridge::core {

/// How many jobs may still be claimed. The core says what is open; claimers take a place before
/// they ask GitLab, and give it back when there was no job. Safe for concurrent use.
class Capacity {
public:
    Capacity(int concurrent, const std::map<std::string, int>& runnerLimits,
             const std::map<std::string, int>& backendLimits) {
        limit(concurrent, runnerLimits, backendLimits);
    }

    enum class Place {
        None,
        Last,  ///< While it is taken, another runner may find none.
        One,
    };

    /// A place for a job of this runner on this backend, if there is one now.
    Place take(const std::string& runner, const std::string& backend);
    void giveBack(const std::string& runner, const std::string& backend);

    /// The core has begun to count a job that was claimed here or found at start.
    void opened(const std::string& runner, const std::string& backend, bool taken);
    void closed(const std::string& runner);
    /// Other limits from now on; a runner or backend may be new. Places taken stay taken.
    void limit(int concurrent, const std::map<std::string, int>& runnerLimits,
               const std::map<std::string, int>& backendLimits);
    /// A draining runner takes no place.
    void drain(const std::string& runner, bool draining);
    /// While held nobody takes a place.
    void hold(bool held);
    /// While the database or a trace cannot be written nobody takes a place.
    void unwritable(bool now);
    /// `waiting`: jobs that have not started there. `healthy`: its load is known and it is not
    /// full; otherwise nothing is claimed for it.
    void backendState(const std::string& backend, int waiting, bool healthy);

private:
    struct BackendPlaces {
        int limit = 0;
        int waiting = 0;
        int taken = 0;
        bool healthy = false;
    };
    struct RunnerPlaces {
        int limit = 0;
        int used = 0;  ///< Open and taken.
        bool draining = false;
    };

    std::mutex mutex_;
    bool held_ = false;
    bool unwritable_ = false;
    int concurrent_ = 0;
    int used_ = 0;
    std::map<std::string, RunnerPlaces> runners_;
    std::map<std::string, BackendPlaces> backends_;
};

}  // namespace gridbridge::core
