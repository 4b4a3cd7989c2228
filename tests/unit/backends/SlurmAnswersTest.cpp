#include <gtest/gtest.h>

#include "backends/slurm/SlurmParse.h"

namespace gridbridge {
namespace {

constexpr auto kAnsweredAt = WallTime(std::chrono::seconds(1795921136));

Result<Submission> answer(std::optional<int> exitCode, const std::string& out,
                          const std::string& err = "") {
    return parseSubmission({.exitCode = exitCode, .signal = {}, .out = out, .err = err},
                           kAnsweredAt);
}
Result<Submission> failed(const std::string& sentence, int exitCode = 1) {
    return answer(exitCode, "", "sbatch: error: " + sentence + "\n");
}

TEST(SlurmSubmission, AnIdAloneInTheLastLineIsAnAcceptance) {
    for (const char* out : {"73190\n", "73190;clusterB\n", "--> checking 12...OK\n73190\n"}) {
        const auto result = answer(0, out);
        ASSERT_TRUE(result.ok() && result->accepted) << out;
        EXPECT_EQ(result->accepted->id.value, "73190");
        EXPECT_EQ(result->accepted->submittedAt, kAnsweredAt);
    }
}

TEST(SlurmSubmission, AnythingElseIsNotTakenForOne) {
    for (const char* out : {"", "73190", "Submitted batch job 73190\n", "73190 queued\n", "-1\n",
                            "12345\nthank you\n", "0x12\n", "99999999999999999999999\n"}) {
        const auto result = answer(0, out);
        ASSERT_FALSE(result.ok()) << out;
        EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    }
}

TEST(SlurmSubmission, ARefusalIsToldInSlurmsOwnWords) {
    const auto result =
        answer(1, "",
               "sbatch: error: invalid partition specified: zork\nsbatch: error: Batch job "
               "submission failed: Invalid partition name specified\n");

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Permanent);
    EXPECT_EQ(result.error().message, "Slurm refuses the job: Invalid partition name specified");
    for (const char* sentence :
         {"Batch job submission failed: Invalid account or account/partition combination specified",
          "Batch job submission failed: Requested node configuration is not available",
          "Memory specification can not be satisfied",
          "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, "
          "user's size and/or time limits)"}) {
        EXPECT_EQ(failed(sentence).error().kind, ErrorKind::Permanent) << sentence;
    }
    EXPECT_EQ(failed("Invalid --time specification", 255).error().kind, ErrorKind::Permanent);
}

TEST(SlurmSubmission, AFullQueueWaits) {
    for (const char* sentence :
         {"AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates "
          "accounting/QOS policy (job submit limit, user's size and/or time limits)",
          "Slurm temporarily unable to accept job, sleeping and retrying",
          "Batch job submission failed: Resource temporarily unavailable",
          "Slurm job queue full, sleeping and retrying"}) {
        const auto result = failed(sentence);
        ASSERT_TRUE(result.ok() && result->full) << sentence;
        EXPECT_FALSE(result->full->why.empty());
    }
}

TEST(SlurmSubmission, OnlyWhereNothingWasSentItIsCertainlyNotAccepted) {
    for (const char* sentence :
         {"Batch job submission failed: Unable to contact slurm controller (connect failure)",
          "Munge encode failed: Failed to access \"/run/munge\": No such file or directory",
          "Batch job submission failed: Required partition not available (inactive or drain)"}) {
        EXPECT_EQ(failed(sentence).error().kind, ErrorKind::Transient) << sentence;
    }
}

TEST(SlurmSubmission, WhatMayHaveArrivedIsUncertain) {
    for (const char* sentence :
         {"Batch job submission failed: Socket timed out on send/recv operation",
          "Batch job submission failed: Zero Bytes were transmitted or received",
          "Batch job submission failed: Unspecified error",
          "Stapelauftrag fehlgeschlagen: Partition unbekannt", "a sentence from next year"}) {
        EXPECT_EQ(failed(sentence).error().kind, ErrorKind::Uncertain) << sentence;
    }
    EXPECT_EQ(answer({}, "").error().kind, ErrorKind::Uncertain);
}

TEST(SlurmHistoryAnswer, OnlyThatSentenceSaysThatThereIsNone) {
    EXPECT_TRUE(keepsNoHistory({1, {}, "", "Slurm accounting storage is disabled\n"}));
    EXPECT_FALSE(keepsNoHistory(
        {1, {}, "", "sacct: error: slurm_persist_conn_open_without_init: failed to open\n"}));
    EXPECT_FALSE(keepsNoHistory({0, {}, "", ""}));
}

TEST(SlurmCancelAnswer, AJobThatIsGoneNeedsNoCancel) {
    EXPECT_TRUE(foundNothingToCancel(
        {1, {}, "", "scancel: error: Kill job error on job id 1: Invalid job id specified\n"}));
    EXPECT_FALSE(foundNothingToCancel(
        {140, {}, "", "scancel: error: Kill job error on job id 1: Socket timed out\n"}));
}

TEST(SlurmOutput, OnlyTheNodesDaemonTellsThatAJobWasKilledForItsMemory) {
    EXPECT_TRUE(tellsOfMemory(
        "slurmstepd-n1: error: StepId=2.batch exceeded memory limit (301826048 > 209715200), being "
        "killed\nslurmstepd-n1: error: Exceeded job memory limit\n"));
    EXPECT_TRUE(tellsOfMemory("slurmstepd: error: Exceeded job memory limit"));
    EXPECT_FALSE(tellsOfMemory("my program: Exceeded job memory limit\n"));
    EXPECT_FALSE(tellsOfMemory("slurmstepd: error: *** JOB 2 ON n1 CANCELLED AT 12:00 ***\n"));
    EXPECT_FALSE(tellsOfMemory(""));
}

}  // namespace
}  // namespace gridbridge
