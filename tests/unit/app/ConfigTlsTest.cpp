#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/TestCertificate.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;
using gridbridge::testing::kBackend;
using gridbridge::testing::kRunner;
using ::testing::ElementsAre;

class ConfigTls : public ::testing::Test {
protected:
    /// `lines` end the section of the runner; they start at line 6.
    std::vector<std::string> inRunner(const std::string& lines) {
        return folder_.faultsOf(std::string(kRunner) + lines + kBackend);
    }

    ConfigFolder folder_;
};

TEST_F(ConfigTls, ACertificateFileThatIsNotThere) {
    EXPECT_THAT(inRunner("tls_ca_file = \"" + (folder_.path() / "ca.pem").string() + "\"\n"),
                ElementsAre("config.toml:6: runners.pool.tls_ca_file: ca.pem cannot be read: No "
                            "such file or directory; name a readable file with certificates in "
                            "PEM form"));
}

TEST_F(ConfigTls, ACertificateFileWithoutCertificates) {
    folder_.write("ca.pem", "-----BEGIN NOTHING-----\n");
    EXPECT_THAT(inRunner("tls_ca_file = \"" + (folder_.path() / "ca.pem").string() + "\"\n"),
                ElementsAre("config.toml:6: runners.pool.tls_ca_file: ca.pem holds no certificates "
                            "in PEM form; name a readable file with certificates in PEM form"));
}

TEST_F(ConfigTls, AClientCertificateThatCannotBeUsed) {
    const auto file = [&](const std::string& name) { return folder_.path() / name; };
    gridbridge::testing::writeCertificate("DNS:a", {file("a.pem"), file("a.key")});
    gridbridge::testing::writeCertificate("DNS:b", {file("b.pem"), file("b.key")});
    folder_.write("empty", "");
    folder_.write("open.key", "", 0644);
    const auto fault = [&](const std::string& certificate, const std::string& key) {
        const auto line = [&](const std::string& name, const std::string& value) {
            return value.empty() ? "" : name + " = \"" + file(value).string() + "\"\n";
        };
        const auto faults =
            inRunner(line("tls_cert_file", certificate) + line("tls_key_file", key));
        return faults.size() == 1 ? faults[0] : std::to_string(faults.size()) + " faults";
    };
    const std::string certCure = "; name a readable file with the certificate in PEM form";
    const std::string keyCure =
        "; name a readable file with the private key of the certificate in PEM form, without a "
        "passphrase";
    EXPECT_EQ(inRunner("tls_cert_file = \"" + file("a.pem").string() + "\"\ntls_key_file = \"" +
                       file("a.key").string() + "\"\n"),
              std::vector<std::string>{});
    EXPECT_EQ(fault("a.pem", ""),
              "config.toml:1: runners.pool.tls_key_file: is missing beside tls_cert_file; name the "
              "file with the key of that certificate");
    EXPECT_EQ(fault("", "a.key"),
              "config.toml:1: runners.pool.tls_cert_file: is missing beside tls_key_file; name the "
              "file with the certificate of that key");
    EXPECT_EQ(fault("absent.pem", "a.key"),
              "config.toml:6: runners.pool.tls_cert_file: absent.pem cannot be read: No such file "
              "or directory" +
                  certCure);
    EXPECT_EQ(fault("empty", "a.key"),
              "config.toml:6: runners.pool.tls_cert_file: empty holds no certificate in PEM form" +
                  certCure);
    EXPECT_EQ(fault("a.pem", "absent.key"),
              "config.toml:7: runners.pool.tls_key_file: absent.key cannot be read: No such file "
              "or directory" +
                  keyCure);
    EXPECT_EQ(fault("a.pem", "empty"),
              "config.toml:7: runners.pool.tls_key_file: empty holds no private key that can be "
              "used" +
                  keyCure);
    EXPECT_EQ(fault("a.pem", "b.key"),
              "config.toml:7: runners.pool.tls_key_file: b.key is not the key of the certificate "
              "in a.pem" +
                  keyCure);
    EXPECT_EQ(fault("a.pem", "open.key"),
              "config.toml:7: runners.pool.tls_key_file: open.key can be read by every account; "
              "run chmod 600 open.key");
}

}  // namespace
}  // namespace gridbridge::app
