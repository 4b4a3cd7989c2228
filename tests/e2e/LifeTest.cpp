// Conformance cases of after_script, time limits, cancel, process ends and refusals.
#include <sstream>
#include <unistd.h>

#include "tests/e2e/LifeEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Seconds;
using fakegitlab::Status;

TEST_F(LifeEndToEnd, Case39AfterScriptKnowsTheVerdictAndNothingOfTheScript) {
    const auto good = run({.script = {"export LOCAL=1; mkdir d; cd d"},
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
    EXPECT_TRUE(says(job, "\nafter=timedout\n"));
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: script timeout: context deadline exceeded");
}

TEST_F(LifeEndToEnd, Case42AfterScriptTimeoutKeepsTheVerdict) {
    const auto job = run({.script = {"true"},
                          .afterScript = {"sleep 60"},
                          .variables = {{.key = "RUNNER_AFTER_SCRIPT_TIMEOUT", .value = "2s"}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "WARNING: after_script could not run to completion"));
}

TEST_F(LifeEndToEnd, Case43MalformedLimitsOnlyWarn) {
    const auto job = run({.script = {"true"},
                          .variables = {{.key = "RUNNER_SCRIPT_TIMEOUT", .value = "abc"},
                                        {.key = "RUNNER_AFTER_SCRIPT_TIMEOUT", .value = "-1m"}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "Ignoring malformed RUNNER_SCRIPT_TIMEOUT timeout: abc"));
    EXPECT_TRUE(says(job, "Ignoring relative RUNNER_AFTER_SCRIPT_TIMEOUT timeout: -1m"));
    const auto longer = run({.timeout = Seconds(3600),
                             .script = {"true"},
                             .variables = {{.key = "RUNNER_SCRIPT_TIMEOUT", .value = "3h"}}});
    EXPECT_EQ(longer.status, Status::Success);
    EXPECT_TRUE(says(longer,
                     "RUNNER_SCRIPT_TIMEOUT timeout: 3h is longer than job timeout. Setting to "
                     "job timeout"));
}

TEST_F(LifeEndToEnd, Case44JobTimeout) {
    const auto job = run({.timeout = Seconds(3),
                          .script = {"echo x > x", "sleep 60"},
                          .afterScript = {"echo never"},
                          .artifacts = {{.paths = {"x"}, .when = "always"}}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "job_execution_timeout");
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: execution took longer than 3s seconds");
    EXPECT_FALSE(says(job, "never"));
    EXPECT_TRUE(job.artifacts.empty());
}

TEST_F(LifeEndToEnd, Case45CancelDuringTheScript) {
    const auto job =
        run({.script = {"echo waiting; while sleep 0.5; do echo tick; done; echo never"},
             .afterScript = {"echo after=$CI_JOB_STATUS"},
             .cancelWhen = "\nwaiting"});

    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_TRUE(says(job, "WARNING: script canceled externally\n"));
    EXPECT_TRUE(says(job, "\nafter=canceled\n"));
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: canceled");
    EXPECT_NE(finalReport(job).find(R"("failure_reason":"unknown_failure")"), std::string::npos);
    EXPECT_NE(finalReport(job).find(R"("state":"failed")"), std::string::npos);
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
    const auto mark = (folder.path / "started").string();
    const auto go = (folder.path / "go").string();
    start();
    const std::vector<fakegitlab::Variable> none{{.key = "GIT_STRATEGY", .value = "none"}};
    for (int i = 0; i < 4; ++i) {
        gitlab->addJob(
            {.script = {"until [ -e " + go + " ]; do sleep 0.1; done"}, .variables = none});
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
    EXPECT_TRUE(waitFor(
        [&] {
            return service->sql("SELECT state FROM job WHERE gitlab_id = " +
                                std::to_string(queued)) == "done\n";
        },
        "the canceled job to be taken back"));
    writeFile(go, "");
    EXPECT_TRUE(waitFor([&] { return service->sql("SELECT * FROM open_jobs").empty(); },
                        "the end of the others"));
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

TEST_F(LifeEndToEnd, Case82KilledJobLeavesNoFilesBehind) {
    const auto where = (folder.path / "where").string();
    const auto job = run({.script = {"trap '' TERM; echo \"$KEY_FILE\" > " + where,
                                     "echo waiting; while :; do sleep 0.2; done"},
                          .variables = {{.key = "KEY_FILE", .value = "hunter2-x", .file = true}},
                          .cancelWhen = "\nwaiting",
                          .cancelByForce = true});
    const auto file = readFile(where);

    EXPECT_TRUE(waitFor([&] { return service->sql("SELECT state FROM job") == "done\n"; },
                        "the service to be done with the killed job"));
    EXPECT_NE(file.find("/KEY_FILE"), std::string::npos) << file;
    EXPECT_FALSE(std::filesystem::exists(file.substr(0, file.find('\n'))));
}

TEST_F(LifeEndToEnd, Case82NothingOfAJobStaysButItsMaskedTrace) {
    const auto where = (folder.path / "where").string();
    const auto display = (folder.path / "display").string();
    const auto key = "hunter2-" + std::to_string(::getpid());
    // What a batch system shows of a job is here what every account sees of its processes.
    const auto look = "{ cat /proc/[0-9]*/cmdline || true; } >" + display;
    const auto job =
        run({.script = {"printf '%s\\n' \"$CI_PROJECT_DIR\" \"$RUNNER_TEMP_PROJECT_DIR\" \"$HOME\" "
                        "\"$KEY_FILE\" >" +
                            where,
                        "echo \"the key is $KEY\"", look + ".before",
                        "bash -c '" + look + ".planted' \"planted-$KEY\""},
             .variables = {{.key = "KEY", .value = key, .masked = true},
                           {.key = "KEY_FILE", .value = key + "-file", .file = true}}});

    EXPECT_EQ(job.status, Status::Success);
    std::istringstream lines(readFile(where));
    int folders = 0;
    for (std::string line; std::getline(lines, line); ++folders) {
        EXPECT_TRUE(line.starts_with("/")) << line;
        EXPECT_FALSE(std::filesystem::exists(line)) << line;
    }
    EXPECT_EQ(folders, 4);
    const auto shown = readFile(display + ".before");
    EXPECT_NE(shown.find(service->workDir().string()), std::string::npos);
    EXPECT_NE(readFile(display + ".planted").find("planted-" + key), std::string::npos);
    std::string left;
    for (const auto& root : {service->stateDir(), service->workDir()}) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
            left += entry.is_regular_file() ? readFile(entry.path()) : "";
        }
    }
    for (const auto& secret : {key, job.token}) {
        EXPECT_EQ(shown.find(secret), std::string::npos) << secret;
        EXPECT_EQ(left.find(secret), std::string::npos) << secret;
        EXPECT_EQ(service->log().find(secret), std::string::npos) << secret;
    }
    EXPECT_NE(left.find("the key is [MASKED]\n"), std::string::npos) << "the trace stays";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(service->workDir())) {
        EXPECT_TRUE(entry.path().filename() == ".local" || entry.path().filename() == ".probe")
            << entry.path();
    }
}

TEST_F(LifeEndToEnd, Case48JobThatGitLabErasedIsKilledAndSendsNothingMore) {
    const auto pids = (folder.path / "pid").string();
    start();
    const auto id =
        gitlab->addJob({.script = {"echo $$ > " + pids, "while sleep 0.5; do echo tick; done"},
                        .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\ntick"));
    gitlab->erase(id);

    ASSERT_TRUE(
        waitFor([&] { return service->sql("SELECT state, outcome FROM job") == "done|dropped\n"; },
                "the service to be done with the erased job"));
    EXPECT_FALSE(runs(readFile(pids)));
    EXPECT_EQ(finalReport(gitlab->job(id)), "");
}

TEST_F(LifeEndToEnd, Case49ScriptThatIgnoresSigtermIsKilled) {
    const auto pids = (folder.path / "pid").string();
    const auto job =
        run({.script = {"echo $$ > " + pids, "trap '' TERM", "while true; do sleep 1; done"},
             .variables = {{.key = "RUNNER_SCRIPT_TIMEOUT", .value = "1s"}}});

    EXPECT_EQ(job.failureReason, "job_execution_timeout");
    EXPECT_FALSE(runs(readFile(pids)));
}

TEST_F(LifeEndToEnd, Case50BackgroundProcessDelaysNothingAndIsGoneBeforeCollection) {
    const auto pids = (folder.path / "pid").string();
    const auto job = run({.script = {"sleep 1000 & echo $! | tee pid > " + pids},
                          .afterScript = {"grep -qs '^State:.[^ZX]' /proc/$(cat pid)/status || "
                                          "echo gone"}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\ngone\n"));
    EXPECT_FALSE(runs(readFile(pids)));
}

TEST_F(LifeEndToEnd, Case51ScriptThatKillsItself) {
    const auto job = run({.script = {"kill -9 $$"}, .afterScript = {"echo after ran"}});

    EXPECT_EQ(job.exitCode, 137);
    EXPECT_TRUE(says(job, "after ran"));
}

TEST_F(LifeEndToEnd, Case79WhatIsNotSupportedFailsWithOneClearLineBeforeItIsSubmitted) {
    const std::pair<fakegitlab::JobSpec, const char*> kJobs[] = {
        {{.image = "debian:12"},
         "this runner cannot run jobs in container images: backend here has neither `container` "
         "nor "
         "`container_command`, and the runner not image = \"ignore\"; remove `image` or choose "
         "another runner by tags"},
        {{.services = {"postgres:16"}},
         "this runner cannot start `services`: remove them or choose another runner by tags"},
        {{.merge = R"({"secrets":{"KEY":{"vault":{"path":"a"}}}})"},
         "this runner cannot fetch `secrets`: remove them or choose another runner by tags"},
        {{.merge = R"({"run":[{"name":"one","script":"true"}]})"},
         "this runner cannot execute `run` steps: use `script`"},
    };
    for (const auto& [spec, why] : kJobs) {
        const auto job = run(spec);
        EXPECT_EQ(job.status, Status::Failed) << why;
        EXPECT_EQ(job.failureReason, "runner_configuration_error") << why;
        EXPECT_EQ(lastLine(job), std::string("ERROR: Job failed (system failure): ") + why);
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
