#include "tests/engines/HTCondorHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeHTCondor() {
    return std::make_unique<HTCondorHarness>();
}

std::unique_ptr<BackendHarness> makeHTCondorTransfer() {
    return std::make_unique<HTCondorHarness>(CondorFiles::Copied);
}

std::unique_ptr<BackendHarness> makeHTCondorSpool() {
    return std::make_unique<HTCondorHarness>(CondorFiles::Spooled);
}

INSTANTIATE_TEST_SUITE_P(HTCondor, BackendContract,
                         ::testing::Values(BackendParam{"htcondor", &makeHTCondor, true},
                                           BackendParam{"transfer", &makeHTCondorTransfer, true},
                                           BackendParam{"spool", &makeHTCondorSpool, true}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
