#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/base/ReplaceFile.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

TEST(ReplaceFile, NeverTouchesWhatALinkLeadsTo) {
    const testing::TempDir folder;
    const auto target = folder.path() / "target";
    const auto link = folder.path() / "link";
    ASSERT_TRUE(replaceFile(target, "kept").ok());
    std::filesystem::create_symlink(target, link);

    ASSERT_TRUE(replaceFile(link, "new").ok());

    EXPECT_EQ(testing::readFile(target), "kept");
    EXPECT_EQ(testing::readFile(link), "new");
    EXPECT_FALSE(std::filesystem::is_symlink(link));
}

TEST(ReplaceFile, LeavesTheOldContentWhenItCannotWrite) {
    const testing::TempDir folder;
    std::filesystem::create_directory(folder.path() / "folder");

    const auto written = replaceFile(folder.path() / "folder", "new");

    ASSERT_FALSE(written.ok());
    EXPECT_THAT(written.error().message, ::testing::HasSubstr("folder cannot be written: "));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
        << "the unfinished file is left";
}

}  // namespace
}  // namespace gridbridge
