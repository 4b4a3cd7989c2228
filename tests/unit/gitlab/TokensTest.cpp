#include <gtest/gtest.h>

#include "bridge/gitlab/Crc32.h"
#include "bridge/gitlab/RunnerApi.h"

namespace gridbridge::gitlab {
namespace {

TEST(ReasonTest, ReasonThatTheServerListsIsSent) {
    EXPECT_EQ(reportableReason("runner_interrupted", {"runner_interrupted"}), "runner_interrupted");
    EXPECT_EQ(reportableReason("runner_configuration_error", {"x", "runner_configuration_error"}),
              "runner_configuration_error");
}

TEST(ReasonTest, ReasonThatIsNotListedBecomesTheNearestLegalOne) {
    const std::pair<const char*, const char*> cases[] = {
        {"", "script_failure"},
        {"script_failure", "script_failure"},
        {"runner_system_failure", "runner_system_failure"},
        {"job_execution_timeout", "job_execution_timeout"},
        {"image_pull_failure", "runner_system_failure"},
        {"runner_configuration_error", "script_failure"},
        {"runner_external_dependency_failure", "runner_system_failure"},
        {"runner_interrupted", "runner_system_failure"},
        {"unknown_failure", "unknown_failure"},
        {"job_canceled", "unknown_failure"},
    };
    for (const auto& [wanted, sent] : cases) {
        EXPECT_EQ(reportableReason(wanted, {}), sent) << wanted;
    }
}

TEST(TokenLifetimeTest, IsFromIssueToExpiry) {
    // {"alg":"RS256"} and {"iat":1767221700,"exp":1767225600,"sub":"job?~"}: the last has both
    // characters of base64url that base64 writes differently.
    const Secret token(
        "glcbt-eyJhbGciOiJSUzI1NiJ9."
        "eyJpYXQiOjE3NjcyMjE3MDAsImV4cCI6MTc2NzIyNTYwMCwic3ViIjoiam9iP34ifQ.sig");

    EXPECT_EQ(tokenLifetime(token), std::chrono::seconds(3900));
}

TEST(TokenLifetimeTest, OpaqueOrBrokenTokenHasNone) {
    for (const std::string token :
         {"", "glcbt-64_Xy12fake", "glcbt-eyJ", "glcbt-eyJhbGciOiJSUzI1NiJ9.e30.sig",
          "glcbt-eyJhbGciOiJSUzI1NiJ9.!!!!.sig", "eyJhbGciOiJSUzI1NiJ9.bm90IGpzb24.sig",
          "glcbt-eyJhbGciOiJSUzI1NiJ9.eyJleHAiOi0xfQ.s", "a.b.c",
          // Without `iat`, without a life, for thousands of years.
          "glcbt-eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3NjcyMjU2MDB9.s",
          "glcbt-eyJhbGciOiJSUzI1NiJ9.eyJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyNTYwMH0.s",
          "glcbt-eyJhbGciOiJSUzI1NiJ9.eyJpYXQiOjEsImV4cCI6OTk5OTk5OTk5OTk5fQ.s"}) {
        EXPECT_FALSE(tokenLifetime(Secret(token)).has_value()) << token;
    }
}

TEST(ShortTokenTest, PrefixesAreNotShown) {
    const std::pair<const char*, const char*> cases[] = {
        {"glrt-ABCDEFGHIJKL", "ABCDEFGHI"},
        {"glrt-t1_ABCDEFGHIJKL", "ABCDEFGHI"},
        {"glrt-t3_ABCDEFGHIJKL", "ABCDEFGHI"},
        {"t2_ABCDEFGHIJKL", "ABCDEFGHI"},
        {"glrtr-ABCDEFGHIJKL", "ABCDEFGHI"},
        {"glcbt-ABCDEFGHIJKL", "ABCDEFGHI"},
        {"GR1348941ABCDEFGHIJKL", "ABCDEFGHI"},
        {"GRABCDEFGHIJKL", "GRABCDEFG"},
        {"ABCDEFGHIJKL", "ABCDEFGHI"},
        {"abc", "abc"},
        {"", ""},
    };
    for (const auto& [token, shown] : cases) {
        EXPECT_EQ(shortToken(Secret(token)), shown) << token;
    }
}

TEST(Crc32Test, ChecksumIsZlibsAndDoesNotDependOnTheCuts) {
    const std::string text = "123456789";
    EXPECT_EQ(crc32(0, text), 0xcbf43926U);  // The check value of CRC-32/ISO-HDLC.
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        EXPECT_EQ(crc32(crc32(0, text.substr(0, cut)), text.substr(cut)), 0xcbf43926U);
    }
    EXPECT_EQ(crc32(0xcbf43926U, std::string_view()), 0xcbf43926U);
}

}  // namespace
}  // namespace gridbridge::gitlab
