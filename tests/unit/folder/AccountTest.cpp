#include <gtest/gtest.h>

#include <algorithm>
#include <pwd.h>
#include <string>
#include <unistd.h>

#include "bridge/folder/Account.h"
#include "bridge/folder/Reach.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::folder {
namespace {

TEST(AccountTest, AnUnknownAccountIsAPermanentErrorThatNamesIt) {
    const auto account = findAccount("gb-no-such-account");

    ASSERT_FALSE(account.ok());
    EXPECT_EQ(account.error().kind, ErrorKind::Permanent);
    EXPECT_NE(account.error().message.find("gb-no-such-account"), std::string::npos);
}

TEST(AccountTest, NamesThatAreNoNamesAreRefused) {
    for (const char* name : {"../root", ".local", "-x", "a b", "a\nb", "a/b"}) {
        EXPECT_FALSE(findAccount(name).ok()) << name;
    }
}

TEST(AccountTest, TheServicesOwnAccountNeedsNoChange) {
    const auto account = findAccount("");
    const std::vector<std::string> argv{"/bin/true", "x y"};

    ASSERT_TRUE(account.ok());
    EXPECT_TRUE(account->own);
    EXPECT_EQ(account->uid, ::geteuid());
    EXPECT_EQ(argvAs(*account, argv), argv);
}

TEST(AccountTest, AnotherAccountIsReachedWithItsNumbersAndItsGroupsOrThroughSudo) {
    const passwd* other = ::getpwnam("daemon");
    ASSERT_NE(other, nullptr);
    const std::vector<std::string> argv{"/bin/true"};

    const auto account = findAccount("daemon");

    ASSERT_TRUE(account.ok());
    const auto words = argvAs(*account, argv);
    EXPECT_EQ(words.back(), "/bin/true");
    if (::geteuid() == 0) {
        EXPECT_EQ(wayTo(*account), Way::Setpriv);
        EXPECT_EQ(words.front(), "/usr/bin/setpriv");
        const auto uid = "--reuid=" + std::to_string(other->pw_uid);
        EXPECT_NE(std::find(words.begin(), words.end(), uid), words.end());
    } else {
        EXPECT_EQ(wayTo(*account), Way::Sudo);
        EXPECT_EQ(words, (std::vector<std::string>{"/usr/bin/sudo", "-n", "-u", "daemon", "--",
                                                   "/bin/true"}));
    }
}

TEST(AccountTest, TheEnvironmentIsThatOfTheAccountAlone) {
    const Account account{.name = "ci", .uid = 1000, .gid = 1000, .home = "/home/ci"};

    const auto environment = environmentOf(account);

    EXPECT_EQ(environment.size(), 5U);
    for (const char* entry : {"HOME=/home/ci", "USER=ci", "LOGNAME=ci", "LANG=C.UTF-8"}) {
        EXPECT_NE(std::find(environment.begin(), environment.end(), entry), environment.end());
    }
}

TEST(AccountTest, TheKernelSaysWhatAnAccountReaches) {
    const testing::TempDir temp;
    const auto closed = temp.path() / "closed";
    std::filesystem::create_directories(closed / "work");
    std::filesystem::permissions(temp.path(), std::filesystem::perms(0755));
    std::filesystem::permissions(closed, std::filesystem::perms(0700));
    const auto own = findAccount("");
    ASSERT_TRUE(own.ok());
    EXPECT_EQ(firstClosed(*own, closed / "work").value(), std::nullopt);
    EXPECT_TRUE(canRead(*own, closed).value());
    EXPECT_FALSE(canRead(*own, closed / "nothing").value());
    if (::geteuid() != 0) {
        return;
    }
    const auto other = findAccount("daemon");
    ASSERT_TRUE(other.ok());
    EXPECT_EQ(firstClosed(*other, closed / "work").value(), closed);
    EXPECT_EQ(firstClosed(*other, temp.path()).value(), std::nullopt);
    EXPECT_FALSE(canRead(*other, closed).value());
    EXPECT_TRUE(canRead(*other, temp.path()).value());
}

}  // namespace
}  // namespace gridbridge::folder
