// Which redirects of an upload and a download are followed, and what is told of the others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/gitlab/RunnerApi.h"
#include "tests/fakes/FakeClock.h"
#include "tests/unit/gitlab/ScriptedTransport.h"

namespace gridbridge::gitlab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class RedirectTest : public ::testing::Test {
protected:
    static http::Response redirect(int status, const std::string& to) {
        return {.status = status, .headers = {{"Location", to}}};
    }
    void answer(std::vector<http::Response> responses) {
        transport.requests.clear();
        transport.servers.clear();
        transport.answers = {responses.begin(), responses.end()};
    }
    JobAnswer upload() {
        return api.uploadArtifact(
            context, job,
            {.content = [](const Sink& sink) { return sink("x"), Result<void>(); },
             .filename = "a.zip",
             .type = "archive"});
    }
    DownloadAnswer download() {
        spool.clear();
        return api.downloadArtifact(context, job, {.sink = [this](std::string_view piece) {
                                        return spool += piece, true;
                                    }});
    }

    gridbridge::testing::FakeClock clock;
    CallContext context{.deadline = clock.steadyNow() + std::chrono::hours(1)};
    ScriptedTransport transport;
    HttpRunnerApi api{transport, clock};
    JobCredentials job{.id = 12, .token = Secret("glcbt-hidden")};
    std::string spool;
};

TEST_F(RedirectTest, UploadGoesOnTheSameHostByTheSamePath) {
    transport.url = "http://git.example.org/gitlab";
    answer({redirect(307, "https://GIT.example.org/elsewhere"),
            redirect(308, "https://git.example.org:8443/"),
            {.status = 201}});

    EXPECT_EQ(upload().outcome, CallOutcome::Done);

    EXPECT_THAT(transport.servers,
                ElementsAre("http://git.example.org/gitlab", "https://git.example.org/gitlab",
                            "https://git.example.org:8443/gitlab"));
    ASSERT_EQ(transport.requests.size(), 3U);
    for (const auto& request : transport.requests) {
        EXPECT_EQ(request.method, "POST");
        EXPECT_EQ(request.path, transport.requests[0].path);
        EXPECT_EQ(request.headers, transport.requests[0].headers);
        EXPECT_TRUE(request.file.has_value());
    }
}

TEST_F(RedirectTest, TokenOfAnUploadIsGivenToNoOtherServer) {
    const std::pair<const char*, const char*> cases[] = {
        {"https://primary.example.org/api/v4/jobs/12/artifacts?token=hidden",
         "set url = \"https://primary.example.org\""},
        {"https://primary.example.org/", "the job's token is sent to no other host"},
        {"https://git.example.org.evil.org/", "the job's token is sent to no other host"},
        {"https://git.example.org@evil.org/", "an address without a plain host is not followed"},
        {"//evil.org/x", "the job's token is sent to no other host"},
        {"http://git.example.org/", "the job's token is not sent without TLS"},
        {"file:///hidden?hidden", "no address of https:// or http:// is not followed"},
        {"", "a redirect to nowhere"},
    };
    for (const auto& [location, told] : cases) {
        answer({redirect(307, location)});
        const auto refused = upload();
        EXPECT_EQ(refused.outcome, CallOutcome::Rejected) << location;
        EXPECT_EQ(transport.requests.size(), 1U) << location;
        EXPECT_THAT(refused.message, AllOf(HasSubstr(told), Not(HasSubstr("glcbt"))));
    }
}

TEST_F(RedirectTest, UploadThatIsSentRoundInCirclesIsRefused) {
    const auto round = redirect(307, "https://git.example.org/");
    answer({round, round, round, round, {.status = 201}});

    EXPECT_EQ(upload().outcome, CallOutcome::Rejected);
    EXPECT_EQ(transport.requests.size(), 4U);
}

TEST_F(RedirectTest, UploadIsNotSentOnByARedirectThatMakesAPostAGet) {
    for (const int status : {301, 302, 303}) {
        answer({redirect(status, "https://git.example.org:8443/"), {.status = 201}});
        EXPECT_EQ(upload().outcome, CallOutcome::Rejected);
        EXPECT_EQ(transport.requests.size(), 1U);
    }
}

TEST_F(RedirectTest, DownloadGoesOnWithoutAnythingOfOurs) {
    answer({redirect(302, "https://s3.example.org/b?sig=1"),
            redirect(307, "/c?sig=2"),
            {.status = 200, .body = "bytes"}});

    EXPECT_EQ(download().outcome, DownloadOutcome::Done);

    EXPECT_EQ(spool, "bytes");
    EXPECT_THAT(transport.servers, ElementsAre("https://git.example.org", "https://s3.example.org",
                                               "https://s3.example.org"));
    ASSERT_EQ(transport.requests.size(), 3U);
    EXPECT_EQ(transport.requests[0].path, "/api/v4/jobs/12/artifacts?direct_download=true");
    EXPECT_EQ(transport.requests[0].headers[0],
              std::make_pair(std::string("JOB-TOKEN"), job.token.reveal()));
    EXPECT_EQ(transport.requests[1].path, "/b?sig=1");
    EXPECT_EQ(transport.requests[2].path, "/c?sig=2");
    EXPECT_TRUE(transport.requests[1].headers.empty() && transport.requests[2].headers.empty());
}

TEST_F(RedirectTest, DownloadIsNotFollowedWhereverALocationLeads) {
    const std::pair<const char*, const char*> cases[] = {
        {"http://s3.example.org/b?sig=hidden", "302, a redirect from https to http, which is not"},
        {"file:///etc/hidden", "302, a redirect to no address of https:// or http://"},
        {"gopher://h/hidden", "302, a redirect to no address of https:// or http://"},
        {"https://u:hidden@h/", "302, a redirect to an address without a plain host"},
        {"", "302, a redirect to nowhere"},
        {"https://new.example.org/api/v4/jobs/12/artifacts?x=hidden",
         "302, a redirect; set url = \"https://new.example.org\""},
    };
    for (const auto& [location, told] : cases) {
        answer({redirect(302, location), {.status = 200, .body = "bytes"}});
        const auto refused = download();
        EXPECT_EQ(refused.outcome, DownloadOutcome::Refused) << location;
        EXPECT_EQ(transport.requests.size(), 1U) << location;
        EXPECT_THAT(refused.message, AllOf(HasSubstr("/api/v4/jobs/12/artifacts: "),
                                           HasSubstr(told), Not(HasSubstr("hidden"))));
        EXPECT_EQ(spool, "");
    }
    answer({redirect(302, "https://s3.example.org/b"), redirect(302, "http://s3.example.org/b")});
    EXPECT_EQ(download().outcome, DownloadOutcome::Refused) << "at any time";
    answer({redirect(301, "https://s3.example.org/b"), {.status = 200}});
    EXPECT_EQ(download().outcome, DownloadOutcome::Refused) << "not how GitLab sends to a storage";
}

TEST_F(RedirectTest, StorageHasNoSayInWhatGitLabHas) {
    for (const int status : {400, 401, 403, 404}) {
        answer({redirect(302, "https://s3.example.org/b?sig=hidden"),
                {.status = status,
                 .body = R"({"message":")" + std::to_string(status) + " hidden\"}"}});
        const auto refused = download();
        EXPECT_EQ(refused.outcome, DownloadOutcome::NotGitLab);
        EXPECT_THAT(refused.message,
                    AllOf(HasSubstr("302, a redirect to https://s3.example.org, which answers " +
                                    std::to_string(status) + " (request "),
                          Not(HasSubstr("hidden"))));
    }
    answer({redirect(302, "https://s3.example.org/b"),
            {.status = 503, .headers = {{"Retry-After", "7"}}}});
    EXPECT_EQ(download().retryAfter, std::chrono::seconds(7));
    answer({redirect(302, "https://sso.example.org/login"),
            {.status = 200, .headers = {{"Content-Type", "text/html"}}, .body = "sign in"}});
    EXPECT_EQ(download().outcome, DownloadOutcome::NotGitLab);
}

}  // namespace
}  // namespace gridbridge::gitlab
