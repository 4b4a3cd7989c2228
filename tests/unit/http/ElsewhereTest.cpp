// Transport::to(): another server, reached as the first one is.
#include <gmock/gmock.h>

#include "tests/fakes/FakeProxy.h"
#include "tests/unit/http/TlsTest.h"

namespace gridbridge::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ElsewhereTest : public TlsTest {
protected:
    Result<Response> getThere(const PocoTransport& first, const std::string& url) {
        const auto there = first.to(url);
        if (!there) {
            return there.error();
        }
        return (*there)->send(within(std::chrono::seconds(20)), {.method = "GET", .path = "/x"});
    }
    static Environment variables(std::map<std::string, std::string> values) {
        return [values = std::move(values)](const std::string& name) {
            const auto found = values.find(name);
            return found == values.end() ? std::nullopt : std::optional(found->second);
        };
    }
};

TEST_F(ElsewhereTest, TheSameAuthorityIsTrusted) {
    serveTls({answering("hello")});
    const PocoTransport first("http://git.example.org", clock, "tester/1",
                              {.tls = {.ca = certificate}});

    EXPECT_EQ(getThere(first, server->url("https")).value().body, "hello");
}

TEST_F(ElsewhereTest, CertificateOfTheClientIsShownToTheSameHostAlone) {
    using Poco::Net::Context;
    Context::Ptr context = new Context(Context::TLS_SERVER_USE, key.string(), certificate.string(),
                                       certificate.string(), Context::VERIFY_STRICT);
    context->disableProtocols(Context::PROTO_TLSV1_3);
    server = std::make_unique<ScriptedServer>(
        std::vector<ScriptedServer::Script>{answering("hello"), answering("hello")},
        Poco::Net::SecureServerSocket(ScriptedServer::loopback(), 64, context));
    const PocoTransport first("https://127.0.0.1:1", clock, "tester/1",
                              {.tls = {certificate, certificate, key}});

    EXPECT_EQ(getThere(first, server->url("https")).value().body, "hello");
    expectError(getThere(first, server->url("https", "localhost")), ErrorKind::Transient,
                "the server asks for a certificate of this client");
}

TEST_F(ElsewhereTest, ProxyIsChosenForThatServer) {
    std::string seen;
    serve({[&seen](Peer& peer) {
        seen = peer.readRequest();
        peer.answer("hello");
    }});
    const testing::FakeProxy proxy(server->port());
    const PocoTransport first("https://git.example.org", clock, "tester/1",
                              {.environment = variables({{"http_proxy", proxy.address()},
                                                         {"no_proxy", "git.example.org"}})});

    EXPECT_EQ(getThere(first, "http://s3.example.org:9000").value().body, "hello");

    EXPECT_THAT(proxy.requests(), ElementsAre("GET http://s3.example.org:9000/x"));
    EXPECT_THAT(seen, HasSubstr("User-Agent: tester/1\r\n"));
}

TEST_F(ElsewhereTest, WhatCannotBeReachedIsAnError) {
    const PocoTransport first("http://git.example.org", clock, "tester/1",
                              {.environment = variables({{"https_proxy", "socks5://hidden@h"}})});

    expectError(getThere(first, "ftp://h"), ErrorKind::Permanent, "https://");
    const auto unusable = getThere(first, "https://h");
    expectError(unusable, ErrorKind::Transient, "https_proxy");
    EXPECT_TRUE(unusable.error().misconfigured);
    EXPECT_THAT(unusable.error().message, Not(HasSubstr("hidden")));
}

}  // namespace
}  // namespace gridbridge::http
