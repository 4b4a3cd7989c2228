#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/engines/SlurmEngine.h"

namespace {

/// ctest calls a test skipped that ends so.
constexpr int kSkipped = 77;
/// slurm.sh: something is not installed.
constexpr int kMissing = 69;

}  // namespace

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    auto& engine = gridbridge::testing::SlurmEngine::get();
    std::string why;
    const int started = engine.start(why);
    const bool required = std::getenv("GRIDBRIDGE_REQUIRE_ENGINES") != nullptr;
    if (started == kMissing && !required) {
        std::cout << "skipped: Slurm is not installed here; " << why;
        return kSkipped;
    }
    if (started != 0) {
        std::cout << "Slurm cannot be started: " << why;
        engine.stop();
        return 1;
    }
    const int code = RUN_ALL_TESTS();
    engine.stop();
    return code;
}
