#include "tests/engines/OarHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeOar() {
    return std::make_unique<OarHarness>();
}

INSTANTIATE_TEST_SUITE_P(Oar, BackendContract,
                         ::testing::Values(BackendParam{"oar", &makeOar, true}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
