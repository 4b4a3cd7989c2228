#include <unistd.h>

#include "tests/engines/SlurmHarness.h"

namespace gridbridge::testing {
namespace {

std::unique_ptr<BackendHarness> makeSlurm() {
    return std::make_unique<SlurmHarness>();
}

/// Only root can submit as somebody else.
std::unique_ptr<BackendHarness> makeSlurmOfAnother() {
    return std::make_unique<SlurmHarness>(::geteuid() == 0 ? "daemon" : "");
}

INSTANTIATE_TEST_SUITE_P(Slurm, BackendContract,
                         ::testing::Values(BackendParam{"slurm", &makeSlurm, true},
                                           BackendParam{"slurmOfAnother", &makeSlurmOfAnother,
                                                        false}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace gridbridge::testing
