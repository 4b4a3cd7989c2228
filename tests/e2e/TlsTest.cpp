// GitLab behind TLS: an authority of the site's own, and certificates of clients.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"
#include "tests/fakes/FakeProxy.h"
#include "tests/fakes/TestCertificate.h"
#include "tests/unit/http/ScriptedServer.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class TlsEndToEnd : public EndToEnd {
protected:
    TlsEndToEnd() {
        writeCertificate("DNS:authority", authority);
        writeCertificate("IP:127.0.0.1,DNS:gitlab.example.org", server, &authority);
        writeCertificate("DNS:bridge", client, &authority);
    }
    CertificateFiles files(const std::string& name) const {
        return {folder.path / (name + ".pem"), folder.path / (name + ".key")};
    }
    /// A GitLab with a certificate of the site's authority, and a service with these lines.
    void begin(const std::string& lines, bool clientsToo = false, const std::string& url = "") {
        auto with = options();
        with.tls = {server.certificate, server.key,
                    clientsToo ? authority.certificate : std::filesystem::path()};
        gitlab.emplace(clock, std::move(with));
        gitlab->addRunner("glrt-test");
        service.emplace(url.empty() ? gitlab->url() : url, folder.path);
        service->configure(lines, "trusted_jobs = true\n");
    }
    static std::string key(const std::string& name, const std::filesystem::path& file) {
        return name + " = \"" + file.string() + "\"\n";
    }
    std::string trusting() const { return key("tls_ca_file", authority.certificate); }
    std::string showing(const CertificateFiles& shown) const {
        return key("tls_cert_file", shown.certificate) + key("tls_key_file", shown.key);
    }
    Printed command(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--config", service->config().string()});
        return runGridbridge(arguments);
    }
    /// What `check` says of the runner.
    std::string checked() const {
        for (const auto& line : linesOf(command({"check"}).out)) {
            if (line.find("runner pool") != std::string::npos ||
                line.find("runners.pool") != std::string::npos) {
                return line;
            }
        }
        return "";
    }

    const CertificateFiles authority = files("authority");
    const CertificateFiles server = files("server");
    const CertificateFiles client = files("client");
};

TEST_F(TlsEndToEnd, AuthorityOfTheSiteIsTrustedByServiceAndJob) {
    begin(trusting());
    repository({{"main.txt", "cloned over TLS\n"}});
    start();

    const auto job = finished(
        gitlab->addJob({.script = {"cat main.txt"}, .artifacts = {{.paths = {"main.txt"}}}}));

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\ncloned over TLS\n"));
    EXPECT_EQ(job.artifacts.size(), 1U);
    EXPECT_EQ(checked(), "ok    runner pool: " + gitlab->url() + " knows its token");
}

TEST_F(TlsEndToEnd, UnknownAuthorityIsToldInOneSentence) {
    begin("");
    gitlab->addRunner("glrt-extra");
    start();
    const std::string sentence =
        "the certificate of 127.0.0.1 is refused: unable to get local issuer certificate; name the "
        "file of its authority in tls_ca_file (register: --tls-ca-file; register-runner: the "
        "variable SSL_CERT_FILE)";

    EXPECT_THAT(checked(), HasSubstr(sentence));
    EXPECT_TRUE(waitFor([&] { return service->log().find(sentence) != std::string::npos; },
                        "the service to say it"));
    const auto registered =
        command({"register", "--name", "extra", "--url", gitlab->url(), "--token", "glrt-extra"});
    EXPECT_EQ(registered.exitCode, 78);
    EXPECT_THAT(registered.err, EndsWith(" cannot be asked: POST " + gitlab->url() +
                                         "/api/v4/runners/verify: " + sentence + "\n"));
    EXPECT_EQ(command({"register", "--name", "extra", "--url", gitlab->url(),
                       "--registration-token", "GR-extra"})
                  .exitCode,
              78);
    EXPECT_EQ(command({"check"}).exitCode, 78);
    EXPECT_EQ(command({"register", "--name", "extra", "--url", gitlab->url(), "--token",
                       "glrt-extra", "--tls-ca-file", authority.certificate.string()})
                  .exitCode,
              0);
}

TEST_F(TlsEndToEnd, RegisterRunnerTrustsTheAuthorityThatTheVariableNames) {
    begin("");
    gitlab->addRunner("glrt-extra");
    const auto file = (folder.path / "extra.json").string();
    std::vector<std::string> argv{REGISTER_RUNNER, gitlab->url(), "glrt-extra", file};
    for (const auto* token : {"glrt-extra", "GR-extra"}) {
        argv.at(2) = token;
        const auto refused = runProgram(argv);
        EXPECT_EQ(refused.exitCode, 78);
        EXPECT_THAT(refused.err, HasSubstr("register-runner: the variable SSL_CERT_FILE"));
        EXPECT_FALSE(std::filesystem::exists(file));
    }
    argv.at(2) = "glrt-extra";

    argv.insert(argv.begin(), {"/usr/bin/env", "SSL_CERT_FILE=" + authority.certificate.string()});
    EXPECT_EQ(runProgram(argv).exitCode, 0);
}

TEST_F(TlsEndToEnd, PlainServerBehindAnHttpsUrlIsToldInOneSentence) {
    // The stand-in may take the beginning of a handshake for half a request, and wait for more.
    http::ScriptedServer plain({[](http::Peer& peer) {
        peer.readSome();
        peer.answer("", "400 Bad Request");
        peer.clientCloses();
    }});
    service.emplace(plain.url("https"), folder.path);

    EXPECT_THAT(checked(), HasSubstr("127.0.0.1 does not speak TLS at this port; write http:// in "
                                     "the url, or the port of https"));
}

TEST_F(TlsEndToEnd, CertificateForAnotherHostIsToldInOneSentence) {
    writeCertificate("DNS:other.example.org", server, &authority);
    begin(trusting());

    EXPECT_THAT(checked(), EndsWith("the certificate that the server shows is not one for "
                                    "127.0.0.1; write its address as in the certificate"));
    EXPECT_EQ(command({"check"}).exitCode, 78);
}

TEST_F(TlsEndToEnd, CertificateThatASiteForgotToRenewLosesNoJob) {
    begin(trusting());
    start();
    const auto go = (folder.path / "go").string();
    const auto id = gitlab->addJob(
        {.script = {"echo begun; while [ ! -e " + go + " ]; do sleep 0.1; done; echo ended"},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));

    writeCertificate("IP:127.0.0.1", server, &authority, -std::chrono::minutes(10));
    gitlab->renewCertificate();
    const std::string sentence =
        "the certificate of 127.0.0.1 is refused: certificate has expired; have it renewed there";
    EXPECT_TRUE(waitFor([&] { return service->log().find(sentence) != std::string::npos; },
                        "the service to say it"));
    EXPECT_THAT(checked(), EndsWith(sentence));
    EXPECT_EQ(command({"check"}).exitCode, 78);
    EXPECT_EQ(command({"register", "--name", "extra", "--url", gitlab->url(), "--token",
                       "glrt-extra", "--tls-ca-file", authority.certificate.string()})
                  .exitCode,
              78);
    // A connection that was made before is not used for ever.
    EXPECT_TRUE(waitFor(
        [&] { return clock.wallNow() - gitlab->requests().back().at > std::chrono::seconds(10); },
        "the end of the connections that were kept"));
    writeFile(go, "");
    EXPECT_TRUE(waitFor(
        [&] { return service->sql("SELECT state FROM job WHERE state = 'reporting'") != ""; },
        "the report to wait"));

    writeCertificate("IP:127.0.0.1", server, &authority);
    gitlab->renewCertificate();
    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\nended\n"));
}

TEST_F(TlsEndToEnd, ServerThatAsksForACertificateGetsIt) {
    begin(trusting() + showing(client), true);
    gitlab->addRunner("glrt-extra");

    EXPECT_EQ(run({.script = {"true"}, .artifacts = {{.paths = {"*"}}}}).status, Status::Success);
    EXPECT_EQ(checked(), "ok    runner pool: " + gitlab->url() + " knows its token");
    EXPECT_EQ(
        command({"register", "--name", "extra", "--url", gitlab->url(), "--token", "glrt-extra",
                 "--tls-ca-file", authority.certificate.string(), "--tls-cert-file",
                 client.certificate.string(), "--tls-key-file", client.key.string()})
            .exitCode,
        0);
    EXPECT_THAT(readFile(folder.path / "config.d/extra.toml"),
                HasSubstr("tls_key_file = \"" + client.key.string() + "\""));
    EXPECT_THAT(service->log(), Not(HasSubstr("PRIVATE KEY")));
}

TEST_F(TlsEndToEnd, ServerThatAsksInVainIsToldInOneSentence) {
    begin(trusting(), true);

    EXPECT_THAT(checked(), HasSubstr("the server asks for a certificate of this client, name it in "
                                     "tls_cert_file and tls_key_file"));
}

TEST_F(TlsEndToEnd, KeyThatJobsCouldReadIsRefused) {
    begin(trusting() + showing(client), true);
    std::filesystem::permissions(client.key, std::filesystem::perms(0644));

    const auto sentence = "runners.pool.tls_key_file: " + client.key.string() +
                          " can be read by every account; run chmod 600 " + client.key.string();
    EXPECT_THAT(command({"check"}).out, HasSubstr(sentence));
    const auto refused = command({"run"});
    EXPECT_EQ(refused.exitCode, 78);
    EXPECT_THAT(refused.err, HasSubstr(sentence));
}

TEST_F(TlsEndToEnd, ProxyIsAskedForATunnel) {
    begin(trusting() + showing(client), true, "https://gitlab.example.org");
    FakeProxy proxy(gitlab->port());
    service->start({{"https_proxy", "http://" + proxy.address()}, {"HTTPS_PROXY", ""}});

    EXPECT_EQ(run({.script = {"true"}}).status, Status::Success);
    EXPECT_EQ(service->stop(), 0);
    EXPECT_THAT(proxy.requests(), ::testing::Each("CONNECT gitlab.example.org:443"));
}

}  // namespace
}  // namespace gridbridge::testing
