#include "tests/engines/HTCondorHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeHTCondor() {
    return std::make_unique<HTCondorHarness>();
}

std::unique_ptr<BackendHarness> makeHTCondorTransfer() {
    return std::make_unique<HTCondorHarness>(true);
}

INSTANTIATE_TEST_SUITE_P(HTCondor, BackendContract,
                         ::testing::Values(BackendParam{"htcondor", &makeHTCondor, true},
                                           BackendParam{"transfer", &makeHTCondorTransfer, true}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
