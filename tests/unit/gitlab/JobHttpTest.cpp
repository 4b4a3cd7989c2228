#include <future>

#include "tests/unit/gitlab/RunnerApiHttp.h"

namespace gridbridge::gitlab {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using fakegitlab::Status;
using fakegitlab::TokenForm;
using std::chrono::seconds;
using ::testing::HasSubstr;

using JobHttpTest = RunnerApiHttp;

TEST_F(JobHttpTest, LogAndVerdictArrive) {
    start();
    const auto job = running();

    const auto first = append(job, 0, "hello ");
    EXPECT_EQ(first.outcome, CallOutcome::Done);
    EXPECT_EQ(first.updateInterval, seconds(3));
    EXPECT_EQ(append(job, 6, "w\xc3\xb6rld\n").outcome, CallOutcome::Done);
    const auto end = finish(job, failure("hello w\xc3\xb6rld\n", 3));

    EXPECT_EQ(end.outcome, CallOutcome::Done) << end.message;
    EXPECT_EQ(end.status, JobStatus::Gone);
    const auto seen = server->job(job.id);
    EXPECT_EQ(seen.trace, "hello w\xc3\xb6rld\n");
    EXPECT_EQ(seen.status, Status::Failed);
    EXPECT_EQ(seen.failureReason, "script_failure");
    EXPECT_EQ(seen.exitCode, 3);
    EXPECT_EQ(seen.acceptedFinals, 1);
}

TEST_F(JobHttpTest, DebugLogIsMarkedSo) {
    start();
    const auto job = running();
    append(job, 0, "plain");
    EXPECT_FALSE(server->job(job.id).debugTrace);

    noted(api->appendTrace(context(), job, 5, "+ set -x", true));

    EXPECT_TRUE(server->job(job.id).debugTrace);
    EXPECT_EQ(server->job(job.id).trace, "plain+ set -x");
}

TEST_F(JobHttpTest, LostPatchIsFollowedByAMismatchThatTellsTheSize) {
    start();
    const auto job = running();
    server->failNext(FaultKind::PatchAnswerLost);
    EXPECT_EQ(append(job, 0, "hello").outcome, CallOutcome::Retry);

    const auto again = append(job, 0, "hello");

    EXPECT_EQ(again.outcome, CallOutcome::Mismatch);
    EXPECT_EQ(again.serverSize, 5);
    EXPECT_EQ(append(job, *again.serverSize, " world").outcome, CallOutcome::Done);
    EXPECT_EQ(server->job(job.id).trace, "hello world");
}

TEST_F(JobHttpTest, EmptyPatchAsksForTheSize) {
    start();
    const auto job = running();
    append(job, 0, "hello");

    EXPECT_EQ(append(job, 5, "").outcome, CallOutcome::Done);
    EXPECT_EQ(append(job, 9, "").serverSize, 5);
    server->forgetTrace(job.id);
    EXPECT_EQ(append(job, 5, "").serverSize, 0);
    EXPECT_EQ(server->job(job.id).trace, "");
}

TEST_F(JobHttpTest, DeferredReportIsRepeatedUntilItIsAccepted) {
    start({.liveTrace = seconds(10)});
    const auto job = running();
    append(job, 0, "log");
    int deferred = 0;
    auto answer = finish(job, success("log"));
    while (answer.outcome == CallOutcome::Deferred && deferred < 20) {
        ++deferred;
        EXPECT_EQ(answer.status, JobStatus::Alive);
        clock.advance(answer.retryAfter.value());
        answer = finish(job, success("log"));
    }

    EXPECT_EQ(answer.outcome, CallOutcome::Done);
    EXPECT_GE(deferred, 2);
    EXPECT_EQ(server->job(job.id).deferredFinals, deferred);
    EXPECT_EQ(server->job(job.id).acceptedFinals, 1);
}

TEST_F(JobHttpTest, CancelIsHeardAndTheReportEndsTheJob) {
    start();
    const auto job = running();
    server->cancel(job.id);

    const auto answer = keepAlive(job);
    EXPECT_EQ(answer.outcome, CallOutcome::Done);
    EXPECT_EQ(answer.status, JobStatus::Canceling);
    EXPECT_EQ(append(job, 0, "stopped").status, JobStatus::Canceling);

    EXPECT_EQ(finish(job, failure("stopped", 1)).outcome, CallOutcome::Done);
    EXPECT_EQ(server->status(job.id), Status::Canceled);
}

TEST_F(JobHttpTest, JobThatGitLabTookAwayIsGone) {
    start({.callsAfterEnd = 9});
    const auto canceled = running();
    server->forceCancel(canceled.id);
    for (const auto& answer :
         {keepAlive(canceled), append(canceled, 0, "x"), finish(canceled, success(""))}) {
        EXPECT_EQ(answer.outcome, CallOutcome::Ended);
        EXPECT_EQ(answer.status, JobStatus::Gone);
        EXPECT_EQ(answer.serverStatus, "canceled");
    }
    const auto erased = running();
    server->erase(erased.id);
    for (const auto& answer :
         {keepAlive(erased), append(erased, 0, "x"), finish(erased, success(""))}) {
        EXPECT_EQ(answer.outcome, CallOutcome::Ended);
        EXPECT_EQ(answer.serverStatus, "");
        EXPECT_THAT(answer.message, HasSubstr("erased"));
    }
}

TEST_F(JobHttpTest, ReportWhoseAnswerWasLostHadBeenAccepted) {
    start();
    const auto job = running();
    server->failNext(FaultKind::FinalAnswerLost, 1, Call::PutFinal);
    EXPECT_EQ(finish(job, success("")).outcome, CallOutcome::Retry);

    const auto again = finish(job, success(""));

    EXPECT_EQ(again.outcome, CallOutcome::Ended);
    EXPECT_EQ(again.serverStatus, "success");
    EXPECT_EQ(server->job(job.id).acceptedFinals, 1);
}

TEST_F(JobHttpTest, TroubleOfTheServerIsRepeatedAndHarmsNothing) {
    start();
    const auto job = running();
    std::string trace;
    for (const auto fault :
         {FaultKind::Conflict, FaultKind::TooManyRequests, FaultKind::InternalError,
          FaultKind::BadGateway, FaultKind::Unavailable, FaultKind::GatewayTimeout,
          FaultKind::RequestTimeout, FaultKind::ConnectionDropped}) {
        server->failNext(fault, 2);
        const auto beat = keepAlive(job);
        EXPECT_EQ(beat.outcome, CallOutcome::Retry) << nameOf(fault);
        EXPECT_EQ(beat.retryAfter == seconds(1), fault == FaultKind::TooManyRequests);
        EXPECT_FALSE(beat.message.empty());
        const auto offset = static_cast<std::int64_t>(trace.size());
        EXPECT_EQ(append(job, offset, "line\n").outcome, CallOutcome::Retry) << nameOf(fault);
        EXPECT_EQ(append(job, offset, "line\n").outcome, CallOutcome::Done);
        trace += "line\n";
        EXPECT_EQ(server->faults().at(fault), 2U);
    }
    EXPECT_EQ(server->job(job.id).trace, trace);
}

TEST_F(JobHttpTest, ReportIsAcceptedOnceWhateverTroubleCameBefore) {
    start();
    const auto job = running();
    const auto retries = {FaultKind::Conflict,       FaultKind::TooManyRequests,
                          FaultKind::InternalError,  FaultKind::BadGateway,
                          FaultKind::Unavailable,    FaultKind::GatewayTimeout,
                          FaultKind::RequestTimeout, FaultKind::ConnectionDropped};
    for (const auto fault : retries) {
        server->failNext(fault, 1, Call::PutFinal);
        EXPECT_EQ(finish(job, success("")).outcome, CallOutcome::Retry) << nameOf(fault);
        EXPECT_EQ(server->status(job.id), Status::Running);
    }
    EXPECT_EQ(finish(job, success("")).outcome, CallOutcome::Done);
    EXPECT_EQ(server->job(job.id).acceptedFinals, 1);
}

TEST_F(JobHttpTest, LimitOfTheServerMayNameNoTimeToWait) {
    start({.retryAfter = seconds(0)});
    const auto job = running();
    for (const auto at : {Call::Claim, Call::PutRunning, Call::PutFinal, Call::Patch}) {
        server->failNext(FaultKind::TooManyRequests, 1, at);
    }

    EXPECT_EQ(claim().outcome, ClaimOutcome::Retry);
    for (const auto& answer : {keepAlive(job), append(job, 0, "x"), finish(job, success(""))}) {
        EXPECT_EQ(answer.outcome, CallOutcome::Retry);
        EXPECT_FALSE(answer.retryAfter.has_value());
    }
}

TEST_F(JobHttpTest, DeathOfAJwtIsForeseenAndReported) {
    start({.heartbeatLimit = Millis(0), .callsAfterEnd = 2});
    const auto job = running({.timeout = seconds(600), .token = TokenForm::Jwt});
    EXPECT_EQ(tokenLifetime(job.token), seconds(600 + 300));

    clock.advance(seconds(901));

    for (const auto& answer : {keepAlive(job), append(job, 0, "x"), finish(job, success(""))}) {
        EXPECT_EQ(answer.outcome, CallOutcome::Ended);
        EXPECT_EQ(answer.serverStatus, "failed");
    }
    EXPECT_EQ(server->job(job.id).failureReason, "job_token_expired");
}

TEST_F(JobHttpTest, ManyJobsAreServedAtOnceOverFewConnections) {
    start();
    constexpr int kJobs = 16;
    std::vector<JobCredentials> jobs;
    for (int i = 0; i < kJobs; ++i) {
        jobs.push_back(running());
    }
    std::vector<std::future<std::string>> threads;
    for (const auto& job : jobs) {
        threads.push_back(std::async(std::launch::async, [this, job] {
            std::string trace;
            for (int line = 0; line < 20; ++line) {
                const auto text = std::to_string(job.id) + "/" + std::to_string(line) + "\n";
                api->appendTrace(context(), job, static_cast<std::int64_t>(trace.size()), text,
                                 false);
                trace += text;
            }
            api->finish(context(), job, success(trace));
            return trace;
        }));
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        const auto trace = threads[i].get();
        EXPECT_EQ(server->job(jobs[i].id).trace, trace);
        EXPECT_EQ(server->status(jobs[i].id), Status::Success);
    }
}

class UploadHttpTest : public RunnerApiHttp {
protected:
    JobAnswer upload(const JobCredentials& job, const std::string& bytes) {
        return noted(api->uploadArtifact(
            context(), job,
            {.content = [&](const Sink& sink) { return sink(bytes), Result<void>(); },
             .filename = "bin.zip",
             .type = "archive",
             .format = "zip",
             .expireIn = "1 week"}));
    }
    static fakegitlab::JobSpec withArchive() {
        return {.artifacts = {{.name = "bin", .paths = {"out/"}, .expireIn = "1 week"}}};
    }
    /// An archive without entries; `comment` makes it another one.
    static std::string zip(const std::string& comment = {}) {
        std::string end = "PK\x05\x06" + std::string(18, '\0') + comment;
        end[20] = static_cast<char>(comment.size());
        return end;
    }
};

TEST_F(UploadHttpTest, ArchiveArrivesByteForByteAndTwiceIsOnce) {
    start();
    const auto job = running(withArchive());
    server->failNext(FaultKind::UploadAnswerLost);
    EXPECT_EQ(upload(job, zip()).outcome, CallOutcome::Retry);

    EXPECT_EQ(upload(job, zip()).outcome, CallOutcome::Done);

    const auto artifacts = server->job(job.id).artifacts;
    ASSERT_EQ(artifacts.size(), 1U);
    EXPECT_EQ(artifacts[0].bytes, zip());
    EXPECT_EQ(artifacts[0].filename, "bin.zip");
    EXPECT_EQ(artifacts[0].type + artifacts[0].format + artifacts[0].expireIn, "archivezip1 week");
}

TEST_F(UploadHttpTest, UploadThatIsSentElsewhereArrivesThereWithinTheCall) {
    for (const bool stays : {true, false}) {
        start({.root = "/gitlab", .movedUploadsStay = stays});
        const auto job = running(withArchive());
        server->failNext(FaultKind::UploadMoved);

        const auto answer = upload(job, zip());

        EXPECT_EQ(answer.outcome, CallOutcome::Done) << answer.message;
        EXPECT_EQ(server->faults().at(FaultKind::UploadMoved), 1U);
        const auto artifacts = server->job(job.id).artifacts;
        ASSERT_EQ(artifacts.size(), 1U);
        EXPECT_EQ(artifacts[0].bytes, zip());
        EXPECT_THAT(server->violations(), ::testing::IsEmpty());
    }
}

TEST_F(UploadHttpTest, RefusedUploadIsNotRepeated) {
    start({.artifactLimit = 30, .callsAfterEnd = 1});
    const auto job = running(withArchive());
    EXPECT_EQ(upload(job, zip("more than thirty bytes")).outcome, CallOutcome::TooLarge);
    EXPECT_EQ(upload(job, zip()).outcome, CallOutcome::Done);
    finish(job, success(""));

    EXPECT_EQ(upload(job, zip()).outcome, CallOutcome::Ended);
}

}  // namespace
}  // namespace gridbridge::gitlab
