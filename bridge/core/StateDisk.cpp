#include "bridge/core/StateDisk.h"

namespace gridbridge::core {

namespace {

constexpr Millis kPause{5000};
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

}  // namespace

SteadyTime StateDisk::step() {
    const auto now = clock_.steadyNow();
    if (now < next_) {
        return next_;
    }
    next_ = now + kPause;
    const auto free = free_();
    if (!free) {
        return next_;
    }
    if (!scarce_ && *free < least_) {
        scarce_ = true;
        log_.critical(
            "the state disk is short of room: {} MiB are free, and below min_free_space = {} MiB "
            "nothing is claimed; make room there, open jobs go on",
            *free / kMiB, least_ / kMiB);
    } else if (scarce_ && *free >= least_ + least_ / 10) {
        scarce_ = false;
        log_.info("the state disk has room again, jobs are claimed");
    }
    capacity_.hold(scarce_);
    return next_;
}

}  // namespace gridbridge::core
