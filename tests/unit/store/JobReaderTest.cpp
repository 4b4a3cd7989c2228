#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<JobRow> rowsOf(const std::vector<JobRecord>& jobs) {
    std::vector<JobRow> rows;
    for (const auto& job : jobs) {
        rows.push_back(job.row);
    }
    return rows;
}

class JobReaderTest : public StoreFixture {
protected:
    /// Exit code of a child that may read, but not write, and looks for one job. A root process
    /// becomes nobody for it, since no mode stops root.
    [[noreturn]] void lookWithoutWritePermission() {
        const bool unprivileged = ::geteuid() != 0 || ::setuid(65534) == 0;
        int code = 1;
        try {
            if (unprivileged && ::access(file().c_str(), W_OK) != 0) {
                JobReader reader(folder());
                code = reader.jobs({}).size() == 1 ? 0 : 2;
            }
        } catch (const StoreError& error) {
            static_cast<void>(std::fputs(error.what(), stderr));
            code = 3;
        }
        ::_exit(code);
    }
    void takeWritePermissionAway() const {
        for (const char* end : {"", "-wal", "-shm"}) {
            EXPECT_EQ(::chmod((file().string() + end).c_str(), 0444), 0) << end;
        }
        EXPECT_EQ(::chmod(folder().c_str(), 0555), 0);
    }
};

TEST_F(JobReaderTest, FiltersByStateBackendAndWhetherFinished) {
    const auto a = receive();
    const auto b = receive("{}", "slurm");
    const auto c = receive();
    ASSERT_TRUE(move(b, State::Running));
    ASSERT_TRUE(move(c, State::Done));
    JobReader reader(folder());

    EXPECT_THAT(rowsOf(reader.jobs({})), ElementsAre(a, b));
    EXPECT_THAT(rowsOf(reader.jobs({.all = true})), ElementsAre(a, b, c));
    EXPECT_THAT(rowsOf(reader.jobs({.state = State::Running})), ElementsAre(b));
    EXPECT_THAT(rowsOf(reader.jobs({.state = State::Done})), ElementsAre(c));
    EXPECT_THAT(rowsOf(reader.jobs({.backend = "slurm"})), ElementsAre(b));
    EXPECT_THAT(rowsOf(reader.jobs({.all = true, .backend = "condor"})), ElementsAre(a, c));
    EXPECT_THAT(rowsOf(reader.jobs({.state = State::Running, .backend = "condor"})), ElementsAre());
}

TEST_F(JobReaderTest, ReadsTheWholeRecordWithItsLastSubmission) {
    const auto row = receive();
    const auto full = fullRecord(row, *store_);
    ASSERT_TRUE(commit(full));
    JobReader reader(folder());

    EXPECT_THAT(reader.jobs({}), ElementsAre(full));
    EXPECT_THAT(reader.byGitlabId(*full.gitlabId), ElementsAre(full));
    EXPECT_THAT(reader.byGitlabId(5), ElementsAre());
    EXPECT_EQ(reader.installation().id, store_->installation().id);
}

TEST_F(JobReaderTest, WorksWhileTheServiceRunsAndWhenItIsStopped) {
    JobReader during(folder());
    const auto row = receive();
    EXPECT_THAT(rowsOf(during.jobs({})), ElementsAre(row));

    store_.reset();

    EXPECT_THAT(rowsOf(during.jobs({})), ElementsAre(row));
    EXPECT_THAT(rowsOf(JobReader(folder()).jobs({})), ElementsAre(row));
    reopen();
    EXPECT_THAT(store_->open(), ElementsAre(row));
}

TEST_F(JobReaderTest, NeedsNoWritePermissionWhileTheServiceRuns) {
    receive();
    takeWritePermissionAway();

    EXPECT_EXIT(lookWithoutWritePermission(), ::testing::ExitedWithCode(0), "");
}

TEST_F(JobReaderTest, NeedsNoWritePermissionWhenTheServiceWasStopped) {
    receive();
    store_.reset();
    takeWritePermissionAway();

    EXPECT_EXIT(lookWithoutWritePermission(), ::testing::ExitedWithCode(0), "");
}

TEST_F(JobReaderTest, WithoutADatabaseItSaysWhoMakesIt) {
    const TemporaryFolder empty;
    try {
        JobReader reader(empty.path());
        FAIL() << "opened";
    } catch (const StoreError& error) {
        EXPECT_EQ(error.kind, StoreError::Kind::Io);
        EXPECT_THAT(error.what(), HasSubstr("there is no database yet"));
    }
    EXPECT_TRUE(std::filesystem::is_empty(empty.path())) << "and makes nothing itself";
}

}  // namespace
}  // namespace gridbridge::store
