// Answers whose body goes to a sink.
#include <gmock/gmock.h>

#include "tests/unit/http/TlsTest.h"

namespace gridbridge::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class BodySinkTest : public TlsTest {
protected:
    Result<Response> fetch(std::int64_t limit = std::numeric_limits<std::int64_t>::max()) {
        taken.clear();
        return send({.method = "GET",
                     .path = "/file?sig=hidden",
                     .newConnection = true,
                     .sink = BodySink{[this](std::string_view piece) {
                                          taken += piece;
                                          return taken.size() < most;
                                      },
                                      limit}});
    }
    static ScriptedServer::Script saying(std::string text) {
        return [text = std::move(text)](Peer& peer) {
            peer.readRequest();
            peer.send(text);
        };
    }

    std::string taken;
    std::size_t most = std::string::npos;
};

constexpr auto kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST_F(BodySinkTest, LongBodyComesInPiecesAndIsNotKept) {
    const std::int64_t length = std::int64_t{80} << 20U;
    serve({[&](Peer& peer) {
        peer.readRequest();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n");
        const std::string piece(std::size_t{1} << 20U, 'x');
        for (int i = 0; i < 80; ++i) {
            peer.send(piece);
        }
        peer.readRequest();
        peer.answer("next");
        peer.clientCloses();
    }});
    std::int64_t got = 0;
    std::size_t longest = 0;

    const auto answer = send(
        {.method = "GET", .path = "/file", .sink = BodySink{.write = [&](std::string_view piece) {
                                               got += static_cast<std::int64_t>(piece.size());
                                               longest = std::max(longest, piece.size());
                                               return true;
                                           }}});

    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "");
    EXPECT_EQ(got, length);
    EXPECT_LE(longest, std::size_t{1} << 20U);
    EXPECT_EQ(get("/2")->body, "next") << "the connection is kept";
}

TEST_F(BodySinkTest, ChunksAreJoinedWhateverStandsBetweenThem) {
    serve({[](Peer& peer) {
        peer.readRequest();
        peer.send(kChunked);
        peer.send("3\r\nabc\r\n00A;name=value\r\n0123456789\r\n1 \r\nz\r\n0\r\nTrailer: x\r\n\r\n");
        peer.readRequest();
        peer.answer("next");
        peer.clientCloses();
    }});

    const auto answer = fetch();

    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(taken, "abc0123456789z");
    EXPECT_EQ(get("/2")->body, "next") << "the connection is kept";
}

TEST_F(BodySinkTest, HalfABodyIsNeverTakenForTheWhole) {
    const std::pair<const char*, std::string> cases[] = {
        {"by length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"},
        {"in a chunk", std::string(kChunked) + "a\r\n12345"},
        {"between chunks", std::string(kChunked) + "5\r\n12345\r\n"},
        {"behind a chunk", std::string(kChunked) + "5\r\n12345"},
        {"in the size of a chunk", std::string(kChunked) + "5\r\n12345\r\n0"},
        {"in the last line", std::string(kChunked) + "5\r\n12345\r\n0\r\n"},
        {"by a line that is no size", std::string(kChunked) + "5\r\n12345\r\nHTTP/1.1 502\r\n\r\n"},
        {"by a size that is none", std::string(kChunked) + "5\r\n12345\r\n-1\r\n\r\n0\r\n\r\n"},
        {"by a chunk that is longer than said",
         std::string(kChunked) + "5\r\n1234567\r\n0\r\n\r\n"},
        {"by an endless line",
         std::string(kChunked) + "5\r\n12345\r\n5;" + std::string(10000, 'x') + "\r\n12345\r\n"},
    };
    std::vector<ScriptedServer::Script> scripts;
    for (const auto& each : cases) {
        scripts.push_back(saying(each.second));
    }
    serve(scripts);
    for (const auto& each : cases) {
        SCOPED_TRACE(each.first);
        expectError(fetch(), ErrorKind::Uncertain, "the answer is cut short");
    }
}

TEST_F(BodySinkTest, GarbageInsteadOfAChunkIsNoEndWithoutASinkEither) {
    serve({saying(std::string(kChunked) + "5\r\n12345\r\nzz\r\n12345\r\n0\r\n\r\n")});

    expectError(get("/x"), ErrorKind::Uncertain, "the answer is cut short");
}

TEST_F(BodySinkTest, BodyWhoseEndNothingTellsIsNotTaken) {
    serve({saying("HTTP/1.1 200 OK\r\n\r\nperhaps half")});

    expectError(fetch(), ErrorKind::Uncertain, "does not say how long it is");

    EXPECT_EQ(taken, "");
}

TEST_F(BodySinkTest, CutTlsConnectionIsNoEnd) {
    serveTls({saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"),
              saying(std::string(kChunked) + "5\r\n12345\r\n")});
    transport = std::make_unique<PocoTransport>(server->url("https"), clock, "tester/1",
                                                TransportOptions{.tls = {.ca = certificate}});

    EXPECT_EQ(fetch().error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(fetch().error().kind, ErrorKind::Uncertain);
}

TEST_F(BodySinkTest, BodyOfAnErrorStaysInTheAnswer) {
    serve({saying("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nwhy?"),
           saying("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nto")});

    EXPECT_EQ(fetch(1)->body, "why?");
    EXPECT_EQ(fetch(1)->body, "to");
    EXPECT_EQ(taken, "");
}

TEST_F(BodySinkTest, BodyAboveTheLimitIsRefusedForGood) {
    serve({saying("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345"),
           saying("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n123456"),
           saying(std::string(kChunked) + "3\r\n123\r\n3\r\n456\r\n0\r\n\r\n")});

    EXPECT_TRUE(fetch(5).ok());
    EXPECT_EQ(taken, "12345");
    expectError(fetch(5), ErrorKind::Permanent, "the answer is longer than 5 bytes");
    EXPECT_EQ(taken, "");
    expectError(fetch(5), ErrorKind::Permanent, "the answer is longer than 5 bytes");
    EXPECT_LE(taken.size(), 5U);
}

TEST_F(BodySinkTest, SinkThatTakesNoMoreEndsTheCall) {
    serve({[](Peer& peer) {
        peer.readRequest();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
        for (const std::string piece(1U << 20U, 'x'); !peer.clientCloses(Poco::Timespan());) {
            peer.send(piece);
        }
    }});
    most = 100'000;

    const auto answer = fetch();

    expectError(answer, ErrorKind::Uncertain, "was not taken");
    EXPECT_THAT(answer.error().message, Not(HasSubstr("hidden")));
    EXPECT_LT(taken.size(), 300'000U);
}

TEST_F(BodySinkTest, DeadlineEndsASlowBody) {
    serve({[](Peer& peer) {
        peer.readRequest();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
        peer.trickle("x");
    }});

    expectError(transport->send(within(std::chrono::milliseconds(500)),
                                {.method = "GET",
                                 .path = "/x",
                                 .sink = BodySink{[](std::string_view) { return true; }}}),
                ErrorKind::Uncertain, "no whole answer in the time allowed");
}

}  // namespace
}  // namespace gridbridge::http
