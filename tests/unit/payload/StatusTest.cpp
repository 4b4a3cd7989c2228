#include <gtest/gtest.h>

#include "bridge/payload/JobScript.h"

namespace gridbridge::payload {
namespace {

const std::string kGood =
    "version=1\nnonce=n-1\noutcome=failed\nwhy=\nstage=step_script\nexit_code=3\n"
    "host=node-7.example.org\noutput.artifact.0.tar.gz=1234\nlog_bytes=99\nended_at=1700000000\n";

std::string with(const std::string& line, const std::string& instead) {
    auto text = kGood;
    const auto at = text.find(line);
    EXPECT_NE(at, std::string::npos) << line;
    return text.replace(at, line.size(), instead);
}

bool accepted(const std::string& text) {
    return parseStatus(text, "n-1").ok();
}

TEST(StatusTest, EveryFieldIsRead) {
    const auto status = parseStatus(kGood, "n-1");

    ASSERT_TRUE(status);
    EXPECT_EQ(status->outcome, "failed");
    EXPECT_EQ(status->why, "");
    EXPECT_EQ(status->stage, "step_script");
    EXPECT_EQ(status->exitCode, 3);
    EXPECT_EQ(status->host, "node-7.example.org");
    EXPECT_EQ(status->logBytes, 99);
    ASSERT_EQ(status->outputs.size(), 1U);
    EXPECT_EQ(status->outputs[0].first, "artifact.0.tar.gz");
    EXPECT_EQ(status->outputs[0].second, 1234);
    EXPECT_EQ(status->endedAt, WallTime(std::chrono::seconds(1700000000)));
}

TEST(StatusTest, AnotherAttemptsFileIsRefused) {
    EXPECT_FALSE(parseStatus(kGood, "n-2"));
    EXPECT_FALSE(parseStatus(kGood, ""));
}

TEST(StatusTest, EveryKeyIsNeededOnce) {
    for (std::size_t at = 0; at < kGood.size();) {
        const auto end = kGood.find('\n', at) + 1;
        const auto line = kGood.substr(at, end - at);
        if (!line.starts_with("output.")) {
            EXPECT_FALSE(accepted(with(line, ""))) << line;
        }
        EXPECT_FALSE(accepted(with(line, line + line))) << line;
        at = end;
    }
}

TEST(StatusTest, UnknownKeysAndLinesWithoutOneAreRefused) {
    EXPECT_FALSE(accepted(kGood + "more=1\n"));
    EXPECT_FALSE(accepted(kGood + "\n"));
    EXPECT_FALSE(accepted(kGood + "text\n"));
    EXPECT_FALSE(accepted(kGood + "output.=1\n"));
    EXPECT_FALSE(accepted(kGood + "output.a/b=1\n"));
    EXPECT_FALSE(accepted(kGood.substr(0, kGood.size() - 1)));
    EXPECT_FALSE(accepted(""));
}

TEST(StatusTest, ValuesOutsideTheirRangeAreRefused) {
    EXPECT_FALSE(accepted(with("version=1", "version=2")));
    EXPECT_FALSE(accepted(with("outcome=failed", "outcome=lost")));
    EXPECT_FALSE(accepted(with("why=", "why=because")));
    EXPECT_FALSE(accepted(with("stage=step_script", "stage=")));
    EXPECT_FALSE(accepted(with("stage=step_script", "stage=a b")));
    EXPECT_FALSE(accepted(with("host=node-7.example.org", "host=\033[31m")));
    for (const auto* code :
         {"0", "256", "-1", "+3", "03", "3 ", "3x", "99999999999999999999", ""}) {
        EXPECT_FALSE(accepted(with("exit_code=3", std::string("exit_code=") + code))) << code;
    }
    EXPECT_FALSE(accepted(with("log_bytes=99", "log_bytes=-1")));
    EXPECT_FALSE(accepted(with("log_bytes=99", "log_bytes=9223372036854775807")));
    EXPECT_FALSE(accepted(with("ended_at=1700000000", "ended_at=999999999999")));
}

TEST(StatusTest, OnlyAFailedScriptHasAnExitCode) {
    EXPECT_TRUE(accepted(with("outcome=failed\nwhy=\nstage=step_script\nexit_code=3",
                              "outcome=success\nwhy=\nstage=step_script\nexit_code=")));
    EXPECT_FALSE(accepted(with("outcome=failed", "outcome=success")));
}

TEST(StatusTest, FourKiBAreTheLimit) {
    auto text = kGood;
    for (int i = 1; text.size() < 4050; ++i) {
        text += "output.f" + std::to_string(i) + "=1\n";
    }
    EXPECT_TRUE(accepted(text));
    while (text.size() <= 4096) {
        text += "output.g" + std::to_string(text.size()) + "=1\n";
    }
    EXPECT_FALSE(accepted(text));
    EXPECT_FALSE(accepted(std::string(1 << 20, 'x')));
}

}  // namespace
}  // namespace gridbridge::payload
