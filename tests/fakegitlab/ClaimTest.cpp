#include <thread>

#include "tests/fakegitlab/RawClient.h"

namespace gridbridge::fakegitlab {
namespace {

class ClaimTest : public RawHttp {
protected:
    void SetUp() override { start(); }
};

TEST_F(ClaimTest, WithoutJsonOrTokenIsA400AndAWrongTokenA403) {
    EXPECT_EQ(call("POST", "jobs/request", {{"Content-Type", "text/plain"}}, claimBody()).status,
              400);
    EXPECT_EQ(json("POST", "jobs/request", "{").status, 400);
    EXPECT_EQ(json("POST", "jobs/request", "{}").status, 400);
    EXPECT_EQ(json("POST", "jobs/request", R"({"token":"glrt-other"})").status, 403);
}

TEST_F(ClaimTest, BodyOver32KiBIsA413) {
    EXPECT_EQ(claim(R"(,"x":")" + std::string(33 * 1024, 'x') + "\"").status, 413);
}

TEST_F(ClaimTest, EmptyQueueIsA204WithTheValueThatMakesTheNextOneCheap) {
    const auto first = claim();
    const auto value = first.header("X-GitLab-Last-Update");
    const auto second = claim(R"(,"last_update":")" + value + "\"");

    EXPECT_EQ(first.status, 204);
    EXPECT_FALSE(value.empty());
    EXPECT_EQ(second.status, 204);
    EXPECT_EQ(second.header("X-GitLab-Last-Update"), value);
}

TEST_F(ClaimTest, NewJobChangesTheValueAndIsHandedOutOnceAsRunning) {
    const auto value = claim().header("X-GitLab-Last-Update");
    const auto id = server->addJob({.name = "simulate"});

    const auto answer = claim(R"(,"last_update":")" + value + "\"");

    ASSERT_EQ(answer.status, 201);
    EXPECT_EQ(answer.header("X-GitLab-Last-Update"), "");
    EXPECT_EQ(answer.json()->getValue<JobId>("id"), id);
    EXPECT_EQ(answer.json()->getObject("job_info")->getValue<std::string>("name"), "simulate");
    EXPECT_EQ(server->status(id), Status::Running);
    EXPECT_EQ(claim().status, 204);
}

TEST_F(ClaimTest, OldestMatchingJobComesFirstAndForeignTagsNever) {
    server->addJob({.name = "foreign", .tags = {"gpu"}});
    const auto older = server->addJob({.name = "older"});
    server->addJob({.name = "younger"});

    EXPECT_EQ(claim().json()->getValue<JobId>("id"), older);
}

TEST_F(ClaimTest, JobThatNeedsAnUndeclaredFeatureFailsAndTheNextOneIsGiven) {
    const auto gated = server->addJob({.needsFeatures = {"return_exit_code"}});
    const auto plain = server->addJob({});

    EXPECT_EQ(claim().json()->getValue<JobId>("id"), plain);
    EXPECT_EQ(server->status(gated), Status::Failed);
    EXPECT_EQ(server->job(gated).failureReason, "runner_unsupported");
}

TEST_F(ClaimTest, PausedRunnerGetsNothing) {
    server->addJob({});
    server->setRunnerPaused("glrt-test", true);

    EXPECT_EQ(claim().status, 204);
}

TEST_F(ClaimTest, StageOpensWhenTheOneBeforeHasEnded) {
    server->setStages({"build", "test"});
    const auto build = server->addJob({.stage = "build"});
    const auto test = server->addJob({.stage = "test"});
    EXPECT_EQ(claim().json()->getValue<JobId>("id"), build);
    EXPECT_EQ(claim().status, 204);

    put(build, R"("state":"success")");

    EXPECT_EQ(claim().json()->getValue<JobId>("id"), test);
}

TEST_F(ClaimTest, LongPollHoldsTheRequestAndEndsWithoutHeader) {
    start({.longPoll = Millis(1)});
    const auto value = claim().header("X-GitLab-Last-Update");
    clock.advance(Seconds(1));

    // The held request ends as soon as the injected clock has moved past the duration.
    std::jthread time([this](std::stop_token stop) {
        while (!stop.stop_requested()) {
            clock.advance(Millis(1));
        }
    });
    const auto held = claim(R"(,"last_update":")" + value + "\"");

    EXPECT_EQ(held.status, 204);
    EXPECT_EQ(held.header("X-GitLab-Last-Update"), "");
}

TEST_F(ClaimTest, PayloadCanBeMadeStrange) {
    server->addJob({.merge = R"({"git_info":{"depth":7}, "variables":[null,
                        {"key":"A","value":null,"masked":null}],
                        "features":{"failure_reasons":[null]}})",
                    .nulls = {"image", "services"}});
    const auto strange = claim().json();
    const auto raw = server->addJob({.rawBody = "{\"id\":@ID@,\"token\":\"@TOKEN@\",\"steps\":"});

    EXPECT_EQ(strange->getObject("git_info")->getValue<int>("depth"), 7);
    EXPECT_TRUE(strange->isNull("services"));
    const auto undecodable = claim().body;
    EXPECT_EQ(undecodable, "{\"id\":" + std::to_string(raw) + ",\"token\":\"" +
                               server->job(raw).token + "\",\"steps\":");
}

TEST_F(ClaimTest, StrictModeNamesWhatAClientForgot) {
    json("POST", "jobs/request", R"({"token":"glrt-test","last_update":"invented"})");

    EXPECT_TRUE(violated("without info.features"));
    EXPECT_TRUE(violated("system_id"));
    EXPECT_TRUE(violated("never gave"));
}

}  // namespace
}  // namespace gridbridge::fakegitlab
