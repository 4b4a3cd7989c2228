#include "tests/fakegitlab/RawClient.h"

namespace gridbridge::fakegitlab {
namespace {

class UpdateTest : public RawHttp {
protected:
    void SetUp() override { start(); }

    static constexpr auto kHello = R"("output":{"checksum":"crc32:3610a686","bytesize":5})";
};

TEST_F(UpdateTest, MissingTokenIsA400WrongTokenA403WithoutStatus) {
    const auto id = running();

    EXPECT_EQ(json("PUT", "jobs/" + std::to_string(id), R"({"state":"running"})").status, 400);
    const auto wrong =
        json("PUT", "jobs/" + std::to_string(id), R"({"token":"x","state":"running"})");
    EXPECT_EQ(wrong.status, 403);
    EXPECT_EQ(wrong.header("Job-Status"), "");
}

TEST_F(UpdateTest, OtherStatesAreA400) {
    const auto id = running();

    EXPECT_EQ(put(id, R"("state":"pending")").status, 400);
    EXPECT_EQ(put(id, R"("exit_code":1)").status, 400);
}

TEST_F(UpdateTest, SuccessIsAcceptedOnceAndThenTheAnswerIs403WithTheState) {
    const auto id = running();

    const auto first = put(id, R"("state":"success")");
    const auto again = put(id, R"("state":"success")");

    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.header("Job-Status"), "success");
    EXPECT_EQ(again.status, 403);
    EXPECT_EQ(again.header("Job-Status"), "success");
    EXPECT_EQ(server->job(id).acceptedFinals, 1);
}

TEST_F(UpdateTest, FailureKeepsReasonAndExitCode) {
    const auto id = running();

    put(id, R"("state":"failed","failure_reason":"script_failure","exit_code":42)");

    EXPECT_EQ(server->status(id), Status::Failed);
    EXPECT_EQ(server->job(id).failureReason, "script_failure");
    EXPECT_EQ(server->job(id).exitCode, 42);
}

TEST_F(UpdateTest, UnknownReasonBecomesUnknownFailureAndIsNamed) {
    const auto id = running();

    put(id, R"("state":"failed","failure_reason":"job_canceled")");

    EXPECT_EQ(server->job(id).failureReason, "unknown_failure");
    EXPECT_TRUE(violated("unknown failure_reason job_canceled"));
}

TEST_F(UpdateTest, CancelingIsToldAndAnyFinalReportEndsAsCanceled) {
    const auto id = running();
    server->cancel(id);

    const auto beat = put(id, R"("state":"running")");
    const auto last = put(id, R"("state":"success")");

    EXPECT_EQ(beat.status, 200);
    EXPECT_EQ(beat.header("Job-Status"), "canceling");
    EXPECT_EQ(last.status, 200);
    EXPECT_EQ(server->status(id), Status::Canceled);
}

TEST_F(UpdateTest, RunnerThatCannotCancelGracefullyIsCutOff) {
    const auto id = server->addJob({});
    json("POST", "jobs/request",
         R"({"token":"glrt-test","system_id":"s_other","info":{"features":{"refspecs":true}}})");
    server->cancel(id);

    const auto beat = put(id, R"("state":"running")");

    EXPECT_EQ(beat.status, 403);
    EXPECT_EQ(beat.header("Job-Status"), "canceled");
}

TEST_F(UpdateTest, ErasedJobIsA403WithoutStatus) {
    const auto id = running();
    server->erase(id);

    const auto beat = put(id, R"("state":"running")");

    EXPECT_EQ(beat.status, 403);
    EXPECT_EQ(beat.header("Job-Status"), "");
}

TEST_F(UpdateTest, DeadJwtTokenFailsTheJob) {
    const auto id = running({.timeout = Seconds(600), .token = TokenForm::Jwt});
    clock.advance(Seconds(600 + 299));
    EXPECT_EQ(put(id, R"("state":"running")").status, 200);
    clock.advance(Seconds(2));

    const auto dead = put(id, R"("state":"running")");

    EXPECT_EQ(dead.status, 403);
    EXPECT_EQ(dead.header("Job-Status"), "failed");
    EXPECT_EQ(server->job(id).failureReason, "job_token_expired");
}

TEST_F(UpdateTest, LiveTraceDefersAReportWithChecksumUntilItIsStored) {
    start({.liveTrace = Millis(2000)});
    const auto id = running();
    patch(id, "0-4", "hello");
    const auto report = std::string(R"("state":"success",)") + kHello;

    const auto deferred = put(id, report);
    clock.advance(Seconds(2));
    const auto done = put(id, report);

    EXPECT_EQ(deferred.status, 202);
    EXPECT_EQ(deferred.header("X-GitLab-Trace-Update-Interval"), "1");
    EXPECT_EQ(done.status, 200);
    EXPECT_EQ(server->job(id).acceptedFinals, 1);
    EXPECT_TRUE(server->violations().empty());
}

TEST_F(UpdateTest, StrictModeComparesChecksumAndSizeWithWhatItHolds) {
    const auto good = running();
    patch(good, "0-4", "hello");
    put(good, std::string(R"("state":"success",)") + kHello);
    EXPECT_TRUE(server->violations().empty());

    const auto early = running();
    put(early, std::string(R"("state":"success",)") + kHello);
    EXPECT_TRUE(violated("before the trace is complete"));

    const auto wrong = running();
    patch(wrong, "0-4", "jello");
    put(wrong, std::string(R"("state":"success",)") + kHello);
    EXPECT_TRUE(violated("final checksum"));
}

TEST_F(UpdateTest, CallsAfterTheEndWasToldAreViolations) {
    const auto id = running();
    put(id, R"("state":"success")");
    clock.advance(Seconds(3));

    put(id, R"("state":"running")");

    EXPECT_TRUE(violated("after its end was told"));
}

}  // namespace
}  // namespace gridbridge::fakegitlab
