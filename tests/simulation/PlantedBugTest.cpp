// A checker that finds nothing may be blind: every planted bug must be caught, by the invariant
// that is there for it. The seeds are always the same, for it is the checker that is tested.
#include <gtest/gtest.h>

#include <iostream>

#include "tests/simulation/Simulation.h"

namespace gridbridge::simulation {
namespace {

class PlantedBugs : public ::testing::TestWithParam<std::size_t> {};

TEST_P(PlantedBugs, IsCaughtWithinTwoHundredSeeds) {
    constexpr std::uint64_t kMost = 200;
    const auto& bug = plantedBugs()[GetParam()];
    for (std::uint64_t tried = 1; tried <= kMost; ++tried) {
        Simulation run(planned(tried), bug.plant());
        for (const auto& finding : run.run()) {
            if (finding.invariant == bug.invariant) {
                std::cout << "seed " << tried << ": " << finding.invariant << ": " << finding.what
                          << '\n';
                return;
            }
        }
    }
    FAIL() << bug.name << " is not caught by " << bug.invariant;
}

INSTANTIATE_TEST_SUITE_P(Simulation, PlantedBugs,
                         ::testing::Range(std::size_t{0}, plantedBugs().size()),
                         [](const auto& p) { return plantedBugs()[p.param].name; });

}  // namespace
}  // namespace gridbridge::simulation
