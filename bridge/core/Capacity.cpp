#include "bridge/core/Capacity.h"

namespace gridbridge::core {

void Capacity::limit(int concurrent, const std::map<std::string, int>& runnerLimits,
                     const std::map<std::string, int>& backendLimits) {
    const std::lock_guard lock(mutex_);
    concurrent_ = concurrent;
    for (const auto& [name, limit] : runnerLimits) {
        runners_[name].limit = limit;
    }
    for (const auto& [name, limit] : backendLimits) {
        backends_[name].limit = limit;
    }
}

Capacity::Place Capacity::take(const std::string& runner, const std::string& backend) {
    const std::lock_guard lock(mutex_);
    auto& mine = runners_[runner];
    auto& there = backends_[backend];
    if (held_ || unwritable_ || used_ >= concurrent_ || mine.used >= mine.limit || mine.draining ||
        !there.healthy || there.waiting + there.taken >= there.limit) {
        return Place::None;
    }
    ++used_;
    ++mine.used;
    ++there.taken;
    const bool full = used_ >= concurrent_ || there.waiting + there.taken >= there.limit;
    return full && runners_.size() > 1 ? Place::Last : Place::One;
}

void Capacity::giveBack(const std::string& runner, const std::string& backend) {
    const std::lock_guard lock(mutex_);
    --used_;
    --runners_[runner].used;
    --backends_[backend].taken;
}

void Capacity::opened(const std::string& runner, const std::string& backend, bool taken) {
    const std::lock_guard lock(mutex_);
    if (taken) {
        --backends_[backend].taken;
        ++backends_[backend].waiting;
        return;
    }
    ++used_;
    ++runners_[runner].used;
}

void Capacity::closed(const std::string& runner) {
    const std::lock_guard lock(mutex_);
    --used_;
    --runners_[runner].used;
}

void Capacity::drain(const std::string& runner, bool draining) {
    const std::lock_guard lock(mutex_);
    runners_[runner].draining = draining;
}

void Capacity::hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
}

void Capacity::unwritable(bool now) {
    const std::lock_guard lock(mutex_);
    unwritable_ = now;
}

void Capacity::backendState(const std::string& backend, int waiting, bool healthy) {
    const std::lock_guard lock(mutex_);
    auto& there = backends_[backend];
    there.waiting = waiting;
    there.healthy = healthy;
}

}  // namespace gridbridge::core
