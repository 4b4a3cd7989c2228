#include <gmock/gmock.h>

#include "bridge/core/RunAs.h"

namespace gridbridge::core {
namespace {

using ::testing::ElementsAre;

TEST(RunAs, TheFirstPatternThatFitsCountsAndOthersGetTheUsualAccount) {
    const RunAs runAs{
        "ci", {{"physics/theory/**", "citheory"}, {"Physics/**", "ciphys"}, {"it/*", "ci"}}};

    EXPECT_EQ(runAs.of("physics/theory/sub/lattice").value(), "citheory");
    EXPECT_EQ(runAs.of("physics/detector").value(), "ciphys");
    EXPECT_EQ(runAs.of("PHYSICS/detector").value(), "ciphys");
    for (const char* other : {"it/web", "astrophysics/detector", "evil/physics/detector"}) {
        EXPECT_EQ(runAs.of(other).value(), "ci") << other;
    }
    EXPECT_THAT(runAs.all(), ElementsAre("ci", "citheory", "ciphys"));
}

TEST(RunAs, WithoutAMapAllRunAsTheUsualAccountAlsoAProjectWithoutAName) {
    EXPECT_EQ(RunAs{"ci"}.of("").value(), "ci");
    EXPECT_EQ(RunAs{}.of("physics/detector").value(), "");
}

TEST(RunAs, AProjectWithoutANameGetsNoAccountThatMayBeAnothers) {
    const auto account = RunAs{"ci", {{"physics/**", "ciphys"}}}.of("");

    ASSERT_FALSE(account.ok());
    EXPECT_EQ(
        account.error().message,
        "the account that a job runs as is chosen by its project, and GitLab does not name it");
}

}  // namespace
}  // namespace gridbridge::core
