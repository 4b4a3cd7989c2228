#include "tests/engines/DiracCliHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeDiracCli() {
    return std::make_unique<DiracCliHarness>();
}

INSTANTIATE_TEST_SUITE_P(DiracCli, BackendContract,
                         ::testing::Values(BackendParam{"diraccli", &makeDiracCli, true}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
