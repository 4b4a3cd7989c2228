#include <gtest/gtest.h>

#include "backends/slurm/SlurmParse.h"
#include "backends/slurm/SlurmReasons.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;

std::string fixture(const std::string& name) {
    return testing::readFile(std::filesystem::path(SLURM_FIXTURES) / name);
}

std::string nameOf(int number) {
    return "gb-a1b2c3d4-" + std::to_string(number) + "-1";
}

Observation seen(const SlurmListing& listing, int number, bool started = true,
                 bool removed = false) {
    const auto job = listing.jobs.find(nameOf(number));
    EXPECT_NE(job, listing.jobs.end()) << number;
    return job == listing.jobs.end() ? Observation{} : observationOf(job->second, started, removed);
}

/// Recorded from Slurm 22.05.8.
class Queue2205 : public ::testing::Test {
protected:
    SlurmListing listing_ = parseQueue(fixture("squeue-22.05.txt"));
};

TEST_F(Queue2205, EveryLineIsReadAndOthersJobsAreLeftOut) {
    EXPECT_EQ(listing_.trouble, "");
    EXPECT_EQ(listing_.jobs.size(), 11U);
}

TEST_F(Queue2205, EndsAreToldWithExitCodeOrSignal) {
    EXPECT_EQ(seen(listing_, 1).exitCode, 0);
    EXPECT_EQ(seen(listing_, 2).exitCode, 200);
    EXPECT_EQ(seen(listing_, 3).exitCode, 3);
    EXPECT_EQ(seen(listing_, 9).signal, 9);
    for (const int number : {1, 2, 3, 9}) {
        const auto end = seen(listing_, number);
        EXPECT_EQ(end.state, BatchState::Ended);
        EXPECT_EQ(end.cause, EndCause::Exited);
        EXPECT_EQ(end.startedAt, WallTime(1795922142s));
        EXPECT_TRUE(end.endedAt.has_value());
        EXPECT_EQ(end.node, number == 9 ? "n2" : "n1");
    }
}

TEST_F(Queue2205, AnEndThatWeAskedForIsOurs) {
    EXPECT_EQ(seen(listing_, 6, true, true).cause, EndCause::RemovedByUs);
    EXPECT_EQ(seen(listing_, 6, true, false).cause, EndCause::RemovedByOther);
    EXPECT_FALSE(seen(listing_, 7, false, true).startedAt.has_value());
}

TEST_F(Queue2205, WaitingJobsTellWhyAndHeldOnesThatTheyAre) {
    EXPECT_EQ(seen(listing_, 5).state, BatchState::Pending);
    EXPECT_EQ(seen(listing_, 5).reason,
              "it asks for more than its partition allows or has (PartitionConfig)");
    EXPECT_EQ(seen(listing_, 4).state, BatchState::Held);
    EXPECT_EQ(seen(listing_, 4).reason,
              "somebody holds it with its account's rights (JobHeldUser)");
    EXPECT_FALSE(seen(listing_, 4).endedAt.has_value());
}

TEST_F(Queue2205, AJobThatCouldNotBeginIsNoFailureOfItsScript) {
    EXPECT_EQ(seen(listing_, 8, false).cause, EndCause::NodeFailure);
    EXPECT_EQ(seen(listing_, 8, true).cause, EndCause::Exited);
    EXPECT_EQ(seen(listing_, 10).cause, EndCause::NodeFailure);
}

TEST_F(Queue2205, ASecondRunIsCounted) {
    const auto again = seen(listing_, 13);

    EXPECT_EQ(again.state, BatchState::Running);
    EXPECT_EQ(again.run, 2);
    EXPECT_FALSE(again.endedAt.has_value());
}

/// As the manual pages and release notes of 23.11 to 25.11 describe it.
TEST(Queue2511, NewWordsAndOtherExitCodesAreRead) {
    const auto listing = parseQueue(fixture("squeue-25.11.txt"));

    EXPECT_EQ(listing.trouble, "");
    EXPECT_EQ(seen(listing, 1).cause, EndCause::MemoryLimit);
    EXPECT_EQ(seen(listing, 2).cause, EndCause::WallTimeLimit);
    EXPECT_EQ(seen(listing, 3).cause, EndCause::Preempted);
    EXPECT_EQ(seen(listing, 4).cause, EndCause::NodeFailure);
    EXPECT_EQ(seen(listing, 5).state, BatchState::Pending);
    EXPECT_EQ(seen(listing, 6).state, BatchState::Held);
    EXPECT_EQ(seen(listing, 8).state, BatchState::Running);
    EXPECT_EQ(seen(listing, 9).state, BatchState::Held);
    EXPECT_EQ(seen(listing, 10).exitCode, 200);
    EXPECT_EQ(seen(listing, 11).state, BatchState::Pending);
    EXPECT_FALSE(seen(listing, 11).startedAt.has_value());
}

TEST(Queue2511, AWordFromNextYearIsNoVerdict) {
    const auto unknown = seen(parseQueue(fixture("squeue-25.11.txt")), 7);

    EXPECT_EQ(unknown.state, BatchState::Unknown);
    EXPECT_EQ(unknown.cause, EndCause::None);
    EXPECT_NE(unknown.reason.find("EXPEDITING"), std::string::npos);
}

TEST(History, AccountingTellsTheEndButNoExitCode) {
    for (const char* name : {"sacct-22.05.txt", "sacct-25.11.txt"}) {
        const auto listing = parseHistory(fixture(name));
        EXPECT_EQ(listing.trouble, "") << name;
        EXPECT_FALSE(seen(listing, 3).exitCode.has_value());
    }
    const auto old = parseHistory(fixture("sacct-22.05.txt"));
    EXPECT_EQ(seen(old, 1).exitCode, 0);
    EXPECT_EQ(seen(old, 6, true, true).cause, EndCause::RemovedByUs);
    EXPECT_EQ(seen(old, 9).signal, 9);
    const auto later = parseHistory(fixture("sacct-25.11.txt"));
    EXPECT_EQ(seen(later, 1).cause, EndCause::MemoryLimit);
    EXPECT_EQ(seen(later, 2).cause, EndCause::RemovedByOther);
    EXPECT_FALSE(seen(later, 2).startedAt.has_value());
}

TEST(SlurmReasons, LimitsAreToldAsSuchAndWhatIsUnknownStays) {
    EXPECT_EQ(inPlainWords("AssocGrpCpuLimit"),
              "a limit of its account is reached (AssocGrpCpuLimit)");
    EXPECT_EQ(inPlainWords("QOSMaxWallDurationPerJobLimit"),
              "it asks for more than its quality of service allows to one job "
              "(QOSMaxWallDurationPerJobLimit)");
    EXPECT_EQ(inPlainWords("QOSMinCpuNotSatisfied"),
              "it asks for less than its quality of service wants (QOSMinCpuNotSatisfied)");
    EXPECT_EQ(inPlainWords("ReqNodeNotAvail, UnavailableNodes:n1"),
              "a node that it needs is not available (ReqNodeNotAvail, UnavailableNodes:n1)");
    EXPECT_EQ(inPlainWords("WordOfNextYear"), "WordOfNextYear");
    EXPECT_EQ(inPlainWords("Nodes required for job are DOWN"), "Nodes required for job are DOWN");
}

/// Recorded from Slurm 22.05.8 with slurmdbd.
TEST(SlurmUsage, JobsThatEndedTellTimesAndTheirStepsTellMemory) {
    const auto used = parseUsage(fixture("sacct-usage-22.05.txt"));

    ASSERT_EQ(used.size(), 3U) << "not the one that runs";
    const auto& whole = used.at(nameOf(1)).usage;
    EXPECT_EQ(whole.elapsed, 13s);
    EXPECT_EQ(whole.cpu, 1640ms);
    EXPECT_EQ(whole.memory, 55772 * 1024);
    EXPECT_FALSE(used.at(nameOf(2)).usage.memory.has_value()) << "over before it was measured";
    EXPECT_EQ(used.at(nameOf(4)).canceledBy, "0");
    EXPECT_EQ(used.at(nameOf(1)).canceledBy, "");
}

TEST(SlurmUsage, TimesAndSizesOfAnyLengthAreReadAndNonsenseIsNot) {
    const auto usageOf = [](const std::string& cpu, const std::string& memory) {
        const auto used =
            parseUsage("7|COMPLETED|9|" + cpu + "||" + nameOf(1) + "\n7.batch|COMPLETED|9|" + cpu +
                       "|" + memory + "|batch\n" + "7.0|COMPLETED|9|" + cpu + "|1K|sh\n");
        return used.at(nameOf(1)).usage;
    };
    EXPECT_EQ(usageOf("1-02:03:04", "1.50G").cpu, 24h + 2h + 3min + 4s);
    EXPECT_EQ(usageOf("02:03:04", "1.50G").memory, 1610612736);
    EXPECT_EQ(usageOf("03:04.005", "141213696").cpu, 3min + 4005ms);
    EXPECT_EQ(usageOf("03:04", "141213696").memory, 141213696);
    for (const char* nonsense : {"", "4", "1:2:3:4", "a:b", "-1:00", "99999999999999999999:00"}) {
        EXPECT_FALSE(usageOf(nonsense, "x").cpu.has_value()) << nonsense;
    }
    for (const char* nonsense : {"x", "-5K", "nan", "inf", "1e300", "9999999999P"}) {
        EXPECT_EQ(usageOf("00:01", nonsense).memory, 1024) << nonsense;
    }
    EXPECT_TRUE(parseUsage("7|COMPLETED|9").empty());
    EXPECT_TRUE(parseUsage("\n|||||\n").empty());
}

TEST(History, OfSeveralRunsTheOneThatIsNotOverCounts) {
    const auto listing = parseHistory(fixture("sacct-22.05.txt"));

    EXPECT_EQ(listing.jobs.at(nameOf(13)).state, "RUNNING");
}

/// What is wrong with an answer makes those that it does not list unknown, and tells one line.
class BrokenQueue : public ::testing::Test {
protected:
    std::string good_ = fixture("squeue-22.05.txt");
};

TEST_F(BrokenQueue, AWarningInTheMiddleHidesNoJobAndIsTrouble) {
    auto text = good_;
    text.insert(text.find('\n') + 1, "slurm_load_jobs: warning: cluster is in maintenance\n");

    const auto listing = parseQueue(text);

    EXPECT_EQ(listing.jobs.size(), 11U);
    EXPECT_NE(listing.trouble.find("maintenance"), std::string::npos);
    EXPECT_EQ(listing.trouble.find('\n'), std::string::npos);
}

TEST_F(BrokenQueue, ATruncatedAnswerIsTroubleWhereverItIsCut) {
    const auto whole = good_.size();
    for (std::size_t size = 1; size < whole; size += 7) {
        if (good_[size - 1] != '\n') {
            EXPECT_NE(parseQueue(good_.substr(0, size)).trouble, "") << size;
        }
    }
}

TEST_F(BrokenQueue, ATruncatedLineIsNotBelieved) {
    const auto lastLine = good_.rfind('\n', good_.size() - 2) + 1;

    const auto listing = parseQueue(good_.substr(0, lastLine + 340));

    EXPECT_FALSE(listing.jobs.contains(nameOf(13)));
}

TEST_F(BrokenQueue, ATimeThatCannotBeIsNoJob) {
    const auto listing =
        parseQueue("12|RUNNING|17959221495922147|N/A|N/A|0|0|n1|gb-a1b2c3d4-6-1|None\n");

    EXPECT_TRUE(listing.jobs.empty());
    EXPECT_NE(listing.trouble, "");
}

TEST_F(BrokenQueue, AnotherLanguageAndOtherTimesAreNoJobs) {
    for (const char* text :
         {"12|ABGEBROCHEN|1795922142|1795922142|1795922146|0|0|n1|gb-a1b2c3d4-6-1|Keine\n",
          "12|läuft|1795922142|1795922142|1795922146|0|0|n1|gb-a1b2c3d4-6-1|Keine\n",
          "12|RUNNING|2026-11-29T02:18:26|N/A|N/A|0|0|n1|gb-a1b2c3d4-6-1|None\n",
          "JOBID|STATE|SUBMIT_TIME|START_TIME|END_TIME|EXIT|RESTARTS|NODELIST|NAME|REASON\n",
          "12 main gb-a1b2 root R 0:01 1 n1\n", "\n", "||||||||||\n"}) {
        const auto listing = parseQueue(text);
        for (const auto& [name, job] : listing.jobs) {
            EXPECT_EQ(observationOf(job, true, false).state, BatchState::Unknown) << text;
        }
        EXPECT_TRUE(!listing.jobs.empty() || !listing.trouble.empty()) << text;
    }
}

TEST_F(BrokenQueue, OfTwoJobsOfOneNameTheLivingOneCounts) {
    const std::string live = "99|RUNNING|1795920000|1795920000|N/A|0|0|n1|gb-a1b2c3d4-1-1|None\n";
    EXPECT_EQ(parseQueue(good_ + live).jobs.at(nameOf(1)).id.value, "99");
    EXPECT_EQ(parseQueue(live + good_).jobs.at(nameOf(1)).id.value, "99");
}

}  // namespace
}  // namespace gridbridge
