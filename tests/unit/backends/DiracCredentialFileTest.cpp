#include <unistd.h>

#include "tests/unit/backends/DiracTokensTest.h"

namespace gridbridge::testing {
namespace {

using ::testing::HasSubstr;

class DiracCredentialFileTest : public DiracTokensTest {
protected:
    void content(const std::string& text) {
        std::ofstream(file_) << text;
        ::chmod(file_.c_str(), 0600);
    }
};

TEST_F(DiracCredentialFileTest, AMissingOneNeedsALogin) {
    files_ = 0;
    expectLoginNeeded(access(), "does not exist");
    EXPECT_THAT(errors_.back(),
                HasSubstr("DIRACX_URL=https://dirac.example.org DIRACX_CREDENTIALS_PATH=" +
                          file_.string() + " dirac login"));
}

TEST_F(DiracCredentialFileTest, OneThatOthersMayReadIsNotUsed) {
    for (const ::mode_t mode : {0640U, 0604U, 0660U, 0601U}) {
        write(dirac_.login(), 1000);
        ::chmod(file_.c_str(), mode);
        expectError(access(), true, file_.string() + " is open to other accounts");
    }
    EXPECT_TRUE(dirac_.shown().empty());
}

TEST_F(DiracCredentialFileTest, OneOfAnotherAccountIsNotUsed) {
    std::filesystem::path foreign = "/etc/passwd";
    if (::geteuid() == 0) {
        write(dirac_.login(), 1000);
        ASSERT_EQ(::chown(file_.c_str(), 65534, 65534), 0);
        foreign = file_;
    } else {
        files_ = 0;
    }
    DiracTokens tokens(foreign, transport_, clock_);
    expectError(noted(tokens.access(ctx())), true,
                foreign.string() + " belongs to another account");
}

TEST_F(DiracCredentialFileTest, ALinkOrAFolderIsNotUsed) {
    files_ = 2;
    const auto target = folder_.path() / "target";
    writeCredential(target, dirac_.login(), now() + 1000);
    std::filesystem::create_symlink(target, file_);
    expectError(access(), true, file_.string() + " is a link");
    std::filesystem::remove(file_);
    std::filesystem::create_directory(file_);
    expectError(access(), true, file_.string() + " is not a regular file");
    std::filesystem::remove(file_);
    ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
    expectError(access(), true, file_.string() + " is not a regular file");
}

TEST_F(DiracCredentialFileTest, WhatIsNoCredentialNeedsALogin) {
    const std::string end = ", \"expires_on\": 99999999999}";
    for (const auto& text : std::vector<std::string>{
             "", "{", "[]", "null", "{}", "<html>secret</html>", std::string(1U << 20U, ' '),
             R"({"access_token": "secret", "refresh_token": null, "expires_on": 9999)",
             R"({"access_token": "secret"})", R"({"access_token": "secret", "expires_on": "soon"})",
             R"({"access_token": "secret", "expires_on": true})",
             R"({"access_token": "secret", "expires_on": -1})",
             R"({"access_token": "secret", "expires_on": 1e300})", R"({"access_token": 17)" + end,
             R"({"access_token": "")" + end, R"({"access_token": "secret\r\nX: y")" + end,
             R"({"access_token": "secret\u0000")" + end,
             R"({"access_token": ")" + std::string(20'000, 's') + '"' + end,
             std::string(100'000, '[')}) {
        SCOPED_TRACE(text.substr(0, 60));
        content(text);
        expectLoginNeeded(access(), "holds no access token and its end");
    }
}

TEST_F(DiracCredentialFileTest, TheEndMayBeAnyNumberAndOtherKeysAreLetBe) {
    for (const auto* end : {"99999999999", "99999999999.75", "9.9e10"}) {
        content(R"({"extra": {"a": [1]}, "access_token": "secret-first", "expires_on": )" +
                std::string(end) + "}");
        expectKept(access());
    }
}

TEST_F(DiracCredentialFileTest, ANewLoginIsSeenAtOnce) {
    write("secret-unknown", 0);
    expectLoginNeeded(access(), "refuses");
    writeCredential(file_, dirac_.login(), now() + 1000, "secret-second");
    EXPECT_EQ(access()->reveal(), "secret-second");
    pass(1000);
    expectGiven(access());
}

}  // namespace
}  // namespace gridbridge::testing
