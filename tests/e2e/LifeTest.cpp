// Conformance cases of after_script, time limits, cancel, process ends, artifacts and refusals.
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;
using fakegitlab::Seconds;
using fakegitlab::Status;

/// Whether a process runs; one that nobody has reaped yet does not.
bool runs(const std::string& pid) {
    const auto stat = readFile("/proc/" + pid.substr(0, pid.find('\n')) + "/stat");
    const auto name = stat.rfind(") ");
    return name != std::string::npos && stat[name + 2] != 'Z';
}

class LifeEndToEnd : public EndToEnd {
protected:
    static bool says(const JobSnapshot& job, const std::string& text) {
        return plain(job.trace).find(text) != std::string::npos;
    }
};

TEST_F(LifeEndToEnd, Case39AfterScriptKnowsTheVerdictAndNothingOfTheScript) {
    const auto good = run({.script = {"LOCAL=1; mkdir d; cd d"},
                           .afterScript = {"echo status=$CI_JOB_STATUS local=${LOCAL-unset}",
                                           "[ $PWD = $CI_PROJECT_DIR ] && echo at home"}});
    const auto bad = run({.script = {"exit 3"}, .afterScript = {"echo status=$CI_JOB_STATUS"}});

    EXPECT_TRUE(says(good, "status=success local=unset"));
    EXPECT_TRUE(says(good, "\nat home\n"));
    EXPECT_TRUE(says(bad, "status=failed"));
    EXPECT_EQ(bad.exitCode, 3);
}

TEST_F(LifeEndToEnd, Case40FailingAfterScript) {
    const auto soft = run({.script = {"true"}, .afterScript = {"exit 3"}});
    const auto hard = run({.script = {"true"},
                           .afterScript = {"exit 3"},
                           .variables = {{.key = "AFTER_SCRIPT_IGNORE_ERRORS", .value = "false"}}});

    EXPECT_EQ(soft.status, Status::Success);
    EXPECT_TRUE(says(soft, "WARNING: after_script failed, but job will continue unaffected"));
    EXPECT_EQ(hard.status, Status::Failed);
    EXPECT_EQ(hard.exitCode, 3);
}

TEST_F(LifeEndToEnd, Case41ScriptTimeout) {
    const auto job = run({.script = {"sleep 60"},
                          .afterScript = {"echo after=$CI_JOB_STATUS"},
                          .variables = {{.key = "RUNNER_SCRIPT_TIMEOUT", .value = "2s"}}});

    EXPECT_EQ(job.failureReason, "job_execution_timeout");
    EXPECT_TRUE(says(job, "WARNING: step_script could not run to completion"));
    EXPECT_TRUE(says(job, "after=timedout"));
    EXPECT_TRUE(says(job, "ERROR: Job failed: script timeout: context deadline exceeded"));
}

TEST_F(LifeEndToEnd, Case42AfterScriptTimeoutKeepsTheVerdict) {
    const auto job = run({.script = {"true"},
                          .afterScript = {"sleep 60"},
                          .variables = {{.key = "RUNNER_AFTER_SCRIPT_TIMEOUT", .value = "2s"}}});

    EXPECT_EQ(job.status, Status::Success);
}

TEST_F(LifeEndToEnd, Case43MalformedLimitsOnlyWarn) {
    const auto job = run({.script = {"true"},
                          .variables = {{.key = "RUNNER_SCRIPT_TIMEOUT", .value = "abc"},
                                        {.key = "RUNNER_AFTER_SCRIPT_TIMEOUT", .value = "-1m"}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "Ignoring malformed RUNNER_SCRIPT_TIMEOUT timeout: abc"));
    EXPECT_TRUE(says(job, "Ignoring relative RUNNER_AFTER_SCRIPT_TIMEOUT timeout: -1m"));
}

TEST_F(LifeEndToEnd, Case44JobTimeout) {
    const auto job = run({.timeout = Seconds(3),
                          .script = {"sleep 60"},
                          .afterScript = {"echo never"},
                          .artifacts = {{.paths = {"x"}, .when = "always"}}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
    EXPECT_TRUE(says(job, "ERROR: Job failed: execution took longer than 3s seconds"));
    EXPECT_FALSE(says(job, "never"));
}

TEST_F(LifeEndToEnd, Case45CancelDuringTheScript) {
    const auto job =
        run({.script = {"echo waiting; while sleep 0.5; do echo tick; done; echo never"},
             .afterScript = {"echo after=$CI_JOB_STATUS"},
             .cancelWhen = "\nwaiting"});

    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_TRUE(says(job, "WARNING: script canceled externally (UI, API)"));
    EXPECT_TRUE(says(job, "after=canceled"));
    EXPECT_TRUE(says(job, "ERROR: Job failed: canceled"));
    EXPECT_FALSE(says(job, "\nnever\n"));
    EXPECT_EQ(job.acceptedFinals, 1);
}

TEST_F(LifeEndToEnd, Case46CancelDuringAfterScriptLetsItFinish) {
    const auto job = run({.script = {"true"},
                          .afterScript = {"echo cleaning; sleep 3; echo cleaned"},
                          .cancelWhen = "\ncleaning"});

    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_TRUE(says(job, "\ncleaned\n"));
}

TEST_F(LifeEndToEnd, Case47CancelInTheQueueStartsNothing) {
    gitlab.emplace(clock, options());
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    service->configure("", "trusted_jobs = true\n");
    const auto mark = (folder.path / "started").string();
    start();
    const std::vector<fakegitlab::Variable> none{{.key = "GIT_STRATEGY", .value = "none"}};
    for (int i = 0; i < 4; ++i) {
        gitlab->addJob({.script = {"sleep 6"}, .variables = none});
    }
    const auto queued = gitlab->addJob({.script = {"touch " + mark}, .variables = none});
    ASSERT_TRUE(waitFor(
        [&] {
            return service->sql("SELECT state FROM job WHERE gitlab_id = " +
                                std::to_string(queued)) == "queued\n";
        },
        "the fifth job to wait"));
    gitlab->cancel(queued);

    const auto job = finished(queued);

    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(LifeEndToEnd, Case48HardCancelKillsTheBatchJobAndSendsNothingMore) {
    const auto pids = (folder.path / "pid").string();
    const auto job =
        run({.script = {"echo $$ > " + pids, "echo waiting; while sleep 0.5; do echo tick; done"},
             .cancelWhen = "\nwaiting",
             .cancelByForce = true});

    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_EQ(job.acceptedFinals, 0);
    EXPECT_FALSE(runs(readFile(pids)));
}

TEST_F(LifeEndToEnd, Case49ScriptThatIgnoresSigtermIsKilled) {
    const auto job = run({.script = {"trap '' TERM", "while true; do sleep 1; done"},
                          .variables = {{.key = "RUNNER_SCRIPT_TIMEOUT", .value = "1s"}}});

    EXPECT_EQ(job.failureReason, "job_execution_timeout");
}

TEST_F(LifeEndToEnd, Case50BackgroundProcessDelaysNothingAndIsGone) {
    const auto pids = (folder.path / "pid").string();
    const auto job = run({.script = {"sleep 1000 & echo $! > " + pids}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_FALSE(runs(readFile(pids)));
}

TEST_F(LifeEndToEnd, Case51ScriptThatKillsItself) {
    const auto job = run({.script = {"kill -9 $$"}, .afterScript = {"echo after ran"}});

    EXPECT_EQ(job.exitCode, 137);
    EXPECT_TRUE(says(job, "after ran"));
}

TEST_F(LifeEndToEnd, Case52WrapperKilledByItsScriptIsAScriptFailure) {
    const auto job = run({.script = {"kill -9 $PPID; sleep 1"}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
}

TEST_F(LifeEndToEnd, Case64NothingMatchesAndTheJobStillSucceeds) {
    const auto job = run({.script = {"true"}, .artifacts = {{.paths = {"nowhere/"}}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "no matching files"));
    EXPECT_TRUE(says(job, "No files to upload"));
    EXPECT_TRUE(job.artifacts.empty());
}

TEST_F(LifeEndToEnd, Case68ArtifactsAreUploadedExactlyWhenTheyShould) {
    for (const std::string when : {"on_success", "on_failure", "always"}) {
        for (const bool good : {true, false}) {
            const auto job =
                run({.script = {"mkdir out; echo hi > out/a.txt", good ? "true" : "false"},
                     .artifacts = {{.name = "result", .paths = {"out/"}, .when = when}}});
            const bool wanted = when == "always" || (when == "on_success") == good;
            ASSERT_EQ(job.artifacts.size(), wanted ? 1U : 0U) << when << good;
            if (wanted) {
                EXPECT_EQ(job.artifacts[0].filename, "result.zip");
                EXPECT_NE(job.artifacts[0].bytes.find("out/a.txt"), std::string::npos);
            }
        }
    }
}

TEST_F(LifeEndToEnd, Case71UploadIsRepeatedWithTheSameBytes) {
    start();
    gitlab->failNext(fakegitlab::FaultKind::Unavailable, 2, fakegitlab::Call::Upload);

    const auto job = run({.script = {"echo hi > a.txt"}, .artifacts = {{.paths = {"a.txt"}}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
}

TEST_F(LifeEndToEnd, Case71TooLargeAnArtifactFailsTheJob) {
    auto small = options();
    small.artifactLimit = 1000;
    gitlab.emplace(clock, small);
    gitlab->addRunner("glrt-test");

    const auto job = run(
        {.script = {"head -c 100000 /dev/urandom > a.bin"}, .artifacts = {{.paths = {"a.bin"}}}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 1);
}

TEST_F(LifeEndToEnd, WhatIsNotSupportedYetFailsWithOneLineBeforeItIsSubmitted) {
    const auto image = run({.image = "debian:12"});
    const auto services = run({.services = {"postgres:16"}});

    for (const auto& job : {image, services}) {
        EXPECT_EQ(job.status, Status::Failed);
        EXPECT_TRUE(says(job, "ERROR: Job failed (system failure): "));
    }
    EXPECT_EQ(service->sql("SELECT count(*) FROM submission"), "0\n");
}

TEST_F(LifeEndToEnd, UndecodableJobIsReportedAndTheOthersEndWell) {
    start();
    const auto broken = gitlab->addJob({.rawBody = R"({"id":@ID@,"token":"@TOKEN@","steps":7)"});
    const auto nulls = gitlab->addJob(
        {.script = {"echo fine"},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
         .nulls = {"image", "services", "artifacts", "cache", "dependencies", "hooks", "secrets",
                   "credentials", "inputs", "git_info.before_sha"}});

    EXPECT_EQ(finished(broken).failureReason, "runner_system_failure");
    EXPECT_EQ(finished(nulls).status, Status::Success);
}

}  // namespace
}  // namespace gridbridge::testing
