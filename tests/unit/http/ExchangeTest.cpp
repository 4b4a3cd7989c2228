#include <future>

#include "tests/unit/http/TransportTest.h"

namespace gridbridge::http {
namespace {

using ExchangeTest = TransportTest;

TEST_F(ExchangeTest, RequestArrivesAsWrittenBelowTheRoot) {
    std::string seen;
    server =
        std::make_unique<ScriptedServer>(std::vector<ScriptedServer::Script>{[&seen](Peer& peer) {
            seen = peer.readRequest();
            peer.answer("hello", "201 Created", "Job-Status: running\r\n");
        }});
    transport = std::make_unique<PocoTransport>(server->url() + "/gitlab/", clock, "tester/1");

    const auto answer = send({.method = "PATCH",
                              .path = "/api/v4/jobs/1/trace?debug_trace=false",
                              .headers = {{"Content-Type", "text/plain"}},
                              .body = std::string("a\0b", 3)});

    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 201);
    EXPECT_EQ(answer->body, "hello");
    EXPECT_EQ(answer->header("job-STATUS"), "running");
    EXPECT_EQ(answer->header("absent"), "");
    EXPECT_TRUE(
        seen.starts_with("PATCH /gitlab/api/v4/jobs/1/trace?debug_trace=false HTTP/1.1\r\n"))
        << seen;
    for (const std::string& line :
         {"Host: " + server->url().substr(7), std::string("User-Agent: tester/1"),
          std::string("Content-Type: text/plain"), std::string("Content-Length: 3")}) {
        EXPECT_NE(seen.find("\r\n" + line + "\r\n"), std::string::npos) << line << "\n" << seen;
    }
    EXPECT_TRUE(seen.ends_with(std::string("\r\n\r\na\0b", 7)));
}

TEST_F(ExchangeTest, AnswerThatIsCutShortIsUncertain) {
    const std::pair<const char*, const char*> cases[] = {
        {"by length", "HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n12345"},
        {"in a chunk", "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\na\r\n12345"},
        {"between chunks",
         "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"},
        {"in the header", "HTTP/1.1 201 Created\r\nContent-Le"},
        {"before it", ""},
    };
    std::vector<ScriptedServer::Script> scripts;
    for (const auto& each : cases) {
        scripts.emplace_back([text = each.second](Peer& peer) {
            peer.readRequest();
            peer.send(text);
        });
    }
    serve(scripts);
    for (const auto& each : cases) {
        SCOPED_TRACE(each.first);
        expectError(get("/x"), ErrorKind::Uncertain, "GET http://127.0.0.1");
    }
}

TEST_F(ExchangeTest, ChunksAreJoinedAndTheConnectionServesTheNextRequest) {
    serve({[](Peer& peer) {
        peer.readRequest();
        peer.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        peer.readRequest();
        peer.answer("second");
        peer.clientCloses();
    }});

    EXPECT_EQ(get("/1")->body, "abcde");
    EXPECT_EQ(get("/2")->body, "second");
}

TEST_F(ExchangeTest, AnswerWithoutLengthEndsWithTheConnection) {
    serve({[](Peer& peer) {
               peer.readRequest();
               peer.send("HTTP/1.0 200 OK\r\n\r\nold server");
           },
           answering("next")});

    EXPECT_EQ(get("/1")->body, "old server");
    EXPECT_EQ(get("/2")->body, "next");
}

TEST_F(ExchangeTest, OversizedAnswerIsRefused) {
    serve({[](Peer& peer) {
               peer.readRequest();
               peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
               peer.clientCloses();
           },
           [](Peer& peer) {
               peer.readRequest();
               peer.send("HTTP/1.1 200 OK\r\n\r\n");
               for (const std::string piece(1U << 20U, 'x');
                    !peer.clientCloses(Poco::Timespan());) {
                   peer.send(piece);
               }
           }});

    expectError(get("/announced"), ErrorKind::Uncertain, "larger than 64 MiB");
    expectError(get("/endless"), ErrorKind::Uncertain, "larger than 64 MiB");
}

TEST_F(ExchangeTest, NonsenseIsNoAnswer) {
    const std::string cases[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 999999 What\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: much\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + std::string(20000, 'n') + ": x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + std::string(200000, 'v') + "\r\n\r\n",
    };
    std::vector<ScriptedServer::Script> scripts;
    for (const auto& text : cases) {
        scripts.emplace_back([text](Peer& peer) {
            peer.readRequest();
            peer.send(text);
            peer.clientCloses();
        });
    }
    serve(scripts);
    for (const auto& text : cases) {
        SCOPED_TRACE(text.substr(0, 60));
        expectError(get("/x"), ErrorKind::Uncertain, "GET");
    }
}

TEST_F(ExchangeTest, RedirectIsAnAnswerAndIsNotFollowed) {
    serve({[](Peer& peer) {
        peer.readRequest();
        peer.answer("", "302 Found", "Location: http://127.0.0.1:1/elsewhere\r\n");
        peer.clientCloses();
    }});

    const auto answer = get("/x");

    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 302);
    EXPECT_EQ(answer->header("Location"), "http://127.0.0.1:1/elsewhere");
}

TEST_F(ExchangeTest, ErrorsNameTheCallButNothingThatMayBeSecret) {
    serve({[](Peer& peer) { peer.readRequest(); }});

    const auto answer = send({.method = "POST",
                              .path = "/jobs?token=hidden1",
                              .headers = {{"JOB-TOKEN", "hidden2"}},
                              .body = "hidden3"});

    expectError(answer, ErrorKind::Uncertain, "POST " + server->url() + "/jobs: ");
    EXPECT_EQ(answer.error().message.find("hidden"), std::string::npos);
    EXPECT_EQ(answer.error().message.find('\n'), std::string::npos);
}

TEST_F(ExchangeTest, ValueThatWouldAddAHeaderIsNotSent) {
    serve({});

    expectError(send({.method = "GET", .path = "/x", .headers = {{"JOB-TOKEN", "a\r\nEvil: 1"}}}),
                ErrorKind::Permanent, "control character");
    expectError(get("/x HTTP/1.1"), ErrorKind::Permanent, "path");
    expectError(get("/x\r\nEvil: 1"), ErrorKind::Permanent, "path");
    EXPECT_EQ(server->connections(), 0U);
}

class UploadTest : public TransportTest {
protected:
    using Content = std::function<Result<void>(const Sink&)>;

    static Content giving(std::string bytes) {
        return [bytes = std::move(bytes)](const Sink& sink) { return sink(bytes), Result<void>(); };
    }
    Result<Response> upload(const Content& content, const std::string& name) {
        return send({.method = "POST", .path = "/a?b=c", .file = FilePart{name, content}});
    }
    /// What the chunks of a whole request hold.
    static std::string joined(const std::string& request) {
        std::string body;
        for (auto at = request.find("\r\n\r\n") + 4; at < request.size();) {
            const auto size = std::stoul(request.substr(at, 16), nullptr, 16);
            at = request.find("\r\n", at) + 2;
            body += request.substr(at, size);
            at += size + 2;
        }
        return body;
    }
};

TEST_F(UploadTest, ContentIsOnePartAndTheSameContentGivesTheSameBytes) {
    std::string first;
    std::string second;
    serve({[&](Peer& peer) {
        first = peer.readRequest();
        peer.answer("");
        second = peer.readRequest();
        peer.answer("");
        peer.clientCloses();
    }});
    std::string bytes(300000, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(i * 7 % 251);
    }
    const Content inPieces = [&](const Sink& sink) {
        sink(bytes.substr(0, 100000));
        sink(bytes.substr(100000));
        return Result<void>();
    };

    ASSERT_TRUE(upload(inPieces, "a\"b\r\nc/d.zip").ok());
    ASSERT_TRUE(upload(giving(bytes), "a\"b\r\nc/d.zip").ok());

    EXPECT_EQ(joined(first), joined(second));
    const auto mark = first.find("boundary=") + 9;
    const auto boundary = first.substr(mark, first.find("\r\n", mark) - mark);
    EXPECT_GE(boundary.size(), 40U);
    EXPECT_EQ(joined(first),
              "--" + boundary +
                  "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a_b__c_d.zip\""
                  "\r\nContent-Type: application/octet-stream\r\n\r\n" +
                  bytes + "\r\n--" + boundary + "--\r\n");
}

TEST_F(UploadTest, ContentThatBreaksOffGivesItsErrorAndTheServerSeesNoWholeBody) {
    std::promise<std::string> received;
    serve({[&](Peer& peer) { received.set_value(peer.readRequest()); }});
    const Content broken = [](const Sink& sink) -> Result<void> {
        sink(std::string(100000, 'x'));
        return permanentError("the archive is damaged");
    };

    expectError(upload(broken, "n"), ErrorKind::Permanent, "the archive is damaged");

    auto whole = received.get_future();
    ASSERT_EQ(whole.wait_for(std::chrono::seconds(20)), std::future_status::ready);
    const auto seen = whole.get();
    EXPECT_GE(seen.size(), 90000U);
    EXPECT_EQ(seen.find("\r\n0\r\n"), std::string::npos) << seen.substr(seen.size() - 40);
}

TEST_F(UploadTest, ContentIsNotReadOnOnceTheConnectionIsBroken) {
    serve({[](Peer&) {}});
    int pieces = 0;
    const Content endless = [&](const Sink& sink) {
        while (sink(std::string(1000000, 'x'))) {
            ++pieces;
        }
        return Result<void>();
    };

    expectError(upload(endless, "n"), ErrorKind::Transient, "POST");
    EXPECT_LT(pieces, 1000);
}

TEST_F(UploadTest, EarlyRefusalOfALongUploadIsTheAnswer) {
    serve({[](Peer& peer) {
        peer.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbig!");
    }});

    const auto answer = upload(giving(std::string(std::size_t{32} << 20U, 'x')), "n");

    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 413);
    EXPECT_EQ(answer->body, "big!");
}

TEST_F(UploadTest, EarlyRedirectOfALongUploadIsTheAnswer) {
    serve({[](Peer& peer) {
        peer.send(
            "HTTP/1.1 307 Moved\r\nLocation: https://h/x\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n");
    }});

    const auto answer = upload(giving(std::string(std::size_t{32} << 20U, 'x')), "n");

    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 307);
    EXPECT_EQ(answer->header("Location"), "https://h/x");
}

TEST_F(UploadTest, ConnectionBrokenDuringAnUploadIsTransient) {
    serve({[](Peer&) {}});

    expectError(upload(giving(std::string(std::size_t{32} << 20U, 'x')), "n"), ErrorKind::Transient,
                "POST");
}

}  // namespace
}  // namespace gridbridge::http
