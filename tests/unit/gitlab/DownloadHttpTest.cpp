#include "tests/unit/gitlab/RunnerApiHttp.h"
#include "tests/unit/http/ScriptedServer.h"

namespace gridbridge::gitlab {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// A job that runs, and the archive of one before it.
class DownloadHttpTest : public RunnerApiHttp {
protected:
    void begin(fakegitlab::Options options = {}) {
        start(std::move(options));
        const auto job =
            running({.artifacts = {{.name = "bin", .paths = {"out/"}, .expireIn = "1 week"}}});
        const Upload upload{
            .content = [](const Sink& sink) { return sink(archive()), Result<void>(); },
            .filename = "bin.zip",
            .type = "archive",
            .format = "zip",
            .expireIn = "1 week"};
        EXPECT_EQ(noted(api->uploadArtifact(context(), job, upload)).outcome, CallOutcome::Done);
        EXPECT_EQ(finish(job, success("")).outcome, CallOutcome::Done);
        built = job.id;
        reader = running({.dependencies = {built}});
    }
    /// An archive without entries and with a long comment.
    static std::string archive() {
        std::string end = "PK\x05\x06" + std::string(16, '\0') + "\x30\x75";
        return end + std::string(30000, 'c');
    }
    DownloadAnswer fetch(bool direct = true) { return fetch(*api, reader.token, direct); }
    DownloadAnswer fetch(RunnerApi& from, const Secret& token, bool direct = true) {
        spool.clear();
        auto answer = from.downloadArtifact(context(), {.id = built, .token = token},
                                            {.sink =
                                                 [this](std::string_view piece) {
                                                     spool += piece;
                                                     return spool.size() < most;
                                                 },
                                             .limit = limit,
                                             .direct = direct});
        messages.push_back(answer.message);
        EXPECT_EQ(answer.message.empty(), answer.outcome == DownloadOutcome::Done);
        return answer;
    }
    bool storageWasAsked() const {
        const auto all = server->requests();
        return std::any_of(all.begin(), all.end(), [](const auto& request) {
            return request.path.find("/storage/") != std::string::npos;
        });
    }

    fakegitlab::JobId built = 0;
    JobCredentials reader;
    std::string spool;
    std::size_t most = std::string::npos;
    std::int64_t limit = 1'000'000;
};

TEST_F(DownloadHttpTest, ArchiveComesFromGitLabByteForByte) {
    begin();

    EXPECT_EQ(fetch().outcome, DownloadOutcome::Done);
    EXPECT_EQ(spool, archive());
    EXPECT_EQ(fetch(false).outcome, DownloadOutcome::Done);
    EXPECT_EQ(spool, archive());
}

TEST_F(DownloadHttpTest, ArchiveComesFromTheObjectStorageWhichSeesNoToken) {
    begin({.root = "/gitlab", .directDownload = true});

    EXPECT_EQ(fetch(false).outcome, DownloadOutcome::Done);
    EXPECT_EQ(spool, archive());
    EXPECT_FALSE(storageWasAsked());
    EXPECT_EQ(fetch().outcome, DownloadOutcome::Done);
    EXPECT_EQ(spool, archive());
    EXPECT_TRUE(storageWasAsked());
}

TEST_F(DownloadHttpTest, RefusalsOfGitLabAreTold) {
    for (const bool direct : {false, true}) {
        begin({.directDownload = direct});
        const auto stranger = running();
        EXPECT_EQ(fetch(*api, stranger.token).outcome, DownloadOutcome::Forbidden);
        EXPECT_EQ(fetch(*api, Secret("glcbt-nobody")).outcome, DownloadOutcome::Unauthorized);
        server->expireArtifacts(built);
        const auto absent = fetch();
        EXPECT_EQ(absent.outcome, DownloadOutcome::NotFound);
        EXPECT_THAT(absent.message, HasSubstr("/jobs/" + std::to_string(built) +
                                              "/artifacts: 404, the server says: 404 Not Found"));
        EXPECT_EQ(spool, "");
    }
}

TEST_F(DownloadHttpTest, CutArchiveIsNoneAndTheNextTryGetsItWhole) {
    for (const bool direct : {false, true}) {
        begin({.directDownload = direct});
        server->failNext(FaultKind::DownloadCut);

        EXPECT_EQ(fetch().outcome, DownloadOutcome::Retry);
        EXPECT_LT(spool.size(), archive().size());
        EXPECT_EQ(server->faults().at(FaultKind::DownloadCut), 1U);
        EXPECT_EQ(fetch().outcome, DownloadOutcome::Done);
        EXPECT_EQ(spool, archive());
    }
}

TEST_F(DownloadHttpTest, TroubleOnTheWayIsNoWordOnTheArchive) {
    begin();
    for (const auto& [fault, wanted] : std::map<FaultKind, DownloadOutcome>{
             {FaultKind::TooManyRequests, DownloadOutcome::Retry},
             {FaultKind::InternalError, DownloadOutcome::Retry},
             {FaultKind::BadGateway, DownloadOutcome::Retry},
             {FaultKind::Unavailable, DownloadOutcome::Retry},
             {FaultKind::GatewayTimeout, DownloadOutcome::Retry},
             {FaultKind::RequestTimeout, DownloadOutcome::Retry},
             {FaultKind::ConnectionDropped, DownloadOutcome::Retry},
             {FaultKind::ProxyBadRequest, DownloadOutcome::NotGitLab},
             {FaultKind::ProxyNotFound, DownloadOutcome::NotGitLab},
             {FaultKind::ProxyForbidden, DownloadOutcome::NotGitLab},
             {FaultKind::ProxySignIn, DownloadOutcome::NotGitLab}}) {
        server->failNext(fault, 1, Call::Download);
        const auto answer = fetch();
        EXPECT_EQ(answer.outcome, wanted) << nameOf(fault) << ": " << answer.message;
        EXPECT_EQ(answer.retryAfter == seconds(1), fault == FaultKind::TooManyRequests);
    }
    EXPECT_EQ(fetch().outcome, DownloadOutcome::Done);
}

TEST_F(DownloadHttpTest, ArchiveAboveTheLimitIsRefusedAndAFullSpoolEndsTheCall) {
    for (const bool direct : {false, true}) {
        begin({.directDownload = direct});
        limit = static_cast<std::int64_t>(archive().size()) - 1;
        const auto refused = fetch();
        EXPECT_EQ(refused.outcome, DownloadOutcome::Refused);
        EXPECT_THAT(refused.message, HasSubstr("longer than " + std::to_string(limit) + " bytes"));
        EXPECT_EQ(spool, "");
        ++limit;
        EXPECT_EQ(fetch().outcome, DownloadOutcome::Done);
        most = 1;
        EXPECT_EQ(fetch().outcome, DownloadOutcome::Stopped);
        most = std::string::npos;
    }
}

/// Servers that say what no stand-in of GitLab would.
class StorageHttpTest : public DownloadHttpTest {
protected:
    using Script = http::ScriptedServer::Script;

    static Script saying(std::string text) {
        return [text = std::move(text)](http::Peer& peer) {
            peer.readRequest();
            peer.send(text);
        };
    }
    static std::string redirect(const std::string& to) {
        return "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n";
    }
    /// Of a GitLab that sends to `location`.
    DownloadAnswer fetchBy(const std::string& location) {
        http::ScriptedServer gitlab({saying(redirect(location))});
        http::PocoTransport there(gitlab.url(), clock, userAgent());
        HttpRunnerApi asking(there, clock);
        return fetch(asking, Secret("glcbt-hidden"));
    }
    void TearDown() override {}
};

TEST_F(StorageHttpTest, NothingButTheAddressIsSentThere) {
    std::string seen;
    http::ScriptedServer storage({[&](http::Peer& peer) {
        seen = peer.readRequest();
        peer.answer("bytes");
    }});

    const auto answer = fetchBy(storage.url() + "/b/a%2Fb.zip?X-Sig=a%2Bb/c=&x=+");

    EXPECT_EQ(answer.outcome, DownloadOutcome::Done) << answer.message;
    EXPECT_EQ(spool, "bytes");
    EXPECT_EQ(seen,
              "GET /b/a%2Fb.zip?X-Sig=a%2Bb/c=&x=+ HTTP/1.1\r\nHost: " + storage.url().substr(7) +
                  "\r\nUser-Agent: " + userAgent() + "\r\nConnection: Keep-Alive\r\n\r\n");
}

TEST_F(StorageHttpTest, CutChunksAreNoArchiveAndTheErrorHidesTheSignature) {
    http::ScriptedServer storage(
        {saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n")});

    const auto answer = fetchBy(storage.url() + "/b?X-Sig=hidden");

    EXPECT_EQ(answer.outcome, DownloadOutcome::Retry);
    EXPECT_THAT(answer.message,
                AllOf(HasSubstr("GET " + storage.url() + "/b: "),
                      HasSubstr("the answer is cut short"), Not(HasSubstr("hidden"))));
}

TEST_F(StorageHttpTest, StorageThatIsOutOfReachIsToldWithoutTheSignature) {
    const auto answer = fetchBy("http://127.0.0.1:1/b?X-Sig=hidden");

    EXPECT_EQ(answer.outcome, DownloadOutcome::Retry);
    EXPECT_THAT(answer.message,
                AllOf(HasSubstr("http://127.0.0.1:1/b: "), Not(HasSubstr("hidden"))));
}

TEST_F(StorageHttpTest, StorageMayLeadOnThreeTimesAtMost) {
    for (const bool ends : {true, false}) {
        http::ScriptedServer storage(
            {saying(redirect("/2?s=hidden")), saying(redirect("/3")),
             saying(ends ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" : redirect("/4"))});

        const auto answer = fetchBy(storage.url() + "/1?X-Sig=hidden");

        EXPECT_EQ(answer.outcome, ends ? DownloadOutcome::Done : DownloadOutcome::Refused);
        EXPECT_EQ(spool, ends ? "ok" : "");
        EXPECT_EQ(storage.connections(), 3U);
        EXPECT_THAT(answer.message, Not(HasSubstr("hidden")));
    }
}

}  // namespace
}  // namespace gridbridge::gitlab
