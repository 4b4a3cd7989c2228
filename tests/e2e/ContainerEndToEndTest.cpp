// Jobs with `image:`, with a script in place of a container runtime.
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;

class ContainerEndToEnd : public EndToEnd {
protected:
    ContainerEndToEnd() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
    }
    /// Runs what follows the image on the node, and says so.
    std::string runtime() {
        const auto path = folder.path / "runtime";
        writeFile(path,
                  "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\necho \"inside $1\"\n"
                  "[ \"$1\" != localhost/broken ] || exit 125\nshift\n"
                  "exec env -i PATH=/usr/bin:/bin \"$@\"\n");
        std::filesystem::permissions(path, std::filesystem::perms(0755));
        return path.string();
    }
};

TEST_F(ContainerEndToEnd, ImageOfAJobIsRunAsTheBackendSays) {
    service->configure("allowed_images = [\"registry.example.org/*:*\", \"localhost/*\"]\n",
                       "trusted_jobs = true\ncontainer_command = [\"" + runtime() +
                           "\", \"{binds}\", \"--\", \"{image}\"]\n");
    start();
    const auto job = run({.script = {"echo \"hello $NAME\"", "exit 125"},
                          .variables = {{.key = "NAME", .value = "image"}},
                          .image = "registry.example.org/$NAME:1",
                          .needsFeatures = {"image"}});
    EXPECT_TRUE(says(job, "\nUsing container image registry.example.org/image:1\n")) << job.trace;
    EXPECT_TRUE(says(job, "\ninside registry.example.org/image:1\n")) << job.trace;
    EXPECT_TRUE(says(job, "\nhello image\n"));
    EXPECT_EQ(job.exitCode, 125);
    EXPECT_EQ(job.failureReason, "script_failure");

    const auto broken = run({.script = {"true"}, .image = "localhost/broken"});
    EXPECT_EQ(broken.status, Status::Failed);
    EXPECT_EQ(lastLine(broken),
              "ERROR: Job failed: exit code 125: its image could not be pulled or started");
    EXPECT_EQ(broken.failureReason, "script_failure");

    const auto option = run({.script = {"true"}, .image = "--privileged"});
    EXPECT_EQ(option.failureReason, "runner_configuration_error");
    const auto other = run({.script = {"true"}, .image = "debian:12"});
    EXPECT_EQ(other.failureReason, "runner_configuration_error");
    EXPECT_TRUE(says(other,
                     "this runner does not allow the image debian:12, only images like "
                     "registry.example.org/*:*, localhost/*"))
        << other.trace;
    EXPECT_EQ(service->sql("SELECT count(*) FROM submission"), "2\n");
}

TEST_F(ContainerEndToEnd, Case79ImageIsIgnoredWhereTheRunnerSaysSo) {
    service->configure("image = \"ignore\"\n", "trusted_jobs = true\n");
    start();
    const auto job = run({.script = {"echo bare"}, .image = "debian:12"});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\nbare\n"));
    EXPECT_TRUE(
        says(job, "WARNING: `image` is ignored by this runner: the job runs without a container\n"))
        << job.trace;
}

}  // namespace
}  // namespace gridbridge::testing
