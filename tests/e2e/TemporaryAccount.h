#pragma once

#include <gtest/gtest.h>

#include <pwd.h>
#include <string>
#include <unistd.h>

#include "tests/e2e/Program.h"

namespace gridbridge::testing {

/// A system account without a home, for the life of this object; none of its processes may be left
/// at the end.
class TemporaryAccount {
public:
    explicit TemporaryAccount(const std::string& prefix)
        : name(prefix + std::to_string(::getpid())) {
        const auto made =
            runProgram({"/usr/sbin/useradd", "--system", "--no-create-home", "--home-dir",
                        "/nonexistent", "--shell", "/usr/sbin/nologin", name});
        EXPECT_EQ(made.exitCode, 0) << made.err;
        const auto* entry = ::getpwnam(name.c_str());
        uid = entry == nullptr ? 0 : entry->pw_uid;
        gid = entry == nullptr ? 0 : entry->pw_gid;
        EXPECT_NE(uid, 0U);
    }
    ~TemporaryAccount() {
        const auto removed = runProgram({"/usr/sbin/userdel", name});
        EXPECT_EQ(removed.exitCode, 0) << removed.err;
    }
    TemporaryAccount(const TemporaryAccount&) = delete;
    TemporaryAccount& operator=(const TemporaryAccount&) = delete;

    const std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
};

}  // namespace gridbridge::testing
