// What condor_submit and condor_rm say; sentences recorded from 23.9.6 and 25.14.1.
#include <gtest/gtest.h>

#include "backends/htcondor/HTCondorParse.h"

namespace gridbridge {
namespace {

constexpr auto kSubmittedAt = WallTime(std::chrono::seconds(1795921136));

std::vector<Result<Submission>> answer(std::optional<int> exitCode, const std::string& out,
                                       const std::string& err = "", std::size_t count = 3) {
    return parseSubmission({.exitCode = exitCode, .signal = {}, .out = out, .err = err}, "", count,
                           kSubmittedAt);
}
Result<Submission> failed(const std::string& err) {
    const auto all = answer(1, "", err);
    EXPECT_EQ(all.size(), 3U);
    return all.at(0);
}

TEST(HTCondorSubmission, AClusterOfThatManyJobsIsAnAcceptanceOfEach) {
    const auto all = answer(0, "61.0 - 61.2\n", "WARNING: the line 'x = 1' was unused\n");

    ASSERT_EQ(all.size(), 3U);
    for (std::size_t i = 0; i < all.size(); ++i) {
        ASSERT_TRUE(all[i].ok() && all[i]->accepted);
        EXPECT_EQ(all[i]->accepted->id.value, "61." + std::to_string(i));
        EXPECT_EQ(all[i]->accepted->submittedAt, kSubmittedAt);
    }
    EXPECT_TRUE(answer(0, "7.0 - 7.0\n", "", 1).at(0).ok());
}

TEST(HTCondorSubmission, AnythingElseIsNotTakenForOne) {
    for (const char* out :
         {"", "61.0 - 61.2", "61.0 - 61.1\n", "61.0 - 62.2\n", "61.1 - 61.3\n", ".0 - .2\n",
          "3 job(s) submitted to cluster 61.\n", "61.0 - 61.2\nthank you\n", "-1.0 - -1.2\n"}) {
        const auto result = answer(0, out).at(0);
        ASSERT_FALSE(result.ok()) << out;
        EXPECT_EQ(result.error().kind, ErrorKind::Uncertain) << out;
    }
}

TEST(HTCondorSubmission, ARefusalIsToldInHTCondorsOwnWords) {
    const auto result = failed(
        "\nERROR: Failed to commit job submission into the queue.\nERROR: jobs need a group\n");

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Permanent);
    EXPECT_EQ(result.error().message,
              "HTCondor refuses the job: Failed to commit job submission into the queue.; jobs "
              "need a group");
    for (const char* err : {"ERROR: Invalid accounting_group: a b!\n",
                            "ERROR: Parse error in expression: \n\tRequestMemory = 6 banana\n\t\n",
                            "ERROR: max_retries=banana is invalid, must eval to an integer.\n"}) {
        EXPECT_EQ(failed(err).error().kind, ErrorKind::Permanent) << err;
    }
}

TEST(HTCondorSubmission, AFullQueueWaits) {
    const auto result = failed(
        "\nERROR: Failed to create proc\nNumber of submitted jobs would exceed "
        "MAX_JOBS_PER_OWNER\n");

    ASSERT_TRUE(result.ok() && result->full);
    EXPECT_NE(result->full->why.find("MAX_JOBS_PER_OWNER"), std::string::npos);
}

TEST(HTCondorSubmission, OnlyWhereNothingWasSentItIsCertainlyNotAccepted) {
    for (const char* err :
         {"\nERROR: Failed to connect to local queue manager\nSECMAN:2011:Connection closed during "
          "command authorization. Probably due to an unknown command.\n",
          "\nERROR: Can't find address of local schedd\n",
          "\nERROR: Can't find address of schedd x@y\n", "condor_submit: unknown host x\n"}) {
        EXPECT_EQ(failed(err).error().kind, ErrorKind::Transient) << err;
    }
}

TEST(HTCondorSubmission, WhatMayHaveArrivedIsUncertain) {
    for (const char* err :
         {"", "Killed\n",
          "\nERROR: Failed submission for job 317.-1 - aborting entire submit\n\nERROR: Failed to "
          "queue job.\n",
          "\nERROR: Failed to commit job submission into the queue.\n"}) {
        EXPECT_EQ(failed(err).error().kind, ErrorKind::Uncertain) << err;
    }
    EXPECT_EQ(answer({}, "61.0 - 61.2\n").at(0).error().kind, ErrorKind::Uncertain);
}

TEST(HTCondorRemoval, AJobThatIsGoneNeedsNone) {
    const std::string none =
        "Couldn't find/remove all jobs matching constraint (member(GridbridgeKey, {\"gb-9\"}))\n";
    EXPECT_TRUE(foundNothingToRemove({1, {}, "", "\n" + none}));
    EXPECT_TRUE(foundNothingToRemove({1, {}, none, ""}));
    // So it ends also where nobody was asked.
    EXPECT_FALSE(
        foundNothingToRemove({1, {}, "", "SECMAN:2007:Failed to end classad message.\n" + none}));
    EXPECT_FALSE(foundNothingToRemove({{}, 9, "", none}));
}

TEST(HTCondorComplaint, IsOneLineWithoutAdvice) {
    EXPECT_EQ(complaintOf({1,
                           {},
                           "",
                           "WARNING: old configuration\nError: Couldn't contact the "
                           "condor_collector on 127.0.0.1:9618.\n\nExtra Info: the "
                           "condor_collector is a process\n that runs\n"}),
              "Couldn't contact the condor_collector on 127.0.0.1:9618.");
}

}  // namespace
}  // namespace gridbridge
