#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/payload/JobScript.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

/// The one line with which the job is refused; empty = it is not.
std::string refusal(const gitlab::JobDescription& job) {
    const auto script = makeScript(job, contextNow());
    if (script) {
        return {};
    }
    EXPECT_EQ(script.error().kind, ErrorKind::Permanent);
    EXPECT_EQ(script.error().message.find('\n'), std::string::npos);
    return script.error().message;
}

TEST(JobScriptTest, WhatTheRunnerCannotDoIsRefusedBeforeSubmission) {
    const auto job = jobWith({"true"});
    auto image = job;
    image.image.name = "debian:12";
    auto services = job;
    services.hasServices = true;
    auto secrets = job;
    secrets.hasSecrets = true;
    auto run = job;
    run.hasRun = true;
    auto nothing = job;
    nothing.steps = {{"script", {}}, {"after_script", {"true"}}};
    auto artifacts = job;
    artifacts.artifacts.assign(61, archiveOf({"a"}));
    auto patterns = job;
    patterns.artifacts = {archiveOf(std::vector<std::string>(70, std::string(4000, 'x')))};

    EXPECT_EQ(refusal(job), "");
    EXPECT_THAT(refusal(image), HasSubstr("`image`"));
    EXPECT_THAT(refusal(services), HasSubstr("`services`"));
    EXPECT_THAT(refusal(secrets), HasSubstr("`secrets`"));
    EXPECT_THAT(refusal(run), HasSubstr("`run`"));
    EXPECT_THAT(refusal(nothing), HasSubstr("no `script`"));
    EXPECT_THAT(refusal(artifacts), HasSubstr("too many"));
    artifacts.artifacts.pop_back();
    EXPECT_EQ(refusal(artifacts), "");
    EXPECT_THAT(refusal(patterns), HasSubstr("longer than 256 KiB"));
    patterns.artifacts[0].paths.resize(60);
    EXPECT_EQ(refusal(patterns), "");
}

/// The one line about a job with that GIT_CLONE_PATH.
std::string refusalOfPath(const std::string& path) {
    auto job = jobWith({"true"});
    setVariable(job, "GIT_CLONE_PATH", path);
    return refusal(job);
}

TEST(JobScriptTest, ClonePathThatLeadsElsewhereIsRefusedWithoutSayingIt) {
    for (const auto* path : {"/builds/secret", "secret", "$CI_BUILDS_DIR", "$CI_BUILDS_DIR/",
                             "$CI_BUILDS_DIR/.", "$CI_BUILDS_DIR/..", "$CI_BUILDS_DIR/../secret",
                             "$CI_BUILDS_DIR/a/../../secret", "$CI_PROJECT_DIR/secret",
                             "/x$CI_BUILDS_DIR/secret", "$CI_BUILDS_DIR/$CI_JOB_STATUS/secret"}) {
        EXPECT_THAT(refusalOfPath(path), HasSubstr("GIT_CLONE_PATH has to be within")) << path;
        EXPECT_THAT(refusalOfPath(path), Not(HasSubstr("secret"))) << path;
    }
    for (const auto* path :
         {"", "$CI_BUILDS_DIR/x", "$CI_BUILDS_DIR//a/./../b c", "$CI_BUILDS_DIR/a/../b/"}) {
        EXPECT_EQ(refusalOfPath(path), "") << path;
    }
}

TEST(JobScriptTest, ClonePathThatNoFolderCanHaveIsRefused) {
    const std::string builds = "$CI_BUILDS_DIR/";
    const std::string name(250, 'n');
    std::string deep;
    for (int n = 0; n < 600; ++n) {
        deep += "a/";
    }
    EXPECT_EQ(refusalOfPath(builds + std::string(2000, '/') + name + "/" + name), "");
    EXPECT_THAT(refusalOfPath(builds + name + "n"), HasSubstr("too long"));
    EXPECT_THAT(refusalOfPath(builds + name + "n/a"), HasSubstr("too long"));
    EXPECT_THAT(refusalOfPath(builds + deep), HasSubstr("too long"));
}

TEST(JobScriptTest, NulInTheScriptIsRefused) {
    EXPECT_THAT(refusal(jobWith({std::string("a\0b", 3)})), HasSubstr("NUL"));
}

TEST(JobScriptTest, WhatIsLeftOutIsSaidInOneLineEach) {
    auto job = jobWith({"true"});
    EXPECT_THAT(makeScript(job, contextNow())->warnings, IsEmpty());

    job.cache.push_back({.key = "default"});
    job.artifacts.push_back(archiveOf({"out/$NOT_KNOWN/x", "$(id)/x"}));
    for (const auto* type : {"junit", "dotenv"}) {
        job.artifacts.push_back(archiveOf({"report.xml"}));
        job.artifacts.back().type = type;
        job.artifacts.back().format = "of-tomorrow";
    }

    EXPECT_THAT(
        makeScript(job, contextNow())->warnings,
        UnorderedElementsAre(
            "Cache is not supported by this runner, skipping",
            "artifacts of an unknown format are not uploaded by this runner",
            "artifacts: $(id)/x: a part of it is no expansion of a variable that this runner knows "
            "and is taken as it is"));
}

TEST(JobScriptTest, LoaderIsSmallAndHoldsNeitherSecretsNorNames) {
    auto job = jobWith({"echo in-the-script"});
    job.variables.push_back({.key = "SECRET", .value = "hunter2", .masked = true});

    const auto script = makeScript(job, contextNow());

    ASSERT_TRUE(script);
    EXPECT_LT(script->loader.size(), 4096U);
    EXPECT_THAT(script->loader, HasSubstr("@FOLDER@"));
    for (const auto* text : {"hunter2", "group/project", "in-the-script", "nonce-1"}) {
        EXPECT_THAT(script->loader, Not(HasSubstr(text)));
    }
}

TEST(JobScriptTest, OutputsAreTheLogTheStatusAndTheTarballOfEachArchive) {
    auto job = jobWith({"true"});
    job.artifacts.push_back(archiveOf({"junit.xml"}));
    job.artifacts.back().format = "of-tomorrow";
    job.artifacts.push_back(archiveOf({"out"}));
    job.artifacts.push_back(archiveOf({}));

    EXPECT_THAT(makeScript(job, contextNow())->outputs,
                ElementsAre("log", "status", "artifact.1.tar.gz"));
    EXPECT_EQ(tarballName(1), "artifact.1.tar.gz");
}

TEST(JobScriptTest, FileNamesAreOnesThatEveryBackendTakes) {
    auto job = jobWith({"true"}, {"true"});
    job.steps.push_back({"../../etc/x y\n" + std::string(300, 'z'), {"true"}});

    const auto script = makeScript(job, contextNow());

    ASSERT_TRUE(script);
    for (const auto& input : script->inputs) {
        EXPECT_LE(input.name.size(), 80U);
        EXPECT_EQ(input.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_."), std::string::npos)
            << input.name;
    }
}

TEST(JobScriptTest, ProjectPathThatLeadsElsewhereIsNotUsed) {
    for (const auto* path : {"../../etc", "/etc", "a//b", "a/..", "", "a b", "."}) {
        auto job = jobWith({"pwd"});
        job.projectPath = path;
        job.projectId = 5;
        ScriptRun run(job);
        run.run();
        EXPECT_THAT(run.text(), HasSubstr("/builds/project-5\n")) << path;
    }
}

TEST(JobScriptTest, UploadIsWantedForTheOutcomesOfWhen) {
    auto entry = archiveOf({"out"});
    const auto wanted = [&](const std::string& when) {
        entry.when = when;
        return std::pair(wantsUpload(entry, true), wantsUpload(entry, false));
    };
    EXPECT_EQ(wanted("on_success"), std::pair(true, false));
    EXPECT_EQ(wanted("on_failure"), std::pair(false, true));
    EXPECT_EQ(wanted("always"), std::pair(true, true));
    EXPECT_EQ(wanted(""), std::pair(true, false));
    entry.format = "of-tomorrow";
    EXPECT_EQ(wanted("always"), std::pair(false, false));
}

}  // namespace
}  // namespace gridbridge::payload
