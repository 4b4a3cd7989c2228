// The same of apptainer, where it was unpacked (apptainer.sh): what differs from podman.
#include "tests/engines/ContainerHarness.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;

class ApptainerContract : public ContainerJobs {
protected:
    void SetUp() override {
        if (!engine.hasApptainer()) {
            GTEST_SKIP()
                << "SKIPPED, NOTHING WAS TESTED: apptainer was not unpacked, or cannot run "
                   "on this machine; see tests/engines/apptainer.sh";
        }
        startWith("apptainer");
    }
    /// A folder of the node.
    std::string small() const { return (engine.folder() / "root").string(); }
    /// What a runtime or a job left, beside the account's home; empty = nothing.
    std::string leftovers() {
        return engine
            .run("find /tmp -maxdepth 1 -name 'rootfs-*' -user " + engine.account() + "; find " +
                 service->workDir().string() + " -name 'gb.*'")
            .out;
    }
};

TEST_F(ApptainerContract, ScriptRunsInTheImageAsTheAccountAndTheRestOnTheNode) {
    repository({{"source.txt", "from git\n"}});
    const auto job =
        run({.script = {"cat /in-image source.txt",
                        "pwd; echo \"uid=$(id -u) bash=[${BASH_VERSION-}]\"",
                        "echo \"$TEXT\" | tee made; echo LATE=value >>\"$GITLAB_ENV\"",
                        "touch /of-root && echo writable"},
             .afterScript = {"cat /in-image made; echo late=$LATE status=$CI_JOB_STATUS"},
             .variables = {{.key = "TEXT", .value = "it's \"so\" $HOME"},
                           {.key = "GIT_STRATEGY", .value = "fetch"}},
             .image = small(),
             .artifacts = {{.paths = {"made"}}}});

    EXPECT_EQ(job.status, Status::Success) << job.trace;
    EXPECT_TRUE(says(job, "\nsmall\nfrom git\n")) << job.trace;
    const auto uid = engine.run("id -u " + engine.account()).out;
    EXPECT_TRUE(
        says(job, "/builds/physics/detector\nuid=" + uid.substr(0, uid.find('\n')) + " bash=[]\n"))
        << job.trace;
    EXPECT_TRUE(says(job, "\nwritable\n")) << job.trace;
    EXPECT_TRUE(says(job, "\nlate=value status=success\n")) << job.trace;
    EXPECT_EQ(job.artifacts.size(), 1U);
    EXPECT_EQ(leftovers(), "");
}

TEST_F(ApptainerContract, ExitCodesAreTheScriptsAndAContainerThatDoesNotStartIsSaid) {
    for (const int code : {42, 255}) {
        const auto job = run({.script = {"exit " + std::to_string(code)}, .image = small()});
        EXPECT_EQ(job.failureReason, "script_failure");
        EXPECT_EQ(job.exitCode, code) << job.trace;
    }
    const auto absent = run({.script = {"true"}, .image = small() + "/absent.sif"});
    EXPECT_TRUE(hadNoContainer(absent)) << absent.trace;
    const auto own = run({.script = {"echo own=$OWN"},
                          .image = small(),
                          .imageEntrypoint = {"env", "OWN=it's here"}});
    EXPECT_TRUE(says(own, "\nown=it's here\n")) << own.trace;
}

TEST_F(ApptainerContract, PrivateImageNeedsALoginThatOnlyItsOwnJobsHave) {
    const auto image = engine.registry() + "/private/small";
    const auto job = run({.script = {"cat /in-image; ls \"$GB_IN\""},
                          .afterScript = {"cat /in-image"},
                          .image = image,
                          .merge = login()});
    EXPECT_EQ(job.status, Status::Success) << job.trace;
    EXPECT_TRUE(says(job, "\nsmall\n")) << job.trace;
    EXPECT_FALSE(says(job, "logins.json\n"));
    EXPECT_FALSE(says(job, "INFO: ")) << job.trace;
    EXPECT_EQ(leftovers(), "");

    const auto other = run({.script = {"true"}, .image = image});
    EXPECT_TRUE(hadNoContainer(other)) << other.trace;
    EXPECT_TRUE(says(other, "authentication required")) << other.trace;
}

TEST_F(ApptainerContract, CancelEndsTheScriptAndNothingStays) {
    const auto job =
        run({.script = {"trap 'echo told; exit 3' TERM", "echo waiting; sleep 4721 &", kPrinting},
             .afterScript = {"echo after=$CI_JOB_STATUS"},
             .image = small(),
             .cancelWhen = "\nwaiting"});
    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_TRUE(says(job, "\ntold\n")) << job.trace;
    EXPECT_TRUE(says(job, "\nafter=canceled\n")) << job.trace;
    EXPECT_EQ(processes("sleep 4721"), "");
}

/// An image that cannot be mounted is unpacked for each container, which then cannot remove it.
TEST_F(ApptainerContract, RuntimeThatIsKilledLeavesNothing) {
    const auto id = gitlab->addJob({.script = {"echo waiting; sleep 4722"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .image = engine.registry() + "/private/small",
                                    .merge = login()});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\nwaiting"));
    engine.run("pkill -KILL -U " + engine.account() + " -f 'Apptainer runtime parent'");
    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.exitCode, 137) << job.trace;
    EXPECT_EQ(processes("sleep 4722"), "");
    EXPECT_EQ(leftovers(), "");
}

}  // namespace
}  // namespace gridbridge::testing
