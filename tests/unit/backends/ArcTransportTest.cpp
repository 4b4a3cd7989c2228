#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include "backends/arc/ArcTransport.h"
#include "tests/fakes/ScriptedTransport.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

TEST(ArcTransport, AProxyThatIsReplacedIsUsedFromTheNextCallOn) {
    const testing::TempDir temp;
    const auto proxy = temp.path() / "proxy.pem";
    const auto replace = [&](const std::string& text) {
        std::ofstream(temp.path() / "new") << text;
        std::filesystem::rename(temp.path() / "new", proxy);
    };
    replace("first");
    testing::Servers servers;
    std::vector<std::string> used;
    ArcTransport transport({"", proxy, proxy}, [&] {
        std::string text;
        std::ifstream(proxy) >> text;
        if (text == "half") {
            throw std::invalid_argument("no certificate");
        }
        used.push_back(text);
        return std::make_unique<testing::ScriptedTransport>(servers, "https://ce/" + text);
    });
    const auto askedAt = [&] {
        servers.answers.emplace_back(http::Response{200, {}, {}, {}});
        EXPECT_TRUE(transport.send({}, {.method = "GET", .path = "/"}).ok());
        return servers.asked.back().first;
    };

    EXPECT_EQ(askedAt(), "https://ce/first");
    EXPECT_EQ(askedAt(), "https://ce/first");
    replace("half");
    EXPECT_EQ(askedAt(), "https://ce/first");
    std::filesystem::remove(proxy);
    replace("second");
    EXPECT_EQ(askedAt(), "https://ce/second");
    EXPECT_EQ(askedAt(), "https://ce/second");
    EXPECT_EQ(used, (std::vector<std::string>{"first", "second"}));
}

}  // namespace
}  // namespace gridbridge
