#include <Poco/DeflatingStream.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/URI.h>

#include <fstream>
#include <sstream>

#include "tests/fakegitlab/RawClient.h"

namespace gridbridge::fakegitlab {
namespace {

class ArtifactTest : public RawHttp {
protected:
    void SetUp() override { start({.artifactLimit = 1000}); }

    static std::string before() {
        return "--b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n"
               "Content-Type: application/octet-stream\r\n\r\n";
    }
    static constexpr auto kAfter = "\r\n--b0--\r\n";
    static constexpr auto kArchive =
        "?artifact_type=archive&artifact_format=zip&expire_in=1%20week";

    Headers headers(JobId id) const {
        return {{"JOB-TOKEN", server->job(id).token},
                {"Content-Type", "multipart/form-data; boundary=b0"}};
    }
    static std::string path(JobId id, const std::string& query) {
        return "jobs/" + std::to_string(id) + "/artifacts" + query;
    }
    RawAnswer upload(JobId id, const std::string& query, const std::string& bytes) {
        return call("POST", path(id, query), headers(id), before() + bytes + kAfter);
    }
    RawAnswer report(JobId id, const std::string& type, const std::string& format,
                     const std::string& bytes) {
        return upload(id, "?artifact_type=" + type + "&artifact_format=" + format, bytes);
    }
    /// What the server says of a dotenv report in these pieces, each a gzip member.
    std::string dotenv(const std::vector<std::string>& pieces) {
        std::ostringstream gzip;
        for (const auto& piece : pieces) {
            Poco::DeflatingOutputStream member(gzip, Poco::DeflatingStreamBuf::STREAM_GZIP);
            member << piece;
            member.close();
        }
        const auto id = running();
        const auto answer = report(id, "dotenv", "gzip", gzip.str());
        put(id, R"("state":"success")");
        return answer.status == 201 ? "" : std::to_string(answer.status) + answer.body;
    }
    /// Sends `head` and `body` and ends the connection's own half; whether anything is answered.
    bool isAnswered(const std::string& head, const std::string& body) {
        Poco::Net::StreamSocket client(Poco::Net::SocketAddress("127.0.0.1", server->port()));
        client.setReceiveTimeout(Poco::Timespan(60, 0));
        const auto text = head + "\r\n\r\n" + body;
        client.sendBytes(text.data(), static_cast<int>(text.size()));
        client.shutdownSend();
        char answer = 0;
        return client.receiveBytes(&answer, 1) > 0;
    }
    std::string requestHead(JobId id, const std::string& lengthHeader) const {
        return "POST /api/v4/" + path(id, kArchive) +
               " HTTP/1.1\r\nHost: x\r\nJOB-TOKEN: " + server->job(id).token +
               "\r\nContent-Type: multipart/form-data; boundary=b0\r\n" + lengthHeader;
    }
};

/// A chunk of a chunked body.
std::string chunk(const std::string& bytes) {
    std::ostringstream out;
    out << std::hex << bytes.size() << "\r\n" << bytes << "\r\n";
    return out.str();
}

/// The most memory that this process ever had, in KiB.
long peakMemory() {
    std::ifstream in("/proc/self/status");
    for (std::string word; in >> word;) {
        if (word == "VmHWM:") {
            long kib = 0;
            in >> kib;
            return kib;
        }
    }
    return 0;
}

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
    const auto part = before() + "PK-by";

    EXPECT_FALSE(isAnswered(requestHead(id, "Content-Length: 900"), part));
    EXPECT_FALSE(isAnswered(requestHead(id, "Transfer-Encoding: chunked"), chunk(part)));

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

TEST_F(ArtifactTest, BodyThatEndsWithoutItsBoundaryIsNoUploadEither) {
    const auto id = running();

    EXPECT_EQ(call("POST", path(id, kArchive), headers(id), before() + "PK-bytes").status, 400);
    EXPECT_TRUE(server->job(id).artifacts.empty());
    EXPECT_TRUE(violated("was answered 400"));
}

TEST_F(ArtifactTest, EveryTypeHasItsFormat) {
    const auto id = running();
    const std::pair<const char*, const char*> types[] = {
        {"scip", "zip"}, {"sarif", "raw"}, {"junit", "gzip"}, {"lsif", "zip"}};
    for (const auto& [type, format] : types) {
        EXPECT_EQ(report(id, type, format, "x").status, 201) << type;
        EXPECT_EQ(report(id, type, format == std::string("raw") ? "gzip" : "raw", "x").status, 400)
            << type;
    }
    EXPECT_EQ(report(id, "novel", "raw", "x").status, 400);
}

TEST_F(ArtifactTest, SomeTypesHaveLimitsOfTheirOwn) {
    start();
    const auto id = running();
    const auto large = std::string((std::size_t{1} << 20U) + 1, 'x');

    EXPECT_EQ(report(id, "cyclonedx", "gzip", large).status, 413);
    EXPECT_EQ(report(id, "terraform", "raw", large).status, 201);
    EXPECT_EQ(report(id, "sarif", "raw", large).status, 201);
    EXPECT_EQ(report(id, "dotenv", "gzip", large).status, 400);
}

TEST_F(ArtifactTest, DotenvReportIsParsedAsItComes) {
    start();
    std::string twenty;
    for (int i = 0; i < 20; ++i) {
        twenty += "KEY_" + std::to_string(i) + "=a=b\n";
    }

    EXPECT_EQ(dotenv({"A=1\n", "B=2"}), "");
    EXPECT_EQ(dotenv({twenty}), "");
    EXPECT_FALSE(violated("was answered 400"));
    for (const auto* bad : {"A=1\n\nB=2\n", "# a comment\nA=1\n", "A\n"}) {
        EXPECT_NE(dotenv({bad}).find("Invalid Format"), std::string::npos) << bad;
    }
    EXPECT_NE(dotenv({"A-B=1\n"}).find("only letters"), std::string::npos);
    EXPECT_NE(dotenv({twenty, "A=1"}).find("more than 20 variables"), std::string::npos);
    EXPECT_FALSE(violated("was answered 400")) << "what a user wrote is no breach by the client";
    const auto id = running();
    EXPECT_EQ(report(id, "dotenv", "gzip", "A=1\n").status, 400);
    EXPECT_TRUE(server->job(id).artifacts.empty());
}

TEST_F(ArtifactTest, UploadIsSentElsewhereOnDemand) {
    const auto id = running();
    server->failNext(FaultKind::UploadMoved);

    const auto answer = upload(id, kArchive, "PK");

    EXPECT_EQ(answer.status, 307);
    EXPECT_TRUE(server->job(id).artifacts.empty());
    const Poco::URI to(answer.header("Location"));
    EXPECT_NE(to.getPort(), server->port());
    EXPECT_EQ(to.getPathAndQuery(), "/api/v4/" + path(id, kArchive));
    const auto there =
        sendTo(to.getPort(), "POST", to.getPathAndQuery(), headers(id), before() + "PK" + kAfter);
    EXPECT_EQ(there->status, 201);
    EXPECT_EQ(server->job(id).artifacts.size(), 1U);
}

TEST_F(ArtifactTest, UploadMayBeSentToTheSameServer) {
    start({.movedUploadsStay = true});
    const auto id = running();
    server->failNext(FaultKind::UploadMoved);

    EXPECT_EQ(upload(id, kArchive, "PK").header("Location"),
              server->url() + "/api/v4/" + path(id, kArchive));
    EXPECT_EQ(upload(id, kArchive, "PK").status, 201);
}

TEST_F(ArtifactTest, LargeUploadCostsNoMemoryAndIsKeptAsSizeAndHash) {
    constexpr std::size_t kPieces = 80;
    start({.artifactLimit = std::uint64_t{1} << 30U, .keepArtifactsBelow = 100});
    const std::string piece(std::size_t{1} << 20U, 'x');
    const auto id = running();
    const auto send = [&](std::size_t pieces) {
        Poco::Net::HTTPClientSession session("127.0.0.1", server->port());
        session.setTimeout(Poco::Timespan(60, 0));
        Poco::Net::HTTPRequest request("POST", "/api/v4/" + path(id, kArchive), "HTTP/1.1");
        request.setChunkedTransferEncoding(true);
        for (const auto& [name, value] : headers(id)) {
            request.set(name, value);
        }
        auto& out = session.sendRequest(request);
        out << before();
        for (std::size_t i = 0; i < pieces; ++i) {
            out << piece;
        }
        out << kAfter;
        return received(session).status;
    };
    const auto peak = peakMemory();

    EXPECT_EQ(send(kPieces), 201);

    EXPECT_LT(peakMemory() - peak, 32 * 1024);
    const auto artifact = server->job(id).artifacts.at(0);
    EXPECT_EQ(artifact.size, kPieces << 20U);
    EXPECT_EQ(artifact.bytes, "");
    EXPECT_EQ(artifact.sha256, "85015149cb56dbd6e525f3a12a73eb8bebc48f44cd5334d60c9b682225888f29");
    EXPECT_EQ(send(kPieces), 201) << "the same bytes again";
    EXPECT_EQ(send(1), 400) << "others";
    EXPECT_EQ(server->requests().back().bodyBytes,
              piece.size() + before().size() + std::string(kAfter).size());
}

}  // namespace
}  // namespace gridbridge::fakegitlab
