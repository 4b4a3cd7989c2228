#include "tests/contract/LocalHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeLocal() {
    return std::make_unique<LocalHarness>();
}

std::unique_ptr<BackendHarness> makeLocalOfAnAccount() {
    return std::make_unique<LocalHarness>("", folder::findAccount("").value().name);
}

INSTANTIATE_TEST_SUITE_P(Local, BackendContract,
                         ::testing::Values(BackendParam{"local", &makeLocal, false},
                                           BackendParam{"localRestarted", &makeLocal, true},
                                           BackendParam{"localAgent", &makeLocalOfAnAccount,
                                                        false}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
