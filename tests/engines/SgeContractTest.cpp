#include "tests/engines/SgeHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeSge() {
    return std::make_unique<SgeHarness>();
}

INSTANTIATE_TEST_SUITE_P(Sge, BackendContract,
                         ::testing::Values(BackendParam{"sge", &makeSge, true}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
