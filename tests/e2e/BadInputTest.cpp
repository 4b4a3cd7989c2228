// What GitLab, or what stands before it, may send and nobody expects. In every test a job of the
// usual kind runs beside it and must end well.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;
using fakegitlab::Status;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class BadInputEndToEnd : public EndToEnd {
protected:
    BadInputEndToEnd() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
    }
    void TearDown() override {
        if (service) {
            EXPECT_TRUE(beside_ != 0 && neighbourIsWell());
        }
        EndToEnd::TearDown();
    }

    static JobSpec usual(std::vector<std::string> script = {"echo fine"}) {
        return {.script = std::move(script),
                .variables = {{.key = "GIT_STRATEGY", .value = "none"}}};
    }
    /// The bad job, and the one beside it.
    JobId add(JobSpec bad) {
        const auto id = gitlab->addJob(std::move(bad));
        beside_ = gitlab->addJob(usual({"echo neighbour"}));
        start();
        return id;
    }
    bool neighbourIsWell() {
        const auto job = finished(beside_);
        return job.status == Status::Success &&
               plain(job.trace).find("\nneighbour\n") != std::string::npos;
    }
    /// Failed by the service with this one error line, and nothing ran.
    void expectRefused(JobId id, const std::string& reason, const std::string& line) {
        const auto job = finished(id);
        EXPECT_EQ(job.status, Status::Failed);
        EXPECT_EQ(job.failureReason, reason);
        EXPECT_THAT(errors(job), ElementsAre(line));
        EXPECT_EQ(service->sql("SELECT count(*) FROM submission JOIN job ON job.id = "
                               "submission.job WHERE gitlab_id = " +
                               std::to_string(id)),
                  "0\n");
        EXPECT_THAT(service->log(), Not(HasSubstr(job.token)));
    }
    static std::vector<std::string> errors(const JobSnapshot& job) {
        auto lines = linesOf(plain(job.trace));
        std::erase_if(lines, [](const auto& line) { return !line.starts_with("ERROR: "); });
        return lines;
    }
    /// A body of which neither id nor token can be read: it is kept for a person to look at.
    void expectKept(JobSpec bad) {
        strict = false;  // The client cannot say anything about such a job.
        const auto id = add(std::move(bad));
        EXPECT_TRUE(neighbourIsWell());
        EXPECT_EQ(gitlab->status(id), Status::Running);
        EXPECT_TRUE(waitFor(
            [&] {
                return service->sql(
                           "SELECT state, outcome, failure_reason FROM job WHERE "
                           "gitlab_id IS NULL") == "done|failed|runner_system_failure\n";
            },
            "the row of the job"));
        EXPECT_EQ(service->sql("SELECT count(*) FROM job_secret JOIN job ON job.id = "
                               "job_secret.job WHERE gitlab_id IS NULL AND payload IS NOT NULL"),
                  "1\n");
        const auto table = service->command({"jobs", "--all"});
        EXPECT_THAT(linesOf(service->log()),
                    Contains(AllOf(HasSubstr(" error [core] a claimed job cannot be read, so "
                                             "GitLab cannot be told; its body is kept"),
                                   HasSubstr(" error=\"the job cannot be understood: "))));
        EXPECT_THAT(linesOf(table),
                    Contains(AllOf(StartsWith("gb-"), HasSubstr("-1  pool    done   failed"))));
    }

    JobId beside_ = 0;
};

TEST_F(BadInputEndToEnd, UndecodableJobWithIdAndTokenIsReported) {
    const auto id = add({.rawBody = R"({"id":@ID@,"token":"@TOKEN@","variables":"none"})"});
    expectRefused(id, "runner_system_failure",
                  "ERROR: Job failed (system failure): the job cannot be understood: variables is "
                  "not a list");
}

TEST_F(BadInputEndToEnd, TruncatedJsonWithIdAndTokenIsReported) {
    const auto id = add({.rawBody = R"({"id":@ID@,"token":"@TOKEN@","steps":[{"name":"scr)"});
    expectRefused(id, "runner_system_failure",
                  "ERROR: Job failed (system failure): the job cannot be understood: it is not one "
                  "JSON object");
}

TEST_F(BadInputEndToEnd, WrongTypesDeepInside) {
    const auto id = add({.merge = R"({"git_info":{"refspecs":[{"a":1}]}})"});
    expectRefused(id, "runner_system_failure",
                  "ERROR: Job failed (system failure): the job cannot be understood: "
                  "git_info.refspecs is not a text");
}

TEST_F(BadInputEndToEnd, TenMegabytesThatAreNoJob) {
    const auto id = add({.rawBody = R"({"id":@ID@,"token":"@TOKEN@","x":")" +
                                    std::string(std::size_t{10} << 20U, 'x') + "\""});
    expectRefused(id, "runner_system_failure",
                  "ERROR: Job failed (system failure): the job cannot be understood: it is not one "
                  "JSON object");
}

TEST_F(BadInputEndToEnd, TenMegabytesInAFileVariable) {
    auto spec = usual({"echo size=$(wc -c <$BIG)"});
    spec.variables.push_back(
        {.key = "BIG", .value = std::string(std::size_t{10} << 20U, 'x'), .file = true});
    const auto job = finished(add(spec));
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_THAT(linesOf(plain(job.trace)), Contains("size=10485760"));
}

TEST_F(BadInputEndToEnd, TenMegabytesInTheEnvironmentAreSaidToBeTheReason) {
    auto spec = usual();
    spec.variables.push_back({.key = "BIG", .value = std::string(std::size_t{10} << 20U, 'x')});
    const auto job = finished(add(spec));
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_THAT(linesOf(plain(job.trace)),
                Contains("WARNING: variable \"BIG\" is longer than 100 KiB: programs may not start "
                         "because of it"));
    EXPECT_THAT(errors(job), ElementsAre("ERROR: Job failed: exit code 126"));
}

TEST_F(BadInputEndToEnd, NestingWithoutEnd) {
    const auto id =
        add({.rawBody = R"({"id":@ID@,"token":"@TOKEN@","x":)" + std::string(1'000'000, '[')});
    expectRefused(id, "runner_system_failure",
                  "ERROR: Job failed (system failure): the job cannot be understood: it is not one "
                  "JSON object");
}

TEST_F(BadInputEndToEnd, GarbageIsKept) {
    expectKept({.rawBody = std::string("\x00\xff\xfe\r\n\r\nHTTP/1.1 200 OK\r\n", 22)});
}

TEST_F(BadInputEndToEnd, EmptyBodyIsKept) {
    expectKept({.rawBody = ""});
}

TEST_F(BadInputEndToEnd, BodyWithoutTokenIsKept) {
    expectKept({.nulls = {"token"}});
}

TEST_F(BadInputEndToEnd, AnAnswerThatBreaksOffIsNoJob) {
    strict = false;  // The client never learns of that job.
    gitlab->failNext(fakegitlab::FaultKind::ClaimAnswerCut);
    const auto id = add(usual());
    EXPECT_TRUE(neighbourIsWell());
    EXPECT_EQ(gitlab->status(id), Status::Running) << "GitLab gives it up later";
    EXPECT_EQ(service->sql("SELECT count(*) FROM job"), "1\n");
    EXPECT_EQ(gitlab->faults()[fakegitlab::FaultKind::ClaimAnswerCut], 1U);
}

/// Protocol section 3: the fields that may be null or absent.
const std::vector<std::string> kOptional{"runner_info.timeout",
                                         "runner_info.runner_session_url",
                                         "runner_info.uuid",
                                         "job_info.time_in_queue_seconds",
                                         "job_info.scoped_user_id",
                                         "job_info.project_full_path",
                                         "git_info.protected",
                                         "git_info.depth",
                                         "features.token_mask_prefixes",
                                         "features.failure_reasons",
                                         "features.trace_sections",
                                         "features.tracing",
                                         "inputs",
                                         "hooks",
                                         "image",
                                         "services",
                                         "artifacts",
                                         "cache",
                                         "credentials",
                                         "dependencies",
                                         "secrets",
                                         "policy_options",
                                         "suspend_options",
                                         "run",
                                         "allow_git_fetch"};

TEST_F(BadInputEndToEnd, NullEverywhereItMayStand) {
    auto spec = usual();
    spec.nulls = kOptional;
    const auto job = finished(add(spec));
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_THAT(linesOf(plain(job.trace)), Contains("fine"));
}

TEST_F(BadInputEndToEnd, EveryOptionalFieldAbsent) {
    auto spec = usual();
    spec.without = kOptional;
    const auto job = finished(add(spec));
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_THAT(linesOf(plain(job.trace)), Contains("fine"));
}

TEST_F(BadInputEndToEnd, NullInListsAndTheirElements) {
    auto spec = usual();
    spec.merge = R"({
        "variables": [null, {"key":"GIT_STRATEGY","value":"none","public":null,"masked":null,
            "raw":null,"file":null}, {"key":"NOTHING","value":null}, {"key":null,"value":"x"}],
        "steps": [null, {"name":"script","script":["echo out > a.txt; echo nothing=[$NOTHING]",null],
            "timeout":null,"when":null,"allow_failure":null}, {"name":"after_script","script":null}],
        "artifacts": [null, {"name":null,"paths":["a.txt"],"untracked":null,"exclude":null,
            "when":null,"expire_in":null,"artifact_type":"archive","artifact_format":"zip"}],
        "dependencies": [null, {"id":7,"name":"build","token":null,"artifacts_file":null}],
        "hooks": [null, {"name":"pre_get_sources_script","script":null}],
        "features": {"token_mask_prefixes":[null,"glpat-"],"failure_reasons":[null,"unknown_failure"]},
        "git_info": {"refspecs":[null]}})";
    const auto job = finished(add(spec));
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_THAT(linesOf(plain(job.trace)), Contains("nothing=[]"));
    ASSERT_THAT(job.artifacts, SizeIs(1));
    EXPECT_THAT(job.artifacts[0].bytes, HasSubstr("a.txt"));
}

TEST_F(BadInputEndToEnd, StepsOfAnyNameRunAndAreNamed) {
    auto spec = usual();
    const auto touched = folder.path / "touched";
    spec.merge = R"json({"steps": [{"name":"script","script":["echo one"]},
        {"name":"deploy","script":["echo two"]},
        {"name":"../e\u001b[31m\nvil$(touch )json" +
                 touched.string() + R"json()","script":["echo three"]}]})json";
    const auto job = finished(add(spec));
    EXPECT_EQ(job.status, Status::Success);
    const auto lines = linesOf(plain(job.trace));
    EXPECT_THAT(lines, AllOf(Contains("one"), Contains("two"), Contains("three")));
    EXPECT_THAT(lines, Contains("Executing \"step_deploy\" stage of the job script"));
    EXPECT_THAT(lines, Contains(StartsWith("Executing \"step_")).Times(3));
    EXPECT_FALSE(std::filesystem::exists(touched));
}

TEST_F(BadInputEndToEnd, WithoutAScriptNothingSucceeds) {
    auto spec = usual();
    spec.without = {"steps"};
    expectRefused(add(spec), "runner_configuration_error",
                  "ERROR: Job failed (system failure): GitLab sent no `script` for this job: there "
                  "is nothing to run");
}

TEST_F(BadInputEndToEnd, UnreachableRepositoryFailsOnlyItsJob) {
    const auto id =
        add({.merge = R"({"git_info":{"repo_url":"http://x:hush@127.0.0.1:1/a/b.git"}})"});
    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    const auto lines = linesOf(plain(job.trace));
    EXPECT_THAT(lines, Contains(AllOf(StartsWith("fatal: unable to access "),
                                      HasSubstr("http://127.0.0.1:1/a/b.git")))
                           .Times(1));
    EXPECT_THAT(errors(job), ElementsAre("ERROR: Job failed: exit code 128"));
    EXPECT_THAT(job.trace, Not(HasSubstr("hush")));
}

TEST_F(BadInputEndToEnd, AddressThatIsAnOptionOfGit) {
    const auto touched = folder.path / "touched";
    auto spec = usual();
    spec.variables.clear();
    spec.merge = R"({"git_info":{"repo_url":"--upload-pack=touch )" + touched.string() + "\"}}";

    const auto job = finished(add(spec));
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_THAT(errors(job), SizeIs(1));
    EXPECT_FALSE(std::filesystem::exists(touched));
}

}  // namespace
}  // namespace gridbridge::testing
