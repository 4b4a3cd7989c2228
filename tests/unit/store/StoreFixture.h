#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Random.h"
#include "bridge/store/JobStore.h"
#include "tests/fakes/FakeClock.h"

namespace gridbridge::store {

/// A new empty folder; removed with all it holds at the end of its life.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = ::testing::TempDir() + "gridbridge-store-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) {
            std::abort();
        }
        path_ = name;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

inline std::string contentOf(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline void write(const std::filesystem::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

/// A store on disk under a clock that stands still.
class StoreFixture : public ::testing::Test {
protected:
    static constexpr const char* kServer = "https://gitlab.example.org";

    void reopen(Millis patience = kPatience) {
        store_.reset();
        store_ = std::make_unique<JobStore>(folder(), clock_, random_, patience);
    }
    const std::filesystem::path& folder() const { return folder_.path(); }
    std::filesystem::path file() const { return folder() / "gridbridge.db"; }

    JobRow receive(const std::string& body = "{}", const std::string& backend = "condor") {
        return store_->receive("pool", kServer, backend, Secret(body));
    }
    JobRecord loaded(JobRow row) {
        const std::vector<JobRow> rows{row};
        return store_->load(rows).at(0);
    }
    /// Stores `to` from the state the row is in.
    bool commit(const JobRecord& to, const std::string& cause = "test", bool forget = false) {
        const std::vector<Change> changes{{loaded(to.row).state, to, cause, forget}};
        return store_->commit(changes).at(0);
    }
    bool move(JobRow row, State state) {
        auto job = loaded(row);
        job.state = state;
        return commit(job);
    }
    /// As a person with the sqlite3 command.
    SQLite::Database person() const { return {file().string(), SQLite::OPEN_READWRITE}; }

    testing::FakeClock clock_;
    Random random_{7};
    TemporaryFolder folder_;
    std::unique_ptr<JobStore> store_ = std::make_unique<JobStore>(folder(), clock_, random_);
};

/// No field has its default value.
inline JobRecord fullRecord(JobRow row, const JobStore& store) {
    const auto at = [](int seconds) {
        return fromEpoch(std::chrono::milliseconds(1767225600000)) + std::chrono::seconds(seconds);
    };
    JobRecord job;
    job.row = row;
    job.runner = "pool";
    job.serverUrl = "https://gitlab.example.org";
    job.gitlabId = std::int64_t{1} << 40U;
    job.project = "physics/sim";
    job.ref = "main";
    job.sha = "0123456789abcdef";
    job.name = std::string("b\0d 'quoted' \xff", 14);
    job.stage = "test";
    job.user = "ann";
    job.url = "https://gitlab.example.org/physics/sim/-/jobs/1";
    job.backend = "condor";
    job.account = "ci";
    job.state = State::Running;
    job.outcome = Outcome::Failed;
    job.failureReason = "script_failure";
    job.exitCode = 3;
    job.cancel = Cancel::Soft;
    job.stopCause = "asked for";
    job.claimedAt = at(1);
    job.startedAt = at(2);
    job.endedAt = at(3);
    job.reportedAt = at(4);
    job.timeoutSeconds = 3600;
    job.deadline = at(5);
    job.dueAt = at(6);
    job.traceLength = 77;
    job.traceState = TraceState::Limited;
    job.rawOffset = 66;
    job.maskMode = "inside_run";
    auto& submission = job.submission;
    submission.attempt = 1;
    submission.key = submissionKey(store.installation(), row, 1);
    submission.id = {"4711.0"};
    submission.submittedAt = at(7);
    submission.run = 2;
    submission.batchState = "running";
    submission.reason = "none";
    submission.node = "node7";
    submission.startedAt = at(8);
    submission.endedAt = at(9);
    submission.cause = "exited";
    submission.exitCode = 3;
    submission.signal = 9;
    submission.status = "v 1\nexit_code 3\n";
    submission.statusAt = at(10);
    submission.absentSince = at(11);
    submission.cancelAt = at(12);
    submission.releasedAt = at(13);
    return job;
}

}  // namespace gridbridge::store
