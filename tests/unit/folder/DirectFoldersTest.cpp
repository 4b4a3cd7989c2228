#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <pwd.h>
#include <thread>

#include "tests/unit/folder/FolderFixture.h"

namespace gridbridge::folder {
namespace {

using testing::readFile;

class DirectFoldersTest : public FolderFixture {};

TEST_F(DirectFoldersTest, AStagedFolderIsPrivateAndHoldsTheFilesUnchanged) {
    const std::vector<StagedFile> files{{"job.sh", std::string("a\0\xff'\n", 5)}, {"empty", ""}};

    ASSERT_TRUE(folders_.stage(ref(), files).ok());

    const auto folder = work_ / "gb-test-1-1";
    EXPECT_EQ(folders_.path(ref()), folder);
    EXPECT_EQ(readFile(folder / "in/job.sh"), std::string("a\0\xff'\n", 5));
    EXPECT_EQ(modeOf(folder / "in/job.sh"), 0600U);
    EXPECT_TRUE(std::filesystem::is_empty(folder / "in/empty"));
    EXPECT_EQ(modeOf(work_), 0711U);
    for (const char* inner : {"", "in", "out"}) {
        EXPECT_EQ(modeOf(folder / inner), 0700U) << inner;
    }
}

TEST_F(DirectFoldersTest, StagingAgainReplacesTheFiles) {
    ASSERT_TRUE(folders_.stage(ref(), std::vector<StagedFile>{{"job.sh", "longer old"}}).ok());

    ASSERT_TRUE(folders_.stage(ref(), std::vector<StagedFile>{{"job.sh", "new"}}).ok());

    EXPECT_EQ(readFile(folders_.path(ref()) / "in/job.sh"), "new");
}

TEST_F(DirectFoldersTest, AnotherAccountsFolderBelongsToItOrIsRefused) {
    const auto folder = ref("gb-test-1-1", "daemon");

    const auto staged = folders_.stage(folder, std::vector<StagedFile>{{"job.sh", "x"}});

    if (!isRoot()) {
        ASSERT_FALSE(staged.ok());
        EXPECT_EQ(staged.error().kind, ErrorKind::Permanent);
        EXPECT_NE(staged.error().message.find("daemon"), std::string::npos);
        return;
    }
    ASSERT_TRUE(staged.ok()) << staged.error().message;
    const auto uid = ::getpwnam("daemon")->pw_uid;
    EXPECT_EQ(folders_.path(folder), work_ / "daemon/gb-test-1-1");
    EXPECT_EQ(statOf(work_ / "daemon").st_uid, 0U);
    EXPECT_EQ(modeOf(work_ / "daemon"), 0711U);
    for (const char* inner : {"", "in", "out", "in/job.sh"}) {
        EXPECT_EQ(statOf(folders_.path(folder) / inner).st_uid, uid) << inner;
    }
    EXPECT_EQ(modeOf(folders_.path(folder)), 0700U);
    ASSERT_EQ(folders_.mark(folder).value(), MarkOutcome::Taken);
    EXPECT_EQ(statOf(out(folder, "started")).st_uid, uid);
    ASSERT_TRUE(folders_.requestCancel(folder).ok());
    EXPECT_EQ(statOf(folders_.path(folder) / "in/cancel").st_uid, uid);
}

TEST_F(DirectFoldersTest, NamesThatCouldLeadElsewhereAreRefused) {
    stageEmpty(ref());
    write(work_ / "gb-test-1-1/secret", "s");

    for (const char* name : {"../secret", "..", ".", "", "a/b", "a b"}) {
        EXPECT_FALSE(readOne(ref(), name).ok()) << name;
        EXPECT_FALSE(folders_.stage(ref(), std::vector<StagedFile>{{name, "x"}}).ok()) << name;
    }
    for (const char* key : {"", "..", "a/b", "A", "a.b"}) {
        EXPECT_FALSE(folders_.stage(ref(key), std::vector<StagedFile>{}).ok()) << key;
        EXPECT_FALSE(folders_.free(ref(key)).ok()) << key;
    }
    EXPECT_FALSE(folders_.free(ref("in", "gb-test-1-1/..")).ok());
    EXPECT_FALSE(folders_.free(ref("in", "..")).ok());
    EXPECT_TRUE(std::filesystem::exists(work_ / "gb-test-1-1/in"));
}

TEST_F(DirectFoldersTest, ReadsInOrderFromTheOffsetAndNoMoreThanTheLimit) {
    stageEmpty(ref());
    write(out(ref(), "log"), std::string("0123\0\xff\x80", 7));
    const std::vector<ReadRequest> requests{{ref(), "log", 2, 4},
                                            {ref(), "missing", 0, 10},
                                            {ref(), "log", 7, 10},
                                            {ref(), "log", 1000, 10},
                                            {ref("gb-test-2-1"), "log", 0, 10}};

    const auto chunks = folders_.read(requests);

    ASSERT_EQ(chunks.size(), requests.size());
    EXPECT_EQ(chunks[0]->bytes, std::string("23\0\xff", 4));
    EXPECT_EQ(chunks[0]->size, 7);
    EXPECT_TRUE(chunks[0]->exists);
    EXPECT_FALSE(chunks[1]->exists);
    EXPECT_EQ(chunks[2]->bytes, "");
    EXPECT_EQ(chunks[3]->bytes, "");
    EXPECT_EQ(chunks[3]->size, 7);
    EXPECT_FALSE(chunks[4]->exists);
}

TEST_F(DirectFoldersTest, AnOutputIsHandedOutOpenAndAMissingOneIsAnError) {
    stageEmpty(ref());
    write(out(ref(), "artifact-0.tar"), "tar");

    const auto file = folders_.open(ref(), "artifact-0.tar");
    const auto missing = folders_.open(ref(), "artifact-1.tar");

    ASSERT_TRUE(file.ok());
    char bytes[8] = {};
    EXPECT_EQ(::read(file->get(), &bytes[0], sizeof bytes), 3);
    ASSERT_FALSE(missing.ok());
    EXPECT_NE(missing.error().message.find("artifact-1.tar"), std::string::npos);
}

TEST_F(DirectFoldersTest, OneOfManyThreadsTakesTheMarker) {
    stageEmpty(ref());
    constexpr int kThreads = 16;
    std::latch ready(kThreads);
    std::atomic<int> winners{0};
    std::atomic<int> losers{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < kThreads; ++i) {
            threads.emplace_back([&] {
                ready.arrive_and_wait();
                const auto marked = folders_.mark(ref());
                ASSERT_TRUE(marked.ok());
                ++(*marked == MarkOutcome::Taken ? winners : losers);
            });
        }
    }

    EXPECT_EQ(winners, 1);
    EXPECT_EQ(losers, kThreads - 1);
    EXPECT_TRUE(readOne(ref(), "started")->exists);
}

TEST_F(DirectFoldersTest, AScriptCannotTakeTheMarkerOnceItIsTakenEvenIfStagedLater) {
    ASSERT_EQ(folders_.mark(ref()).value(), MarkOutcome::Taken);
    stageEmpty(ref());

    const auto process = startScript(ref(), "set -C; : >out/started || exit 71");

    ASSERT_TRUE(process.ok());
    EXPECT_EQ(waitFor(*process), 71);
    EXPECT_EQ(folders_.mark(ref()).value(), MarkOutcome::AlreadyStarted);
}

TEST_F(DirectFoldersTest, ACancelRequestIsAFlagFileAndRepeatable) {
    stageEmpty(ref());

    EXPECT_TRUE(folders_.requestCancel(ref()).ok());
    EXPECT_TRUE(folders_.requestCancel(ref()).ok());

    EXPECT_TRUE(std::filesystem::exists(folders_.path(ref()) / "in/cancel"));
    EXPECT_FALSE(folders_.requestCancel(ref("gb-test-2-1")).ok());
}

TEST_F(DirectFoldersTest, AWorkDirThatOthersCouldChangeIsRefused) {
    const auto open = temp_.path() / "open";
    std::filesystem::create_directory(open);
    std::filesystem::permissions(open, std::filesystem::perms::all);

    EXPECT_THROW(DirectFolders{open}, std::runtime_error);
    EXPECT_THROW(DirectFolders{"relative"}, std::runtime_error);
    EXPECT_THROW(DirectFolders{temp_.path() / "it's"}, std::runtime_error);
    EXPECT_THROW(DirectFolders{temp_.path() / "$(id)"}, std::runtime_error);
}

}  // namespace
}  // namespace gridbridge::folder
