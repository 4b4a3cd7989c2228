// What GitLab shows of jobs on an ARC: a pipeline with files, a cancel, a log that grows.
#include "tests/engines/EngineService.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSpec;
using fakegitlab::Status;

TEST_F(EngineService, FilesOfOneJobReachTheNextAndItsLogGrowsBeforeItsEnd) {
    serve(4);
    JobSpec first;
    first.name = "build";
    first.script = {"mkdir lib", "head -c 9000000 /dev/urandom >lib/large",
                    "sha256sum lib/large | tee lib/sum"};
    first.variables = {{.key = "GIT_STRATEGY", .value = "none"}};
    first.artifacts = {{.paths = {"lib/"}}};
    const auto build = gitlab->addJob(std::move(first));
    ASSERT_TRUE(ends({build}));
    ASSERT_EQ(gitlab->status(build), Status::Success) << plain(gitlab->job(build).trace);

    JobSpec second;
    second.name = "test";
    // GitLab says of a cancel when it gets a log.
    second.script = {"sha256sum -c lib/sum", "while sleep 0.5; do echo begun; done"};
    second.afterScript = {"echo after $CI_JOB_STATUS"};
    second.variables = {{.key = "GIT_STRATEGY", .value = "none"}};
    second.dependencies = {build};
    const auto test = gitlab->addJob(std::move(second));
    EXPECT_TRUE(waitFor([&] { return says(gitlab->job(test), "begun\n"); }, "a log that grows"));
    EXPECT_TRUE(says(gitlab->job(test), "lib/large: OK\n")) << plain(gitlab->job(test).trace);

    gitlab->cancel(test);

    ASSERT_TRUE(ends({test}));
    EXPECT_EQ(gitlab->status(test), Status::Canceled);
    EXPECT_TRUE(says(gitlab->job(test), "after canceled\n")) << plain(gitlab->job(test).trace);
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
}

}  // namespace
}  // namespace gridbridge::testing
