// The main of a test program that needs a real batch system: starts it, runs all tests, stops it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/engines/Engine.h"

int main(int argc, char** argv) {
    constexpr int kSkipped = 77;     // So ctest knows it.
    constexpr int kMissing = 69;     // Of the engine's script: something is not installed.
    constexpr int kImpossible = 75;  // The same: it is, but no package makes it run here.
    ::testing::InitGoogleTest(&argc, argv);
    auto& engine = gridbridge::testing::Engine::get();
    std::string why;
    const int started = engine.start(why);
    if (started == kMissing && std::getenv("GRIDBRIDGE_REQUIRE_ENGINES") == nullptr) {
        std::cout << "skipped: " << engine.name() << " is not installed here; " << why;
        engine.stop();
        return kSkipped;
    }
    if (started == kImpossible) {
        std::cout << "SKIPPED, NOTHING WAS TESTED: " << engine.name()
                  << " is installed, but cannot run on this machine: " << why;
        engine.stop();
        return kSkipped;
    }
    if (started != 0) {
        std::cout << engine.name() << " cannot be started: " << why;
        engine.stop();
        return 1;
    }
    const int code = RUN_ALL_TESTS();
    engine.stop();
    return code;
}
