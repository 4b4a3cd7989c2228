#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <sys/stat.h>
#include <thread>

#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/SyncedDisk.h"
#include "tests/unit/folder/FolderFixture.h"

namespace gridbridge::folder {
namespace {

using testing::readFile;

/// As a loader does.
constexpr const char* kTakesMarker = "set -C; printf '' >out/started || exit 71";

class JobFoldersTest : public FolderFixture {};
INSTANTIATE_TEST_SUITE_P(Of, JobFoldersTest, ::testing::ValuesIn(everybody()), nameOf);

TEST_P(JobFoldersTest, AStagedFolderIsPrivateAndHoldsTheFilesUnchanged) {
    const std::vector<StagedFile> files{{"job.sh", std::string("a\0\xff'\n", 5)}, {"empty", ""}};

    ASSERT_TRUE(folders_.stage(ref(), files).ok());

    const auto folder = work_ / GetParam().account / "gb-test-1-1";
    EXPECT_EQ(folders_.path(ref()), folder);
    EXPECT_EQ(readFile(folder / "in/job.sh"), std::string("a\0\xff'\n", 5));
    EXPECT_EQ(modeOf(folder / "in/job.sh"), 0600U);
    EXPECT_TRUE(std::filesystem::is_empty(folder / "in/empty"));
    EXPECT_EQ(statOf(folder / "in/job.sh").st_uid, account().uid);
    EXPECT_EQ(modeOf(work_), 0711U);
    EXPECT_EQ(statOf(work_).st_uid, ::geteuid());
    for (const char* inner : {"", "in", "out"}) {
        EXPECT_EQ(modeOf(folder / inner), 0700U) << inner;
        EXPECT_EQ(statOf(folder / inner).st_uid, account().uid) << inner;
    }
    EXPECT_EQ(statOf(folder.parent_path()).st_uid, account().uid);
}

TEST_P(JobFoldersTest, StagingAgainReplacesTheFiles) {
    ASSERT_TRUE(folders_.stage(ref(), std::vector<StagedFile>{{"job.sh", "longer old"}}).ok());

    ASSERT_TRUE(folders_.stage(ref(), std::vector<StagedFile>{{"job.sh", "new"}}).ok());

    EXPECT_EQ(readFile(folders_.path(ref()) / "in/job.sh"), "new");
}

TEST_P(JobFoldersTest, PiecesMakeOneFileAndTheFirstBeginsAnew) {
    ASSERT_TRUE(folders_.append(ref(), "large", 0, "left of a try").ok());

    ASSERT_TRUE(folders_.append(ref(), "large", 0, "one, ").ok());
    ASSERT_TRUE(folders_.append(ref(), "large", 5, std::string("t\0o", 3)).ok());

    const auto file = folders_.path(ref()) / "in/large";
    EXPECT_EQ(readFile(file), std::string("one, t\0o", 8));
    EXPECT_EQ(modeOf(file), 0600U);
    EXPECT_EQ(statOf(file).st_uid, account().uid);
    EXPECT_FALSE(folders_.append(ref(), "large", 3, "x").ok()) << "some other try wrote to it";
    EXPECT_FALSE(folders_.append(ref(), "other", 3, "x").ok());
    EXPECT_FALSE(folders_.append(ref(), "../out/log", 0, "x").ok());
    EXPECT_EQ(readFile(file), std::string("one, t\0o", 8));
}

TEST_P(JobFoldersTest, WhatABatchSystemGaveBackIsAnOutput) {
    ASSERT_TRUE(folders_.append(ref(), "out/log", 0, "left of a try").ok());

    ASSERT_TRUE(folders_.append(ref(), "out/log", 0, "one, ").ok());
    ASSERT_TRUE(folders_.append(ref(), "out/log", 5, "two").ok());

    EXPECT_EQ(readOne(ref(), "log").value().bytes, "one, two");
    for (const char* name : {"out/", "out/../in/log", "out//log", "out/a/b", "in/log"}) {
        EXPECT_FALSE(folders_.append(ref(), name, 0, "x").ok()) << name;
    }
}

TEST_P(JobFoldersTest, WhatWasStagedCanBeReadAgain) {
    ASSERT_TRUE(folders_.stage(ref(), std::vector<StagedFile>{{"removed", "yes"}}).ok());

    EXPECT_EQ(readOne(ref(), "in/removed").value().bytes, "yes");
    EXPECT_FALSE(readOne(ref(), "in/other").value().exists);
    EXPECT_FALSE(readOne(ref(), "removed").value().exists);
    EXPECT_FALSE(readOne(ref(), "in/../out/log").ok());
}

TEST_P(JobFoldersTest, NamesThatCouldLeadElsewhereAreRefused) {
    stageEmpty(ref());
    write(folders_.path(ref()) / "secret", "s");

    for (const char* name : {"../secret", "..", ".", "", "a/b", "a b"}) {
        EXPECT_FALSE(readOne(ref(), name).ok()) << name;
        EXPECT_FALSE(folders_.stage(ref(), std::vector<StagedFile>{{name, "x"}}).ok()) << name;
    }
    for (const char* key : {"", "..", "a/b", "A", "a.b"}) {
        EXPECT_FALSE(folders_.stage(ref(key), std::vector<StagedFile>{}).ok()) << key;
        EXPECT_FALSE(folders_.free(ref(key)).ok()) << key;
    }
    for (const char* account : {"..", "gb-test-1-1/..", ".local"}) {
        (void)folders_.free({{"in"}, account});
        EXPECT_FALSE(folders_.stage({{"in"}, account}, std::vector<StagedFile>{}).ok()) << account;
    }
    EXPECT_TRUE(std::filesystem::exists(folders_.path(ref()) / "in"));
}

TEST_P(JobFoldersTest, ReadsInOrderFromTheOffsetAndNoMoreThanTheLimit) {
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

TEST_P(JobFoldersTest, MoreThanOneAnswerHoldsIsReadWholeAndInOrder) {
    stageEmpty(ref());
    const std::size_t large = kMostBytesRead / 4 + 1000;
    std::vector<ReadRequest> requests;
    for (int i = 0; i < 10; ++i) {
        const auto name = "part" + std::to_string(i);
        write(out(ref(), name), std::string(large, static_cast<char>('a' + i)));
        requests.push_back({ref(), name, 0, 2 * large});
    }
    requests.insert(requests.end(), 2 * kMostChunks, {ref(), "part3", 5, 3});

    const auto chunks = folders_.read(requests);

    ASSERT_EQ(chunks.size(), requests.size());
    for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(chunks[i]->bytes, std::string(large, static_cast<char>('a' + i))) << i;
    }
    for (auto i = requests.size() - 2 * kMostChunks; i < requests.size(); ++i) {
        ASSERT_EQ(chunks[i]->bytes, "ddd");
    }
}

TEST_P(JobFoldersTest, OneOfManyCopiesTakesTheMarkerOrTheServiceDoes) {
    constexpr int kThreads = 16;
    for (int round = 0; round < 20; ++round) {
        const auto folder = ref("gb-test-" + std::to_string(round) + "-1");
        stageEmpty(folder);
        std::latch ready(kThreads);
        std::atomic<int> begun{0};
        std::atomic<int> taken{0};
        {
            std::vector<std::jthread> threads;
            for (int i = 0; i < kThreads; ++i) {
                threads.emplace_back([&, copy = i % 2 == 0] {
                    ready.arrive_and_wait();
                    const auto marked = copy ? folders_.begin(folder) : folders_.mark(folder);
                    ASSERT_TRUE(marked.ok());
                    (copy ? begun : taken) += *marked == MarkOutcome::Taken ? 1 : 0;
                });
            }
        }

        EXPECT_EQ(begun, taken == 0 ? 1 : 0);
        EXPECT_EQ(taken, begun == 0 ? kThreads / 2 : 0)
            << "the service's is known to all its calls";
        EXPECT_EQ(readOne(folder, "started")->exists, begun == 1);
    }
}

TEST_P(JobFoldersTest, AScriptCannotTakeTheMarkerOnceItIsTakenEvenIfStagedLater) {
    ASSERT_EQ(folders_.mark(ref()).value(), MarkOutcome::Taken);
    stageEmpty(ref());

    const auto process = startScript(ref(), kTakesMarker);

    ASSERT_TRUE(process.ok());
    EXPECT_EQ(waitFor(*process), 71);
    EXPECT_EQ(folders_.begin(ref()).value(), MarkOutcome::AlreadyStarted);
    EXPECT_EQ(statOf(out(ref(), "started")).st_uid, account().uid);
}

TEST_P(JobFoldersTest, TheServiceKnowsItsOwnMarkerAgain) {
    ASSERT_EQ(folders_.mark(ref()).value(), MarkOutcome::Taken);

    EXPECT_EQ(folders_.mark(ref()).value(), MarkOutcome::Taken);
    EXPECT_FALSE(readOne(ref(), "started")->exists) << "no script has started";

    ASSERT_TRUE(folders_.free(ref()).ok());
    EXPECT_FALSE(std::filesystem::exists(folders_.path(ref())));
}

TEST_P(JobFoldersTest, TheMarkerOfAScriptIsNeverTheServices) {
    stageEmpty(ref());
    const auto process = startScript(ref(), kTakesMarker);
    ASSERT_TRUE(process.ok());
    ASSERT_EQ(waitFor(*process), 0);

    EXPECT_EQ(folders_.mark(ref()).value(), MarkOutcome::AlreadyStarted);
    EXPECT_EQ(folders_.begin(ref()).value(), MarkOutcome::AlreadyStarted);
    EXPECT_TRUE(readOne(ref(), "started")->exists);
}

TEST_P(JobFoldersTest, WhatAJobPutsInThePlaceOfTheMarkerIsNotTheServices) {
    stageEmpty(ref());
    const auto marker = out(ref(), "started");
    std::filesystem::create_symlink(temp_.path(), marker);
    EXPECT_EQ(folders_.mark(ref()).value(), MarkOutcome::AlreadyStarted);
    EXPECT_FALSE(readOne(ref(), "started").ok());
    std::filesystem::remove(marker);
    ASSERT_EQ(::mkfifo(marker.c_str(), 0600), 0);
    EXPECT_EQ(folders_.mark(ref()).value(), MarkOutcome::AlreadyStarted);
    EXPECT_FALSE(readOne(ref(), "started").ok());
}

TEST_P(JobFoldersTest, ACancelRequestIsAFlagFileAndRepeatable) {
    stageEmpty(ref());

    EXPECT_TRUE(folders_.requestCancel(ref()).ok());
    EXPECT_TRUE(folders_.requestCancel(ref()).ok());

    EXPECT_EQ(statOf(folders_.path(ref()) / "in/cancel").st_uid, account().uid);
    EXPECT_FALSE(folders_.requestCancel(ref("gb-test-2-1")).ok());
}

TEST(DirectFoldersTest, AWorkDirThatOthersCouldChangeIsRefused) {
    const testing::TempDir temp;
    const auto open = temp.path() / "open";
    std::filesystem::create_directory(open);
    std::filesystem::permissions(open, std::filesystem::perms::all);

    EXPECT_THROW(DirectFolders{open}, std::runtime_error);
    EXPECT_THROW(DirectFolders{"relative"}, std::runtime_error);
    EXPECT_THROW(DirectFolders{temp.path() / "it's"}, std::runtime_error);
    EXPECT_THROW(DirectFolders{temp.path() / "$(id)"}, std::runtime_error);
}

TEST(DirectFoldersTest, AMarkerThatWasTakenOutlivesAPowerFailure) {
    const testing::TempDir temp;
    std::filesystem::create_directory(temp.path() / "work");
    DirectFolders folders(temp.path() / "work");
    const FolderRef ref{.key = {"gb-test-1-1"}, .account = ""};
    ASSERT_TRUE(folders.stage(ref, std::vector<StagedFile>{}).ok());
    const testing::SyncedDisk disk;

    ASSERT_EQ(folders.mark(ref).value(), MarkOutcome::Taken);

    disk.leave(folders.path(ref) / "out", temp.path() / "left");
    EXPECT_TRUE(std::filesystem::is_directory(temp.path() / "left/started"));
}

TEST(DirectFoldersTest, AMarkerFoundAgainOutlivesAPowerFailureToo) {
    const testing::TempDir temp;
    std::filesystem::create_directory(temp.path() / "work");
    DirectFolders folders(temp.path() / "work");
    const FolderRef ref{.key = {"gb-test-1-1"}, .account = ""};
    ASSERT_EQ(folders.mark(ref).value(), MarkOutcome::Taken);
    const testing::SyncedDisk disk;  // Of the first time nothing was synced.

    ASSERT_EQ(folders.mark(ref).value(), MarkOutcome::Taken);

    disk.leave(folders.path(ref) / "out", temp.path() / "left");
    EXPECT_TRUE(std::filesystem::is_directory(temp.path() / "left/started"));
}

}  // namespace
}  // namespace gridbridge::folder
