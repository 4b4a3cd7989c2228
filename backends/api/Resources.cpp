#include <algorithm>

#include "backends/api/Backend.h"

namespace gridbridge {

bool isSchedulerName(std::string_view text) {
    constexpr std::size_t kLongest = 64;
    return !text.empty() && text.size() <= kLongest && text.front() != '-' &&
           text.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-") ==
               std::string_view::npos;
}

std::int64_t mebibytes(std::int64_t bytes) {
    constexpr std::int64_t kMiB = std::int64_t{1} << 20;
    return bytes / kMiB + (bytes % kMiB == 0 ? 0 : 1);
}

std::chrono::minutes runTime(const BatchJob& job, WallTime now) {
    using std::chrono::minutes;
    const auto left = std::max(std::chrono::ceil<minutes>(job.deadline - now), minutes(0));
    const auto& limit = job.resources.wallTime;
    return limit ? std::min(left, std::chrono::ceil<minutes>(*limit)) : left;
}

}  // namespace gridbridge
