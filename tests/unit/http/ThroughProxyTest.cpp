// Requests to a server behind a proxy: in the clear, and through a tunnel.
#include <gmock/gmock.h>

#include "tests/fakes/FakeProxy.h"
#include "tests/unit/http/TlsTest.h"

namespace gridbridge::http {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr auto kName = "git.example.org";

class ThroughProxyTest : public TlsTest {
protected:
    void SetUp() override {
        TlsTest::SetUp();
        testing::writeCertificate(std::string("DNS:") + kName, {certificate, key});
    }
    void TearDown() override {
        transport.reset();  // Its connections first: they end the proxy's.
        proxy.reset();
        TlsTest::TearDown();
    }
    /// A transport to a server that only the proxy finds.
    void reach(const std::string& url, const std::string& account = "") {
        if (!proxy) {
            proxy.emplace(server->port());
        }
        transport = std::make_unique<PocoTransport>(
            url, clock, "tester/1",
            TransportOptions{{.ca = certificate},
                             variables("http://" + account + proxy->address())});
    }
    static Environment variables(const std::string& address) {
        return [address](const std::string& name) {
            return name == "http_proxy" || name == "https_proxy" ? std::optional(address)
                                                                 : std::nullopt;
        };
    }
    const std::string plain = std::string("http://") + kName + ":8080/gitlab";
    const std::string secure = std::string("https://") + kName;

    std::optional<testing::FakeProxy> proxy;
};

TEST_F(ThroughProxyTest, PlainRequestNamesTheWholeAddress) {
    std::string seen;
    serve({[&seen](Peer& peer) {
        seen = peer.readRequest();
        peer.answer("hello");
    }});
    reach(plain);

    const auto answer = send({.method = "POST", .path = "/x?y=z", .body = "some text"});

    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->body, "hello");
    EXPECT_EQ(answer->proxy, proxy->address());
    EXPECT_THAT(proxy->requests(), ElementsAre("POST http://git.example.org:8080/gitlab/x?y=z"));
    EXPECT_THAT(seen, AllOf(StartsWith("POST /gitlab/x?y=z HTTP/1.1\r\n"),
                            HasSubstr("Host: git.example.org:8080\r\n"),
                            ::testing::EndsWith("\r\n\r\nsome text")));
}

TEST_F(ThroughProxyTest, TunnelIsTlsToTheServerAndIsKept) {
    std::vector<std::string> seen;
    serveTls({[&seen](Peer& peer) {
        for (int i = 0; i < 2; ++i) {
            seen.push_back(peer.readRequest());
            peer.answer("hello");
        }
        peer.clientCloses();
    }});
    reach(secure);

    const auto answer = get("/x");
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(get("/y")->body, "hello");

    EXPECT_THAT(proxy->requests(), ElementsAre("CONNECT git.example.org:443"));
    EXPECT_THAT(seen, ElementsAre(StartsWith("GET /x HTTP/1.1\r\n"), StartsWith("GET /y ")));
}

TEST_F(ThroughProxyTest, CertificateBehindATunnelIsTheServersOwn) {
    testing::writeCertificate("DNS:proxy.example.org,IP:127.0.0.1", {certificate, key});
    serveTls({[](Peer& peer) { peer.readRequest(); }});
    reach(secure);

    expectError(get("/x"), ErrorKind::Transient, "ertificate");
}

TEST_F(ThroughProxyTest, ProxyGetsTheNameAndThePasswordAndTheServerDoesNot) {
    std::string seen;
    const auto script = [&seen](Peer& peer) {
        seen = peer.readRequest();
        peer.answer("hello");
        peer.clientCloses();
    };
    for (const auto& url : {plain, secure}) {
        proxy.reset();
        url == plain ? serve({script}) : serveTls({script});
        proxy.emplace(server->port());
        proxy->demand("Basic YWRhOmhpZGRlbg==");  // ada:hidden
        reach(url, "ada:hidden@");

        const auto answer = get("/x");

        ASSERT_TRUE(answer.ok()) << answer.error().message;
        EXPECT_EQ(answer->body, "hello");
        EXPECT_THAT(seen, Not(HasSubstr("YWRh")));
        transport.reset();
    }
}

TEST_F(ThroughProxyTest, RefusalIsSaidWithTheProxysNameAndWithoutThePassword) {
    serve({});
    for (const auto& url : {plain, secure}) {
        proxy.emplace(server->port());
        proxy->demand("Basic other");
        reach(url);
        expectError(get("/x"), ErrorKind::Transient,
                    "the proxy " + proxy->address() +
                        " wants a name and a password; write them "
                        "into ");
        reach(url, "ada:hidden@");
        const auto refused = get("/x");
        expectError(refused, ErrorKind::Transient,
                    "the proxy " + proxy->address() +
                        " refuses the name and the password; correct them in ");
        EXPECT_THAT(refused.error().message, Not(HasSubstr("hidden")));
        transport.reset();
        proxy.reset();
    }
    proxy.emplace(server->port());
    proxy->refuse(502);
    reach(secure);
    expectError(get("/x"), ErrorKind::Transient,
                "GET https://git.example.org/x: the proxy " + proxy->address() +
                    " answers 502; see to it, or list the server in no_proxy");
    reach(plain);
    EXPECT_EQ(get("/x")->status, 502);
    EXPECT_EQ(get("/x")->proxy, proxy->address());
}

TEST_F(ThroughProxyTest, ProxyThatIsNotThereIsNamed) {
    serve({});
    proxy.emplace(server->port());
    const auto address = proxy->address();
    reach(plain);
    proxy.reset();

    expectError(get("/x"), ErrorKind::Transient,
                "the proxy " + address + " cannot be reached: Connection refused");
}

TEST_F(ThroughProxyTest, DeadlineEndsTheWaitForASilentProxy) {
    serve({[](Peer& peer) {
        peer.readRequest();
        peer.clientCloses();
    }});
    transport = std::make_unique<PocoTransport>(
        secure, clock, "tester/1", TransportOptions{{.ca = certificate}, variables(server->url())});

    expectError(transport->send(within(Millis(300)), {.method = "GET", .path = "/x"}),
                ErrorKind::Transient, "not sent in the time allowed");
}

TEST_F(ThroughProxyTest, UnusableProxyIsAnErrorOfTheConfiguration) {
    EXPECT_THROW(PocoTransport(plain, clock, "t", {{}, variables("socks5://proxy:1")}),
                 std::invalid_argument);
}

}  // namespace
}  // namespace gridbridge::http
