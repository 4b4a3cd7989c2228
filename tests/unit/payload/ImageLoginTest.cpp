// The logins with which images are pulled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/payload/Container.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

gitlab::JobDescription jobIn(const std::string& image) {
    auto job = jobWith({"true"});
    job.image.name = image;
    return job;
}

/// What the pull logs in with, `""` = nothing.
std::string login(const gitlab::JobDescription& job) {
    auto context = contextNow();
    context.container = containerPreset(kPodman);
    const auto script = makeScript(job, context);
    for (const auto& file : script->inputs) {
        if (file.name == kLoginsFile) {
            return file.content;
        }
    }
    return "";
}

TEST(ImageLoginTest, LongestPlaceCountsAndTheVariableBeforeWhatGitLabSent) {
    auto job = jobIn("registry.example.org/group/tools:1");
    EXPECT_EQ(login(job), "");
    job.registryCredentials = {{"https://registry.example.org", "a", Secret("b")},
                               {"registry.example.org/group", "c", Secret("d")},
                               {"registry.example.org/gro", "e", Secret("f")}};
    EXPECT_EQ(login(job), "{\"auths\":{\"registry.example.org/group\":{\"auth\":\"Yzpk\"}}}\n");
    setVariable(
        job, "DOCKER_AUTH_CONFIG",
        R"({"auths":{"registry.example.org":{"auth":"eDp5"},"other.org":{"auth":"Yw=="}}})");
    EXPECT_EQ(login(job), "{\"auths\":{\"registry.example.org\":{\"auth\":\"eDp5\"}}}\n");
    setVariable(job, "DOCKER_AUTH_CONFIG", R"({"auths":{"registry.example.org":{"auth":"\"}"}}})");
    EXPECT_EQ(login(job), "{\"auths\":{\"registry.example.org/group\":{\"auth\":\"Yzpk\"}}}\n");
    setVariable(job, "DOCKER_AUTH_CONFIG", "no JSON");
    EXPECT_EQ(login(job), "{\"auths\":{\"registry.example.org/group\":{\"auth\":\"Yzpk\"}}}\n");
}

TEST(ImageLoginTest, NameWithoutHostIsOfDockerHub) {
    auto job = jobIn("library/debian:12");
    setVariable(job, "DOCKER_AUTH_CONFIG",
                R"({"auths":{"https://index.docker.io/v1/":{"auth":"eDp5"}}})");
    EXPECT_EQ(login(job), "{\"auths\":{\"docker.io\":{\"auth\":\"eDp5\"}}}\n");
    job.image.name = "localhost:5000/debian";
    EXPECT_EQ(login(job), "");
}

TEST(ImageLoginTest, WhatGitLabSentIsMasked) {
    auto job = jobIn("a");
    job.registryCredentials = {{"registry.example.org", "a", Secret("pass-word-1")}};
    auto context = contextNow();
    context.container = containerPreset(kPodman);
    EXPECT_THAT(makeScript(job, context)->maskPhrases, ::testing::Contains("pass-word-1"));
}

}  // namespace
}  // namespace gridbridge::payload
