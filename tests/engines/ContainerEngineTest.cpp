// Jobs with `image:` in containers of a real podman, of an account without any rights.
#include "tests/e2e/ArgumentWatch.h"
#include "tests/engines/ContainerHarness.h"

namespace gridbridge::testing {

Engine& Engine::get() {
    static ContainerEngine engine;
    return engine;
}

namespace {

using fakegitlab::Status;

class ContainerContract : public ContainerJobs {
protected:
    void startWithPodman() { startWith("podman"); }
    /// What podman has of containers, running or not; empty = nothing.
    std::string containers() { return engine.asAccount("podman ps --all --quiet"); }
};

TEST_F(ContainerContract, ScriptRunsInTheImageAsTheAccountAndTheRestOnTheNode) {
    repository({{"source.txt", "from git\n"}});
    startWithPodman();
    const auto job =
        run({.script = {"cat /in-image source.txt", "id -u; pwd; echo bash=[${BASH_VERSION-}]",
                        "echo \"$TEXT\" | tee made; echo LATE=value >>\"$GITLAB_ENV\"",
                        "echo MADE=$PWD/made >>\"$GITLAB_ENV\"; cat \"$FILE\""},
             .afterScript = {"cat /in-image made; echo late=$LATE status=$CI_JOB_STATUS"},
             .variables = {{.key = "TEXT", .value = "it's \"so\""},
                           {.key = "WHICH", .value = "small"},
                           {.key = "GIT_STRATEGY", .value = "fetch"},
                           {.key = "FILE", .value = "of a file\n", .file = true}},
             .image = "localhost/gridbridge/$WHICH",
             .artifacts = {{.paths = {"$MADE"}}}});

    EXPECT_EQ(job.status, Status::Success) << job.trace;
    EXPECT_TRUE(says(job, "\nsmall\nfrom git\n")) << job.trace;
    EXPECT_TRUE(says(job, "\n/builds/physics/detector\nbash=[]\n")) << job.trace;
    EXPECT_TRUE(says(job, "\nit's \"so\"\n"));
    EXPECT_TRUE(says(job, "\nof a file\n")) << job.trace;
    EXPECT_TRUE(says(job, "\nsmall\nit's \"so\"\nlate=value status=success\n")) << job.trace;
    EXPECT_EQ(job.artifacts.size(), 1U);
    EXPECT_EQ(containers(), "");
}

TEST_F(ContainerContract, ExitCodesAreTheScriptsAndAContainerThatDoesNotStartIsSaid) {
    startWithPodman();
    for (const int code : {42, 125, 127}) {
        const auto job = run({.script = {"exit " + std::to_string(code)}, .image = kSmall});
        EXPECT_EQ(job.failureReason, "script_failure");
        EXPECT_EQ(job.exitCode, code) << job.trace;
    }
    const auto absent = run({.script = {"true"}, .image = "localhost/gridbridge/absent"});
    EXPECT_TRUE(hadNoContainer(absent)) << absent.trace;
    EXPECT_TRUE(says(absent, "image not known"));
    EXPECT_EQ(containers(), "");
}

/// Root in the container may give files to others, who are nobody on the node.
TEST_F(ContainerContract, FilesOfOtherOwnersAreCollectedAndRemoved) {
    startWithPodman();
    const auto job =
        run({.script = {"mkdir d; echo deep >d/f; chmod 600 d/f; chown -R 1000:1000 d"},
             .image = kSmall,
             .artifacts = {{.paths = {"d/"}}}});
    EXPECT_EQ(job.status, Status::Success) << job.trace;
    EXPECT_TRUE(says(job, "d/: found 2 matching")) << job.trace;
    EXPECT_EQ(job.artifacts.size(), 1U) << job.trace;
    EXPECT_EQ(engine.run("find " + service->workDir().string() + " -name 'gb.*'").out, "");
}

TEST_F(ContainerContract, EntrypointIsTheImagesUntilTheJobReplacesIt) {
    startWithPodman();
    const std::string image = "localhost/gridbridge/entry";
    EXPECT_TRUE(hadNoContainer(run({.script = {"true"}, .image = image})));
    const auto none = run({.script = {"true"}, .image = image, .imageEntrypoint = {""}});
    EXPECT_EQ(none.status, Status::Success) << none.trace;
    const auto own = run(
        {.script = {"echo own=$OWN"}, .image = image, .imageEntrypoint = {"env", "OWN=it's here"}});
    EXPECT_TRUE(says(own, "\nown=it's here\n")) << own.trace;
    EXPECT_EQ(containers(), "");
}

TEST_F(ContainerContract, PrivateImageNeedsALoginThatNobodySeesAndOnlyItsOwnJobsHaveIt) {
    startWithPodman();
    const auto image = engine.registry() + "/private/small";
    const std::string secret = kPassword;
    const std::string encoded = "Ym90OnBhc3Mtd29yZC1vZi1ib3Q=";
    const ArgumentWatch watch({secret, encoded});
    const auto job =
        run({.script = {"cat /in-image; ls \"$GB_IN\"", "if env | grep -q bot; then echo SEEN; fi"},
             .image = image,
             .merge = login()});
    EXPECT_EQ(job.status, Status::Success) << job.trace;
    EXPECT_TRUE(says(job, "\nsmall\n"));
    EXPECT_FALSE(says(job, "logins.json\n"));
    EXPECT_FALSE(says(job, "SEEN\n"));
    EXPECT_FALSE(watch.saw(secret) || watch.saw(encoded));

    const auto other = run({.script = {"true"}, .image = image});
    EXPECT_TRUE(hadNoContainer(other)) << other.trace;
    const auto stored = run({.script = {"true"}, .image = "containers-storage:" + image});
    EXPECT_EQ(stored.status, Status::Failed);
    EXPECT_TRUE(says(stored, "the name of the image is none")) << stored.trace;
    const auto own = run({.script = {"cat /in-image"},
                          .variables = {{.key = "DOCKER_AUTH_CONFIG",
                                         .value = R"({"auths":{")" + engine.registry() +
                                                  R"(":{"auth":")" + encoded + "\"}}}"}},
                          .image = image});
    EXPECT_EQ(own.status, Status::Success) << own.trace;
}

TEST_F(ContainerContract, CancelEndsTheScriptAndNothingStays) {
    startWithPodman();
    const auto job =
        run({.script = {"trap 'echo told; exit 3' TERM", "echo waiting; sleep 4711 &", kPrinting},
             .afterScript = {"echo after=$CI_JOB_STATUS"},
             .image = kSmall,
             .cancelWhen = "\nwaiting"});
    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_TRUE(says(job, "\ntold\n")) << job.trace;
    EXPECT_TRUE(says(job, "\nafter=canceled\n")) << job.trace;
    EXPECT_EQ(containers(), "");
    EXPECT_EQ(processes("sleep 4711"), "");
}

TEST_F(ContainerContract, ScriptThatObeysNoSignalGoesWithItsContainer) {
    startWithPodman();
    const auto job = run({.script = {"trap '' TERM; echo waiting; sleep 4712 &", kPrinting},
                          .image = kSmall,
                          .cancelWhen = "\nwaiting"});
    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_EQ(containers(), "");
    EXPECT_EQ(processes("sleep 4712"), "");
}

}  // namespace
}  // namespace gridbridge::testing
