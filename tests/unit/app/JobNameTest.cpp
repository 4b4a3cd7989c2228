#include <gtest/gtest.h>

#include "bridge/app/JobName.h"

namespace gridbridge::app {
namespace {

store::JobRecord record(std::int64_t row, const std::string& runner) {
    store::JobRecord job;
    job.row = JobRow{row};
    job.runner = runner;
    job.gitlabId = 7;
    return job;
}

TEST(JobName, IsAnIdOrARunnerAndAnId) {
    EXPECT_EQ(parseJobName("4711")->id, 4711);
    EXPECT_EQ(parseJobName("4711")->runner, "");
    EXPECT_EQ(parseJobName("pool/4711")->id, 4711);
    EXPECT_EQ(parseJobName("pool/4711")->runner, "pool");
    for (const char* wrong :
         {"", "x", "0", "-1", "+1", "1x", " 1", "/1", "pool/", "1/pool", "99999999999999999999"}) {
        EXPECT_FALSE(parseJobName(wrong).has_value()) << wrong;
    }
}

TEST(JobName, CanBeTheKey) {
    EXPECT_EQ(parseJobName("gb-abcd1234-17")->key, "gb-abcd1234-17");
    EXPECT_EQ(parseJobName("gb-abcd1234-17")->row, JobRow{17});
    for (const char* wrong : {"gb-abcd1234", "gb-abcd1234-", "gb-abcd1234-x", "gb-abcd1234-17-1",
                              "gb-abcd1234-0", "gb-abc-17"}) {
        EXPECT_FALSE(parseJobName(wrong).has_value()) << wrong;
    }
}

TEST(JobName, ChoosesTheOneThatIsMeant) {
    EXPECT_EQ(chooseJob({"", 7}, {record(1, "a")})->row, JobRow{1});
    EXPECT_EQ(chooseJob({"b", 7}, {record(1, "a"), record(2, "b")})->row, JobRow{2});
    EXPECT_EQ(chooseJob({"", 7}, {record(1, "a"), record(3, "a"), record(2, "a")})->row, JobRow{3});
}

TEST(JobName, AsksForTheRunnerWhereTwoServersShareTheId) {
    const auto chosen = chooseJob({"", 7}, {record(1, "a"), record(2, "b")});
    ASSERT_FALSE(chosen.ok());
    EXPECT_EQ(chosen.error().message, "several servers have a job 7; name b/7 or a/7");
}

TEST(JobName, SaysWhereJobsAreListedWhenThereIsNone) {
    EXPECT_EQ(chooseJob({"", 7}, {}).error().message,
              "there is no job 7; gridbridge jobs --all lists them");
    EXPECT_EQ(chooseJob({"b", 7}, {record(1, "a")}).error().message,
              "there is no job b/7; gridbridge jobs --all lists them");
}

}  // namespace
}  // namespace gridbridge::app
