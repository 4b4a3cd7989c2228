#include <algorithm>

#include "tests/fakegitlab/RawClient.h"

namespace gridbridge::fakegitlab {
namespace {

class FaultTest : public RawHttp {
protected:
    void SetUp() override { start(); }
    std::uint64_t fired(FaultKind kind) { return server->faults().at(kind); }
    std::optional<RawAnswer> putOnce(JobId id, const std::string& fields) {
        return send("PUT", "jobs/" + std::to_string(id), {{"Content-Type", "application/json"}},
                    R"({"token":")" + server->job(id).token + "\"," + fields + "}");
    }
};

TEST_F(FaultTest, LostClaimAnswerLeavesTheJobRunningAtTheServer) {
    const auto id = server->addJob({});
    server->failNext(FaultKind::ClaimAnswerLost);

    const auto answer =
        send("POST", "jobs/request", {{"Content-Type", "application/json"}}, claimBody());

    EXPECT_FALSE(answer.has_value());
    EXPECT_EQ(server->status(id), Status::Running);
    EXPECT_FALSE(server->job(id).claimDelivered);
    EXPECT_EQ(fired(FaultKind::ClaimAnswerLost), 1U);
}

TEST_F(FaultTest, DroppedConnectionHasNoEffect) {
    const auto id = server->addJob({});
    server->failNext(FaultKind::ConnectionDropped);

    EXPECT_FALSE(send("POST", "jobs/request", {{"Content-Type", "application/json"}}, claimBody())
                     .has_value());
    EXPECT_EQ(server->status(id), Status::Pending);
}

TEST_F(FaultTest, LostPatchAnswerHasStoredTheBytes) {
    const auto id = running();
    server->failNext(FaultKind::PatchAnswerLost);

    const auto answer = send("PATCH", "jobs/" + std::to_string(id) + "/trace",
                             {{"Content-Type", "text/plain"},
                              {"JOB-TOKEN", server->job(id).token},
                              {"Content-Range", "0-4"}},
                             "hello");

    EXPECT_FALSE(answer.has_value());
    EXPECT_EQ(patch(id, "0-4", "hello").header("Range"), "0-5");
}

TEST_F(FaultTest, LostFinalAnswerHasEndedTheJob) {
    const auto id = running();
    server->failNext(FaultKind::FinalAnswerLost, 1, Call::PutFinal);

    EXPECT_FALSE(putOnce(id, R"("state":"success")").has_value());
    EXPECT_EQ(putOnce(id, R"("state":"success")")->header("Job-Status"), "success");
    EXPECT_EQ(server->job(id).acceptedFinals, 1);
}

TEST_F(FaultTest, ErrorAnswersComeBeforeAnyEffect) {
    const auto id = running();
    const std::map<FaultKind, int> kinds{
        {FaultKind::Conflict, 409},      {FaultKind::TooManyRequests, 429},
        {FaultKind::InternalError, 500}, {FaultKind::BadGateway, 502},
        {FaultKind::Unavailable, 503},   {FaultKind::GatewayTimeout, 504},
        {FaultKind::RequestTimeout, 408}};
    for (const auto& [kind, status] : kinds) {
        server->failNext(kind);
        const auto answer = putOnce(id, R"("state":"success")");
        EXPECT_EQ(answer->status, status);
        EXPECT_EQ(answer->header("Retry-After"), status == 429 ? "1" : "");
        EXPECT_EQ(server->status(id), Status::Running);
    }
}

TEST_F(FaultTest, ProxyAnswersWithAPageBeforeGitLabHearsOfIt) {
    const auto id = running();
    for (const auto& [kind, status] :
         {std::pair(FaultKind::ProxyBadRequest, 400), std::pair(FaultKind::ProxyNotFound, 404)}) {
        server->failNext(kind);
        const auto answer = putOnce(id, R"("state":"success")");
        EXPECT_EQ(answer->status, status);
        EXPECT_EQ(answer->header("Content-Type"), "text/html");
        EXPECT_EQ(server->status(id), Status::Running);
    }
    EXPECT_TRUE(server->violations().empty()) << "the client is not to blame";
}

TEST_F(FaultTest, ProxyRefusesOrSwallowsWithATextBeforeGitLabHearsOfIt) {
    const auto id = running();
    for (const auto& [kind, status] :
         {std::pair(FaultKind::ProxyForbidden, 403), std::pair(FaultKind::ProxySignIn, 200)}) {
        server->failNext(kind);
        const auto answer = putOnce(id, R"("state":"success")");
        EXPECT_EQ(answer->status, status);
        EXPECT_EQ(answer->header("Content-Type"), "text/plain");
        EXPECT_EQ(answer->header("Job-Status"), "");
        EXPECT_EQ(server->status(id), Status::Running);
    }
    put(id, R"("state":"running")");
    EXPECT_TRUE(server->violations().empty()) << "nothing has ended yet";
}

TEST_F(FaultTest, ProxyRefusesLongBodies) {
    start({.proxyLimit = 200});
    const auto id = running();

    EXPECT_EQ(patch(id, "0-200", std::string(201, 'x')).status, 413);
    EXPECT_EQ(server->job(id).trace, "");
    EXPECT_EQ(patch(id, "0-199", std::string(200, 'x')).status, 202);
}

TEST_F(FaultTest, ThrottleMayNameATimeInsteadOfAWait) {
    start({.retryAfter = Seconds(5), .resetTime = true});
    const auto id = running();
    server->failNext(FaultKind::TooManyRequests);

    const auto answer = putOnce(id, R"("state":"running")");

    EXPECT_EQ(answer->status, 429);
    EXPECT_EQ(answer->header("Retry-After"), "");
    EXPECT_EQ(answer->header("RateLimit-ResetTime"), "Thu, 01 Jan 2026 00:00:05 GMT");
}

TEST_F(FaultTest, RateIsKeptAndTheSameSeedStrikesTheSameCalls) {
    const auto pattern = [this](std::uint64_t seed) {
        start();
        const auto id = running();
        server->setFaults(seed, 0);
        server->setFault(FaultKind::InternalError, 0.3);
        std::string result;
        for (int i = 0; i < 100; ++i) {
            result += put(id, R"("state":"running")").status == 500 ? 'x' : '.';
        }
        return result;
    };

    const auto one = pattern(7);

    EXPECT_EQ(one, pattern(7));
    EXPECT_NE(one, pattern(8));
    EXPECT_NEAR(static_cast<double>(std::count(one.begin(), one.end(), 'x')), 30.0, 15.0);
}

TEST_F(FaultTest, OutageAnswersNobodyAndForgetsNothing) {
    const auto id = running();
    server->goAway();
    EXPECT_FALSE(putOnce(id, R"("state":"running")").has_value());

    server->comeBack();

    EXPECT_EQ(put(id, R"("state":"running")").status, 200);
}

}  // namespace
}  // namespace gridbridge::fakegitlab
