#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/payload/ArtifactPlan.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// As the node writes them.
std::string fields(const std::vector<std::string>& texts) {
    std::string all;
    for (const auto& text : texts) {
        all += text + '\0';
    }
    return all;
}

class ArtifactPlanTest : public ::testing::Test {
protected:
    ArtifactPlanTest() {
        entry_.name = "$N";
        entry_.exclude = {"$E", "?.o"};
    }
    Result<ArtifactPlan> plan(const std::string& names) {
        return planArtifact(job_, entry_, names);
    }

    gitlab::JobDescription job_ = jobWith({"true"});
    gitlab::ArtifactEntry entry_ = archiveOf({"$A/x", "plain"});
};

TEST_F(ArtifactPlanTest, WhatTheNodeExpandedIsWhatIsMatched) {
    const auto made =
        plan(fields({"/b/p", "x/the name", "/b/p/./a/x", "", "a/../e/*", "", "3", "0"}));

    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->filename, "the name.zip");
    EXPECT_EQ(made->paths.at(0).shown, "$A/x");
    EXPECT_TRUE(made->paths.at(0).glob->matches("a/x"));
    EXPECT_TRUE(made->paths.at(1).glob->matches("plain"));
    EXPECT_TRUE(made->excludedBy("e/f").has_value());
    EXPECT_TRUE(made->excludedBy("x.o").has_value());
    EXPECT_FALSE(made->excludedBy("e").has_value());
    EXPECT_THAT(made->excludedOnNode, ElementsAre(3, 0));
}

TEST_F(ArtifactPlanTest, AHostileNodeGainsNothingByItsTexts) {
    const auto made = plan(fields({"/b/p", "../\x1b[31mx\"\n/..", "/b/p/../q", "/etc/passwd",
                                   "/b/pq/x", "**", "0", "999999999999"}));

    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->filename, "default.zip");
    EXPECT_THAT(made->paths.at(0).problem, HasSubstr("not a subpath"));
    EXPECT_FALSE(made->paths.at(1).glob->matches("etc/passwd")) << "its text has no reference";
    EXPECT_TRUE(made->paths.at(1).glob->matches("plain"));
    EXPECT_TRUE(made->excluded.at(0).outside);
    EXPECT_FALSE(made->excludedBy("x.o").has_value()) << "comes after one that leads out";
    EXPECT_EQ(plan(fields({"/p", "a\x1b\"b", "", "", "", "", "0", "0"}))->filename, "a?_b.zip");
    EXPECT_EQ(
        plan(fields({"/p", std::string(300, 'x') + "/a\xff", "", "", "", "", "0", "0"}))->filename,
        "a\xEF\xBF\xBD.zip");
}

TEST_F(ArtifactPlanTest, WhatTheNodeDoesNotWriteIsRefused) {
    const std::vector<std::string> good = {"/p", "n", "a", "", "e", "", "0", "0"};
    ASSERT_TRUE(plan(fields(good)));
    auto relative = good;
    relative[0] = "p";
    auto noNumber = good;
    noNumber[7] = "-1";
    auto longNumber = good;
    longNumber[6] = "1234567890123";
    auto few = good;
    few.pop_back();
    auto many = good;
    many.emplace_back("0");
    auto large = good;
    large[1] = std::string(kLargestNames, 'n');
    for (const auto& names :
         {std::string(), std::string("x"), fields(good) + "x", fields(relative), fields(noNumber),
          fields(longNumber), fields(few), fields(many), fields(large), std::string(100, '\0')}) {
        const auto made = plan(names);
        ASSERT_FALSE(made) << names;
        EXPECT_EQ(made.error().kind, ErrorKind::Permanent);
    }
}

TEST_F(ArtifactPlanTest, WhatNobodyAskedForIsNotTaken) {
    entry_ = archiveOf({"plain"});

    EXPECT_FALSE(plan(fields({"/p"})));
}

TEST_F(ArtifactPlanTest, PatternsThatNoMemoryCanHoldAreRefused) {
    const std::string many = "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}" + std::string(40, '?');
    ASSERT_TRUE(Glob::parse(many));
    entry_ = archiveOf(std::vector<std::string>(30, "$A"));
    std::vector<std::string> texts = {"/p", "n"};
    texts.resize(32, many);

    const auto made = plan(fields(texts));

    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(made.error().message, HasSubstr("longer than 256 KiB"));
}

TEST_F(ArtifactPlanTest, TheNodeTellsOnlyWhatIsAsked) {
    EXPECT_FALSE(hasNames(archiveOf({"a", "b/*"})));
    EXPECT_TRUE(hasNames(archiveOf({"a", "$B/*"})));
    entry_ = archiveOf({"a"});
    entry_.exclude = {"b"};
    ASSERT_TRUE(hasNames(entry_));
    EXPECT_THAT(plan(fields({"/p", "7"}))->excludedOnNode, ElementsAre(7));
}

}  // namespace
}  // namespace gridbridge::payload
