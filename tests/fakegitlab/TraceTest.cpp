#include "tests/fakegitlab/RawClient.h"

namespace gridbridge::fakegitlab {
namespace {

class TraceTest : public RawHttp {
protected:
    void SetUp() override { start(); }
};

TEST_F(TraceTest, AppendsAndTellsTheSizeAndTheInterval) {
    const auto id = running();

    const auto answer = patch(id, "0-4", "hello");

    EXPECT_EQ(answer.status, 202);
    EXPECT_EQ(answer.header("Range"), "0-5");
    EXPECT_EQ(answer.header("Job-Status"), "running");
    EXPECT_EQ(answer.header("X-GitLab-Trace-Update-Interval"), "3");
    EXPECT_EQ(server->job(id).trace, "hello");
}

TEST_F(TraceTest, WrongOffsetIsA416WithTheByteCountAndChangesNothing) {
    const auto id = running();
    patch(id, "0-4", "hello");

    const auto answer = patch(id, "3-5", "xyz");

    EXPECT_EQ(answer.status, 416);
    EXPECT_EQ(answer.header("Range"), "0-5");
    EXPECT_EQ(server->job(id).trace, "hello");
}

TEST_F(TraceTest, EmptyPatchAtTheSizeIsALegalQuestion) {
    const auto id = running();
    patch(id, "0-4", "hello");

    const auto answer = patch(id, "5-4", "");

    EXPECT_EQ(answer.status, 202);
    EXPECT_TRUE(server->violations().empty());
}

TEST_F(TraceTest, MissingContentTypeOrRangeIsA400AndAWrongTokenA403) {
    const auto id = running();
    const auto path = "jobs/" + std::to_string(id) + "/trace";
    const auto token = server->job(id).token;

    EXPECT_EQ(call("PATCH", path, {{"JOB-TOKEN", token}, {"Content-Range", "0-0"}}, "x").status,
              400);
    EXPECT_EQ(
        call("PATCH", path, {{"JOB-TOKEN", token}, {"Content-Type", "text/plain"}}, "x").status,
        400);
    EXPECT_EQ(
        call("PATCH", path,
             {{"JOB-TOKEN", "x"}, {"Content-Type", "text/plain"}, {"Content-Range", "0-0"}}, "x")
            .status,
        403);
}

TEST_F(TraceTest, TooLargeALogEndsTheJob) {
    start({.traceLimitMiB = 1});
    const auto id = running();

    const auto answer = patch(id, "0-1048575", std::string(1U << 20U, 'x'));

    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(server->job(id).failureReason, "trace_size_exceeded");
}

TEST_F(TraceTest, DebugTraceIsRememberedOnceItWasSaid) {
    const auto id = running();
    const auto say = [&](const std::string& query, const std::string& range) {
        call("PATCH", "jobs/" + std::to_string(id) + "/trace" + query,
             {{"Content-Type", "text/plain"},
              {"JOB-TOKEN", server->job(id).token},
              {"Content-Range", range}},
             "x");
        return server->job(id).debugTrace;
    };
    EXPECT_FALSE(say("", "0-0"));
    EXPECT_FALSE(say("?debug_trace=false", "1-1"));
    EXPECT_TRUE(say("?debug_trace=true", "2-2"));
    EXPECT_TRUE(say("", "3-3"));
    EXPECT_TRUE(server->violations().empty());
    say("?debug_trace=1", "4-4");
    EXPECT_TRUE(violated("debug_trace=1"));
}

TEST_F(TraceTest, ForgottenTraceIsA416AtZero) {
    const auto id = running();
    patch(id, "0-4", "hello");
    server->forgetTrace(id);

    EXPECT_EQ(patch(id, "5-5", "!").header("Range"), "0-0");
}

TEST_F(TraceTest, JobTokenThatSlipsThroughIsBlottedOutAndNamed) {
    const auto id = running();
    const auto token = server->job(id).token;

    patch(id, "0-" + std::to_string(token.size() - 1), token);

    EXPECT_EQ(server->job(id).trace, std::string(token.size(), 'x'));
    EXPECT_TRUE(violated("a secret stands in the log"));
}

TEST_F(TraceTest, SecretSplitOverTwoPatchesIsNamed) {
    const auto id = running(
        {.variables = {{.key = "KEY", .value = "hunter2!", .isPublic = false, .masked = true}}});

    patch(id, "0-3", "hunt");
    EXPECT_TRUE(server->violations().empty());
    patch(id, "4-7", "er2!");

    EXPECT_TRUE(violated("a secret stands in the log"));
}

TEST_F(TraceTest, TokenBehindItsPrefixOrInAUrlIsNamed) {
    const auto id = running();
    patch(id, "0-30", "glpat-[MASKED] ?private_token=[");
    patch(id, "31-43", "MASKED]&x glp");
    EXPECT_TRUE(server->violations().empty());

    patch(id, "44-47", "at-1");
    EXPECT_TRUE(violated("a token stands in the log"));
    const auto before = server->violations().size();
    patch(id, "48-64", "&private_token=ab");
    EXPECT_GT(server->violations().size(), before);
}

TEST_F(TraceTest, ExclusiveEndIsAViolation) {
    const auto id = running();

    patch(id, "0-5", "hello");

    EXPECT_TRUE(violated("Content-Range 0-5 for 5 bytes"));
}

TEST_F(TraceTest, CancelWhenATextAppears) {
    const auto id = running({.cancelWhen = "half-way"});

    patch(id, "0-7", "half-way");

    EXPECT_EQ(server->status(id), Status::Canceling);
}

TEST_F(TraceTest, ReaperTakesAJobThatIsSilentForHalfAnHour) {
    const auto id = running();
    clock.advance(std::chrono::minutes(29));
    server->runReapers();
    EXPECT_EQ(server->status(id), Status::Running);

    clock.advance(std::chrono::minutes(2));
    server->runReapers();

    EXPECT_EQ(server->status(id), Status::Failed);
    EXPECT_EQ(server->job(id).failureReason, "no_updates_running");
    EXPECT_EQ(patch(id, "0-0", "x").header("Job-Status"), "failed");
}

TEST_F(TraceTest, ReaperEndsAJobAQuarterOfAnHourAfterItsTimeout) {
    const auto id = running({.timeout = Seconds(600)});
    for (int i = 0; i < 26; ++i) {
        clock.advance(std::chrono::minutes(1));
        put(id, R"("state":"running")");
    }

    EXPECT_EQ(server->status(id), Status::Failed);
    EXPECT_EQ(server->job(id).failureReason, "server_timeout_running");
}

}  // namespace
}  // namespace gridbridge::fakegitlab
