#include <map>
#include <set>
#include <thread>

#include "tests/unit/gitlab/RunnerApiHttp.h"
#include "tests/unit/http/ScriptedServer.h"

namespace gridbridge::gitlab {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using fakegitlab::Status;
using std::chrono::seconds;

using ClaimHttpTest = RunnerApiHttp;

TEST_F(ClaimHttpTest, VerifyTellsTheRunnersIdAndItsFeatures) {
    start();

    const auto answer = api->verify(context(), runner);

    EXPECT_EQ(answer.outcome, VerifyOutcome::Valid) << answer.message;
    EXPECT_GT(answer.runnerId, 0);
    EXPECT_THAT(
        server->managerFeatures("glrt-hidden", runner.systemId).value(),
        ::testing::UnorderedElementsAre("refspecs", "cancel_gracefully", "return_exit_code"));
}

TEST_F(ClaimHttpTest, WrongTokenIsInvalidAndForbidden) {
    start();
    runner.token = Secret("glrt-hidden-wrong");

    EXPECT_EQ(api->verify(context(), runner).outcome, VerifyOutcome::Invalid);
    EXPECT_EQ(claim().outcome, ClaimOutcome::Forbidden);
}

TEST_F(ClaimHttpTest, OnlyGitLabItselfSaysThatATokenIsWrong) {
    start();
    for (const auto& [fault, wanted] :
         {std::pair(FaultKind::ProxyNotFound, VerifyOutcome::NotGitLab),
          std::pair(FaultKind::ProxyForbidden, VerifyOutcome::NotGitLab),
          std::pair(FaultKind::ProxySignIn, VerifyOutcome::NotGitLab),
          std::pair(FaultKind::TooManyRequests, VerifyOutcome::Unreachable),
          std::pair(FaultKind::Unavailable, VerifyOutcome::Unreachable)}) {
        server->failNext(fault, 1, Call::Runners);
        const auto answer = api->verify(context(), runner);
        messages.push_back(answer.message);
        EXPECT_EQ(answer.outcome, wanted) << nameOf(fault);
    }
    EXPECT_EQ(api->verify(context(), runner).outcome, VerifyOutcome::Valid);
}

TEST_F(ClaimHttpTest, QueueThatIsUnchangedIsAskedForWithTheLastValue) {
    start({.root = "/gitlab"});
    const auto empty = claim();
    ASSERT_EQ(empty.outcome, ClaimOutcome::NoJob);
    ASSERT_FALSE(empty.lastUpdate.empty());
    EXPECT_EQ(claim(empty.lastUpdate).lastUpdate, empty.lastUpdate);

    const auto id = server->addJob({});

    const auto answer = claim(empty.lastUpdate);
    EXPECT_EQ(answer.outcome, ClaimOutcome::Job);
    EXPECT_EQ(answer.lastUpdate, "");
    EXPECT_EQ(identityOf(answer.body)->id, id);
}

TEST_F(ClaimHttpTest, PayloadOfTheServerIsUnderstood) {
    start();
    server->addJob({.name = "simulate",
                    .project = "physics/detector",
                    .timeout = seconds(600),
                    .script = {"make", "make test"},
                    .afterScript = {"tidy"},
                    .artifacts = {{.name = "bin", .paths = {"out/"}}},
                    .userLogin = "grace"});

    const auto job = decodeJob(claim().body);

    ASSERT_TRUE(job.ok()) << job.error().message;
    EXPECT_EQ(job->name + "|" + job->projectPath + "|" + job->userLogin,
              "simulate|physics/detector|grace");
    EXPECT_EQ(job->timeout, seconds(600));
    ASSERT_EQ(job->steps.size(), 2U);
    EXPECT_THAT(job->steps[0].script, ::testing::ElementsAre("make", "make test"));
    EXPECT_EQ(job->artifacts.at(0).name, "bin");
    EXPECT_FALSE(job->failureReasons.empty());
    EXPECT_EQ(job->git.repoUrl.find('@'), std::string::npos);
    EXPECT_EQ(job->variable("CI_JOB_TOKEN")->value, job->token.reveal());
    EXPECT_FALSE(tokenLifetime(job->token).has_value());
}

TEST_F(ClaimHttpTest, LostOrCutAnswerIsRetryAndTheJobRunsAtTheServer) {
    start();
    for (const auto fault : {FaultKind::ClaimAnswerLost, FaultKind::ClaimAnswerCut}) {
        const auto id = server->addJob({});
        server->failNext(fault);

        const auto answer = claim();

        EXPECT_EQ(answer.outcome, ClaimOutcome::Retry);
        EXPECT_THAT(answer.message, ::testing::HasSubstr("POST " + server->url()));
        EXPECT_EQ(answer.body, "");
        EXPECT_EQ(server->status(id), Status::Running);
        EXPECT_FALSE(server->job(id).claimDelivered);
    }
}

TEST_F(ClaimHttpTest, QuestionGivenUpOnTheWayIsToldFromOneThatTheServerRefused) {
    start();
    server->failNext(FaultKind::ConnectionDropped, 1, Call::Claim);
    EXPECT_TRUE(claim().cutOff);
    server->failNext(FaultKind::Unavailable, 1, Call::Claim);
    EXPECT_FALSE(claim().cutOff);

    http::ScriptedServer gateway({[](http::Peer& peer) {
        peer.readRequest();
        peer.answer("<html>gateway time-out</html>", "504 Gateway Time-out",
                    "Content-Type: text/html\r\n");
    }});
    http::PocoTransport there(gateway.url(), clock, userAgent());
    EXPECT_TRUE(HttpRunnerApi(there, clock).requestJob(context(), runner, "v1").cutOff);
}

TEST_F(ClaimHttpTest, TroubleOfTheServerIsNotTheRunnersFault) {
    start();
    const auto id = server->addJob({});
    for (const auto& [fault, wanted] :
         std::map<FaultKind, ClaimOutcome>{{FaultKind::Conflict, ClaimOutcome::Conflict},
                                           {FaultKind::TooManyRequests, ClaimOutcome::Retry},
                                           {FaultKind::InternalError, ClaimOutcome::Retry},
                                           {FaultKind::BadGateway, ClaimOutcome::Retry},
                                           {FaultKind::Unavailable, ClaimOutcome::Retry},
                                           {FaultKind::GatewayTimeout, ClaimOutcome::Retry},
                                           {FaultKind::RequestTimeout, ClaimOutcome::Retry},
                                           {FaultKind::ConnectionDropped, ClaimOutcome::Retry}}) {
        server->failNext(fault, 1, Call::Claim);
        const auto answer = claim();
        EXPECT_EQ(answer.outcome, wanted) << nameOf(fault);
        EXPECT_EQ(answer.retryAfter == seconds(1), fault == FaultKind::TooManyRequests);
        EXPECT_EQ(server->faults().at(fault), 1U);
    }
    EXPECT_EQ(server->status(id), Status::Pending);
}

TEST_F(ClaimHttpTest, ServerMayNameTheTimeToAskAgain) {
    start({.retryAfter = seconds(5), .resetTime = true});
    server->failNext(FaultKind::TooManyRequests, 1, Call::Claim);

    EXPECT_EQ(claim().retryAfter, seconds(5));
}

TEST_F(ClaimHttpTest, HeldQuestionEndsWithoutAValueAndTheKnownOneStays) {
    start({.longPoll = std::chrono::milliseconds(1)});
    const auto known = claim().lastUpdate;
    ASSERT_NE(known, "");
    // The stand-in holds the question until its clock has moved past that time.
    std::jthread time([this](std::stop_token stop) {
        while (!stop.stop_requested()) {
            clock.advance(std::chrono::milliseconds(1));
        }
    });

    const auto held = claim(known);
    time.request_stop();
    time.join();

    EXPECT_EQ(held.outcome, ClaimOutcome::NoJob);
    EXPECT_EQ(held.lastUpdate, "");
    const auto id = server->addJob({});
    EXPECT_EQ(identityOf(claim(known).body)->id, id);
}

TEST_F(ClaimHttpTest, ServerThatIsAwayAndComesBackIsAskedAgain) {
    start();
    server->addJob({});
    server->goAway();
    EXPECT_EQ(claim().outcome, ClaimOutcome::Retry);

    server->comeBack();

    EXPECT_EQ(claim().outcome, ClaimOutcome::Job);
}

TEST_F(ClaimHttpTest, SlowAnswerEndsAtTheDeadline) {
    start({.slowAnswer = std::chrono::minutes(5)});
    const auto id = server->addJob({});
    server->failNext(FaultKind::SlowAnswer);
    SystemClock real;
    http::PocoTransport impatient(server->url(), real, userAgent());
    HttpRunnerApi hasty(impatient, real);

    const auto answer = hasty.requestJob(
        {.deadline = real.steadyNow() + std::chrono::milliseconds(300)}, runner, "");

    EXPECT_EQ(answer.outcome, ClaimOutcome::Retry);
    EXPECT_THAT(answer.message, ::testing::HasSubstr("no whole answer"));
    EXPECT_EQ(server->status(id), Status::Running);
}

TEST_F(ClaimHttpTest, EveryCallHasItsIdAndItsAgent) {
    start();
    const auto job = running();
    append(job, 0, "x");
    finish(job, success("x"));

    std::set<std::string> ids;
    for (const auto& request : server->requests()) {
        const auto& id = request.headers.at("x-request-id");
        EXPECT_EQ(id.size(), 32U);
        EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
        ids.insert(id);
        EXPECT_THAT(request.headers.at("user-agent"), ::testing::StartsWith("gridbridge "));
        EXPECT_EQ(request.query, "");
    }
    EXPECT_EQ(ids.size(), 4U);
}

/// A server that closes a kept connection in the moment it is used: the one race that looking at
/// the socket cannot see.
TEST(StaleConnectionTest, StaleConnectionNeverLosesAClaim) {
    http::ScriptedServer server({[](http::Peer& peer) {
                                     peer.readRequest();
                                     peer.answer("200", "200 OK", "Job-Status: running\r\n");
                                     peer.readRequest();
                                 },
                                 [](http::Peer& peer) {
                                     peer.readRequest();
                                     peer.answer(R"({"id":1,"token":"t"})", "201 Created");
                                     peer.clientCloses();
                                 }});
    SystemClock clock;
    http::PocoTransport transport(server.url(), clock, userAgent());
    HttpRunnerApi api(transport, clock);
    const CallContext context{.deadline = clock.steadyNow() + seconds(20)};
    ASSERT_EQ(api.keepAlive(context, {.id = 1, .token = Secret("t")}).outcome, CallOutcome::Done);

    RunnerIdentity runner;
    runner.token = Secret("glrt-x");
    const auto answer = api.requestJob(context, runner, "");

    EXPECT_EQ(answer.outcome, ClaimOutcome::Job) << answer.message;
}

}  // namespace
}  // namespace gridbridge::gitlab
