#include <Poco/Net/StreamSocket.h>

#include "tests/fakegitlab/RawClient.h"

namespace gridbridge::fakegitlab {
namespace {

class ArtifactTest : public RawHttp {
protected:
    void SetUp() override { start({.artifactLimit = 1000}); }

    RawAnswer upload(JobId id, const std::string& query, const std::string& bytes) {
        return call("POST", "jobs/" + std::to_string(id) + "/artifacts" + query,
                    {{"JOB-TOKEN", server->job(id).token},
                     {"Content-Type", "multipart/form-data; boundary=b0"}},
                    "--b0\r\nContent-Disposition: form-data; name=\"file\"; "
                    "filename=\"a.zip\"\r\nContent-Type: application/octet-stream\r\n\r\n" +
                        bytes + "\r\n--b0--\r\n");
    }
    static constexpr auto kArchive =
        "?artifact_type=archive&artifact_format=zip&expire_in=1%20week";
};

TEST_F(ArtifactTest, IsKeptWithNameTypeAndExpiry) {
    const auto id = running();

    EXPECT_EQ(upload(id, kArchive, "PK-bytes").status, 201);

    const auto artifacts = server->job(id).artifacts;
    ASSERT_EQ(artifacts.size(), 1U);
    EXPECT_EQ(artifacts[0].filename, "a.zip");
    EXPECT_EQ(artifacts[0].bytes, "PK-bytes");
    EXPECT_EQ(artifacts[0].type, "archive");
    EXPECT_EQ(artifacts[0].expireIn, "1 week");
}

TEST_F(ArtifactTest, SameBytesAgainAreWellAndOthersAreRefused) {
    const auto id = running();
    upload(id, kArchive, "one");

    EXPECT_EQ(upload(id, kArchive, "one").status, 201);
    EXPECT_EQ(upload(id, kArchive, "two").status, 400);
    EXPECT_EQ(server->job(id).artifacts.size(), 1U);
}

TEST_F(ArtifactTest, UploadOfAClientThatDiedIsNoUpload) {
    const auto id = running();
    const std::string part = "POST /api/v4/jobs/" + std::to_string(id) + "/artifacts" + kArchive +
                             " HTTP/1.1\r\nHost: x\r\nJOB-TOKEN: " + server->job(id).token +
                             "\r\nContent-Type: multipart/form-data; boundary=b0\r\n"
                             "Content-Length: 900\r\n\r\n--b0\r\nContent-Disposition: form-data; "
                             "name=\"file\"; filename=\"a.zip\"\r\n\r\nPK-by";
    Poco::Net::StreamSocket client(Poco::Net::SocketAddress("127.0.0.1", server->port()));
    client.setReceiveTimeout(Poco::Timespan(20, 0));
    client.sendBytes(part.data(), static_cast<int>(part.size()));
    client.shutdownSend();

    char answer = 0;
    EXPECT_EQ(client.receiveBytes(&answer, 1), 0);

    EXPECT_TRUE(server->job(id).artifacts.empty());
    EXPECT_EQ(upload(id, kArchive, "PK-bytes").status, 201);
}

TEST_F(ArtifactTest, WrongPairIsA400TooLargeA413AndAnEndedJobA403) {
    const auto id = running();

    EXPECT_EQ(upload(id, "?artifact_type=junit&artifact_format=zip", "x").status, 400);
    EXPECT_EQ(upload(id, kArchive, std::string(1001, 'x')).status, 413);
    put(id, R"("state":"success")");
    EXPECT_EQ(upload(id, kArchive, "x").status, 403);
}

}  // namespace
}  // namespace gridbridge::fakegitlab
