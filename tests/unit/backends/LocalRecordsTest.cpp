#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <sys/stat.h>

#include "backends/local/LocalRecords.h"
#include "tests/fakes/SyncedDisk.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using testing::readFile;
using testing::TempDir;

class LocalRecordsTest : public ::testing::Test {
protected:
    LocalRecordsTest() {
        record_.key = {"gb-test-1-1"};
        record_.id = 3;
        record_.submittedAt = fromEpoch(Millis(1767225600123));
    }
    LocalRecord running() {
        auto record = record_;
        record.state = LocalState::Running;
        record.process = folder::ProcessId{4711, 99, "boot"};
        return record;
    }
    std::filesystem::path file() { return temp_.path() / ".local/gb-test-1-1"; }
    void overwrite(const std::string& content) {
        std::ofstream(file(), std::ios::binary | std::ios::trunc) << content;
    }

    TempDir temp_;
    LocalRecords records_{temp_.path()};
    LocalRecord record_;
    /// Like a record, and the job's author can write it.
    const std::vector<folder::StagedFile> inputs_{
        {"job.sh", "\n" + formatRecord(LocalRecord{}) + "end\n"}};
};

TEST_F(LocalRecordsTest, TheLastUpdateCountsAndTheInputsStay) {
    ASSERT_TRUE(records_.create(record_, inputs_).ok());
    ASSERT_TRUE(records_.update(running()).ok());

    LocalRecords later(temp_.path());
    const auto loaded = later.load();

    ASSERT_EQ(loaded.size(), 1U);
    EXPECT_EQ(loaded[0].record.value(), running());
    ASSERT_TRUE(later.inputs(record_.key).ok());
    EXPECT_EQ(later.inputs(record_.key)->at(0).content, inputs_[0].content);
}

TEST_F(LocalRecordsTest, WhatWasSyncedAndWhatWasUpdatedOutliveAPowerFailure) {
    const testing::SyncedDisk disk;
    const auto left = [&] {
        const TempDir after;
        disk.leave(temp_.path() / ".local", after.path() / ".local");
        return LocalRecords(after.path()).load();
    };
    ASSERT_TRUE(records_.create(record_, inputs_).ok());
    ASSERT_TRUE(records_.sync().ok());
    ASSERT_EQ(left().size(), 1U);
    EXPECT_EQ(left().at(0).record.value(), record_);

    ASSERT_TRUE(records_.update(running()).ok());
    EXPECT_EQ(left().at(0).record.value(), running());
}

TEST_F(LocalRecordsTest, OnlyTheServiceCanReadTheMemory) {
    ASSERT_TRUE(records_.create(record_, inputs_).ok());

    struct stat info {};
    ASSERT_EQ(::stat(file().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0600U);
    ASSERT_EQ(::stat((temp_.path() / ".local").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0700U);
}

TEST_F(LocalRecordsTest, AfterATornWriteTheOldRecordStandsOrTheJobWasNeverCreated) {
    ASSERT_TRUE(records_.create(record_, inputs_).ok());
    const auto created = readFile(file());
    ASSERT_TRUE(records_.update(running()).ok());
    const auto updated = readFile(file());

    for (std::size_t length = 0; length <= updated.size(); ++length) {
        overwrite(updated.substr(0, length));

        const auto loaded = records_.load();

        if (length < created.size()) {
            EXPECT_TRUE(loaded.empty()) << length;
            EXPECT_FALSE(std::filesystem::exists(file())) << length;
        } else {
            ASSERT_EQ(loaded.size(), 1U) << length;
            ASSERT_TRUE(loaded[0].record.ok()) << length;
            EXPECT_EQ(*loaded[0].record, length == updated.size() ? running() : record_);
        }
    }
}

TEST_F(LocalRecordsTest, AnUpdateBehindATornOneCounts) {
    for (const auto& torn : {std::string("\nstate=pen"), std::string(700, '\0'),
                             std::string("\nstate=ended\naccount=x\nen"), std::string("end\n")}) {
        ASSERT_TRUE(records_.create(record_, inputs_).ok());
        overwrite(readFile(file()) + torn);

        ASSERT_TRUE(records_.update(running()).ok());

        EXPECT_EQ(records_.load().at(0).record.value(), running()) << torn;
    }
}

TEST_F(LocalRecordsTest, AManyTimesChangedRecordIsStillFound) {
    ASSERT_TRUE(records_.create(record_, inputs_).ok());
    auto record = running();
    for (int i = 0; i < 200; ++i) {
        record.reason = std::string(400, 'x') + std::to_string(i);
        ASSERT_TRUE(records_.update(record).ok());
    }

    EXPECT_EQ(records_.load().at(0).record.value(), record);
}

TEST_F(LocalRecordsTest, AStrangeRecordIsKeptAndReportedWithoutHarmToOthers) {
    ASSERT_TRUE(records_.create(record_, inputs_).ok());
    overwrite(readFile(file()) + "\nstate=strange\nend\n");
    record_.key = {"gb-test-2-1"};
    ASSERT_TRUE(records_.create(record_, inputs_).ok());

    const auto loaded = records_.load();

    ASSERT_EQ(loaded.size(), 2U);
    for (const auto& [key, record] : loaded) {
        EXPECT_EQ(record.ok(), key.value == "gb-test-2-1");
    }
    EXPECT_TRUE(std::filesystem::exists(file()));
}

TEST_F(LocalRecordsTest, RemovingForgetsAndMayBeRepeated) {
    ASSERT_TRUE(records_.create(record_, inputs_).ok());

    EXPECT_TRUE(records_.remove(record_.key).ok());
    EXPECT_TRUE(records_.remove(record_.key).ok());

    EXPECT_TRUE(records_.load().empty());
    EXPECT_FALSE(records_.update(running()).ok());
}

TEST_F(LocalRecordsTest, AMemoryThatOthersCanReadIsRefused) {
    std::filesystem::permissions(temp_.path() / ".local", std::filesystem::perms::owner_all |
                                                              std::filesystem::perms::others_read);

    EXPECT_THROW(LocalRecords{temp_.path()}, std::runtime_error);
    EXPECT_THROW(LocalRecords{temp_.path() / "absent"}, std::runtime_error);
}

}  // namespace
}  // namespace gridbridge
