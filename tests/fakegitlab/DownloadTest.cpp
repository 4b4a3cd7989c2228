#include <Poco/URI.h>

#include "tests/fakegitlab/RawClient.h"

namespace gridbridge::fakegitlab {
namespace {

class DownloadTest : public RawHttp {
protected:
    void begin(Options options = {}) {
        options.requireChecksum = false;
        start(std::move(options));
        built = running({.name = "build", .artifacts = {{.paths = {"out"}}}});
        const auto answer =
            call("POST",
                 "jobs/" + std::to_string(built) +
                     "/artifacts?artifact_type=archive&artifact_format=zip&expire_in=1%20week",
                 {{"JOB-TOKEN", server->job(built).token},
                  {"Content-Type", "multipart/form-data; boundary=b"}},
                 "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n"
                 "\r\nPK\x03\x04-bytes\r\n--b--\r\n");
        EXPECT_EQ(answer.status, 201);
        put(built, R"("state":"success")");
        reader = running({.name = "test", .dependencies = {built}});
    }
    std::optional<RawAnswer> get(const std::string& query = "") {
        return send("GET", "jobs/" + std::to_string(built) + "/artifacts" + query,
                    {{"JOB-TOKEN", server->job(reader).token}}, "");
    }
    static constexpr auto kBytes = "PK\x03\x04-bytes";

    JobId built = 0;
    JobId reader = 0;
};

TEST_F(DownloadTest, ArchiveOfADependencyIsGivenToTheRunningJob) {
    begin();

    const auto answer = get();

    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, kBytes);
    EXPECT_TRUE(server->violations().empty());
}

TEST_F(DownloadTest, WhoHasNoRightToItGetsNothing) {
    begin();
    const auto stranger = running({.name = "stranger"});
    const auto as = [&](const std::string& token) {
        return call("GET", "jobs/" + std::to_string(built) + "/artifacts", {{"JOB-TOKEN", token}},
                    "")
            .status;
    };

    EXPECT_EQ(as(server->job(stranger).token), 403);
    EXPECT_EQ(as("glcbt-64_nobody"), 401);
    put(reader, R"("state":"success")");
    EXPECT_EQ(get()->status, 401) << "only while the job runs";
}

TEST_F(DownloadTest, ExpiredArchiveIsNotFound) {
    begin();
    server->expireArtifacts(built);

    EXPECT_EQ(get()->status, 404);
    EXPECT_EQ(get("?direct_download=true")->status, 404);
}

TEST_F(DownloadTest, AnswerMayBreakOffAndTheNextIsWhole) {
    begin();
    server->failNext(FaultKind::DownloadCut);

    const auto answer = get();

    EXPECT_TRUE(!answer || answer->body.size() < std::string(kBytes).size());
    EXPECT_EQ(server->faults().at(FaultKind::DownloadCut), 1U);
    EXPECT_EQ(get()->body, kBytes);
}

TEST_F(DownloadTest, AnswerMayBeSlow) {
    begin({.slowAnswer = Millis(100)});
    server->failNext(FaultKind::SlowAnswer, 1, Call::Download);
    const auto before = std::chrono::steady_clock::now();

    EXPECT_EQ(get()->body, kBytes);

    EXPECT_GE(std::chrono::steady_clock::now() - before, Millis(100));
}

TEST_F(DownloadTest, DirectDownloadLeadsToAnAddressThatIsASecret) {
    begin({.directDownload = true});
    EXPECT_EQ(get()->status, 200) << "nobody asked for it";

    const auto answer = get("?direct_download=true");

    EXPECT_EQ(answer->status, 302);
    const Poco::URI to(answer->header("Location"));
    EXPECT_NE(to.getPort(), server->port());
    const auto fetch = [&](const std::string& target, const Headers& headers) {
        return sendTo(to.getPort(), "GET", target, headers, "");
    };
    EXPECT_EQ(fetch(to.getPathAndQuery(), {})->body, kBytes);
    EXPECT_EQ(fetch(to.getPath(), {})->status, 403);
    EXPECT_EQ(fetch(to.getPath() + "?X-Amz-Signature=wrong", {})->status, 403);
    EXPECT_TRUE(server->violations().empty());
    server->failNext(FaultKind::DownloadCut);
    const auto cut = fetch(to.getPathAndQuery(), {});
    EXPECT_TRUE(!cut || cut->body.size() < std::string(kBytes).size());
}

TEST_F(DownloadTest, TokenAtTheObjectStorageIsAViolation) {
    for (const auto* header : {"JOB-TOKEN", "PRIVATE-TOKEN", "Authorization", "Cookie"}) {
        begin({.directDownload = true});
        const Poco::URI to(get("?direct_download=true")->header("Location"));

        sendTo(to.getPort(), "GET", to.getPathAndQuery(), {{header, "x"}}, "");

        EXPECT_TRUE(violated("a token was sent to the object storage")) << header;
    }
}

}  // namespace
}  // namespace gridbridge::fakegitlab
