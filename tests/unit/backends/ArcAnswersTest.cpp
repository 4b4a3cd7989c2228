// What a real ARC 6.17 answered.
#include <gmock/gmock.h>

#include <fstream>

#include "backends/arc/ArcParse.h"
#include "backends/arc/ArcStates.h"

namespace gridbridge {
namespace {

using ::testing::SizeIs;

const std::string kFirst = "MBqMDmrLTsAoOSAtDmABFKDmABFKDmABFKDmClHKDmABFKDmltloPo";

std::string arcAnswer(const std::string& name) {
    std::ifstream file(std::string(ARC_FIXTURES) + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
}
std::vector<ArcEntry> arcEntries(const std::string& name) {
    return parseArcJobs(arcAnswer(name)).value();
}

TEST(ArcAnswers, OfASubmissionOfThree) {
    const auto jobs = arcEntries("submitted-6.17.json");

    ASSERT_THAT(jobs, SizeIs(3));
    EXPECT_EQ(jobs[0].id, kFirst);
    EXPECT_EQ(jobs[1].status, 500);
    EXPECT_EQ(jobs[1].reason, "Requested queue nosuch is not allowed for this user");
    EXPECT_EQ(jobs[2].status, 201);
}

TEST(ArcAnswers, OfAListAndWhatIsKnownOfOneAndOfOneThatIsNotThere) {
    const auto jobs = arcEntries("list-6.17.json");
    ASSERT_THAT(jobs, SizeIs(3));
    EXPECT_EQ(jobs[2].id, kFirst);
    EXPECT_EQ(jobs[2].state, "SUBMITTING");

    const auto told = arcEntries("information-6.17.json");
    ASSERT_THAT(told, SizeIs(2));
    EXPECT_EQ(told[0].name, "gb-abc-1-1");
    EXPECT_EQ(told[1].status, 404);
    EXPECT_EQ(arcEntries("killed-6.17.json")[1].status, 404);
}

TEST(ArcAnswers, OfFilesOfWhichAPipeIsNone) {
    EXPECT_EQ(parseArcFolder(arcAnswer("files-6.17.json"))->files,
              (std::set<std::string>{"log", "started"}));
}

TEST(ArcAnswers, OfAJobThatEndedWithACode) {
    const auto seen = arcEnd("FAILED", {.local = parseArcFields(arcAnswer("local-6.17.txt")),
                                        .diagnosis = parseArcFields(arcAnswer("diag-6.17.txt")),
                                        .failed = arcAnswer("failed-6.17.txt")});

    EXPECT_EQ(seen.cause, EndCause::Exited);
    EXPECT_EQ(seen.exitCode, 3);
    EXPECT_TRUE(seen.started);
    EXPECT_EQ(seen.node, "vm");
    EXPECT_EQ(*seen.endedAt - *seen.startedAt, std::chrono::seconds(1));
    EXPECT_EQ(seen.usage.memory, 3148 * 1024);
}

}  // namespace
}  // namespace gridbridge
