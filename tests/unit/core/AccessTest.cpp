#include <gtest/gtest.h>

#include "bridge/core/Access.h"

namespace gridbridge::core {
namespace {

TEST(Access, WithoutListsEverybodyMayRun) {
    EXPECT_EQ(Access{}.refusal("physics/detector", "ada"), "");
    EXPECT_EQ(Access{}.refusal("", ""), "");
}

TEST(Access, OnlyAllowedProjectsMayRun) {
    const Access access{.allowedProjects = {"physics/*", "it/ci"}};
    EXPECT_EQ(access.refusal("physics/detector", "ada"), "");
    EXPECT_EQ(access.refusal("it/ci", "ada"), "");
    for (const char* other : {"physics", "physics/sub/detector", "astrophysics/detector",
                              "it/ci-other", "evil/physics/detector"}) {
        EXPECT_EQ(access.refusal(other, "ada"),
                  "this runner takes no jobs of the project " + std::string(other));
    }
    EXPECT_EQ(Access{.allowedProjects = {"physics/**"}}.refusal("physics/sub/detector", ""), "");
}

TEST(Access, BannedIsBannedAlsoWhereAllowed) {
    const Access access{.allowedProjects = {"physics/*"},
                        .bannedProjects = {"physics/mining"},
                        .bannedUsers = {"mallory", "bot_*"}};
    EXPECT_EQ(access.refusal("physics/mining", "ada"),
              "the project physics/mining is banned from this runner");
    EXPECT_EQ(access.refusal("physics/detector", "mallory"),
              "the user mallory is banned from this runner");
    EXPECT_EQ(access.refusal("physics/detector", "bot_7"),
              "the user bot_7 is banned from this runner");
    EXPECT_EQ(access.refusal("physics/detector", "ada"), "");
}

TEST(Access, CapitalsAreNoWayAround) {
    const Access access{.bannedProjects = {"Physics/Mining"}, .bannedUsers = {"mallory"}};
    EXPECT_NE(access.refusal("physics/mining", "ada"), "");
    EXPECT_NE(access.refusal("physics/detector", "Mallory"), "");
}

TEST(Access, WhatGitLabDoesNotSayIsNotLetThrough) {
    EXPECT_NE((Access{.allowedProjects = {"**"}}.refusal("", "ada")), "");
    EXPECT_NE((Access{.bannedProjects = {"x/y"}}.refusal("", "ada")), "");
    EXPECT_NE((Access{.bannedUsers = {"mallory"}}.refusal("physics/detector", "")), "");
}

TEST(Access, KnowsWhatIsAPattern) {
    EXPECT_TRUE(Access::isPattern("physics/*"));
    EXPECT_FALSE(Access::isPattern(""));
    EXPECT_FALSE(Access::isPattern("physics/[a"));
}

}  // namespace
}  // namespace gridbridge::core
