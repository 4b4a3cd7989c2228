#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/gitlab/JobDescription.h"

namespace gridbridge::gitlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto kWhole = R"({
  "id": 9007199254740993, "token": "glcbt-64_secret", "allow_git_fetch": false, "novel": {"x": [1]},
  "job_info": {"id": 1, "name": "simulate 2/4", "stage": "production", "pipeline_id": 70811,
               "project_id": 412, "project_full_path": "physics/detector", "time_in_queue_seconds": null},
  "git_info": {"repo_url": "https://gitlab-ci-token:glcbt-64_secret@git.example.org/physics/detector.git",
               "ref": "nightly", "sha": "8a1f", "before_sha": "0000", "ref_type": "branch",
               "refspecs": ["+refs/pipelines/1:refs/pipelines/1", "+refs/heads/x:refs/remotes/origin/x"],
               "depth": 20, "repo_object_format": "sha256"},
  "runner_info": {"timeout": 86400, "runner_session_url": null},
  "variables": [
    {"key": "CI_JOB_URL", "value": "https://git.example.org/-/jobs/1", "public": true, "masked": false},
    {"key": "GITLAB_USER_LOGIN", "value": "ada", "public": true},
    {"key": "PATTERN", "value": "run_$ID", "public": false, "masked": true, "raw": true, "file": true},
    {"key": "NONE", "value": null}, {"key": "COUNT", "value": 3}, {"key": "PATTERN", "value": "later"}],
  "steps": [{"name": "script", "script": ["a", "b"], "when": "on_success"},
            {"name": "polish", "script": ["c"]}, {"name": "after_script", "script": null}],
  "hooks": [{"name": "pre_get_sources_script", "script": ["echo"]}],
  "image": {"name": "el9:1", "entrypoint": ["sh", "-c"], "pull_policy": ["always", "if-not-present"],
            "executor_opts": {"docker": {"platform": "linux/arm64", "user": 1000}}},
  "services": [{"name": "postgres"}],
  "artifacts": [{"name": "histos", "untracked": true, "paths": ["out/*"], "exclude": ["out/x"],
                 "when": "always", "expire_in": "1 week", "artifact_type": "junit", "artifact_format": "gzip"},
                {"name": null, "paths": null, "when": null, "artifact_type": null}],
  "cache": [{"key": "k-protected", "untracked": true, "paths": ["lib/", "bin"], "policy": "pull",
             "when": "always", "fallback_keys": ["k-old", "k-older"]},
            {"key": "plain", "policy": null, "when": null, "unprotect": false}],
  "dependencies": [{"id": 7, "name": "build", "token": "t", "artifacts_file": {"filename": "a.zip", "size": 5368709120}},
                   {"id": 8, "name": "lint", "token": "glcbt-64_secret", "artifacts_file": null},
                   {"id": 9, "name": "docs", "token": "t"}],
  "features": {"trace_sections": true, "token_mask_prefixes": ["glpat-"], "failure_reasons": ["script_failure"]},
  "secrets": {"S": {"vault": {}}}, "run": "[]"
})";

std::string errorOf(std::string_view body) {
    const auto job = decodeJob(body);
    EXPECT_FALSE(job.ok()) << body.substr(0, 200);
    if (job.ok()) {
        return {};
    }
    EXPECT_EQ(job.error().kind, ErrorKind::Permanent);
    return job.error().message;
}

TEST(JobDescriptionTest, EveryFieldIsTaken) {
    const auto decoded = decodeJob(kWhole);

    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    const auto& job = *decoded;
    EXPECT_EQ(job.id, 9007199254740993);  // A double would have lost the last digit.
    EXPECT_EQ(job.token.reveal(), "glcbt-64_secret");
    EXPECT_FALSE(job.allowGitFetch);
    EXPECT_EQ(job.name + "|" + job.stage + "|" + job.projectPath,
              "simulate 2/4|production|physics/detector");
    EXPECT_EQ(job.projectId, 412);
    EXPECT_EQ(job.pipelineId, 70811);
    EXPECT_EQ(job.userLogin, "ada");
    EXPECT_EQ(job.url, "https://git.example.org/-/jobs/1");
    EXPECT_EQ(job.git.repoUrl, "https://git.example.org/physics/detector.git");
    EXPECT_EQ(job.git.ref + job.git.sha + job.git.beforeSha + job.git.refType,
              "nightly8a1f0000branch");
    EXPECT_EQ(job.git.refspecs.size(), 2U);
    EXPECT_EQ(job.git.depth, 20);
    EXPECT_EQ(job.git.objectFormat, "sha256");
    EXPECT_EQ(job.timeout, std::chrono::hours(24));
    EXPECT_TRUE(job.hasRun && job.hasServices && job.hasSecrets);
    EXPECT_TRUE(job.traceSections);
    EXPECT_THAT(job.failureReasons, ElementsAre("script_failure"));
    EXPECT_THAT(job.tokenMaskPrefixes, ElementsAre("glpat-"));
}

TEST(JobDescriptionTest, StepsAreKeptInOrderWhateverTheirName) {
    const auto job = decodeJob(kWhole);

    ASSERT_EQ(job->steps.size(), 3U);
    EXPECT_EQ(job->steps[0].name, "script");
    EXPECT_THAT(job->steps[0].script, ElementsAre("a", "b"));
    EXPECT_EQ(job->steps[1].name, "polish");
    EXPECT_THAT(job->steps[2].script, IsEmpty());
}

TEST(JobDescriptionTest, HooksAreTakenWithTheirScripts) {
    const auto job = decodeJob(kWhole);

    ASSERT_EQ(job->hooks.size(), 1U);
    EXPECT_EQ(job->hooks[0].name, "pre_get_sources_script");
    EXPECT_THAT(job->hooks[0].script, ElementsAre("echo"));
}

TEST(JobDescriptionTest, VariablesKeepTheirFlagsAndTheLastOfANameWins) {
    const auto job = decodeJob(kWhole);

    ASSERT_EQ(job->variables.size(), 6U);
    const auto& pattern = job->variables[2];
    EXPECT_TRUE(pattern.masked && pattern.raw && pattern.file && !pattern.isPublic);
    EXPECT_EQ(pattern.value, "run_$ID");
    EXPECT_EQ(job->variable("PATTERN")->value, "later");
    EXPECT_EQ(job->variable("NONE")->value, "");
    EXPECT_EQ(job->variable("COUNT")->value, "3");
    EXPECT_EQ(job->variable("ABSENT"), nullptr);
}

TEST(JobDescriptionTest, ArtifactsAndDependenciesHaveGitLabsDefaults) {
    const auto job = decodeJob(kWhole);

    ASSERT_EQ(job->artifacts.size(), 2U);
    EXPECT_EQ(job->artifacts[0].type + job->artifacts[0].format + job->artifacts[0].when,
              "junitgzipalways");
    EXPECT_TRUE(job->artifacts[0].untracked);
    EXPECT_THAT(job->artifacts[0].exclude, ElementsAre("out/x"));
    EXPECT_EQ(job->artifacts[0].expireIn, "1 week");
    EXPECT_EQ(job->artifacts[1].type + job->artifacts[1].format + job->artifacts[1].when,
              "archivezipon_success");
    ASSERT_EQ(job->dependencies.size(), 3U);
    EXPECT_EQ(job->dependencies[0].id, 7);
    EXPECT_EQ(job->dependencies[0].name + "|" + job->dependencies[0].filename, "build|a.zip");
    EXPECT_EQ(job->dependencies[0].token.reveal(), "t");
    EXPECT_EQ(job->dependencies[0].size, 5368709120);
    EXPECT_EQ(job->dependencies[1].id, 8);
    EXPECT_EQ(job->dependencies[1].filename, "");
    EXPECT_EQ(job->dependencies[1].size, 0);
}

TEST(JobDescriptionTest, EveryTokenIsNamedOnceThoughDependenciesShareThem) {
    const auto job = decodeJob(kWhole);

    EXPECT_THAT(job->tokens(), ElementsAre(Secret("glcbt-64_secret"), Secret("t")));
}

TEST(JobDescriptionTest, CachesAreTakenWithGitLabsDefaults) {
    const auto job = decodeJob(kWhole);

    ASSERT_EQ(job->cache.size(), 2U);
    EXPECT_EQ(job->cache[0].key + job->cache[0].policy + job->cache[0].when,
              "k-protectedpullalways");
    EXPECT_TRUE(job->cache[0].untracked);
    EXPECT_THAT(job->cache[0].paths, ElementsAre("lib/", "bin"));
    EXPECT_THAT(job->cache[0].fallbackKeys, ElementsAre("k-old", "k-older"));
    EXPECT_EQ(job->cache[1].key + job->cache[1].policy + job->cache[1].when,
              "plainpull-pushon_success");
    EXPECT_FALSE(job->cache[1].untracked);
    EXPECT_THAT(job->cache[1].fallbackKeys, IsEmpty());
}

TEST(JobDescriptionTest, ImageIsTakenInEveryFormThatGitLabHasSent) {
    const auto whole = decodeJob(kWhole)->image;
    EXPECT_EQ(whole.name + "|" + whole.platform + "|" + whole.user, "el9:1|linux/arm64|1000");
    EXPECT_THAT(whole.entrypoint, ElementsAre("sh", "-c"));
    EXPECT_THAT(whole.pullPolicy, ElementsAre("always", "if-not-present"));

    const auto image = [](const std::string& text) {
        return decodeJob(R"({"id":1,"token":"t","image":)" + text + "}")->image;
    };
    EXPECT_EQ(image(R"("debian:12")").name, "debian:12");
    EXPECT_THAT(image(R"({"name":"x","entrypoint":""})").entrypoint, ElementsAre(""));
    EXPECT_THAT(image(R"({"name":"x","entrypoint":[""]})").entrypoint, ElementsAre(""));
    const auto plain = image(R"({"name":"x","entrypoint":null,"ports":[],"executor_opts":{},
                                 "pull_policy":null})");
    EXPECT_TRUE(plain.entrypoint.empty() && plain.pullPolicy.empty());
    EXPECT_EQ(plain.platform + plain.user, "");
}

TEST(JobDescriptionTest, NullAndAbsentFieldsGiveAJobThatCanBeRun) {
    const std::string bodies[] = {
        R"({"id": 1, "token": "t"})",
        R"({"id":1,"token":"t","allow_git_fetch":null,"job_info":null,"git_info":null,
            "runner_info":null,"inputs":null,"variables":null,"steps":null,"run":null,"hooks":null,
            "image":null,"services":null,"artifacts":null,"cache":null,"credentials":null,
            "dependencies":null,"features":null,"secrets":null,"policy_options":null})",
        R"({"id":1,"token":"t","job_info":{"name":null,"project_id":null},
            "git_info":{"repo_url":null,"refspecs":null,"depth":null,"repo_object_format":null},
            "runner_info":{"timeout":null},"variables":[null,{"key":null}],
            "steps":[null],"hooks":[{"name":"x","script":null}],"image":{"name":null},
            "services":[],"cache":[],"secrets":{},"run":"",
            "features":{"trace_sections":null,"failure_reasons":null}})",
    };
    for (const auto& body : bodies) {
        const auto job = decodeJob(body);
        ASSERT_TRUE(job.ok()) << job.error().message << "\n" << body;
        EXPECT_TRUE(job->allowGitFetch);
        EXPECT_EQ(job->timeout, std::chrono::seconds(7200));
        EXPECT_EQ(job->git.objectFormat, "sha1");
        EXPECT_FALSE(job->hasRun || job->hasServices || job->hasSecrets || job->traceSections);
        EXPECT_TRUE(job->variables.empty() && job->steps.empty() && job->cache.empty());
        EXPECT_TRUE(job->image.name.empty() && job->dependencies.empty());
    }
}

TEST(JobDescriptionTest, TimeoutIsPositiveAndFinite) {
    const std::pair<const char*, std::int64_t> cases[] = {
        {"0", 7200},      {"-5", 7200},       {"600", 600},
        {"\"600\"", 600}, {"86400.0", 86400}, {"9223372036854775807", 366LL * 86400}};
    for (const auto& [said, wanted] : cases) {
        const auto job = decodeJob(std::string(R"({"id":1,"token":"t","runner_info":{"timeout":)") +
                                   said + "}}");
        ASSERT_TRUE(job.ok()) << said << ": " << job.error().message;
        EXPECT_EQ(job->timeout.count(), wanted) << said;
    }
}

TEST(JobDescriptionTest, RepositoryAddressNeverHoldsCredentials) {
    const std::pair<const char*, const char*> cases[] = {
        {"https://u:p@h/x.git", "https://h/x.git"},
        {"https://u@h:8443/x@y.git", "https://h:8443/x@y.git"},
        {"https://u:p@q@h/x", "https://h/x"},
        {"https://h/x", "https://h/x"},
        {"https://u:p@h", "https://h"},
        {"git@h:group/x.git", "git@h:group/x.git"},
    };
    for (const auto& [said, wanted] : cases) {
        const auto job = decodeJob(
            std::string(R"({"id":1,"token":"tok","git_info":{"repo_url":")") + said + "\"}}");
        EXPECT_EQ(job->git.repoUrl, wanted);
    }
    EXPECT_THAT(errorOf(R"({"id":1,"token":"s/3","git_info":{"repo_url":"https://u:s/3@h/x"}})"),
                HasSubstr("git_info.repo_url"));
}

TEST(JobDescriptionTest, UserCannotPassForAnotherOne) {
    // .gitlab-ci.yml, GitLab, then a pipeline variable: GitLab's order.
    const auto job = decodeJob(R"({"id":1,"token":"t","variables":[
        {"key":"CI_PROJECT_PATH","value":"real/project","public":true},
        {"key":"CI_PROJECT_PATH","value":"forged/project","public":true},
        {"key":"GITLAB_USER_LOGIN","value":"forged","public":true},
        {"key":"GITLAB_USER_LOGIN","value":"mallory","public":true},
        {"key":"GITLAB_USER_LOGIN","value":"forged too","public":false}]})");

    EXPECT_EQ(job->userLogin, "mallory");
    EXPECT_EQ(job->projectPath, "real/project");
}

TEST(JobDescriptionTest, WhatCannotBeUnderstoodIsNamedWithoutItsValue) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"token":"hidden"})", "id is missing"},
        {R"({"id":0,"token":"hidden"})", "id is missing"},
        {R"({"id":true,"token":"hidden"})", "id is not a number"},
        {R"({"id":1e300,"token":"hidden"})", "id is not"},
        {R"({"id":1})", "token is missing"},
        {R"({"id":1,"token":["hidden"]})", "token is not a text"},
        {R"({"id":1,"token":"t","job_info":"hidden"})", "job_info is not an object"},
        {R"({"id":1,"token":"t","job_info":{"name":{"hidden":1}}})", "job_info.name is not a text"},
        {R"({"id":1,"token":"t","variables":{"hidden":1}})", "variables is not a list"},
        {R"({"id":1,"token":"t","variables":[{"key":"a"},{"key":"b","masked":"hidden"}]})",
         "variables[1].masked is neither"},
        {R"({"id":1,"token":"t","steps":["hidden"]})", "steps[0] is not an object"},
        {R"({"id":1,"token":"t","git_info":{"depth":"hidden"}})", "git_info.depth is not a number"},
        {R"({"id":1,"token":"t","dependencies":[{"id":2,"token":{"hidden":1}}]})",
         "dependencies[0].token is not a text"},
        {R"({"id":1,"token":"t","dependencies":[{"artifacts_file":{"size":"hidden"}}]})",
         "dependencies[0].artifacts_file.size is not a number"},
        {R"({"id":1,"token":"t","cache":[{"paths":[["hidden"]]}]})",
         "cache[0].paths is not a text"},
        {R"({"id":1,"token":"t","image":{"executor_opts":{"docker":"hidden"}}})",
         "image.executor_opts.docker is not an object"},
        {R"(["hidden"])", "not one JSON object"},
        {R"({"id":1,"token":"hidden)", "not one JSON object"},
        {"hidden", "not one JSON object"},
        {"", "not one JSON object"},
    };
    for (const auto& [body, wanted] : cases) {
        const auto message = errorOf(body);
        EXPECT_THAT(message, HasSubstr(wanted)) << body;
        EXPECT_THAT(message, Not(HasSubstr("hidden"))) << body;
    }
}

TEST(JobDescriptionTest, WhatIsTooLargeIsRefused) {
    const auto job = [](const std::string& more) { return R"({"id":1,"token":"t",)" + more + "}"; };

    EXPECT_THAT(errorOf(job(R"("job_info":{"name":")" + std::string(20000, 'n') + "\"}")),
                HasSubstr("job_info.name is longer than"));
    EXPECT_THAT(
        errorOf(job(R"("variables":[{"key":"a","value":")" + std::string(17 << 20, 'v') + "\"}]")),
        HasSubstr("variables[0].value is longer"));
    EXPECT_THAT(errorOf(std::string((64 << 20) + 1, ' ')), HasSubstr("larger than 64 MiB"));
    std::string many = "[1";
    for (int i = 0; i < 30000; ++i) {
        many += ",1";
    }
    EXPECT_THAT(errorOf(job(R"("features":{"failure_reasons":)" + many + "]}")),
                HasSubstr("features.failure_reasons has more than"));
    EXPECT_THAT(errorOf(job("\"deep\":" + std::string(100000, '[') + std::string(100000, ']'))),
                HasSubstr("not one JSON"));
    EXPECT_TRUE(
        decodeJob(job(R"("variables":[{"key":"a","value":")" + std::string(10 << 20, 'v') + "\"}]"))
            .ok());
}

TEST(JobIdentityTest, IdAndTokenAreFoundInABrokenBody) {
    const std::string bodies[] = {
        R"({"id": 12, "token": "glcbt-x", "steps": [{"na)",
        R"({"id":12,"token":"glcbt-x"!!!)",
        R"({"job_info":{"id":99,"token":"no","a":"}\""},"n":[1,{"id":5}],"id":12,"x":-1.5e3,"token":"glcbt-x")",
        "  {\n \"token\" : \"glcbt-x\",\n \"id\" : 12 ,",
        kWhole,
    };
    for (const auto& body : bodies) {
        const auto identity = identityOf(body);
        ASSERT_TRUE(identity.has_value()) << body;
        const bool whole = body == kWhole;
        EXPECT_EQ(identity->id, whole ? 9007199254740993 : 12) << body;
        EXPECT_EQ(identity->token.reveal(), whole ? "glcbt-64_secret" : "glcbt-x");
    }
}

TEST(JobIdentityTest, HalfAnIdentityIsNone) {
    for (const std::string body :
         {"", "{", "[]", R"({"id":12})", R"({"token":"x","id":12)", R"({"id":12,"token":"gl)",
          R"({"id":12,"token":""})", R"({"id":-1,"token":"x"})", R"({"id":12.5,"token":"x"})",
          R"({"id":"12","token":"x"})", R"({"a":{"id":12,"token":"x"}})",
          R"({"id":12 "token":"x"})", R"({"id":99999999999999999999,"token":"x"})",
          R"({"id":12,"token":"\u0041"})"}) {
        EXPECT_FALSE(identityOf(body).has_value()) << body;
    }
}

TEST(JobIdentityTest, EveryCutOfABodyGivesTheRightIdentityOrNone) {
    const std::string whole = kWhole;
    std::size_t found = 0;
    for (std::size_t length = 0; length <= whole.size(); ++length) {
        if (const auto identity = identityOf(std::string_view(whole).substr(0, length))) {
            ++found;
            EXPECT_EQ(identity->id, 9007199254740993);
            EXPECT_EQ(identity->token.reveal(), "glcbt-64_secret");
        }
    }
    EXPECT_GT(found, whole.size() - 100);
}

}  // namespace
}  // namespace gridbridge::gitlab
