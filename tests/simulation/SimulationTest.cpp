// The whole service through 200 bad days. `simulation_test --seed N` tells one as a story.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <set>

#include "tests/simulation/Simulation.h"

namespace gridbridge::simulation {

namespace {

std::uint64_t numberFrom(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t base() {
    static const std::uint64_t kBase =
        numberFrom("SIMULATION_BASE", std::random_device{}() % 1'000'000'000U);
    return kBase;
}

constexpr int kParts = 4;

class ManySeeds : public ::testing::TestWithParam<int> {};

TEST_P(ManySeeds, NothingIsLostNothingDoubledNoByteWrongNoSecretOut) {
    const auto seeds = numberFrom("SIMULATION_SEEDS", 200) / kParts;
    const auto first = base() + static_cast<std::uint64_t>(GetParam()) * seeds;
    std::cout << "seeds " << first << " to " << first + seeds - 1 << '\n';
    std::map<std::string, std::int64_t> struck;
    for (auto seed = first; seed < first + seeds; ++seed) {
        Simulation run(planned(seed));
        for (const auto& finding : run.run()) {
            ADD_FAILURE() << "seed " << seed << ": " << finding.invariant << ": " << finding.what
                          << "\nsee: simulation_test --seed " << seed;
        }
        for (const auto& [name, count] : run.strikes()) {
            struck[name] += count;
        }
    }
    for (const auto& [name, count] : struck) {
        std::cout << "  " << name << ": " << count << '\n';
    }
}

INSTANTIATE_TEST_SUITE_P(Part, ManySeeds, ::testing::Range(0, kParts));

TEST(Simulation, TheSameSeedIsTheSameStory) {
    Simulation first(planned(base()));
    Simulation again(planned(base()));
    first.run();
    again.run();

    EXPECT_EQ(first.story(), again.story());
    EXPECT_GT(first.story().size(), 10U);
}

/// All that can go wrong in a simulation; nobody uploads, downloads or registers there.
std::set<std::string> everything() {
    using fakegitlab::FaultKind;
    std::set<std::string> names{"restart",         "wall clock jump", "gitlab away",
                                "database locked", "interference",    "network call-hangs"};
    for (const auto point : kCrashPoints) {
        names.insert("kill at " + std::string(point));
    }
    for (std::size_t i = 0; i < kSimulatedFaults; ++i) {
        names.insert("cluster " + std::string(nameOf(static_cast<SimulatedFault>(i))));
    }
    for (std::size_t i = 0; i < fakegitlab::kFaultKinds; ++i) {
        const auto kind = static_cast<FaultKind>(i);
        const bool met = kind != FaultKind::UploadAnswerLost && kind != FaultKind::UploadMoved &&
                         kind != FaultKind::DownloadCut && kind != FaultKind::TokenAnswerLost;
        if (met) {
            names.insert("gitlab " + std::string(fakegitlab::nameOf(kind)));
        }
    }
    return names;
}

TEST(Simulation, EverythingThatCanGoWrongDoes) {
    auto missing = everything();
    std::uint64_t seed = 0;
    while (!missing.empty() && seed < 200) {
        Simulation run(planned(++seed));
        run.run();
        for (const auto& [name, count] : run.strikes()) {
            if (count > 0) {
                missing.erase(name);
            }
        }
    }

    EXPECT_THAT(missing, ::testing::IsEmpty());
    std::cout << "all within " << seed << " seeds\n";
}

/// Exit code 1 when something is found.
int tellStory(std::uint64_t seed) {
    Simulation run(planned(seed));
    const auto findings = run.run();
    for (const auto& line : run.story()) {
        std::cout << line << '\n';
    }
    return findings.empty() ? 0 : 1;
}

}  // namespace
}  // namespace gridbridge::simulation

int main(int argc, char** argv) {
    // Thousands of small commits: not on a disk.
    std::error_code ignored;
    if (std::filesystem::is_directory("/dev/shm", ignored)) {
        ::setenv("TMPDIR", "/dev/shm", 0);
    }
    if (argc == 3 && std::string(argv[1]) == "--seed") {
        return gridbridge::simulation::tellStory(std::strtoull(argv[2], nullptr, 10));
    }
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
