#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/TestCertificate.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;
using gridbridge::testing::kRunner;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ConfigLiveLog : public ::testing::Test {
protected:
    ConfigLiveLog() {
        gridbridge::testing::writeCertificate("DNS:a", {file("live.pem"), file("live.key")});
    }
    /// `lines` end a section of a DiracX; they start at line 11.
    std::vector<std::string> faultsOf(const std::string& lines) {
        return folder_.faultsOf(std::string(kRunner) +
                                "[backends.here]\ntype = \"diracx\"\nwork_dir = \"/w\"\nurl = "
                                "\"https://d\"\ncredentials = \"/c\"\n" +
                                lines);
    }
    std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }
    static std::string at(const std::string& listen, const std::string& url) {
        return "live_log_listen = \"" + listen + "\"\nlive_log_url = \"" + url + "\"\n";
    }
    std::string pair() const {
        return "live_log_cert_file = \"" + file("live.pem").string() +
               "\"\nlive_log_key_file = \"" + file("live.key").string() + "\"\n";
    }

    ConfigFolder folder_;
    const std::string here_ = "config.toml:11: backends.here.";
    const std::string next_ = "config.toml:12: backends.here.";
};

TEST_F(ConfigLiveLog, WithACertificateOrBehindAProxyOrOnThisMachineAlone) {
    EXPECT_THAT(faultsOf(at("0.0.0.0:9253", "https://a:9253") + pair()), IsEmpty());
    EXPECT_THAT(faultsOf(at("[::]:9253", "https://a:9253") + pair()), IsEmpty());
    EXPECT_THAT(faultsOf(at("127.0.0.1:9253", "https://a/live")), IsEmpty());
    EXPECT_THAT(faultsOf(at("127.0.0.1:9253", "http://127.0.0.1:9253")), IsEmpty());
    EXPECT_THAT(faultsOf(at("[::1]:9253", "http://localhost:9253")), IsEmpty());
    EXPECT_TRUE(folder_.read().config.runners.at(0).cancelsSoftly);
    EXPECT_THAT(faultsOf(""), IsEmpty());
    EXPECT_FALSE(folder_.read().config.runners.at(0).cancelsSoftly);
}

TEST_F(ConfigLiveLog, NothingGoesOverANetworkInTheClear) {
    const auto noTls =
        next_ + "live_log_url: has no TLS, and tokens are sent there; write https://";
    EXPECT_THAT(faultsOf(at("0.0.0.0:9253", "https://a")),
                ElementsAre("config.toml:6: backends.here.live_log_cert_file: is missing, and "
                            "other machines can reach live_log_listen; name a certificate, or "
                            "listen at 127.0.0.1 behind a proxy that has one"));
    EXPECT_THAT(faultsOf(at("0.0.0.0:9253", "http://a") + pair()), ElementsAre(noTls));
    EXPECT_THAT(faultsOf(at("127.0.0.1:9253", "http://a")), ElementsAre(noTls));
    EXPECT_THAT(faultsOf(at("127.0.0.1:9253", "http://127.0.0.1:9253") + pair()),
                ElementsAre(noTls));
}

TEST_F(ConfigLiveLog, AllThatItTakesOrNothing) {
    EXPECT_THAT(faultsOf("live_log_listen = \"127.0.0.1:9253\"\n"),
                ElementsAre("config.toml:6: backends.here.live_log_url: is missing; write the "
                            "address of the receiver for nodes, like "
                            "https://bridge.example.org:9253"));
    EXPECT_THAT(faultsOf("live_log_url = \"https://a\"\n"),
                ElementsAre("config.toml:6: backends.here.live_log_listen: is missing; write where "
                            "to listen, like 0.0.0.0:9253"));
    EXPECT_THAT(faultsOf("live_log_ca_file = \"" + file("live.pem").string() + "\"\n"),
                ElementsAre(here_ + "live_log_ca_file: says nothing without live_log_listen; "
                                    "remove it, or add live_log_listen"));
    EXPECT_THAT(faultsOf(at("9253", "https://a")),
                ElementsAre(here_ + "live_log_listen: is not written as ADDRESS:PORT, like "
                                    "0.0.0.0:9253; correct it"));
    EXPECT_THAT(faultsOf(at("127.0.0.1:9253", "https://a") + "live_log_cert_file = \"" +
                         file("live.pem").string() + "\"\n"),
                ElementsAre("config.toml:6: backends.here.live_log_key_file: is missing beside the "
                            "other one; name the files of both, certificate and key"));
    folder_.write("live.key", "");
    EXPECT_THAT(
        faultsOf(at("0.0.0.0:9253", "https://a") + pair()),
        ElementsAre(::testing::StartsWith("config.toml:14: backends.here.live_log_key_file: "
                                          "live.key holds no private key")));
}

}  // namespace
}  // namespace gridbridge::app
