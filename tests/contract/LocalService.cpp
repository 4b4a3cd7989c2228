// A service of its own for the tests that kill one: argument 1 is the work_dir. It submits two
// jobs that run until they are let end and one that waits, says so, and waits to be killed.
#include <cstdio>
#include <unistd.h>

#include "tests/contract/LocalHarness.h"

int main(int argc, char** argv) {
    using namespace gridbridge;
    if (argc != 2) {
        return 2;
    }
    gridbridge::testing::LocalHarness harness{argv[1]};
    const CallContext ctx{harness.clock().steadyNow() + std::chrono::seconds(30)};
    const std::vector<BatchJob> jobs{harness.job(1, {.output = "first", .held = true}),
                                     harness.job(2, {.output = "second", .held = true}),
                                     harness.job(3, {.output = "third", .exitCode = 3})};
    for (const auto& result : harness.backend().submit(ctx, jobs)) {
        if (!result) {
            return 1;
        }
    }
    while (harness.starts(jobs[0]) + harness.starts(jobs[1]) < 2) {
        harness.pass();
    }
    std::puts("ready");
    std::fflush(stdout);
    ::pause();
    return 0;
}
