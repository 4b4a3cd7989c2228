#include "tests/contract/SimulatedHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeSimulated() {
    return std::make_unique<SimulatedHarness>();
}

INSTANTIATE_TEST_SUITE_P(Simulated, BackendContract,
                         ::testing::Values(BackendParam{"simulated", &makeSimulated, false},
                                           BackendParam{"simulatedRestarted", &makeSimulated,
                                                        true}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
