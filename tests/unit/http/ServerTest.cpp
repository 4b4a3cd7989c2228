#include <Poco/Net/NetException.h>
#include <Poco/Net/StreamSocket.h>
#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <vector>

#include "bridge/http/Server.h"
#include "tests/unit/http/TlsTest.h"

namespace gridbridge::http {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A server that answers with method, target, token and body.
class ServerTest : public TlsTest {
protected:
    void listen(ServerOptions options = {}) {
        options.address.host = "127.0.0.1";
        ours.reset();  // The port is free then.
        ours = std::make_unique<Server>(
            options,
            [this](const ServerRequest& request) {
                ++handled;
                return ServerReply{200, request.method + " " + request.target + " " +
                                            request.authorization + " " + request.body};
            },
            clock);
    }
    Poco::Net::StreamSocket connect() const {
        Poco::Net::StreamSocket socket(Poco::Net::SocketAddress("127.0.0.1", ours->port()));
        socket.setReceiveTimeout(Poco::Timespan(20, 0));
        return socket;
    }
    /// Until the server closes.
    static std::string rest(Poco::Net::StreamSocket& socket) {
        std::string text;
        char buffer[4096];
        try {
            for (int got = 1; got > 0;) {
                got = socket.receiveBytes(buffer, sizeof buffer);
                text.append(buffer, static_cast<std::size_t>(got));
            }
        } catch (const Poco::Net::NetException&) {
            text += "(reset)";
        }
        return text;
    }
    std::string say(const std::string& text) const {
        auto socket = connect();
        socket.sendBytes(text.data(), static_cast<int>(text.size()));
        return rest(socket);
    }
    static std::string post(const std::string& headers, const std::string& body) {
        return "POST /x?y=1 HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body;
    }

    std::atomic<int> handled = 0;
    std::unique_ptr<Server> ours;
};

TEST_F(ServerTest, OneRequestIsAnsweredAndTheConnectionClosed) {
    listen();
    const auto said =
        say(post("Authorization: Bearer t\r\nContent-Length: 5\r\n", std::string("a\0b\nc", 5)));
    EXPECT_THAT(said, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(said, EndsWith("\r\n\r\nPOST /x?y=1 Bearer t " + std::string("a\0b\nc", 5)));
}

TEST_F(ServerTest, WhatIsNoSmallRequestReachesNoHandler) {
    listen({.address = {}, .mostBody = 10, .longest = Millis(400)});
    EXPECT_THAT(say(post("Content-Length: 11\r\n", "")), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(say(post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")),
                StartsWith("HTTP/1.1 411 "));
    for (const std::string length : {"-1", "99999999999999999999", "0x5", "five"}) {
        EXPECT_THAT(say(post("Content-Length: " + length + "\r\n", "")),
                    ::testing::Not(HasSubstr("200")))
            << length;
    }
    EXPECT_THAT(say("GET " + std::string(20000, 'a') + " HTTP/1.1\r\n\r\n"),
                ::testing::Not(HasSubstr("200")));
    std::string headers;
    for (int i = 0; i < 200; ++i) {
        headers += "X-" + std::to_string(i) + ": 1\r\n";
    }
    EXPECT_THAT(say(post(headers, "")), ::testing::Not(HasSubstr("200")));
    EXPECT_THAT(say(post("X: " + std::string(20000, 'a') + "\r\n", "")),
                ::testing::Not(HasSubstr("200")));
    say("\x16\x03\x01" + std::string(100, '\0') + "\r\n\r\n");
    EXPECT_EQ(handled, 0);
    EXPECT_THAT(say(post("Content-Length: 2\r\n", "ok")), EndsWith(" ok"));
}

TEST_F(ServerTest, WhoIsSlowIsCutAndHindersNobody) {
    listen({.address = {}, .longest = Millis(400), .connections = 3, .fromOneAddress = 2});
    std::vector<Poco::Net::StreamSocket> slow{connect(), connect()};
    for (auto& socket : slow) {
        socket.sendBytes("POST ", 5);
    }
    // One too many of that address is closed at once, while a thread is left for others.
    auto third = connect();
    EXPECT_THAT(rest(third), ::testing::AnyOf("", "(reset)"));

    const auto before = clock.steadyNow();
    for (auto& socket : slow) {
        // A byte now and then keeps no read waiting, and yet it ends.
        try {
            while (!socket.poll(Poco::Timespan(0, 20000), Poco::Net::Socket::SELECT_READ)) {
                socket.sendBytes("x", 1);
            }
        } catch (const Poco::Exception&) {
            continue;
        }
        EXPECT_THAT(rest(socket), ::testing::Not(HasSubstr("200")));
    }
    EXPECT_LT(clock.steadyNow() - before, std::chrono::seconds(5));
    EXPECT_EQ(handled, 0);
    EXPECT_THAT(say(post("Content-Length: 2\r\n", "ok")), EndsWith(" ok"));
}

TEST_F(ServerTest, ItComesBackOnItsPortWhileConnectionsOfTheLastOneLinger) {
    listen();
    const auto port = ours->port();
    auto open = connect();
    say(post("Content-Length: 2\r\n", "ok"));
    listen({.address = {.host = "", .port = port}});
    EXPECT_EQ(ours->port(), port);
    EXPECT_THAT(say(post("Content-Length: 2\r\n", "ok")), EndsWith(" ok"));
    EXPECT_THROW(Server({.address = {"127.0.0.1", port}}, {}, clock), std::runtime_error);
}

TEST_F(ServerTest, ItSpeaksTlsWithItsCertificateAndNothingElse) {
    listen({.address = {}, .tls = {{}, certificate, key}});
    const auto url = "https://localhost:" + std::to_string(ours->port());
    PocoTransport trusting(url, clock, "tester/1", TransportOptions{.tls = {.ca = certificate}});
    const auto got = trusting.send({clock.steadyNow() + std::chrono::seconds(20)},
                                   {.method = "POST", .path = "/x", .body = "ok"});
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_THAT(got->body, EndsWith(" ok"));
    say(post("Content-Length: 2\r\n", "ok"));
    EXPECT_EQ(handled, 1);
}

TEST(ListenAddress, IsAnIpAddressAndAPort) {
    EXPECT_EQ(parseListenAddress("0.0.0.0:9253"), (ListenAddress{"0.0.0.0", 9253, false}));
    EXPECT_EQ(parseListenAddress("127.0.0.1:1"), (ListenAddress{"127.0.0.1", 1, true}));
    EXPECT_EQ(parseListenAddress("[::]:1"), (ListenAddress{"::", 1, false}));
    EXPECT_EQ(parseListenAddress("[::1]:65535"), (ListenAddress{"::1", 65535, true}));
    for (const std::string wrong :
         {"", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:x", "a:1", ":9253", "[::1]"}) {
        EXPECT_THROW(parseListenAddress(wrong), std::invalid_argument) << wrong;
    }
}

}  // namespace
}  // namespace gridbridge::http
