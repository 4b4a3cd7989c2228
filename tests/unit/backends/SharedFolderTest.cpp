#include <gtest/gtest.h>

#include <fstream>

#include "backends/api/SharedFolder.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

class SharedFolderTest : public ::testing::Test {
protected:
    SharedFolderTest() {
        job_.key = {"gb-test-1-1"};
        EXPECT_TRUE(folders_.stage(folder(), {}).ok());
    }
    folder::FolderRef folder() { return {job_.key, {}}; }
    std::filesystem::path out(const std::string& name) {
        return folders_.path(folder()) / "out" / name;
    }
    void write(const std::string& name, const std::string& text) {
        std::ofstream(out(name), std::ios::binary) << text;
    }
    void link(const std::string& name) {
        std::filesystem::create_symlink("/etc/passwd", out(name));
    }
    Result<LogChunk> read(std::int64_t offset = 0) {
        const std::vector<LogRequest> requests{{{job_.key, {}, {}, {}}, 1, offset, 100}};
        return readSharedLogs(folders_, requests).at(0);
    }

    testing::TempDir temp_;
    folder::DirectFolders folders_{temp_.path() / "work"};
    BatchJob job_;
};

TEST_F(SharedFolderTest, TheLoaderKnowsItsFolderEverywhere) {
    job_.inputs = {{"job.sh", "x @FOLDER@"}};
    job_.loader = "@FOLDER@/in; cd '@FOLDER@' @FOLDER";

    const auto files = filesOf(folders_, job_);

    ASSERT_TRUE(files.ok());
    const auto path = folders_.path(folder()).string();
    ASSERT_EQ(files->size(), 2U);
    EXPECT_EQ(files->at(0).content, "x @FOLDER@");
    EXPECT_EQ(files->at(1).name, "loader.sh");
    EXPECT_EQ(files->at(1).content, "#!/bin/sh\n" + path + "/in; cd '" + path + "' @FOLDER");
}

TEST_F(SharedFolderTest, TheFolderMayBeAnotherOneOnTheNode) {
    job_.loader = "cd '@FOLDER@'";

    const auto files = filesOf(folders_, job_, ".");

    ASSERT_TRUE(files.ok());
    EXPECT_EQ(files->back().content, "#!/bin/sh\ncd '.'");
}

TEST_F(SharedFolderTest, WhatCannotBeStagedIsRefused) {
    job_.loader = std::string(4096, 'x');
    EXPECT_TRUE(filesOf(folders_, job_).ok());
    job_.loader += 'x';
    EXPECT_FALSE(filesOf(folders_, job_).ok());
    job_.loader = "";
    for (const char* name : {"loader.sh", "../x", "a/b", ""}) {
        job_.inputs = {{name, ""}};
        const auto files = filesOf(folders_, job_);
        ASSERT_FALSE(files.ok()) << name;
        EXPECT_EQ(files.error().kind, ErrorKind::Permanent);
    }
}

TEST_F(SharedFolderTest, GivesLogAndStatusOnceTheyAreThere) {
    EXPECT_EQ(read()->bytes, "");
    EXPECT_FALSE(read()->status.has_value());
    EXPECT_FALSE(read()->size.has_value());

    write("log", "0123");
    EXPECT_EQ(read(1)->bytes, "123");
    EXPECT_EQ(read(1)->size, 4);
    EXPECT_EQ(read(100)->size, 4);
    EXPECT_FALSE(read()->status.has_value());

    write("status", "done");
    EXPECT_EQ(read()->status, "done");
}

TEST_F(SharedFolderTest, AStatusThatTheJobMadeUnreadableIsAnInvalidOne) {
    write("log", "0123");
    link("status");

    const auto chunk = read();

    ASSERT_TRUE(chunk.ok());
    EXPECT_EQ(chunk->bytes, "0123");
    EXPECT_EQ(chunk->status, "");
}

TEST_F(SharedFolderTest, ALogThatTheJobMadeUnreadableIsEmptyAndDoesNotHideTheStatus) {
    link("log");
    write("status", "done");

    const auto chunk = read();

    ASSERT_TRUE(chunk.ok());
    EXPECT_EQ(chunk->bytes, "");
    EXPECT_EQ(chunk->status, "done");
}

TEST_F(SharedFolderTest, WhereNothingIsReadableThereIsAnError) {
    std::filesystem::remove(out(""));
    std::filesystem::create_symlink("/etc", folders_.path(folder()) / "out");

    const auto chunk = read();

    ASSERT_FALSE(chunk.ok());
    EXPECT_EQ(chunk.error().kind, ErrorKind::Permanent);
}

TEST_F(SharedFolderTest, AMarkerThatCannotBeReadCountsAsTaken) {
    EXPECT_FALSE(isMarked(folders_, folder()));
    link("started");
    EXPECT_TRUE(isMarked(folders_, folder()));
    std::filesystem::remove(out("started"));
    ASSERT_TRUE(folders_.begin(folder()).ok());
    EXPECT_TRUE(isMarked(folders_, folder()));
}

TEST_F(SharedFolderTest, TheServicesMarkerIsNoStartOfTheScript) {
    ASSERT_TRUE(folders_.mark(folder()).ok());
    EXPECT_FALSE(isMarked(folders_, folder()));
    const std::vector<JobRef> refs{{folder().key, folder().account, {}, {}}};
    EXPECT_FALSE(readMarks(folders_, refs).at(0).started);
}

}  // namespace
}  // namespace gridbridge
