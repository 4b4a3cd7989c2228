#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "bridge/http/Proxy.h"

namespace gridbridge::http {
namespace {

using Variables = std::map<std::string, std::string>;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Environment environment(const Variables& variables) {
    return [variables](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
}

/// `host:port` of the proxy to `url`; empty = none.
std::string proxy(const std::string& url, const Variables& variables) {
    const auto found = proxyTo(parseBaseUrl(url), environment(variables));
    return found ? found->authority : "";
}

TEST(ProxyTest, SchemeOfTheServerChoosesTheVariableAndCapitalsGoFirst) {
    const Variables both{{"http_proxy", "http://plain:1"}, {"https_proxy", "http://secure:2"}};
    EXPECT_EQ(proxy("http://git.example.org", both), "plain:1");
    EXPECT_EQ(proxy("https://git.example.org", both), "secure:2");
    EXPECT_EQ(proxy("https://git.example.org", {{"http_proxy", "http://plain:1"}}), "");
    EXPECT_EQ(proxy("https://git.example.org", {{"ALL_PROXY", "http://all:1"}}), "");
    EXPECT_EQ(proxy("https://git.example.org",
                    {{"HTTPS_PROXY", "http://capital:3"}, {"https_proxy", "http://secure:2"}}),
              "capital:3");
    EXPECT_EQ(
        proxy("https://git.example.org", {{"HTTPS_PROXY", ""}, {"https_proxy", "http://secure:2"}}),
        "secure:2");
}

TEST(ProxyTest, AddressMayBeShort) {
    const auto named = [](const std::string& value) {
        return proxy("http://git.example.org", {{"http_proxy", value}});
    };
    EXPECT_EQ(named("proxy.example.org:3128"), "proxy.example.org:3128");
    EXPECT_EQ(named("http://proxy.example.org/"), "proxy.example.org:80");
    EXPECT_EQ(named("http://[2001:db8::1]:3128"), "[2001:db8::1]:3128");
}

TEST(ProxyTest, CredentialsAreDecodedAndPartOfNoName) {
    const auto found =
        proxyTo(parseBaseUrl("https://git.example.org"),
                environment({{"https_proxy", "http://ada:hid%40den@proxy.example.org:3128"}}));

    ASSERT_TRUE(found);
    EXPECT_EQ(found->user, "ada");
    EXPECT_EQ(found->password.reveal(), "hid@den");
    EXPECT_EQ(found->authority, "proxy.example.org:3128");
}

TEST(ProxyTest, ThisMachineIsNeverBehindAProxy) {
    for (const auto* url : {"http://localhost", "http://127.0.0.1:8080", "http://[::1]"}) {
        EXPECT_EQ(proxy(url, {{"http_proxy", "proxy:1"}}), "") << url;
    }
}

TEST(ProxyTest, NoProxyListsWhatIsReachedDirectly) {
    const struct {
        const char* list;
        const char* url;
        bool direct;
    } cases[] = {
        {"*", "http://git.example.org", true},
        {"other.org, git.example.org", "http://git.example.org", true},
        {"GIT.Example.ORG", "http://git.example.org", true},
        {"example.org", "http://git.example.org", true},
        {".example.org", "http://git.example.org", true},
        {"*.example.org", "http://git.example.org", true},
        {".example.org", "http://example.org", false},
        {"example.org", "http://example.org", true},
        {"ample.org", "http://git.example.org", false},
        {"git.example.org.evil.org", "http://git.example.org", false},
        {"git.example.org:80", "http://git.example.org", true},
        {"git.example.org:81", "http://git.example.org", false},
        {"git.example.org:8080", "http://git.example.org:8080", true},
        {":80", "http://git.example.org", false},
        {",,", "http://git.example.org", false},
        {"192.0.2.1", "http://192.0.2.1", true},
        {"192.0.2.1:80", "http://192.0.2.1", true},
        {"192.0.2.1:81", "http://192.0.2.1", false},
        {"192.0.2.0/24", "http://192.0.2.77", true},
        {"192.0.2.0/24", "http://192.0.3.1", false},
        {"192.0.2.0/33", "http://192.0.2.1", false},
        {"0.0.0.0/0", "http://192.0.2.1", true},
        {"192.0.2.0/24", "http://git.example.org", false},
        {"2001:db8::/32", "http://[2001:db8::5]", true},
        {"2001:db8::5", "http://[2001:db8::5]", true},
        {"[2001:db8::5]:80", "http://[2001:db8::5]", true},
        {"2001:db8::6", "http://[2001:db8::5]", false},
        {"::/0", "http://192.0.2.1", false},
    };
    for (const auto& each : cases) {
        const Variables variables{{"http_proxy", "proxy:1"}, {"no_proxy", each.list}};
        EXPECT_EQ(proxy(each.url, variables), each.direct ? "" : "proxy:1")
            << each.list << " " << each.url;
    }
}

TEST(ProxyTest, ValueThatNamesNoProxyIsRefusedWithoutRepeatingIt) {
    for (const std::string value :
         {"http://", "socks5://ada:hidden@proxy:1", "https://ada:hidden@proxy:1",
          "http://ada:hidden@proxy:99999999"}) {
        try {
            proxy("http://git.example.org", {{"HTTP_PROXY", value}});
            ADD_FAILURE() << value << " was taken";
        } catch (const std::invalid_argument& fault) {
            EXPECT_THAT(fault.what(), AllOf(HasSubstr("environment variable HTTP_PROXY"),
                                            HasSubstr("write it"), Not(HasSubstr("hidden"))));
        }
    }
}

}  // namespace
}  // namespace gridbridge::http
