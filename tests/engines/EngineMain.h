#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

namespace gridbridge::testing {

/// The main of a test program that needs a real batch system: starts it, runs all tests, stops it.
template <typename Engine>
int runEngineTests(int argc, char** argv, const char* name, Engine& engine) {
    constexpr int kSkipped = 77;  // So ctest knows it.
    constexpr int kMissing = 69;  // Of the engine's script: something is not installed.
    ::testing::InitGoogleTest(&argc, argv);
    std::string why;
    const int started = engine.start(why);
    if (started == kMissing && std::getenv("GRIDBRIDGE_REQUIRE_ENGINES") == nullptr) {
        std::cout << "skipped: " << name << " is not installed here; " << why;
        return kSkipped;
    }
    if (started != 0) {
        std::cout << name << " cannot be started: " << why;
        engine.stop();
        return 1;
    }
    const int code = RUN_ALL_TESTS();
    engine.stop();
    return code;
}

}  // namespace gridbridge::testing
