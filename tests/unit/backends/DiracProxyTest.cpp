// Proxies made as dirac-proxy-init makes them, and others.
#include <gmock/gmock.h>

#include "backends/diraccli/DiracProxy.h"
#include "tests/fakes/DiracProxyFiles.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using ::testing::HasSubstr;

class DiracProxyTest : public ::testing::Test {
protected:
    void SetUp() override { testing::makeDiracProxies(temp_.path()); }
    std::filesystem::path file(const std::string& name) { return temp_.path() / name; }
    WallTime now() const { return std::chrono::floor<Millis>(std::chrono::system_clock::now()); }
    std::string fault(const std::string& name, const std::string& group, WallTime when) {
        const auto proxy = readDiracProxy(file(name), group, when);
        EXPECT_FALSE(proxy.ok());
        if (proxy.ok()) {
            return "";
        }
        EXPECT_EQ(proxy.error().kind, ErrorKind::Transient);
        EXPECT_TRUE(proxy.error().misconfigured);
        return proxy.error().message;
    }

    testing::TempDir temp_;
};

TEST_F(DiracProxyTest, TellsUserGroupAndEnd) {
    const auto proxy = readDiracProxy(file("group.proxy"), "lhcb_user", now());

    ASSERT_TRUE(proxy.ok()) << proxy.error().message;
    EXPECT_EQ(proxy->user, "/O=Lab/CN=ada");
    EXPECT_EQ(proxy->group, "lhcb_user");
    EXPECT_GT(proxy->end, now() + std::chrono::hours(23));
    EXPECT_EQ(proxy->pem, Secret(testing::readFile(file("group.proxy"))));
}

TEST_F(DiracProxyTest, EveryFaultIsOneSentenceWithItsCure) {
    EXPECT_THAT(fault("absent", "lhcb_user", now()),
                HasSubstr("cannot be read: No such file or directory: make one with "
                          "dirac-proxy-init -g lhcb_user"));
    EXPECT_THAT(fault("open.proxy", "lhcb_user", now()),
                HasSubstr("can be read by other accounts, who may have it by now: make one"));
    EXPECT_THAT(fault("user.pem", "lhcb_user", now()), HasSubstr("is no proxy"));
    EXPECT_THAT(fault("user.key", "lhcb_user", now()), HasSubstr("is no proxy"));
    EXPECT_THAT(fault("none.proxy", "lhcb_user", now()), HasSubstr("has no DIRAC group"));
    EXPECT_THAT(fault("group.proxy", "lhcb_admin", now()),
                HasSubstr("is of the group lhcb_user, not lhcb_admin"));
    EXPECT_THAT(fault("group.proxy", "lhcb_user", now() + std::chrono::hours(25)),
                HasSubstr("has ended"));
}

}  // namespace
}  // namespace gridbridge
