#include <gmock/gmock.h>

#include "backends/arc/ArcStates.h"

namespace gridbridge {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ArcStates, WhatAListCallsRunningMayWaitBehindArc) {
    EXPECT_EQ(arcObservation("RUNNING", false, "QUEUING").state, BatchState::Pending);
    EXPECT_EQ(arcObservation("RUNNING", false, "ACCEPTED").state, BatchState::Pending);
    EXPECT_EQ(arcObservation("RUNNING", false, "HELD").state, BatchState::Held);
    EXPECT_EQ(arcObservation("RUNNING", false, "RUNNING").state, BatchState::Running);
    EXPECT_FALSE(arcObservation("RUNNING", false, "RUNNING").started);
    EXPECT_EQ(arcObservation("RUNNING", true, "QUEUING").state, BatchState::Running);
    EXPECT_TRUE(arcObservation("RUNNING", true, "QUEUING").started);
}

TEST(ArcStates, EachThatWaitsSaysWhyAndOneThatIsNotKnownIsNoEnd) {
    for (const char* state : {"ACCEPTING", "ACCEPTED", "PREPARING", "PREPARED", "SUBMITTING",
                              "QUEUING", "RUNNING", "KILLING", "DREAMING"}) {
        const auto seen = arcObservation(state, false, "");
        EXPECT_EQ(seen.state, BatchState::Pending) << state;
        EXPECT_THAT(seen.reason, HasSubstr(state));
        EXPECT_FALSE(isArcFinal(state)) << state;
    }
    for (const char* state : {"FINISHED", "FAILED", "KILLED"}) {
        EXPECT_TRUE(isArcFinal(state)) << state;
    }
    EXPECT_TRUE(isArcGone("WIPED"));
    EXPECT_TRUE(isArcInside("DREAMING"));  // It may have started.
}

ArcPast pastWith(const std::string& failed, const std::string& local = "",
                 const std::string& diagnosis = "") {
    return {
        .local = parseArcFields(local), .diagnosis = parseArcFields(diagnosis), .failed = failed};
}

TEST(ArcStates, ThatWentWell) {
    const auto seen = arcEnd(
        "FINISHED", pastWith("", "jobname=x",
                             "nodename=vm\nWallTime=2.04s\nKernelTime=0.25s\nUserTime=1.00s\n"
                             "MaxResidentMemory=2460kB\nLRMSStartTime=20261201003129Z\n"
                             "LRMSEndTime=20261201003131Z\nwalltime=2\nexitcode=0"));

    EXPECT_EQ(seen.state, BatchState::Ended);
    EXPECT_EQ(seen.cause, EndCause::Exited);
    EXPECT_EQ(seen.exitCode, 0);
    EXPECT_TRUE(seen.started);
    EXPECT_EQ(seen.node, "vm");
    EXPECT_EQ(*seen.endedAt - *seen.startedAt, std::chrono::seconds(2));
    EXPECT_EQ(seen.usage.elapsed, Millis(2000));
    EXPECT_EQ(seen.usage.cpu, Millis(1250));
    EXPECT_EQ(seen.usage.memory, 2460 * 1024);
}

struct Failure {
    const char* failed;
    EndCause cause;
    std::optional<int> exitCode;
    std::optional<int> signal;
};

TEST(ArcStates, EachFailureHasItsCause) {
    using enum EndCause;
    for (const auto& [failed, cause, exitCode, signal] : {
             Failure{"LRMS error: (3) Job finished with wrong exit code - 3 != 0", Exited, 3, {}},
             Failure{
                 "LRMS error: (137) Job finished with wrong exit code - 137 != 0", Exited, {}, 9},
             Failure{"LRMS error: (271) Job failed", Exited, {}, 15},
             Failure{"LRMS error: (-1) Job timeout", WallTimeLimit, {}, {}},
             Failure{"LRMS error: (271) job killed: wall clock limit", WallTimeLimit, {}, {}},
             Failure{"LRMS error: (-1) Node fail", NodeFailure, {}, {}},
             Failure{"LRMS error: (-1) Job died unexpectedly", NodeFailure, {}, {}},
             Failure{"Job submission to LRMS failed", NodeFailure, {}, {}},
             Failure{"LRMS error: (-1) Out Of Memory", MemoryLimit, {}, {}},
             Failure{"LRMS error: (-1) killed by OOM-killer", MemoryLimit, {}, {}},
             Failure{"LRMS error: (3) no room for timeouts", Exited, 3, {}},
             Failure{"no room: timeout", Unknown, {}, {}},
             Failure{"Something else", Unknown, {}, {}},
             Failure{"", Unknown, {}, {}},
         }) {
        const auto seen = arcEnd("FAILED", pastWith(failed, "failedstate=INLRMS"));
        EXPECT_EQ(seen.cause, cause) << failed;
        EXPECT_EQ(seen.exitCode, exitCode) << failed;
        EXPECT_EQ(seen.signal, signal) << failed;
        EXPECT_EQ(seen.reason, cause == Exited ? "" : failed);
    }
}

TEST(ArcStates, OfAFailureTheBatchSystemsCodeCounts) {
    const auto seen = arcEnd("FAILED", pastWith("LRMS error: (3) Job finished with wrong exit code",
                                                "failedstate=INLRMS", "exitcode=0"));

    EXPECT_EQ(seen.exitCode, 3);
}

TEST(ArcStates, WhoseAnEndIsTheMarkOfOursTells) {
    auto past = pastWith("Job is canceled by external request",
                         "failedstate=PREPARING\nfailedcause=client");
    EXPECT_EQ(arcEnd("FAILED", past).cause, EndCause::RemovedByOther);
    EXPECT_FALSE(arcEnd("FAILED", past).started);
    EXPECT_TRUE(wasArcKilledEarly(past));
    past.removed = true;
    EXPECT_EQ(arcEnd("FAILED", past).cause, EndCause::RemovedByUs);
    EXPECT_EQ(arcEnd("KILLED", past).cause, EndCause::RemovedByUs);

    // Its own program was faster than ARC.
    auto ended = pastWith("LRMS error: (137) Job finished with wrong exit code - 137 != 0",
                          "failedstate=INLRMS\nfailedcause=internal");
    ended.removed = true;
    EXPECT_EQ(arcEnd("FAILED", ended).cause, EndCause::RemovedByUs);
    EXPECT_TRUE(arcEnd("FAILED", ended).started);
    EXPECT_FALSE(wasArcKilledEarly(ended));
}

TEST(ArcStates, WhetherOneStartedThatLeftNothing) {
    EXPECT_FALSE(
        arcEnd("FAILED", pastWith("Job submission to LRMS failed", "failedstate=SUBMIT")).started);
    EXPECT_TRUE(
        arcEnd("FAILED", pastWith("LRMS error: (-1) Node fail", "failedstate=INLRMS")).started);
}

}  // namespace
}  // namespace gridbridge
