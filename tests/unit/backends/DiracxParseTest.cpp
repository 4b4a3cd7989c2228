#include <gmock/gmock.h>

#include "backends/diracx/DiracxParse.h"

namespace gridbridge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// As releases 0.3.0 and 0.7.0 answer.
constexpr const char* kJobs =
    R"([{"JobID":1,"Site":"LCG.Lab.org","JobName":"gb-a-1-1","SubmissionTime":"2026-11-30T19:53:53.188550Z",)"
    R"("StartExecTime":"2026-11-30T19:53:53.650013Z","EndExecTime":null,"Status":"Running",)"
    R"("MinorStatus":"Application","ApplicationStatus":"Unknown","RescheduleCounter":2,"LoggingInfo":)"
    R"([{"Status":"Running","MinorStatus":"Application","ApplicationStatus":"Unknown",)"
    R"("StatusTime":"2026-11-30T19:53:53.674191Z","Source":"JobWrapper"}]}])";

TEST(DiracxParse, AJobWithItsHistory) {
    const auto jobs = parseDiracxJobs(kJobs);

    ASSERT_TRUE(jobs.has_value());
    ASSERT_EQ(jobs->size(), 1U);
    const auto& job = jobs->front();
    EXPECT_EQ(job.id, 1);
    EXPECT_EQ(job.name, "gb-a-1-1");
    EXPECT_EQ(job.status, "Running");
    EXPECT_EQ(job.reschedules, 2);
    EXPECT_EQ(diracxStamp(job.submittedAt), "2026-11-30T19:53:53.188+00:00");
    EXPECT_TRUE(job.startedAt.has_value());
    EXPECT_FALSE(job.endedAt.has_value());
    ASSERT_EQ(job.history.size(), 1U);
    EXPECT_EQ(job.history[0].source, "JobWrapper");
    EXPECT_EQ(diracxStamp(job.history[0].at), "2026-11-30T19:53:53.674+00:00");
}

TEST(DiracxParse, WhatMakesNoSenseIsNoList) {
    EXPECT_THAT(*parseDiracxJobs("[]"), IsEmpty());
    const std::string whole(kJobs);
    for (const std::string& body :
         {std::string(), std::string("null"), std::string("{}"), std::string("[1]"),
          std::string("Internal Server Error"), std::string(R"([{"JobID":1}])"),
          std::string(R"([{"JobID":"1","Status":"Done","SubmissionTime":"2026-11-30T19:53:53Z"}])"),
          std::string(R"([{"JobID":1,"Status":"Done","SubmissionTime":"yesterday"}])"),
          whole.substr(0, whole.size() / 2), std::string(10'000, '[')}) {
        EXPECT_FALSE(parseDiracxJobs(body).has_value()) << body.substr(0, 80);
    }
}

TEST(DiracxParse, ASubmissionHasAnIdForEachJob) {
    const std::string two = R"([{"JobID":4,"Status":"Received"},{"JobID":5,"Status":"Received"}])";
    EXPECT_THAT(*parseDiracxSubmission(two, 2), ElementsAre(4, 5));
    EXPECT_FALSE(parseDiracxSubmission(two, 3).has_value());
    EXPECT_FALSE(parseDiracxSubmission(R"([{"JobID":4},{"JobID":4}])", 2).has_value());
    EXPECT_FALSE(parseDiracxSubmission(R"([{"JobID":0}])", 1).has_value());
}

TEST(DiracxParse, OnlyAStateInTheAnswerProvesAChange) {
    const auto states = parseDiracxChange(
        R"({"success":{"7":{"Status":"Killed"},"8":{"Status":null},"x":{"Status":"Killed"}},)"
        R"("failed":{"9":{"detail":"Not found"}}})");
    ASSERT_TRUE(states.has_value());
    EXPECT_EQ(*states, (std::map<std::int64_t, std::string>{{7, "Killed"}}));
    EXPECT_FALSE(parseDiracxChange(R"({"detail":"Forbidden"})").has_value());
}

TEST(DiracxParse, BothReleasesSayThatThereIsNoOutput) {
    EXPECT_THAT(*parseDiracxOutputs("[null]"), IsEmpty());
    EXPECT_THAT(*parseDiracxOutputs("[]"), IsEmpty());
    EXPECT_THAT(*parseDiracxOutputs(R"(["/S3/a","/S3/b"])"), ElementsAre("/S3/a", "/S3/b"));
}

TEST(DiracxParse, WhoWeAreAndWhatAnErrorSays) {
    const auto identity = parseDiracxIdentity(
        R"({"dirac_group":"user","properties":["NormalUser"],"preferred_username":"bridge"})");
    ASSERT_TRUE(identity.has_value());
    EXPECT_EQ(identity->user, "bridge");
    EXPECT_TRUE(identity->maySubmit);
    EXPECT_FALSE(parseDiracxIdentity(R"({"properties":[]})").has_value());
    EXPECT_EQ(diracxDetail(R"({"detail":"JDL syntax error"})"), "JDL syntax error");
    EXPECT_EQ(diracxDetail("Internal Server Error"), "");
}

TEST(DiracxParse, Times) {
    EXPECT_EQ(diracxTime("1970-01-01T00:00:01.5Z"), WallTime(Millis(1500)));
    EXPECT_EQ(diracxTime("1970-01-01T00:00:01+00:00"), WallTime(Millis(1000)));
    EXPECT_FALSE(diracxTime("1970-01-01T00:00:01").has_value());
    EXPECT_FALSE(diracxTime("1970-01-01T00:00:01+01:00").has_value());
    EXPECT_EQ(httpDate("Thu, 01 Jan 1970 00:00:02 GMT"), WallTime(Millis(2000)));
    EXPECT_FALSE(httpDate("now").has_value());
}

}  // namespace
}  // namespace gridbridge
