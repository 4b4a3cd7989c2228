#include "tests/engines/DiracxHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeDiracx() {
    return std::make_unique<DiracxHarness>();
}

INSTANTIATE_TEST_SUITE_P(Diracx, BackendContract,
                         ::testing::Values(BackendParam{"diracx", &makeDiracx, true}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
