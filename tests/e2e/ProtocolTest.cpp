// Corners of the runner protocol, between the real executable and the stand-in GitLab.
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using fakegitlab::JobSnapshot;
using fakegitlab::RequestRecord;
using fakegitlab::Status;

class ProtocolEndToEnd : public EndToEnd {
protected:
    void startGitLab(fakegitlab::Options with) {
        gitlab.emplace(clock, std::move(with));
        gitlab->addRunner("glrt-test");
    }
    static std::vector<RequestRecord> finalReports(const JobSnapshot& job) {
        std::vector<RequestRecord> found;
        for (const auto& request : job.requests) {
            if (request.method == "PUT" &&
                request.body.find(R"("state":"running")") == std::string::npos) {
                found.push_back(request);
            }
        }
        return found;
    }
    void reportIsThrottledForThreeSeconds(bool date) {
        auto with = options();
        with.retryAfter = std::chrono::seconds(3);
        with.resetTime = date;
        startGitLab(std::move(with));
        start();
        gitlab->failNext(FaultKind::TooManyRequests, 1, Call::PutFinal);

        const auto job = run({.script = {"true"}});

        succeeded(job);
        const auto reports = finalReports(job);
        ASSERT_EQ(reports.size(), 2U);
        EXPECT_EQ(reports[0].status, 429);
        EXPECT_GE(reports[1].at - reports[0].at, std::chrono::milliseconds(2900));
    }
    static void succeeded(const JobSnapshot& job) {
        EXPECT_EQ(job.status, Status::Success);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_EQ(lastLine(job), "Job succeeded");
        EXPECT_EQ(job.lastBytesize, static_cast<std::int64_t>(job.trace.size()));
    }
};

TEST_F(ProtocolEndToEnd, ReportIsRepeatedUnchangedWhileGitLabStoresTheLog) {
    auto with = options();
    with.liveTrace = std::chrono::seconds(3);
    startGitLab(std::move(with));

    const auto job = run({.script = {"echo hello"}});

    succeeded(job);
    EXPECT_GE(job.deferredFinals, 2);
    const auto reports = finalReports(job);
    ASSERT_EQ(reports.size(), static_cast<std::size_t>(job.deferredFinals) + 1);
    for (std::size_t i = 1; i < reports.size(); ++i) {
        EXPECT_EQ(reports[i].body, reports[0].body);
        EXPECT_GE(reports[i].at - reports[i - 1].at, std::chrono::milliseconds(900));
    }
}

TEST_F(ProtocolEndToEnd, LogThatGitLabForgotIsSentAgainWhole) {
    start();
    const auto go = (folder.path / "go").string();
    const auto id = gitlab->addJob(
        {.script = {"echo before", "while [ ! -e " + go + " ]; do sleep 0.1; done", "echo after"},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\nbefore"));
    gitlab->forgetTrace(id);
    writeFile(go, "");

    const auto job = finished(id);

    succeeded(job);
    EXPECT_EQ(plain(job.trace).find("Running with gridbridge"), 0U);
    EXPECT_TRUE(says(job, "\nbefore\n"));
    EXPECT_TRUE(says(job, "\nafter\n"));
}

TEST_F(ProtocolEndToEnd, ProxysNotFoundAndBadRequestPassByAndLoseNothing) {
    start();
    for (const auto at : {Call::Claim, Call::PutRunning, Call::Patch, Call::PutFinal}) {
        gitlab->failNext(FaultKind::ProxyNotFound, 1, at);
    }
    gitlab->failNext(FaultKind::ProxyBadRequest, 1, Call::PutFinal);

    succeeded(run({.script = {"echo hello"}}));

    EXPECT_EQ(gitlab->faults().at(FaultKind::ProxyNotFound), 4U);
    EXPECT_EQ(gitlab->faults().at(FaultKind::ProxyBadRequest), 1U);
}

TEST_F(ProtocolEndToEnd, ProxysRefusalAndItsSignInPassByAndLoseNothing) {
    start();
    const auto kinds = {FaultKind::ProxyForbidden, FaultKind::ProxySignIn};
    for (const auto kind : kinds) {
        for (const auto at : {Call::Claim, Call::PutRunning, Call::Patch, Call::PutFinal}) {
            gitlab->failNext(kind, 1, at);
        }
    }

    succeeded(run({.script = {"echo hello"}}));

    for (const auto kind : kinds) {
        EXPECT_EQ(gitlab->faults().at(kind), 4U) << nameOf(kind);
    }
    EXPECT_EQ(service->log().find("took the job back"), std::string::npos);
}

TEST_F(ProtocolEndToEnd, LogGoesThroughAProxyThatAllowsOnlySmallBodies) {
    auto with = options();
    with.proxyLimit = 20000;
    startGitLab(std::move(with));

    const auto job = run({.script = {"seq 30000"}});

    succeeded(job);
    std::string expected;
    for (int i = 1; i <= 30000; ++i) {
        expected += std::to_string(i) + "\n";
    }
    EXPECT_NE(job.trace.find("\n" + expected), std::string::npos);
}

TEST_F(ProtocolEndToEnd, LongLogGoesInPiecesOfAMegabyteAtMost) {
    const auto job = run({.script = {"seq 400000"}});

    succeeded(job);
    EXPECT_GT(job.trace.size(), std::size_t{2} << 20U);
    for (const auto& request : job.requests) {
        EXPECT_LE(request.bodyBytes, std::size_t{1} << 20U);
    }
}

TEST_F(ProtocolEndToEnd, JobsThatNeedAFeatureRunWhenItWorksAndAreLeftOtherwise) {
    succeeded(run({.mergeRequest = true}));
    const auto released = run({.script = {"true"}, .release = {"echo released"}});
    succeeded(released);
    EXPECT_TRUE(says(released, "\nreleased\n"));
    succeeded(run({.needsFeatures = {"return_exit_code"}}));

    const auto secrets = gitlab->addJob({.needsFeatures = {"vault_secrets"}});
    ASSERT_TRUE(gitlab->waitForStatus(secrets, Status::Failed));
    EXPECT_EQ(gitlab->job(secrets).failureReason, "runner_unsupported");
}

TEST_F(ProtocolEndToEnd, ThrottledReportWaitsForTheSecondsOfRetryAfter) {
    reportIsThrottledForThreeSeconds(false);
}

TEST_F(ProtocolEndToEnd, ThrottledReportWaitsForTheTimeOfRateLimitReset) {
    reportIsThrottledForThreeSeconds(true);
}

TEST_F(ProtocolEndToEnd, AnswersThatAreLostAreAskedForAgainAndCountOnce) {
    start();
    gitlab->failNext(FaultKind::PatchAnswerLost, 1, Call::Patch);
    gitlab->failNext(FaultKind::RunningAnswerLost, 1, Call::PutRunning);
    gitlab->failNext(FaultKind::FinalAnswerLost, 1, Call::PutFinal);
    gitlab->failNext(FaultKind::Conflict, 1, Call::Patch);

    const auto job = run({.script = {"echo once"}});

    succeeded(job);
    for (const auto kind : {FaultKind::PatchAnswerLost, FaultKind::RunningAnswerLost,
                            FaultKind::FinalAnswerLost, FaultKind::Conflict}) {
        EXPECT_EQ(gitlab->faults().at(kind), 1U) << nameOf(kind);
    }
    EXPECT_TRUE(says(job, "\nonce\n"));
}

}  // namespace
}  // namespace gridbridge::testing
