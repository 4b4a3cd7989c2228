#pragma once

#include <Poco/Net/Context.h>
#include <Poco/Net/SecureServerSocket.h>

#include <filesystem>

#include "tests/fakes/TestCertificate.h"
#include "tests/unit/http/TransportTest.h"

namespace gridbridge::http {

/// TransportTest with a certificate for this machine, and a server that has it.
class TlsTest : public TransportTest {
protected:
    void SetUp() override {
        folder =
            std::filesystem::path(::testing::TempDir()) /
            ("tls-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
        std::filesystem::create_directories(folder);
        certificate = folder / "cert.pem";
        key = folder / "key.pem";
        testing::writeCertificate("DNS:localhost,IP:127.0.0.1", {certificate, key});
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
    void serveTls(std::vector<ScriptedServer::Script> scripts) {
        Poco::Net::Context::Ptr context =
            new Poco::Net::Context(Poco::Net::Context::TLS_SERVER_USE, key.string(),
                                   certificate.string(), "", Poco::Net::Context::VERIFY_NONE);
        server = std::make_unique<ScriptedServer>(
            std::move(scripts),
            Poco::Net::SecureServerSocket(ScriptedServer::loopback(), 64, context));
    }
    Result<Response> getTrusting(const std::string& host, const std::filesystem::path& ca) {
        transport = std::make_unique<PocoTransport>(server->url("https", host), clock, "tester/1",
                                                    TransportOptions{.tls = {.ca = ca}});
        return get("/x");
    }
    std::filesystem::path folder;
    std::filesystem::path certificate;
    std::filesystem::path key;
};

}  // namespace gridbridge::http
