#include <gtest/gtest.h>

#include <string>
#include <unistd.h>

#include "bridge/folder/ProcessTable.h"

namespace gridbridge::folder {
namespace {

constexpr const char* kRest =
    " S 1 4321 77 0 -1 4194304 119 0 0 0 0 0 0 0 20 0 1 0 1506701 3133440 410\n";

TEST(ProcessTableTest, ReadsStateSessionAndStart) {
    const auto stat = parseProcessStat(std::string("4321 (bash)") + kRest);

    EXPECT_EQ(stat,
              (ProcessStat{
                  .state = 'S', .session = 77, .startTicks = 1506701, .hasNoEnvironment = true}));
}

TEST(ProcessTableTest, AProgramsNameCannotForgeFields) {
    const auto stat = parseProcessStat(std::string("4321 (a) Z 1 1 1 (b c)\n") + kRest);

    EXPECT_EQ(stat,
              (ProcessStat{
                  .state = 'S', .session = 77, .startTicks = 1506701, .hasNoEnvironment = true}));
}

TEST(ProcessTableTest, WhatIsNoSuchLineIsNothing) {
    for (const char* text : {"", "4321", "4321 (bash) S 1 2", "4321 (bash",
                             "1 (x) S 1 2 x 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 15 3 4",
                             "1 (x) S 1 2 3 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 -15 3 4"}) {
        EXPECT_FALSE(parseProcessStat(text).has_value()) << text;
    }
}

TEST(ProcessTableTest, TheKernelsOwnLineIsUnderstood) {
    const auto self = readProcessStat(::getpid());

    ASSERT_TRUE(self.has_value());
    EXPECT_EQ(self->session, ::getsid(0));
    EXPECT_GT(self->startTicks, 0U);
    EXPECT_FALSE(readProcessStat(0x3ffffffe).has_value());
}

TEST(ProcessTableTest, ABootHasOneName) {
    EXPECT_EQ(currentBootId(), currentBootId());
    EXPECT_EQ(currentBootId().size(), 36U);
}

}  // namespace
}  // namespace gridbridge::folder
