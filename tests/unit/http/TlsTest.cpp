#include "tests/unit/http/TlsTest.h"

#include <fstream>

namespace gridbridge::http {
namespace {

TEST_F(TlsTest, AuthorityFromTheFileIsTrustedAndTheConnectionIsKept) {
    const std::string large(3'000'000, 'x');
    serveTls({answering(large, 2)});

    const auto first = getTrusting("127.0.0.1", certificate);

    ASSERT_TRUE(first.ok()) << first.error().message;
    EXPECT_EQ(first->body, large);
    EXPECT_EQ(get("/y")->body, large);
    EXPECT_EQ(server->connections(), 1U);
}

TEST_F(TlsTest, UnknownAuthorityIsRefusedBeforeAnythingIsSent) {
    std::string seen;
    serveTls({[&seen](Peer& peer) { seen = peer.readRequest(); }});

    const auto refused = getTrusting("127.0.0.1", {});
    expectError(refused, ErrorKind::Transient, "; name the file of its authority in tls_ca_file");
    EXPECT_TRUE(refused.error().misconfigured);
    transport.reset();
    server.reset();
    EXPECT_EQ(seen, "");
}

TEST_F(TlsTest, CertificateOfAnotherHostIsRefused) {
    testing::writeCertificate("DNS:git.example.org", {certificate, key});
    serveTls({[](Peer& peer) { peer.readRequest(); }, [](Peer& peer) { peer.readRequest(); }});

    for (const auto* host : {"127.0.0.1", "localhost"}) {
        const auto refused = getTrusting(host, certificate);
        expectError(refused, ErrorKind::Transient, "; write its address as in the certificate");
        EXPECT_TRUE(refused.error().misconfigured);
    }
}

TEST_F(TlsTest, CertificateThatHasEndedIsRefused) {
    testing::writeCertificate("IP:127.0.0.1", {certificate, key}, nullptr,
                              -std::chrono::minutes(10));
    serveTls({[](Peer& peer) { peer.readRequest(); }});

    const auto refused = getTrusting("127.0.0.1", certificate);

    expectError(refused, ErrorKind::Transient, "certificate has expired; have it renewed there");
    EXPECT_TRUE(refused.error().misconfigured);
}

TEST_F(TlsTest, ServerOfTls12ThatAsksInVainForACertificateIsToldSo) {
    using Poco::Net::Context;
    Context::Ptr context = new Context(Context::TLS_SERVER_USE, key.string(), certificate.string(),
                                       certificate.string(), Context::VERIFY_STRICT);
    context->disableProtocols(Context::PROTO_TLSV1_3);
    server = std::make_unique<ScriptedServer>(
        std::vector<ScriptedServer::Script>{[](Peer& peer) { peer.readRequest(); }},
        Poco::Net::SecureServerSocket(ScriptedServer::loopback(), 64, context));

    const auto refused = getTrusting("127.0.0.1", certificate);

    expectError(refused, ErrorKind::Transient,
                "; the server asks for a certificate of this client");
    EXPECT_TRUE(refused.error().misconfigured);
}

TEST_F(TlsTest, ConnectionThatBreaksInTheHandshakeIsNoFaultOfTheConfiguration) {
    serve({[](Peer& peer) { peer.clientCloses(); }});
    transport = std::make_unique<PocoTransport>(server->url("https"), clock, "tester/1");

    const auto broken = get("/x");

    expectError(broken, ErrorKind::Transient, "");
    EXPECT_FALSE(broken.error().misconfigured);
}

TEST_F(TlsTest, LongBodyArrivesWhole) {
    std::string seen;
    serveTls({[&seen](Peer& peer) {
        seen = peer.readRequest();
        peer.answer("ok");
        peer.clientCloses();
    }});
    transport = std::make_unique<PocoTransport>(server->url("https"), clock, "tester/1",
                                                TransportOptions{.tls = {.ca = certificate}});
    const std::string body(5'000'000, 'b');

    ASSERT_TRUE(send({.method = "POST", .path = "/x", .body = body}).ok());

    EXPECT_TRUE(seen.ends_with("\r\n\r\n" + body));
}

TEST_F(TlsTest, DeadlineEndsASilentHandshakeAndASilentServer) {
    serve({[](Peer& peer) {
        peer.readRequest();
        peer.clientCloses();
    }});
    transport = std::make_unique<PocoTransport>(server->url("https"), clock, "tester/1");
    expectError(
        transport->send(within(std::chrono::milliseconds(300)), {.method = "GET", .path = "/x"}),
        ErrorKind::Transient, "not sent in the time allowed");

    transport.reset();
    serveTls({[](Peer& peer) {
        peer.readRequest();
        peer.clientCloses();
    }});
    transport = std::make_unique<PocoTransport>(server->url("https"), clock, "tester/1",
                                                TransportOptions{.tls = {.ca = certificate}});
    expectError(
        transport->send(within(std::chrono::milliseconds(500)), {.method = "GET", .path = "/x"}),
        ErrorKind::Uncertain, "no whole answer");
}

TEST_F(TlsTest, BadAuthorityFileIsAnErrorOfTheConfiguration) {
    std::ofstream(folder / "no.pem") << "not a certificate";

    EXPECT_THROW(PocoTransport("https://h", clock, "t", {.tls = {.ca = folder / "no.pem"}}),
                 std::invalid_argument);
    EXPECT_THROW(PocoTransport("https://h", clock, "t", {.tls = {.ca = folder / "absent.pem"}}),
                 std::invalid_argument);
}

}  // namespace
}  // namespace gridbridge::http
