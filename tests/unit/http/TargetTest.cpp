#include <gtest/gtest.h>

#include "bridge/http/Target.h"

namespace gridbridge::http {
namespace {

TEST(TargetTest, AddressIsCutAsItIsWritten) {
    struct Case {
        const char* location;
        const char* server;
        const char* path;
    };
    const Case cases[] = {
        {"https://S3.example.org/b/a%2Fb.zip?X-Sig=a+b%2B/c=", "https://s3.example.org",
         "/b/a%2Fb.zip?X-Sig=a+b%2B/c="},
        {"HTTPS://s3.example.org:443/x", "https://s3.example.org", "/x"},
        {"http://10.0.0.1:9000?sig=1", "http://10.0.0.1:9000", "/?sig=1"},
        {"http://[::1]:9000", "http://[::1]:9000", "/"},
        {"https://s3.example.org/ci?x#part", "https://s3.example.org", "/ci?x"},
        {"//s3.example.org/x", "https://s3.example.org", "/x"},
        {"/other?a=//b", "https://git.example.org:8443", "/other?a=//b"},
    };
    const auto from = parseBaseUrl("https://git.example.org:8443/gitlab");
    for (const auto& each : cases) {
        const auto target = targetOf(each.location, from);
        ASSERT_TRUE(target.ok()) << each.location << ": " << target.error().message;
        EXPECT_EQ(target->server.text, each.server) << each.location;
        EXPECT_EQ(target->path, each.path) << each.location;
    }
}

TEST(TargetTest, AddressThatCannotBeFollowedIsRefusedWithoutRepeatingItsSecrets) {
    for (const std::string location :
         {"", "#hidden", "file:///etc/hidden", "ftp://h/hidden", "gopher:hidden", "hidden/x",
          "?hidden", "https://", "https:///hidden", "https://user:hidden@h/x",
          "https://h:99999999/hidden", "https://h:0x50/hidden", "https://h\\@hidden/x",
          "https://[h/hidden", "//hidden@h/x", "https://h%2ehidden/"}) {
        const auto target = targetOf(location, parseBaseUrl("https://git.example.org"));
        ASSERT_FALSE(target.ok()) << location << " leads to " << target->server.text;
        EXPECT_EQ(target.error().kind, ErrorKind::Permanent);
        EXPECT_EQ(target.error().message.find("hidden"), std::string::npos) << location;
    }
}

TEST(TargetTest, OnlyHttpLeadsToHttp) {
    const auto plain = parseBaseUrl("http://a");
    const auto secure = parseBaseUrl("https://a");
    EXPECT_TRUE(keepsTls(plain, plain) && keepsTls(plain, secure) && keepsTls(secure, secure));
    EXPECT_FALSE(keepsTls(secure, plain));
}

}  // namespace
}  // namespace gridbridge::http
