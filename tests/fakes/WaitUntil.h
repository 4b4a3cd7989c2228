#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace gridbridge::testing {

/// Waits until `condition` holds, for at most `limit`. `state` tells, for the failure message,
/// what was seen last.
inline ::testing::AssertionResult waitUntil(
    const std::function<bool()>& condition, std::chrono::milliseconds limit,
    const std::function<std::string()>& state = [] {
        return std::string("nothing more is known");
    }) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= end) {
            return ::testing::AssertionFailure()
                   << "not within " << limit.count() << " ms; " << state();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return ::testing::AssertionSuccess();
}

}  // namespace gridbridge::testing
