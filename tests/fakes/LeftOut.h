#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <unistd.h>

namespace gridbridge::testing {

inline bool isRoot() {
    return ::geteuid() == 0;
}

/// For GTEST_SKIP: that `what` needs root. With GRIDBRIDGE_REQUIRE_ENGINES=1, where nothing may be
/// left out, the test fails.
inline std::string leftOut(const std::string& what) {
    auto sentence = "this needs root and is not tested here: " + what;
    if (std::getenv("GRIDBRIDGE_REQUIRE_ENGINES") != nullptr) {
        ADD_FAILURE() << sentence;
    }
    return sentence;
}

}  // namespace gridbridge::testing
