#include "tests/engines/ArcHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeArc() {
    return std::make_unique<ArcHarness>();
}

INSTANTIATE_TEST_SUITE_P(Arc, BackendContract,
                         ::testing::Values(BackendParam{"arc", &makeArc, true}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
