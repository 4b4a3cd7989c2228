#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/store/JobRecord.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::store {

/// Reads of `job`, `submission` and `transition` over one connection, which must outlive it.
/// Throws SQLite::Exception. One thread at a time.
class JobReads {
public:
    explicit JobReads(SQLite::Database& database);

    /// The record with its last submission.
    std::optional<JobRecord> job(JobRow row);
    /// By row.
    std::vector<JobRecord> jobs(const JobFilter& filter);
    std::vector<JobRecord> byGitlabId(std::int64_t id);
    std::vector<SubmissionRecord> submissions(JobRow row);
    std::vector<Transition> transitions(JobRow row);

    std::vector<JobRow> due(WallTime now);
    std::optional<WallTime> nextDue();
    std::vector<JobRow> open();
    std::vector<Load> loads();
    std::vector<JobRow> endedBefore(WallTime limit, std::size_t most);

private:
    SubmissionRecord lastSubmission(JobRow row);
    std::vector<JobRecord> all(SQLite::Statement& statement);

    SQLite::Database& database_;
    SQLite::Statement job_;
    SQLite::Statement byGitlabId_;
    SQLite::Statement lastSubmission_;
    SQLite::Statement submissions_;
    SQLite::Statement transitions_;
    SQLite::Statement due_;
    SQLite::Statement nextDue_;
    SQLite::Statement open_;
    SQLite::Statement loads_;
};

/// Writes of the same tables, and of `job_secret`, within a transaction of the caller.
/// Throws SQLite::Exception. One thread at a time.
class JobWrites {
public:
    explicit JobWrites(SQLite::Database& database);

    /// A new row in state `received`, due at once.
    JobRow insert(const std::string& runner, const std::string& serverUrl,
                  const std::string& backend, WallTime now);
    /// Changes nothing and says false when the row is not in state `from`, or when another row
    /// already is the same job of the same server.
    bool update(const JobRecord& to, State from);
    /// Inserts or updates the attempt of `job`.
    void save(JobRow job, const SubmissionRecord& submission);
    void note(JobRow job, WallTime at, std::optional<State> from, State to, std::string_view cause);

    void insertSecret(JobRow job, const std::string& sealed);
    std::optional<std::string> secret(JobRow job);
    void deleteSecret(JobRow job);
    /// The row and all that refers to it.
    void erase(JobRow job);
    void shiftTimes(Millis by, JobRow last, WallTime now);

private:
    SQLite::Database& database_;
    SQLite::Statement insert_;
    SQLite::Statement update_;
    SQLite::Statement updateSubmission_;
    SQLite::Statement insertSubmission_;
    SQLite::Statement note_;
    SQLite::Statement insertSecret_;
    SQLite::Statement secret_;
    SQLite::Statement deleteSecret_;
};

}  // namespace gridbridge::store
