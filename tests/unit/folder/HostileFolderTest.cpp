#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>

#include "bridge/folder/FolderFiles.h"
#include "tests/unit/folder/FolderFixture.h"

namespace gridbridge::folder {
namespace {

using testing::readFile;

class HostileFolderTest : public FolderFixture {
protected:
    void SetUp() override {
        stageEmpty(ref());
        write(temp_.path() / "precious", "secret of the service");
    }
    /// `log` has to be refused for good, without its content, and soon.
    void expectRefused() {
        const auto chunk = readOne(ref(), "log");

        ASSERT_FALSE(chunk.ok());
        EXPECT_EQ(chunk.error().kind, ErrorKind::Permanent) << chunk.error().message;
        EXPECT_NE(chunk.error().message.find("gb-test-1-1/out/log"), std::string::npos);
    }
    std::filesystem::path log() { return out(ref(), "log"); }
};

INSTANTIATE_TEST_SUITE_P(Of, HostileFolderTest, ::testing::ValuesIn(everybody()), nameOf);

TEST_P(HostileFolderTest, ALinkIsNotFollowed) {
    std::filesystem::create_symlink(temp_.path() / "precious", log());
    expectRefused();
}

TEST_P(HostileFolderTest, ALinkToAFileInTheSameFolderIsNotFollowedEither) {
    write(out(ref(), "other"), "x");
    std::filesystem::create_symlink("other", log());
    expectRefused();
}

TEST_P(HostileFolderTest, AFolderReplacedByALinkIsNotFollowed) {
    const auto elsewhere = temp_.path() / "elsewhere";
    std::filesystem::create_directory(elsewhere);
    write(elsewhere / "log", "not yours");
    for (const char* name : {"in", "out"}) {
        std::filesystem::remove_all(folders_.path(ref()) / name);
        std::filesystem::create_symlink(elsewhere, folders_.path(ref()) / name);
    }

    expectRefused();
    EXPECT_FALSE(folders_.mark(ref()).ok());
    EXPECT_FALSE(folders_.requestCancel(ref()).ok());
    EXPECT_FALSE(folders_.stage(ref(), std::vector<StagedFile>{{"job.sh", "x"}}).ok());
    EXPECT_FALSE(folders_.append(ref(), "large", 0, "x").ok());
    EXPECT_FALSE(folders_.append(ref(), "log", 9, ", mine").ok());
    EXPECT_EQ(readFile(elsewhere / "log"), "not yours");
    EXPECT_FALSE(startScript(ref(), "true").ok());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(elsewhere), {}), 1);
}

TEST_P(HostileFolderTest, NothingIsAppendedToWhatAnotherPutThere) {
    const auto in = folders_.path(ref()) / "in";
    std::filesystem::create_symlink(temp_.path() / "precious", in / "link");
    std::filesystem::create_hard_link(temp_.path() / "precious", in / "name");
    ASSERT_EQ(::mkfifo((in / "pipe").c_str(), 0600), 0);
    const auto size = static_cast<std::int64_t>(readFile(temp_.path() / "precious").size());

    for (const char* name : {"link", "name", "pipe"}) {
        EXPECT_FALSE(folders_.append(ref(), name, size, "!").ok()) << name;
    }
    EXPECT_EQ(readFile(temp_.path() / "precious"), "secret of the service");
    EXPECT_TRUE(folders_.append(ref(), "link", 0, "new").ok()) << "it takes its place";
    EXPECT_EQ(readFile(in / "link"), "new");
    EXPECT_EQ(readFile(temp_.path() / "precious"), "secret of the service");
}

TEST_P(HostileFolderTest, AFifoDoesNotBlockAndIsRefused) {
    ASSERT_EQ(::mkfifo(log().c_str(), 0600), 0);
    ASSERT_EQ(::mkfifo(out(ref(), "batch.log").c_str(), 0600), 0);

    expectRefused();
    EXPECT_FALSE(startScript(ref(), "true").ok());
}

TEST_P(HostileFolderTest, AFileWithASecondNameIsRefused) {
    std::filesystem::create_hard_link(temp_.path() / "precious", log());
    expectRefused();
}

TEST_P(HostileFolderTest, AFolderInPlaceOfAFileIsRefused) {
    std::filesystem::create_directory(log());
    expectRefused();
}

TEST_P(HostileFolderTest, AFileOfAnotherAccountIsRefused) {
    write(log(), "x");
    const Fd file(::open(log().c_str(), O_RDONLY));

    EXPECT_TRUE(checkFile(file, account().uid, "log").ok());
    EXPECT_FALSE(checkFile(file, account().uid + 1, "log").ok());
    if (isRoot()) {  // only root can make such a file
        ASSERT_EQ(::chown(log().c_str(), 65534, 65534), 0);
        expectRefused();
    }
}

TEST_P(HostileFolderTest, ASparseGigabyteCostsOnlyWhatIsRead) {
    write(log(), "begin");
    std::filesystem::resize_file(log(), 1'000'000'000);
    rusage before{};
    ::getrusage(RUSAGE_SELF, &before);

    const auto start = readOne(ref(), "log", 0, 8);
    const auto end = readOne(ref(), "log", 999'999'998, 1 << 20);

    rusage after{};
    ::getrusage(RUSAGE_SELF, &after);
    ASSERT_TRUE(start.ok() && end.ok());
    EXPECT_EQ(start->bytes, std::string("begin\0\0\0", 8));
    EXPECT_EQ(start->size, 1'000'000'000);
    EXPECT_EQ(end->bytes.size(), 2U);
    EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 100'000);  // KiB
}

TEST_P(HostileFolderTest, FreeRemovesTheTreeAndNothingThatLinksPointTo) {
    const auto folder = folders_.path(ref());
    std::filesystem::create_symlink(temp_.path(), folder / "out/dirlink");
    std::filesystem::create_symlink(temp_.path() / "precious", folder / "out/filelink");
    std::filesystem::create_hard_link(temp_.path() / "precious", folder / "out/hard");
    ASSERT_EQ(::mkfifo((folder / "out/fifo").c_str(), 0600), 0);
    std::filesystem::create_directories(folder / "a/b/c/d");
    write(folder / "a/b/c/d/.removing-1", "x");
    write(folder / "a/b/\n\x01 -rf *", "x");
    write(folder / ".removing-1", "in the way");
    giveAll(folder);

    ASSERT_TRUE(folders_.free(ref()).ok());

    EXPECT_FALSE(std::filesystem::exists(folder));
    EXPECT_EQ(readFile(temp_.path() / "precious"), "secret of the service");
}

TEST_P(HostileFolderTest, FreeGetsIntoFoldersWithoutPermissions) {
    const auto folder = folders_.path(ref());
    std::filesystem::create_directories(folder / "shut/inner/deep");
    write(folder / "shut/inner/file", "x");
    giveAll(folder);
    for (const char* name : {"shut/inner/deep", "shut/inner", "shut", ""}) {
        std::filesystem::permissions(folder / name, std::filesystem::perms::none);
    }

    const auto freed = folders_.free(ref());

    ASSERT_TRUE(freed.ok()) << freed.error().message;
    EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_P(HostileFolderTest, FreeRemovesATreeDeeperThanAnyPathMayBeLong) {
    Fd dir(::open(folders_.path(ref()).c_str(), O_RDONLY | O_DIRECTORY));
    const std::string name(200, 'd');
    for (int depth = 0; depth < 1200; ++depth) {
        ASSERT_EQ(::mkdirat(dir.get(), name.c_str(), 0700), 0);
        dir = Fd(::openat(dir.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
        ASSERT_TRUE(dir.valid());
        ASSERT_EQ(::fchown(dir.get(), account().uid, account().gid), 0);
    }
    dir.reset();

    ASSERT_TRUE(folders_.free(ref()).ok());

    EXPECT_FALSE(std::filesystem::exists(folders_.path(ref())));
}

TEST_P(HostileFolderTest, FreeRemovesAnyNumberOfFiles) {
    const auto folder = folders_.path(ref());
    for (int i = 0; i < 2500; ++i) {
        const auto parent = folder / ("out/" + std::to_string(i % 7) + "/inner");
        std::filesystem::create_directories(parent);
        std::ofstream(parent / ("file" + std::to_string(i))) << "x";
    }
    giveAll(folder);

    const auto freed = folders_.free(ref());

    ASSERT_TRUE(freed.ok()) << freed.error().message;
    EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_P(HostileFolderTest, ALinkToWhatOnlyTheServiceMayReadGivesNothing) {
    const auto secret = temp_.path() / "secret";
    std::filesystem::create_directory(secret);
    write(secret / "log", "of the service");
    ASSERT_EQ(::lchown((secret / "log").c_str(), ::geteuid(), ::getegid()), 0);
    std::filesystem::permissions(secret / "log", std::filesystem::perms(0600));
    std::filesystem::remove_all(folders_.path(ref()) / "out");
    std::filesystem::create_symlink(secret, folders_.path(ref()) / "out");
    expectRefused();
    ASSERT_TRUE(folders_.free(ref()).ok());
    EXPECT_EQ(readFile(secret / "log"), "of the service");
}

TEST_P(HostileFolderTest, FreeingWhatIsNotThereIsWell) {
    EXPECT_TRUE(folders_.free(ref("gb-test-9-9")).ok());
}

}  // namespace
}  // namespace gridbridge::folder
