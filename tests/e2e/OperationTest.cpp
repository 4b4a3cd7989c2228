// What operators do with a service.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSpec;
using fakegitlab::Status;
using ::testing::HasSubstr;

class OperationEndToEnd : public EndToEnd {
protected:
    Printed ask(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--config", service->config().string()});
        return runGridbridge(arguments);
    }
    JobId add(std::vector<std::string> script, std::vector<std::string> after = {}) {
        return gitlab->addJob({.script = std::move(script),
                               .afterScript = std::move(after),
                               .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    }
    bool logged(const std::string& text) const {
        return service->log().find(text) != std::string::npos;
    }
    /// Four jobs that fill the backend until `go` exists.
    std::vector<JobId> fill() {
        std::vector<JobId> jobs;
        for (int i = 0; i < 4; ++i) {
            jobs.push_back(
                add({"echo begun", "until [ -e " + go().string() + " ]; do sleep 0.1; done"}));
            EXPECT_TRUE(gitlab->waitForTrace(jobs.back(), "begun"));
        }
        return jobs;
    }
    std::filesystem::path go() const { return folder.path / "go"; }
    std::string name(JobId id) const { return std::to_string(id); }
};

TEST_F(OperationEndToEnd, AJobThatAnOperatorStopsRunsItsAfterScriptAndSaysWhoStoppedIt) {
    start();
    const auto id = add({"echo begun", "sleep 300"}, {"echo cleaned up"});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));

    EXPECT_EQ(ask({"cancel", name(id)}), (Printed{0, "the job is being stopped\n", ""}));

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "runner_interrupted");
    EXPECT_TRUE(says(job, "cleaned up"));
    EXPECT_TRUE(says(job, "WARNING: script canceled externally\n"));
    EXPECT_FALSE(says(job, "UI, API")) << "nobody did anything there";
    EXPECT_EQ(lastLine(job), "ERROR: Job failed (system failure): an operator stopped the job");
    EXPECT_THAT(ask({"show", name(id)}).out, HasSubstr("an operator stopped the job"));
    EXPECT_THAT(ask({"show", name(id)}).out, HasSubstr("the job is being stopped"));
    EXPECT_EQ(ask({"cancel", name(id)}),
              (Printed{1, "", "gridbridge: the job had ended already\n"}));
    EXPECT_EQ(service->stop(), 0);
    EXPECT_EQ(ask({"cancel", name(id)}),
              (Printed{1, "", "gridbridge: the job had ended already\n"}));
}

TEST_F(OperationEndToEnd, ARequestWaitsForTheNextStartOfTheService) {
    start();
    const auto id = add({"echo begun", "sleep 300"});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    EXPECT_EQ(service->stop(), 0);
    const Printed noted{0, "noted; no service runs, it sees to it when it next starts\n", ""};
    EXPECT_EQ(ask({"cancel", name(id)}), noted);
    EXPECT_EQ(ask({"drain"}), noted);
    EXPECT_THAT(ask({"show", name(id), "--json"}).out, HasSubstr("\"state\": \"open\""));

    start();

    EXPECT_EQ(finished(id).failureReason, "runner_interrupted");
    EXPECT_THAT(ask({"jobs"}).out,
                HasSubstr("runner pool drains: it claims nothing until gridbridge resume pool\n"));
}

TEST_F(OperationEndToEnd, ADrainedServiceFinishesItsJobsAndClaimsNoneUntilItIsResumed) {
    start();
    const auto open = add({"echo begun", "until [ -e " + go().string() + " ]; do sleep 0.1; done"});
    ASSERT_TRUE(gitlab->waitForTrace(open, "begun"));

    EXPECT_EQ(ask({"drain", "pool"}), (Printed{0, "claims nothing any more: pool\n", ""}));
    EXPECT_THAT(ask({"check"}).out,
                HasSubstr("knows its token; it claims nothing until gridbridge resume pool\n"));
    writeFile(go(), "");
    EXPECT_EQ(finished(open).status, Status::Success);
    EXPECT_EQ(service->stop(), 0);
    start();
    const auto waiting = add({"true"});
    // The service has begun and looked around once it answers a request itself.
    EXPECT_TRUE(waitFor(
        [&] {
            return ask({"drain", "pool"}).out == "claims nothing any more: pool\n";
        },
        "the answer of the service"));
    EXPECT_EQ(gitlab->status(waiting), Status::Pending);

    EXPECT_EQ(ask({"resume"}), (Printed{0, "claims jobs again: pool\n", ""}));
    EXPECT_THAT(ask({"check"}).out, HasSubstr("knows its token\n"));
    EXPECT_EQ(finished(waiting).status, Status::Success);
    EXPECT_EQ(ask({"drain", "loop"}),
              (Printed{1, "", "gridbridge: there is no runner loop; configured are: pool\n"}));
}

TEST_F(OperationEndToEnd, ABanHoldsForJobsThatWaitAsSoonAsTheConfigurationIsReadAgain) {
    start();
    const auto running = fill();
    const auto waiting = gitlab->addJob(
        {.variables = {{.key = "GIT_STRATEGY", .value = "none"}}, .userLogin = "mallory"});
    ASSERT_TRUE(gitlab->waitForTrace(waiting, "Submitted as"));

    service->configure("banned_users = [\"mallory\"]\n", "trusted_jobs = true\n");
    service->reload();

    const auto job = finished(waiting);
    EXPECT_EQ(job.failureReason, "runner_configuration_error");
    EXPECT_EQ(lastLine(job),
              "ERROR: Job failed (system failure): the user mallory is banned from this runner");
    writeFile(go(), "");
    for (const auto id : running) {
        EXPECT_EQ(finished(id).status, Status::Success);
    }
    const auto later = gitlab->addJob({.userLogin = "mallory"});
    EXPECT_EQ(finished(later).failureReason, "runner_configuration_error");
}

TEST_F(OperationEndToEnd, AConfigurationWithAMistakeIsRefusedWholeAndTheOldOneHolds) {
    start();
    ASSERT_EQ(run({.script = {"true"}}).status, Status::Success);

    service->configure("allowed_projects = [\"astro/*\"]\nlimti = 3\n", "trusted_jobs = true\n");
    service->reload();
    ASSERT_TRUE(waitFor([&] { return logged("runners.pool.limti: unknown key"); }, "the refusal"));

    EXPECT_TRUE(logged("the configuration stays as it was"));
    EXPECT_EQ(run({.script = {"true"}}).status, Status::Success) << "no new key holds";
}

TEST_F(OperationEndToEnd, ANewRunnerBeginsAndWhatMustWaitForARestartIsSaid) {
    start();
    ASSERT_EQ(run({.script = {"true"}}).status, Status::Success);
    gitlab->addRunner(fakegitlab::RunnerSpec{.token = "glrt-second", .tags = {"second"}});
    service->configure("tls_ca_file = \"/etc/ssl/certs/ca-certificates.crt\"\n",
                       "trusted_jobs = true\n");
    const auto addition = folder.path / "config.d" / "second.toml";
    writeFile(addition, "[[runners]]\nname = \"second\"\nurl = \"" + gitlab->url() +
                            "\"\ntoken = \"glrt-second\"\nbackend = \"here\"\n");
    std::filesystem::permissions(addition, std::filesystem::perms(0600));
    service->reload();

    EXPECT_EQ(run({.script = {"true"}, .tags = {"second"}}).status, Status::Success);
    EXPECT_TRUE(logged("runners.pool.tls_ca_file changes when the service is started again"));

    std::filesystem::remove(addition);
    service->reload();
    ASSERT_TRUE(waitFor([&] { return logged("runners.second claims nothing any more"); },
                        "the second reload"));
}

TEST_F(OperationEndToEnd, JobsThatEndedLongAgoAreForgottenAtTheStart) {
    start();
    const auto old = run({.script = {"true"}}).id;
    const auto young = run({.script = {"true"}}).id;
    EXPECT_EQ(service->stop(), 0);
    runProgram({"/usr/bin/sqlite3", (service->stateDir() / "gridbridge.db").string(),
                "UPDATE job SET claimed_at = claimed_at - 91 * 86400000, "
                "ended_at = ended_at - 91 * 86400000 WHERE gitlab_id = " +
                    name(old)});

    start();
    ASSERT_TRUE(
        waitFor([&] { return service->sql("SELECT gitlab_id FROM job") == name(young) + "\n"; },
                "the old job to go"));

    EXPECT_EQ(ask({"show", name(old)}).exitCode, 1);
    EXPECT_EQ(ask({"log", name(young)}), (Printed{0, gitlab->job(young).trace, ""}));
    const std::filesystem::directory_iterator traces(service->stateDir() / "traces");
    EXPECT_EQ(std::distance(begin(traces), end(traces)), 1);
}

TEST_F(OperationEndToEnd, AJobThatCouldNeverBeReadIsNamedByItsKey) {
    start();
    gitlab->addJob({.rawBody = "{\"no\":\"job\"}"});
    strict = false;
    const auto state = [&] { return service->sql("SELECT state FROM job"); };
    ASSERT_TRUE(waitFor([&] { return state() == "done\n"; }, "the end of the job"));
    auto key = service->sql("SELECT job FROM job_overview");
    key.pop_back();

    EXPECT_THAT(ask({"jobs", "--all"}).out, HasSubstr("\n" + key));
    EXPECT_THAT(ask({"show", key}).out, HasSubstr(key));
    EXPECT_EQ(ask({"cancel", key}), (Printed{1, "", "gridbridge: the job had ended already\n"}));
    EXPECT_EQ(ask({"show", "gb-aaaaaaaa-1"}).err,
              "gridbridge: there is no job gb-aaaaaaaa-1; gridbridge jobs --all lists them\n");
}

}  // namespace
}  // namespace gridbridge::testing
