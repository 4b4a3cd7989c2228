// What the commands of DIRAC 9.1.22 printed, as recorded, and what a site's log level adds.
#include <gmock/gmock.h>

#include "backends/diraccli/DiracCliParse.h"

namespace gridbridge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr const char* kNoise =
    "Running without remote configuration\n"
    "2026-12-01 00:41:00 UTC dirac-wms-job-submit WARN: Need to upload the proxy\n"
    "[2026-12-01] something else\n";
const std::string kJob =
    R"({"JobID": 1, "JobName": "gb-abcdefgh-1-1", "Status": "Failed", "MinorStatus": "Maximum of )"
    R"(reschedulings reached", "ApplicationStatus": "Failed Downloading InputSandbox", )"
    R"("Site": "LCG.Engine.org", "RescheduleCounter": 3})";

TEST(DiracCliParse, ReadsTheListOfJobsBetweenLogLines) {
    const auto jobs = parseDiracStat(kNoise + ("[" + kJob + "]\n") + kNoise);

    ASSERT_TRUE(jobs.has_value());
    ASSERT_EQ(jobs->size(), 1U);
    EXPECT_EQ(jobs->front().id, 1);
    EXPECT_EQ(jobs->front().name, "gb-abcdefgh-1-1");
    EXPECT_EQ(jobs->front().status, "Failed");
    EXPECT_EQ(jobs->front().minor, "Maximum of reschedulings reached");
    EXPECT_EQ(jobs->front().reschedules, 3);
    EXPECT_THAT(parseDiracStat(std::string(kNoise) + "[]\n").value(), IsEmpty());
}

TEST(DiracCliParse, AListThatIsCutTwiceOrAbsentSaysNothing) {
    const auto list = "[" + kJob + "]\n";
    EXPECT_FALSE(parseDiracStat(kNoise).has_value());
    EXPECT_FALSE(parseDiracStat("").has_value());
    EXPECT_FALSE(parseDiracStat(list.substr(0, list.size() / 2)).has_value());
    EXPECT_FALSE(parseDiracStat(list + "[]\n").has_value());
    EXPECT_FALSE(parseDiracStat(R"([{"JobID": "1", "Status": "Done"}])").has_value());
    EXPECT_FALSE(parseDiracStat("[{}]").has_value());
}

TEST(DiracCliParse, ReadsHistoriesInTheOrderOfTheJobs) {
    const auto histories = parseDiracLogging(
        std::string(kNoise) +
        R"([{"Status": "Received", "MinorStatus": "Job accepted", "ApplicationStatus": "Unknown", )"
        R"("Time": "2026-12-01 00:41:00.241698", "Source": "JobManager"}])"
        "\n"
        R"([{"Status": "Waiting", "MinorStatus": null, "ApplicationStatus": "Unknown", )"
        R"("Time": "2026-12-01 00:41:01", "Source": "Matcher"}])"
        "\nNo Logging information for job 99\n");

    ASSERT_TRUE(histories.has_value());
    ASSERT_EQ(histories->size(), 2U);
    EXPECT_EQ(histories->at(0).front().minor, "Job accepted");
    EXPECT_EQ(histories->at(1).front().minor, "");
    EXPECT_EQ(histories->at(1).front().at - histories->at(0).front().at, Millis(759));
    EXPECT_FALSE(parseDiracLogging(R"([{"Status": "Received", "Time": "yesterday"}])").has_value());
}

TEST(DiracCliParse, EachJdlHasAnIdOrAnError) {
    const std::vector<std::string> files{"/t/a.jdl", "/t/b.jdl", "/t/c.jdl"};
    const auto outcomes = parseDiracSubmit(std::string(kNoise) +
                                               "JobID = 11\n"
                                               "Job submission failure JDL syntax error\n"
                                               "JobID = 12\n"
                                               "ERROR /t/b.jdl: JDL syntax error\n",
                                           files);

    ASSERT_TRUE(outcomes.has_value());
    EXPECT_EQ(outcomes->at(0).id, 11);
    EXPECT_FALSE(outcomes->at(1).id.has_value());
    EXPECT_EQ(outcomes->at(1).message, "JDL syntax error");
    EXPECT_EQ(outcomes->at(2).id, 12);
}

TEST(DiracCliParse, ASubmissionThatTellsLessOrMoreIsInDoubt) {
    const std::vector<std::string> files{"/t/a.jdl", "/t/b.jdl"};
    for (const auto* out :
         {"", "JobID = 11\n", "JobID = 11\nJobID = 11\n", "JobID = 11\nJobID = 12\nJobID = 13\n",
          "JobID = [11, 12]\nJobID = 13\n", "JobID = 11\nERROR /t/x.jdl: no\n", "JobID = 11\nJobI",
          "JobID = 11\nJobID = 12x\n"}) {
        EXPECT_FALSE(parseDiracSubmit(out, files).has_value()) << out;
    }
}

TEST(DiracCliParse, ErrorsSayWhetherAJobWasTaken) {
    for (const auto* refusal :
         {"JDL syntax error", "JDL not valid ( 1501 : Invalid job JDL)",
          "1 validation error for JobDescriptionModel", "Sandbox is too big. Please upload it"}) {
        EXPECT_TRUE(isDiracRefusal(refusal)) << refusal;
    }
    for (const auto* away :
         {"Unauthorized query ( 1111 : Unauthorized query)", "No proxy found",
          "Job submission error ( 1503 : Can't submit using a limited proxy)",
          "HTTPSConnectionPool(host='d', port=1): Max retries exceeded with url: "
          "/WorkloadManagement/TornadoJobManager (Caused by NewConnectionError('...: Failed to "
          "establish a new connection: [Errno 111] Connection refused')): None",
          "503 Server Error: for url: https://d:1/WorkloadManagement/TornadoSandboxStore: x"}) {
        EXPECT_TRUE(isDiracAway(away)) << away;
        EXPECT_FALSE(isDiracRefusal(away)) << away;
    }
    for (const auto* doubt :
         {"('Connection aborted.', RemoteDisconnected('Remote end closed connection without "
          "response')): None",
          "503 Server Error: for url: https://d:1/WorkloadManagement/TornadoJobManager: x",
          "HTTPSConnectionPool(host='d', port=1): Read timed out. (read timeout=600): None"}) {
        EXPECT_FALSE(isDiracAway(doubt)) << doubt;
        EXPECT_FALSE(isDiracRefusal(doubt)) << doubt;
    }
}

TEST(DiracCliParse, TellsWhichOutputIsMissingAndWhy) {
    const std::string out =
        std::string(kNoise) +
        "No Output sandbox found for job 4. Possible causes are: the job does not exist, no "
        "sandbox was registered or you do not have permission to access it.\n"
        "Job output sandbox retrieved in /t/5/\n"
        "ERROR 4: Failed to get job parameters for 4\nERROR 6: Could not open bundle: x\n";

    EXPECT_THAT(withoutDiracOutput(out), ElementsAre(4));
    EXPECT_THAT(parseDiracErrors(out),
                ElementsAre(Pair(4, HasSubstr("parameters")), Pair(6, "Could not open bundle: x")));
}

TEST(DiracCliParse, AnOutputIsHereWhenItsFolderIsNamedAndDamageIsNoErrorOfTheSystem) {
    const std::string out = std::string(kNoise) + "Job output sandbox retrieved in /t/out/51/\n";
    EXPECT_TRUE(isDiracOutputRetrieved(out, "/t/out/51"));
    EXPECT_FALSE(isDiracOutputRetrieved(out, "/t/out/5"));
    EXPECT_FALSE(isDiracOutputRetrieved(out.substr(0, out.size() - 3), "/t/out/51"));
    EXPECT_TRUE(isDiracOutputBroken("Could not open bundle: OSError('Invalid data stream')"));
    EXPECT_FALSE(
        isDiracOutputBroken("Could not open bundle: OSError(28, 'No space left on device')"));
    EXPECT_TRUE(isDiracOutputRefused(
        "Could not open bundle: OSError('the output sandbox is refused: it holds')"));
}

TEST(DiracCliParse, TellsWhichJobsAreKnownAndWhichHaveNoHistory) {
    EXPECT_THAT(parseDiracStatus(std::string(kNoise) +
                                 "JobID=12 ApplicationStatus=Unknown; Status=Done; Site=X; \n"
                                 "JobID=x Status=Done; \n JobID=13 \nJobID=14\n"),
                ElementsAre(12, 14));
    EXPECT_THAT(withoutDiracHistory("No Logging information for job 99\n"
                                    "2026-12-01 00:41:00 UTC dlogging ERROR: No Logging "
                                    "information for job 99\n"),
                ElementsAre(99));
}

TEST(DiracCliParse, AComplaintIsWhatWasSaidLast) {
    EXPECT_EQ(diracComplaint("Running without remote configuration\nUnauthorized query\n", "x\n"),
              "Unauthorized query");
    EXPECT_EQ(diracComplaint("Running without remote configuration\n", "Traceback\nKeyError: 1\n"),
              "KeyError: 1");
    EXPECT_EQ(diracComplaint("", ""), "it said nothing");
}

}  // namespace
}  // namespace gridbridge
