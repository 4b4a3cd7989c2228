#include <gtest/gtest.h>

#include "backends/htcondor/HTCondorParse.h"
#include "backends/htcondor/HTCondorSpool.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;

std::string keyOf(int number) {
    return "gb-a1b2c3d4-" + std::to_string(number) + "-1";
}

/// Recorded from a real pool of that version.
class RecordedHTCondor : public ::testing::TestWithParam<const char*> {
protected:
    static std::string fixture(const std::string& command) {
        return testing::readFile(std::filesystem::path(HTCONDOR_FIXTURES) /
                                 (command + "-" + GetParam() + ".json"));
    }
    const HTCondorJob& job(int number) const {
        const auto inQueue = queue_.jobs.find(keyOf(number));
        return inQueue != queue_.jobs.end() ? inQueue->second : history_.jobs.at(keyOf(number));
    }
    Observation seen(int number) const { return observationOf(job(number)); }

    HTCondorListing queue_ = parseJobs(fixture("condor_q"), "condor_q");
    HTCondorListing history_ = parseJobs(fixture("condor_history"), "condor_history");
};

TEST_P(RecordedHTCondor, EveryJobIsRead) {
    EXPECT_EQ(queue_.trouble, "");
    EXPECT_EQ(history_.trouble, "");
    EXPECT_EQ(queue_.jobs.size(), 10U);
    EXPECT_GE(history_.jobs.size(), 6U);
    EXPECT_EQ(job(15).id, "15.0");
}

TEST_P(RecordedHTCondor, EndsAreToldWithExitCodeOrSignal) {
    EXPECT_EQ(seen(1).exitCode, 0);
    EXPECT_EQ(seen(2).exitCode, 3);
    EXPECT_EQ(seen(3).signal, 9);
    EXPECT_FALSE(seen(3).exitCode.has_value());
    EXPECT_EQ(seen(14).exitCode, 5);
    for (const int number : {1, 2, 3, 14}) {
        const auto end = seen(number);
        EXPECT_EQ(end.state, BatchState::Ended);
        EXPECT_EQ(end.cause, EndCause::Exited);
        EXPECT_EQ(end.node, "vm");
        ASSERT_TRUE(end.startedAt && end.endedAt);
        EXPECT_LE(*end.startedAt, *end.endedAt);
    }
}

TEST_P(RecordedHTCondor, WaitingJobsTellWhyAndHeldOnesThatTheyAre) {
    EXPECT_EQ(seen(5).state, BatchState::Pending);
    EXPECT_EQ(seen(5).reason, "no free machine fits it (no match found)");
    EXPECT_FALSE(seen(5).startedAt.has_value());
    EXPECT_EQ(seen(6).state, BatchState::Held);
    EXPECT_EQ(seen(6).reason, "submitted on hold at user's request");
    EXPECT_TRUE(isWaiting(job(5)) && isWaiting(job(6)));
}

TEST_P(RecordedHTCondor, AHoldOfAJobThatRanIsItsEnd) {
    EXPECT_EQ(seen(7).cause, EndCause::RemovedByOther);
    EXPECT_TRUE(seen(7).reason.starts_with("via condor_hold (by user "));
    EXPECT_EQ(seen(8).cause, EndCause::NodeFailure);
    EXPECT_NE(seen(8).reason.find("as standard output: Permission denied"), std::string::npos);
    EXPECT_EQ(seen(9).cause, EndCause::MemoryLimit);
    for (const int number : {7, 8, 9}) {
        EXPECT_EQ(seen(number).state, BatchState::Ended);
        EXPECT_FALSE(seen(number).exitCode || seen(number).signal) << "those are of its killing";
        EXPECT_TRUE(mustBeRemoved(job(number)));
    }
}

TEST_P(RecordedHTCondor, WhoEndedAJobIsTold) {
    EXPECT_EQ(seen(10).cause, EndCause::RemovedByUs);
    EXPECT_EQ(seen(11).cause, EndCause::RemovedByOther);
    EXPECT_TRUE(seen(11).reason.starts_with("via condor_rm (by user "));
    EXPECT_EQ(seen(12).cause, EndCause::Preempted);
    EXPECT_EQ(seen(13).cause, EndCause::WallTimeLimit);
    for (const int number : {10, 11, 12, 13}) {
        EXPECT_EQ(seen(number).state, BatchState::Ended);
        EXPECT_FALSE(seen(number).signal.has_value()) << "that is of its killing";
        EXPECT_FALSE(mustBeRemoved(job(number)));
    }
}

TEST_P(RecordedHTCondor, AJobWhoseNodeDoesNotAnswerAndOneThatIsBeingRemovedMayStillRun) {
    EXPECT_EQ(observationOf(queue_.jobs.at(keyOf(4))).state, BatchState::Running);
    EXPECT_EQ(observationOf(queue_.jobs.at(keyOf(4))).reason, "its node does not answer");
    EXPECT_EQ(observationOf(queue_.jobs.at(keyOf(15))).state, BatchState::Running);
    EXPECT_EQ(observationOf(history_.jobs.at(keyOf(15))).state, BatchState::Ended);
}

TEST_P(RecordedHTCondor, ACutAnswerListsNothing) {
    const auto whole = fixture("condor_q");
    for (const std::size_t size : {1U, 100U, 1000U}) {
        const auto listing = parseJobs(whole.substr(0, whole.size() - size - 1), "condor_q");
        EXPECT_TRUE(listing.jobs.empty());
        EXPECT_TRUE(listing.trouble.starts_with("cannot read what condor_q answered: \""));
    }
}

TEST_P(RecordedHTCondor, AWarningAnywhereListsNothing) {
    const auto whole = fixture("condor_q");
    for (const auto at :
         {std::size_t{0}, whole.find("\"ClusterId\""), whole.find("\n,") + 1, whole.size()}) {
        auto text = whole;
        text.insert(at, "Warnung: der Schedd wird um 12:00 angehalten\n");
        const auto listing = parseJobs(text, "condor_q");
        EXPECT_TRUE(listing.jobs.empty()) << at;
        EXPECT_FALSE(listing.trouble.empty()) << at;
    }
}

INSTANTIATE_TEST_SUITE_P(Versions, RecordedHTCondor, ::testing::Values("23.9", "25.14"),
                         [](const auto& p) {
                             return std::string(p.param).starts_with("23") ? "v23" : "v25";
                         });

HTCondorListing listingOf(const std::string& attributes) {
    return parseJobs(
        "[\n{\n\"GridbridgeKey\": \"gb-a-1-1\", \"ClusterId\": 7, \"ProcId\": 2, "
        "\"QDate\": 1795936931, \"EnteredCurrentStatus\": 1795936940, " +
            attributes + "\n}\n]\n",
        "condor_q");
}
Observation seenOf(const std::string& attributes) {
    const auto listing = listingOf(attributes);
    EXPECT_EQ(listing.trouble, "");
    return listing.jobs.empty() ? Observation{} : observationOf(listing.jobs.begin()->second);
}

TEST(HTCondorAnswer, NothingIsHowAnEmptyQueueIsTold) {
    for (const char* none : {"", "\n", "[\n]\n"}) {
        const auto listing = parseJobs(none, "condor_q");
        EXPECT_TRUE(listing.jobs.empty());
        EXPECT_EQ(listing.trouble, "");
    }
}

TEST(HTCondorAnswer, JobsOfOthersAreLeftOut) {
    const auto listing = parseJobs(
        "[{\"ClusterId\": 1, \"JobStatus\": 2},{\"GridbridgeKey\": \"Gb x\", \"JobStatus\": 2}]",
        "condor_q");

    EXPECT_TRUE(listing.jobs.empty());
    EXPECT_EQ(listing.trouble, "");
}

TEST(HTCondorAnswer, AnAttributeThatMakesNoSenseIsToldAndNoVerdict) {
    for (const char* bad :
         {"\"JobStatus\": \"2\"", "\"JobStatus\": null", "\"JobStatus\": 2.5",
          "\"JobStatus\": 4, \"CompletionDate\": 1795936940",
          "\"JobStatus\": 4, \"CompletionDate\": 1795936940, \"ExitBySignal\": true, "
          "\"ExitCode\": 0",
          "\"JobStatus\": 4, \"CompletionDate\": 1795936940, \"ExitCode\": \"\\/Expr(x)\\/\"",
          "\"JobStatus\": 99999999999", "\"JobStatus\": 2, \"JobStartDate\": 17959221495922147",
          "\"JobStatus\": 2, \"JobStartDate\": -1", "\"ProcId\": {}, \"JobStatus\": 2"}) {
        const auto listing = listingOf(bad);
        EXPECT_TRUE(listing.jobs.empty()) << bad;
        EXPECT_FALSE(listing.trouble.empty()) << bad;
    }
    EXPECT_EQ(listingOf("\"JobStatus\": \"2\"").trouble,
              "condor_q shows job gb-a-1-1 without a usable JobStatus");
}

TEST(HTCondorAnswer, AStatusFromNextYearIsNoVerdict) {
    const auto seen = seenOf("\"JobStatus\": 8");

    EXPECT_EQ(seen.state, BatchState::Unknown);
    EXPECT_EQ(seen.reason, "HTCondor gives the job the status 8");
}

TEST(HTCondorAnswer, HoldCodesOfJobsThatRan) {
    const auto held = [](int code, int subcode) {
        return seenOf("\"JobStatus\": 5, \"NumShadowStarts\": 1, \"HoldReasonCode\": " +
                      std::to_string(code) + ", \"HoldReasonSubCode\": " + std::to_string(subcode))
            .cause;
    };
    EXPECT_EQ(held(34, 102), EndCause::MemoryLimit);
    EXPECT_EQ(held(34, 104), EndCause::RemovedByOther);
    EXPECT_EQ(held(26, 0), EndCause::RemovedByOther);
    EXPECT_EQ(held(47, 0), EndCause::WallTimeLimit);
    EXPECT_EQ(held(6, 2), EndCause::NodeFailure);
    EXPECT_EQ(held(14, 2), EndCause::NodeFailure);
}

TEST(HTCondorAnswer, SpoolingIsWaitingAndAHeldJobThatIsBeingStoppedRuns) {
    EXPECT_EQ(seenOf("\"JobStatus\": 5, \"HoldReasonCode\": 16").state, BatchState::Pending);
    EXPECT_EQ(seenOf("\"JobStatus\": 5, \"HoldReasonCode\": 1, \"NumShadowStarts\": 1, "
                     "\"CurrentHosts\": 1")
                  .state,
              BatchState::Running);
    EXPECT_EQ(seenOf("\"JobStatus\": 7").reason, "suspended");
}

TEST(HTCondorAnswer, AnEndedJobTellsWhatItUsed) {
    const std::string end =
        "\"JobStatus\": 4, \"NumShadowStarts\": 1, \"CompletionDate\": 1795936939, "
        "\"ExitBySignal\": false, \"ExitCode\": 0";
    const auto used = seenOf(end +
                             ", \"RemoteWallClockTime\": 13.0, \"RemoteUserCpu\": 1.5, "
                             "\"RemoteSysCpu\": 0, \"ResidentSetSize_RAW\": 55772")
                          .usage;
    EXPECT_EQ(used.elapsed, std::chrono::seconds(13));
    EXPECT_EQ(used.cpu, std::chrono::milliseconds(1500));
    EXPECT_EQ(used.memory, 55772 * 1024);
    EXPECT_EQ(seenOf(end + ", \"RemoteUserCpu\": \"a lot\", \"RemoteSysCpu\": -1").usage, Usage{});
    EXPECT_EQ(seenOf(end + ", \"ResidentSetSize_RAW\": 3000000000").usage.memory, 3072000000000);
    EXPECT_EQ(seenOf(end + ", \"ResidentSetSize_RAW\": \"x\"").state, BatchState::Ended);
}

TEST(HTCondorAnswer, AnEndedJobThatSomebodyRemovedFromTheQueueHasEndedByItself) {
    const auto seen = seenOf(
        "\"JobStatus\": 3, \"NumShadowStarts\": 1, \"CompletionDate\": 1795936939, "
        "\"ExitBySignal\": false, \"ExitCode\": 4, \"RemoveReason\": \"via condor_rm\"");

    EXPECT_EQ(seen.cause, EndCause::Exited);
    EXPECT_EQ(seen.exitCode, 4);
    EXPECT_EQ(seen.endedAt, WallTime(1795936939s));
}

TEST(HTCondorAnswer, OfTwoJobsOfOneKeyTheOneThatMayRunCounts) {
    const std::string one =
        "{\"GridbridgeKey\": \"gb-a-1-1\", \"ClusterId\": 1, \"ProcId\": 0, \"QDate\": 10, "
        "\"EnteredCurrentStatus\": 10, \"JobStatus\": 2}";
    const std::string two =
        "{\"GridbridgeKey\": \"gb-a-1-1\", \"ClusterId\": 2, \"ProcId\": 0, \"QDate\": 20, "
        "\"EnteredCurrentStatus\": 20, \"JobStatus\": 3}";
    for (const auto& text : {"[" + one + "," + two + "]", "[" + two + "," + one + "]"}) {
        EXPECT_EQ(parseJobs(text, "condor_q").jobs.at("gb-a-1-1").id, "1.0");
    }
}

TEST(HTCondorSpool, AJobWhoseFilesWereNeverAllSentIsAsIfItHadNotBeen) {
    const std::string later =
        "{\"GridbridgeKey\": \"gb-a-1-1\", \"ClusterId\": 2, \"ProcId\": 0, \"QDate\": 20, "
        "\"EnteredCurrentStatus\": 20, \"JobStatus\": 4, \"CompletionDate\": 20, "
        "\"ExitBySignal\": false, \"ExitCode\": 0}";
    const std::string first =
        "{\"GridbridgeKey\": \"gb-a-1-1\", \"ClusterId\": 1, \"ProcId\": 0, \"QDate\": 20, "
        "\"EnteredCurrentStatus\": 20, \"JobStatus\": 3, \"RemoveReason\": "
        "\"gridbridge: its files were never all sent (by user ci)\"}";

    EXPECT_TRUE(parseJobs("[" + first + "]", "condor_history").jobs.empty());
    for (const auto& text : {"[" + first + "," + later + "]", "[" + later + "," + first + "]"}) {
        EXPECT_EQ(parseJobs(text, "condor_history").jobs.at("gb-a-1-1").id, "2.0");
    }
}

TEST(HTCondorId, NamesTheScheddUnlessItIsTheMachinesOwn) {
    EXPECT_EQ(remoteId("", "7.2").value, "7.2");
    EXPECT_EQ(remoteId("submit@example.org", "7.2").value, "submit@example.org#7.2");
    EXPECT_EQ(scheddOf({"submit@example.org#7.2"}), "submit@example.org");
    EXPECT_EQ(scheddOf({"7.2"}), "");
}

}  // namespace
}  // namespace gridbridge
