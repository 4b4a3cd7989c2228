#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/gitlab/RunnerApi.h"
#include "tests/fakes/FakeClock.h"
#include "tests/unit/gitlab/ScriptedTransport.h"

namespace gridbridge::gitlab {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

Result<void> nothing(const Sink&) {
    return {};
}

/// What servers and proxies can answer, beyond what the stand-in GitLab does.
class RunnerApiTest : public ::testing::Test {
protected:
    JobAnswer keepAlive(http::Response response) {
        transport.answers.emplace_back(std::move(response));
        return api.keepAlive(context, job);
    }
    JobAnswer finish(http::Response response) {
        transport.answers.emplace_back(std::move(response));
        return api.finish(context, job, {.success = true});
    }
    JobAnswer append(http::Response response) {
        transport.answers.emplace_back(std::move(response));
        return api.appendTrace(context, job, 10, "x", false);
    }
    ClaimAnswer claim(http::Response response) {
        transport.answers.emplace_back(std::move(response));
        return api.requestJob(context, runner, "");
    }
    JobAnswer upload(http::Response response) {
        transport.answers.emplace_back(std::move(response));
        return api.uploadArtifact(context, job, {.content = nothing, .filename = "a.zip"});
    }
    VerifyAnswer verify(http::Response response) {
        transport.answers.emplace_back(std::move(response));
        return api.verify(context, runner);
    }
    static http::Response page(int status) {
        return {.status = status,
                .headers = {{"content-type", "text/html; charset=utf-8"}},
                .body = "<html>hidden</html>"};
    }
    /// As GitLab refuses.
    static http::Response refused(int status, const std::string& why = "403 Forbidden") {
        return {.status = status,
                .headers = {{"Content-Type", "application/json"}},
                .body = R"({"message":")" + why + "\"}"};
    }
    static http::Response plain(int status, const std::string& text) {
        return {.status = status, .headers = {{"Content-Type", "text/plain"}}, .body = text};
    }
    static http::Response redirect(const std::string& to) {
        return {.status = 301, .headers = {{"Location", to}}};
    }

    gridbridge::testing::FakeClock clock;
    CallContext context{.deadline = clock.steadyNow() + std::chrono::hours(1)};
    ScriptedTransport transport;
    HttpRunnerApi api{transport, clock};
    RunnerIdentity runner{.token = Secret("glrt-hidden"),
                          .systemId = "s_0123456789ab",
                          .features = {"refspecs", "masking"},
                          .executor = "slurm"};
    JobCredentials job{.id = 12, .token = Secret("glcbt-hidden")};
};

TEST_F(RunnerApiTest, ClaimSaysWhoAsksAndGoesOverItsOwnConnection) {
    api.requestJob(context, runner, "abc");

    const auto& request = transport.requests.at(0);
    EXPECT_EQ(request.method + " " + request.path, "POST /api/v4/jobs/request");
    EXPECT_TRUE(request.newConnection);
    for (const auto* part :
         {R"("token":"glrt-hidden")", R"("system_id":"s_0123456789ab")", R"("last_update":"abc")",
          R"("features":{"masking":true,"refspecs":true})", R"("executor":"slurm")",
          R"("name":"gridbridge")", R"("version":")", R"("platform":"linux")",
          R"("architecture":")"}) {
        EXPECT_THAT(request.body, HasSubstr(part));
    }
    api.requestJob(context, runner, "");
    EXPECT_THAT(transport.requests.at(1).body, Not(HasSubstr("last_update")));
}

TEST_F(RunnerApiTest, FinalReportSaysWhatIsKnownAndNothingElse) {
    api.finish(context, job,
               {.success = false,
                .failureReason = "script_failure",
                .exitCode = 3,
                .traceEnd = TraceEnd{.crc32 = 0xabc, .bytes = 42}});
    api.finish(context, job, {.success = true, .failureReason = "x", .exitCode = 1});

    EXPECT_EQ(transport.requests.at(0).body,
              R"({"exit_code":3,"failure_reason":"script_failure",)"
              R"("output":{"bytesize":42,"checksum":"crc32:00000abc"},)"
              R"("state":"failed","token":"glcbt-hidden"})");
    EXPECT_EQ(transport.requests.at(1).body, R"({"state":"success","token":"glcbt-hidden"})");
}

TEST_F(RunnerApiTest, StatusDecidesWhatACallerDoesNext) {
    const std::pair<int, CallOutcome> cases[] = {
        {200, CallOutcome::Done},      {204, CallOutcome::Done},     {202, CallOutcome::Done},
        {400, CallOutcome::Rejected},  {401, CallOutcome::Retry},    {403, CallOutcome::NotGitLab},
        {404, CallOutcome::NotGitLab}, {405, CallOutcome::Rejected}, {407, CallOutcome::Retry},
        {408, CallOutcome::Retry},     {409, CallOutcome::Retry},    {412, CallOutcome::Retry},
        {413, CallOutcome::TooLarge},  {416, CallOutcome::Rejected}, {429, CallOutcome::Retry},
        {500, CallOutcome::Retry},     {503, CallOutcome::Retry},    {520, CallOutcome::Retry},
        {302, CallOutcome::Rejected},
    };
    for (const auto& [status, wanted] : cases) {
        const auto answer = keepAlive({.status = status});
        EXPECT_EQ(answer.outcome, wanted) << status;
        EXPECT_EQ(answer.message.empty(), wanted == CallOutcome::Done) << status;
        EXPECT_EQ(answer.status, JobStatus::Alive) << status;
    }
}

TEST_F(RunnerApiTest, OnlyGitLabsOwnRefusalEndsAJob) {
    for (const auto& own : {refused(403), refused(403, "403 Forbidden - Job has been erased!"),
                            http::Response{.status = 403, .body = R"({"error":"403 Forbidden"})"},
                            http::Response{.status = 403, .headers = {{"Job-Status", "failed"}}}}) {
        for (const auto& answer : {keepAlive(own), append(own), finish(own), upload(own)}) {
            EXPECT_EQ(answer.outcome, CallOutcome::Ended);
            EXPECT_EQ(answer.status, JobStatus::Gone);
        }
    }
    for (const auto& other :
         {plain(403, "blocked by policy"), plain(403, ""), plain(403, "403 Forbidden"),
          refused(403, "Forbidden"), refused(403, "blocked by policy"), plain(403, "{\"message\":"),
          plain(403, R"({"code":403})"), plain(403, R"(["403 Forbidden"])")}) {
        for (const auto& answer : {keepAlive(other), append(other), finish(other), upload(other)}) {
            EXPECT_EQ(answer.outcome, CallOutcome::NotGitLab) << other.body;
            EXPECT_EQ(answer.status, JobStatus::Alive);
        }
        EXPECT_NE(verify(other).outcome, VerifyOutcome::Invalid) << other.body;
        EXPECT_EQ(claim(other).outcome, ClaimOutcome::Refused) << other.body;
    }
    EXPECT_THAT(keepAlive(plain(403, "blocked by policy")).message,
                HasSubstr("403, which is not how GitLab refuses; is there a proxy"));
}

TEST_F(RunnerApiTest, SuccessThatIsNotGitLabsStoresNothing) {
    for (const int status : {200, 201, 202, 204}) {
        for (const auto* text : {"please sign in", "<html>sign in</html>", "{}", "ok"}) {
            const auto other = plain(status, text);
            EXPECT_EQ(finish(other).outcome, CallOutcome::NotGitLab) << status << text;
            EXPECT_EQ(finish(other).status, JobStatus::Alive);
            EXPECT_EQ(append(other).outcome, CallOutcome::NotGitLab) << status << text;
            EXPECT_EQ(keepAlive(other).outcome, CallOutcome::NotGitLab) << status << text;
        }
        EXPECT_EQ(finish({.status = status}).outcome, CallOutcome::NotGitLab) << status;
    }
    EXPECT_EQ(upload(plain(200, "please sign in")).outcome, CallOutcome::NotGitLab);
    EXPECT_EQ(upload({.status = 201}).outcome, CallOutcome::Done);
    EXPECT_THAT(finish(plain(200, "please sign in")).message,
                HasSubstr("200, which is not what GitLab answers"));
}

TEST_F(RunnerApiTest, SuccessOfAServerThatNamesNoStatusCounts) {
    EXPECT_EQ(finish({.status = 200, .body = "200"}).outcome, CallOutcome::Done);
    EXPECT_EQ(finish({.status = 202, .body = "202"}).outcome, CallOutcome::Deferred);
    EXPECT_EQ(keepAlive({.status = 200, .body = "\"200\""}).outcome, CallOutcome::Done);
    EXPECT_EQ(append({.status = 202, .headers = {{"Range", "0-11"}}}).outcome, CallOutcome::Done);
}

TEST_F(RunnerApiTest, JobStatusIsHeardWhateverTheCall) {
    const auto with = [](int status, const char* word) {
        return http::Response{.status = status,
                              .headers = {{"job-status", word}, {"Range", "0-11"}}};
    };
    EXPECT_EQ(keepAlive(with(200, "canceling")).status, JobStatus::Canceling);
    EXPECT_EQ(append(with(202, "canceling")).outcome, CallOutcome::Done);
    EXPECT_EQ(append(with(500, "canceling")).status, JobStatus::Canceling);
    EXPECT_EQ(keepAlive(with(200, "canceled")).outcome, CallOutcome::Ended);
    EXPECT_EQ(append(with(202, "failed")).status, JobStatus::Gone);
    EXPECT_EQ(finish(with(403, "success")).serverStatus, "success");
    EXPECT_EQ(finish(with(200, "failed")).outcome, CallOutcome::Done);
    EXPECT_EQ(finish(with(202, "running")).outcome, CallOutcome::Deferred);
    EXPECT_EQ(finish(with(202, "failed")).outcome, CallOutcome::Ended);
    EXPECT_EQ(keepAlive(with(200, "Strange <b>")).serverStatus, "");
}

TEST_F(RunnerApiTest, RefusalByAStaleReplicaRightAfterTheClaimIsRepeated) {
    for (const auto* word : {"pending", "created"}) {
        const auto answer = keepAlive({.status = 403, .headers = {{"Job-Status", word}}});
        EXPECT_EQ(answer.outcome, CallOutcome::Retry);
        EXPECT_EQ(answer.status, JobStatus::Alive);
    }
}

TEST_F(RunnerApiTest, WebPageOfAProxyIsNeverGitLabsWord) {
    for (const int status : {200, 202, 400, 403, 404}) {
        for (const auto& answer :
             {keepAlive(page(status)), finish(page(status)), append(page(status))}) {
            EXPECT_EQ(answer.outcome, CallOutcome::NotGitLab) << status;
            EXPECT_EQ(answer.status, JobStatus::Alive) << status;
            EXPECT_THAT(answer.message, HasSubstr("web page"));
            EXPECT_THAT(answer.message, Not(HasSubstr("hidden")));
        }
    }
    EXPECT_EQ(keepAlive(page(502)).outcome, CallOutcome::Retry);
    EXPECT_EQ(keepAlive(page(413)).outcome, CallOutcome::TooLarge);
    EXPECT_EQ(verify(page(200)).outcome, VerifyOutcome::NotGitLab);
    EXPECT_EQ(verify(page(403)).outcome, VerifyOutcome::NotGitLab);
    EXPECT_EQ(claim(page(200)).outcome, ClaimOutcome::Refused);
    EXPECT_EQ(claim(page(403)).outcome, ClaimOutcome::Refused);
    EXPECT_EQ(claim(page(503)).outcome, ClaimOutcome::Retry);
}

TEST_F(RunnerApiTest, OnlyTheServersRefusalProvesABadToken) {
    const std::pair<int, VerifyOutcome> cases[] = {
        {403, VerifyOutcome::Invalid},     {422, VerifyOutcome::Invalid},
        {404, VerifyOutcome::NotGitLab},   {400, VerifyOutcome::NotGitLab},
        {500, VerifyOutcome::Unreachable}, {302, VerifyOutcome::NotGitLab},
    };
    for (const auto& [status, wanted] : cases) {
        EXPECT_EQ(verify(refused(status)).outcome, wanted) << status;
    }
    EXPECT_EQ(verify(refused(422, "Runner is orphaned")).outcome, VerifyOutcome::Invalid);
    EXPECT_EQ(verify({.status = 200, .body = R"({"id":77})"}).runnerId, 77);
    EXPECT_EQ(verify({.status = 200, .body = "200"}).outcome, VerifyOutcome::Valid);
    for (const auto* other : {"", R"({"id":)", "null", "[]", "{}", "<html>sign in</html>", "ok",
                              R"({"id":null})", R"({"id":0})", R"({"token":"glrt-x"})"}) {
        const auto answer = verify({.status = 200, .body = other});
        EXPECT_EQ(answer.outcome, VerifyOutcome::NotGitLab) << other;
        EXPECT_THAT(answer.message, HasSubstr("200, which is not what GitLab answers"));
    }
    const auto ends = [&](const std::string& value) {
        return verify({.status = 200, .body = R"({"id":1,"token_expires_at":)" + value + "}"})
            .tokenExpiresAt;
    };
    const auto newYear = fromEpoch(std::chrono::seconds(1767225600));
    EXPECT_EQ(ends(R"("2026-01-01T00:00:00.250Z")"), newYear);
    EXPECT_EQ(ends(R"("2026-01-01T00:00:00Z")"), newYear);
    EXPECT_EQ(ends(R"("2026-01-01T01:00:00.000+01:00")"), newYear);
    for (const auto* never : {"null", R"("")", R"("soon")", "[]", "{}"}) {
        EXPECT_EQ(ends(never), std::nullopt) << never;
    }
}

TEST_F(RunnerApiTest, ClaimIsTakenOnlyWith201) {
    const std::pair<int, ClaimOutcome> cases[] = {
        {201, ClaimOutcome::Job},       {204, ClaimOutcome::NoJob},
        {409, ClaimOutcome::Conflict},  {403, ClaimOutcome::Forbidden},
        {422, ClaimOutcome::Forbidden}, {429, ClaimOutcome::Retry},
        {500, ClaimOutcome::Retry},     {504, ClaimOutcome::Retry},
        {200, ClaimOutcome::Refused},   {400, ClaimOutcome::Refused},
        {404, ClaimOutcome::Refused},   {413, ClaimOutcome::Refused},
    };
    for (const auto& [status, wanted] : cases) {
        const std::string body = R"({"message":"403 Forbidden"} {)";
        const auto answer =
            claim(status == 201 ? http::Response{.status = 201, .body = body} : refused(status));
        EXPECT_EQ(answer.outcome, wanted) << status;
        EXPECT_EQ(answer.body, status == 201 ? body : "") << "kept as it is";
    }
}

TEST_F(RunnerApiTest, LastUpdateIsRememberedOnlyFromA204AndOnlyIfItCanBeOne) {
    const http::Headers header{{"X-GitLab-Last-Update", "0123abcd"}};
    EXPECT_EQ(claim({.status = 204, .headers = header}).lastUpdate, "0123abcd");
    EXPECT_EQ(claim({.status = 204}).lastUpdate, "");
    EXPECT_EQ(claim({.status = 409, .headers = header}).lastUpdate, "");
    EXPECT_EQ(claim({.status = 201, .headers = header}).lastUpdate, "");
    EXPECT_EQ(claim({.status = 204, .headers = {{"X-GitLab-Last-Update", std::string(500, 'a')}}})
                  .lastUpdate,
              "");
}

TEST_F(RunnerApiTest, RedirectIsRefusedAndNamesTheUrlToConfigure) {
    const auto moved =
        claim(redirect("https://new.example.org/gitlab/api/v4/jobs/request?token=hidden"));
    EXPECT_EQ(moved.outcome, ClaimOutcome::Refused);
    EXPECT_THAT(moved.message, HasSubstr("set url = \"https://new.example.org/gitlab\""));
    EXPECT_THAT(moved.message, Not(HasSubstr("hidden")));
    for (const auto* there :
         {"/gitlab/api/v4/jobs/request", "//git.example.org/gitlab/api/v4/jobs/request"}) {
        EXPECT_THAT(claim(redirect(there)).message,
                    HasSubstr("set url = \"https://git.example.org/gitlab\""));
    }
    EXPECT_THAT(claim(redirect("/users/sign_in")).message,
                HasSubstr("a redirect to https://git.example.org/users/sign_in;"));

    const auto login = keepAlive(redirect("https://u:hidden@sso.example.org/login#hidden"));
    EXPECT_EQ(login.outcome, CallOutcome::Rejected);
    EXPECT_THAT(login.message, HasSubstr("a redirect to https://sso.example.org/login;"));
    EXPECT_THAT(login.message, Not(HasSubstr("hidden")));
}

TEST_F(RunnerApiTest, WaitComesFromTheServerWithinReason) {
    const auto wait = [this](const char* name, const std::string& value) {
        return keepAlive({.status = 429, .headers = {{name, value}}}).retryAfter;
    };
    // The clock shows Thu, 01 Jan 2026 00:00:00 GMT.
    EXPECT_EQ(wait("Retry-After", "60"), seconds(60));
    EXPECT_EQ(wait("Retry-After", "999999999"), seconds(3600));
    EXPECT_EQ(wait("RateLimit-ResetTime", "Thu, 01 Jan 2026 00:01:30 GMT"), seconds(90));
    EXPECT_EQ(wait("RateLimit-ResetTime", "Fri, 02 Jan 2026 00:00:00 GMT"), seconds(3600));
    for (const auto* value : {"", "0", "-5", "soon", "5s", "99999999999999999999"}) {
        EXPECT_EQ(wait("Retry-After", value), std::nullopt) << value;
    }
    EXPECT_EQ(wait("RateLimit-ResetTime", "Wed, 31 Dec 2025 23:59:59 GMT"), std::nullopt);
    EXPECT_EQ(claim({.status = 503, .headers = {{"Retry-After", "7"}}}).retryAfter, seconds(7));
}

TEST_F(RunnerApiTest, UpdateIntervalIsPassedOnUpToItsCeiling) {
    const auto interval = [this](const std::string& value) {
        return append({.status = 202,
                       .headers = {{"Range", "0-11"}, {"X-GitLab-Trace-Update-Interval", value}}})
            .updateInterval;
    };
    EXPECT_EQ(interval("60"), seconds(60));
    EXPECT_EQ(interval("86400"), seconds(900));
    EXPECT_EQ(interval("x"), std::nullopt);
    const auto later =
        finish({.status = 202,
                .headers = {{"Job-Status", "running"}, {"X-GitLab-Trace-Update-Interval", "8"}}});
    EXPECT_EQ(later.retryAfter, seconds(8));
    EXPECT_EQ(finish({.status = 202, .body = "202"}).retryAfter, seconds(1));
}

TEST_F(RunnerApiTest, MismatchNeedsASizeThatCanBeRead) {
    const auto at = [this](const std::string& range) {
        return append({.status = 416, .headers = {{"Range", range}}});
    };
    EXPECT_EQ(at("0-1234").outcome, CallOutcome::Mismatch);
    EXPECT_EQ(at("0-1234").serverSize, 1234);
    EXPECT_EQ(at("0-0").serverSize, 0);
    for (const auto* range :
         {"", "1234", "0-", "0--1", "0-12x", "5-10", "0-99999999999999999999"}) {
        EXPECT_EQ(at(range).outcome, CallOutcome::Retry) << range;
    }
}

TEST_F(RunnerApiTest, ServersReasonIsShownWithoutTheTokenItRepeats) {
    const auto said = keepAlive(
        {.status = 403, .body = R"({"message":"403 Forbidden - glcbt-hidden is\nno good"})"});
    EXPECT_THAT(said.message, HasSubstr("PUT " + transport.baseUrl() +
                                        "/api/v4/jobs/12: 403, the server says: 403 Forbidden - "
                                        "[MASKED] is no good (request "));
    const auto listed = claim({.status = 400, .body = R"({"message":{"glrt-hidden":["bad"]}})"});
    EXPECT_THAT(listed.message, HasSubstr(R"({"[MASKED]":["bad"]})"));
    EXPECT_THAT(keepAlive({.status = 400, .body = R"({"error":"state is missing"})"}).message,
                HasSubstr("state is missing"));
    EXPECT_THAT(keepAlive({.status = 500,
                           .headers = {{"X-Request-Id", "server's own"}},
                           .body = "hidden plain text"})
                    .message,
                AllOf(Not(HasSubstr("hidden")), HasSubstr("(request server's own)")));
    EXPECT_LT(keepAlive({.status = 500, .body = R"({"message":")" + std::string(9000, 'x') + "\"}"})
                  .message.size(),
              500U);
}

TEST_F(RunnerApiTest, LostAnswerIsRepeatedAndAnUnsendableRequestIsNot) {
    transport.answers = {uncertainError("lost"), transientError("refused"),
                         permanentError("cannot read the file"), uncertainError("lost"),
                         transientError("refused")};

    EXPECT_EQ(api.keepAlive(context, job).outcome, CallOutcome::Retry);
    EXPECT_EQ(api.finish(context, job, {}).message, "refused");
    EXPECT_EQ(api.uploadArtifact(context, job, {}).outcome, CallOutcome::Rejected);
    EXPECT_EQ(api.requestJob(context, runner, "").outcome, ClaimOutcome::Retry);
    EXPECT_EQ(api.verify(context, runner).outcome, VerifyOutcome::Unreachable);
}

TEST_F(RunnerApiTest, CertificateThatIsRefusedIsToldByVerifyAndHarmsNoJob) {
    const Error refused{ErrorKind::Transient, "expired; have it renewed", true};
    transport.answers = {refused, refused, refused, refused, refused};

    const auto verified = api.verify(context, runner);
    EXPECT_EQ(verified.outcome, VerifyOutcome::Misconfigured);
    EXPECT_EQ(verified.message, refused.message);
    EXPECT_EQ(api.requestJob(context, runner, "").outcome, ClaimOutcome::Retry);
    EXPECT_EQ(api.keepAlive(context, job).outcome, CallOutcome::Retry);
    EXPECT_EQ(api.appendTrace(context, job, 0, "x", false).outcome, CallOutcome::Retry);
    EXPECT_EQ(api.finish(context, job, {}).outcome, CallOutcome::Retry);
}

TEST_F(RunnerApiTest, CureIsBehindTheOnlySemicolon) {
    EXPECT_THAT(keepAlive({.status = 400, .body = R"({"error":"bad; state; missing"})"}).message,
                HasSubstr("the server says: bad, state, missing (request "));
    EXPECT_THAT(keepAlive(page(502)).message, Not(HasSubstr(";")));
    EXPECT_THAT(keepAlive(page(403)).message,
                HasSubstr("; is there a proxy or a login before it?"));
}

TEST_F(RunnerApiTest, UploadNamesWhatItIsInTheQuery) {
    api.uploadArtifact(context, job,
                       {.content = nothing,
                        .filename = "a.zip",
                        .type = "archive",
                        .format = "zip",
                        .expireIn = "1 week & more"});

    EXPECT_EQ(transport.requests.at(0).path,
              "/api/v4/jobs/12/artifacts?artifact_type=archive&artifact_format=zip"
              "&expire_in=1%20week%20%26%20more");
}

}  // namespace
}  // namespace gridbridge::gitlab
