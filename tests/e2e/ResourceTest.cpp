// What a job asks for by its variables, and what its log says when it cannot have it.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using fakegitlab::Status;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class ResourceEndToEnd : public EndToEnd {
protected:
    ResourceEndToEnd() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        service->configure("", "trusted_jobs = true\nmax_wall_time = \"1 h\"\n");
    }
    /// Of a job that must not have been submitted.
    void expectRefused(const JobSnapshot& job, const std::string& why) {
        EXPECT_EQ(job.status, Status::Failed);
        EXPECT_EQ(job.failureReason, "runner_configuration_error");
        EXPECT_EQ(lastLine(job), "ERROR: Job failed (system failure): " + why);
        EXPECT_EQ(service->sql("SELECT count(*) FROM submission"), "0\n");
    }
};

TEST_F(ResourceEndToEnd, WhoAsksForTooMuchIsToldTheLimitAndNothingIsSubmitted) {
    expectRefused(run({.script = {"echo ran"},
                       .variables = {{.key = "GRIDBRIDGE_WALLTIME", .value = "30m"},
                                     {.key = "GRIDBRIDGE_WALLTIME", .value = "2h"}}}),
                  "GRIDBRIDGE_WALLTIME is \"2h\": this runner gives at most 1h0m0s");
}

TEST_F(ResourceEndToEnd, ASecretInTheWrongVariableIsShownNowhere) {
    const std::string secret = "hunter2-secret" + std::string(300, 'x');
    const auto job = run({.script = {"echo ran"},
                          .variables = {{.key = "KEY", .value = secret, .masked = true},
                                        {.key = "GRIDBRIDGE_CPUS", .value = "$KEY"}}});

    expectRefused(job, "GRIDBRIDGE_CPUS is \"[MASKED]\": write a whole number, like 4");
    EXPECT_THAT(job.trace, Not(HasSubstr("hunter2")));
    EXPECT_THAT(service->log(), Not(HasSubstr("hunter2")));
    EXPECT_THAT(service->sql("SELECT cause FROM transition"), Not(HasSubstr("hunter2")));
}

TEST_F(ResourceEndToEnd, AJobThatRunsLongerThanItsWallTimeIsEnded) {
    const auto job = run({.script = {"echo began", "sleep 300", "echo slept"},
                          .variables = {{.key = "GRIDBRIDGE_WALLTIME", .value = "3s"}}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
    EXPECT_THAT(linesOf(plain(job.trace)), Contains("began"));
    EXPECT_FALSE(says(job, "\nslept\n"));
    EXPECT_EQ(lastLine(job),
              "ERROR: Job failed: execution took longer than its wall time of 3s: raise "
              "GRIDBRIDGE_WALLTIME, as far as the runner allows");
}

TEST_F(ResourceEndToEnd, WhatThisMachineDoesNotShareOutIsSaidAndTheJobRuns) {
    const auto job = run({.script = {"echo ran with $GRIDBRIDGE_MEMORY"},
                          .variables = {{.key = "GRIDBRIDGE_MEMORY", .value = "4G"}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_THAT(linesOf(plain(job.trace)),
                Contains("WARNING: GRIDBRIDGE_MEMORY is \"4G\", which changes nothing: the batch "
                         "system of this runner cannot be asked for it"));
    EXPECT_THAT(linesOf(plain(job.trace)), Contains("ran with 4G"));
}

}  // namespace
}  // namespace gridbridge::testing
