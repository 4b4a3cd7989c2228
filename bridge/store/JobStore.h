#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/base/Secret.h"
#include "bridge/store/JobRecord.h"
#include "bridge/store/Request.h"

namespace gridbridge {
class Random;
}

namespace gridbridge::store {

/// The database cannot be used: full disk, I/O error, corruption, a newer schema, a lock held
/// beyond all patience. `busy` and `full` are conditions that pass.
class StoreError : public std::runtime_error {
public:
    enum class Kind { Busy, Full, Io, Corrupt, Newer, Other };
    StoreError(Kind of, const std::string& what) : std::runtime_error(what), kind(of) {}
    /// A lock, a full or an ill disk: the same call can work later.
    bool passes() const { return kind == Kind::Busy || kind == Kind::Full || kind == Kind::Io; }
    const Kind kind;
};

struct Installation {
    std::string id;  ///< 8 characters [a-z0-9]; part of every key.
    WallTime createdAt;
};

/// The machine's boot, and its clock less the time that the machine has been awake since: the same
/// until the clock is set, or the machine sleeps.
struct Boot {
    std::string id;  ///< /proc/sys/kernel/random/boot_id
    WallTime at;
};

/// One change of one job, stored whole or not at all.
struct Change {
    State from = State::Received;  ///< Compared; when the row is elsewhere the change is dropped.
    JobRecord to;
    std::string cause;  ///< Of the transition, one line; a row is written when from differs
                        ///< from to.state or `cause` is not empty.
    bool forgetSecrets = false;  ///< Deletes payload and token.
};

struct RunnerRecord {
    std::string name;
    std::string serverUrl;
    std::optional<std::int64_t> gitlabId = {};
    std::string systemId = {};
    std::optional<WallTime> lastContact = {};
    std::string health = {};  ///< `ok`, or why it claims nothing.
    bool draining = false;    ///< Claims nothing; `saveRunner` leaves it as it is.
};

/// A runner's token with an end, as GitLab gave it last.
struct RunnerToken {
    Secret token;
    WallTime obtainedAt;                   ///< When this service had it first.
    std::optional<WallTime> askedAt = {};  ///< A renewal whose answer is not stored.
};

struct Transition {
    WallTime at;
    std::string from;
    std::string to;
    std::string cause;
};

/// Open jobs per runner and backend, for the limits.
struct Load {
    std::string runner;
    std::string backend;
    State state;
    std::int64_t jobs;
};

/// How long a call waits for the lock of another program before it throws StoreError Busy. Writes
/// of one store wait for each other, so that the last of n threads may wait n times as long.
constexpr Millis kPatience{5000};

/// All persistent facts; the only user of SQL. Owner thread only, except `receive`, `checkLock`,
/// `saveHealth`, `saveContact` and the two of runner tokens, which are safe for concurrent use.
/// Every method throws StoreError; then nothing of its call was stored (after an Io error perhaps
/// all of it), and the call may be repeated. `clock` must outlive it.
class JobStore {
public:
    /// Opens or creates `<folder>/gridbridge.db` and `<folder>/secret.key` and migrates.
    JobStore(const std::filesystem::path& folder, const Clock& clock, Random& random,
             Millis patience = kPatience);
    ~JobStore();
    JobStore(const JobStore&) = delete;
    JobStore& operator=(const JobStore&) = delete;

    const Installation& installation() const;

    /// Stores the raw body of a 201, sealed, as a job in state `received`; durable on return.
    JobRow receive(const std::string& runner, const std::string& serverUrl,
                   const std::string& backend, const Secret& body);

    /// Throws where somebody holds the database, so that `receive` could store nothing now.
    void checkLock();

    /// Rows whose due time has come, and all rows in `received`.
    std::vector<JobRow> due(WallTime now);
    /// The earliest due time of an open job.
    std::optional<WallTime> nextDue();
    /// Records in the order of `rows`; unknown rows are left out.
    std::vector<JobRecord> load(std::span<const JobRow> rows);
    /// All jobs that are not done, by row.
    std::vector<JobRow> open();
    std::vector<Load> loads();

    /// Stores all changes and settlements in one transaction; false for those changes whose
    /// compare failed, or whose `gitlabId` another row of that server already has.
    std::vector<bool> commit(std::span<const Change> changes,
                             std::span<const Settlement> settlements = {});

    /// The clock was set by so much: what it was read for in open jobs moves along. Not what a
    /// batch system has told, nor the history. Rows after `last` may have been claimed before it
    /// was set or since; their claim, a moment ago, tells which.
    /// `boot` is stored with it: as the clock stands now.
    void shiftTimes(Millis by, JobRow last, const Boot& boot);
    /// As it was stored last; nothing in a new database.
    std::optional<Boot> boot();
    void save(const Boot& boot);

    /// What commands have asked for and nobody has seen to, oldest first.
    std::vector<Request> openRequests();

    /// The raw body. Permanent: it was forgotten, or does not open.
    Result<Secret> payload(JobRow row);

    /// Done jobs that ended before `limit`, oldest first, at most `most`.
    std::vector<JobRow> endedBefore(WallTime limit, std::size_t most);
    /// Deletes these jobs with all that belongs to them, and requests settled before `limit`; the
    /// room goes back to the file system.
    void erase(std::span<const JobRow> rows, WallTime limit);

    /// Nothing where none was saved, or where another token is `configured` now.
    std::optional<RunnerToken> runnerToken(const std::string& runner, const Secret& configured);
    /// Sealed, and durable on return.
    void saveRunnerToken(const std::string& runner, const Secret& configured,
                         const RunnerToken& token);

    /// At the start of the service: address, system id and health. What only GitLab can say stays
    /// as it is, unless the address has changed.
    void saveRunner(const RunnerRecord& runner);
    /// Of a runner that was saved before.
    void saveHealth(const std::string& runner, const std::string& health);
    /// GitLab answered a runner that was saved before, perhaps with its number there.
    void saveContact(const std::string& runner, WallTime at, std::optional<std::int64_t> gitlabId);
    std::vector<RunnerRecord> runners();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

struct JobFilter {
    bool all = false;  ///< Finished jobs too.
    std::optional<State> state = {};
    std::string backend = {};
};

/// Reads for people, beside a running or stopped service, without write access. Throws
/// StoreError. One thread at a time.
class JobReader {
public:
    explicit JobReader(const std::filesystem::path& folder);
    ~JobReader();
    JobReader(const JobReader&) = delete;
    JobReader& operator=(const JobReader&) = delete;

    std::vector<JobRecord> jobs(const JobFilter& filter);
    std::optional<JobRecord> job(JobRow row);
    /// By GitLab job id; several where servers share it.
    std::vector<JobRecord> byGitlabId(std::int64_t id);
    std::vector<SubmissionRecord> submissions(JobRow row);
    std::vector<Transition> transitions(JobRow row);
    std::vector<Request> requests(JobRow row);
    std::optional<Request> request(std::int64_t id);
    std::vector<RunnerRecord> runners();
    Installation installation();
    /// Throws where a start of the service would not get on with `secret.key`; else the open jobs
    /// that it would give up, for their descriptions do not open.
    std::vector<JobRecord> proveKey();
    /// As in JobStore; needs to read `secret.key` where a token is stored.
    std::optional<RunnerToken> runnerToken(const std::string& runner, const Secret& configured);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// `gb-<installation>-<job row>`
std::string jobKey(const Installation& installation, JobRow row);
SubmissionKey submissionKey(const Installation& installation, JobRow row, int attempt);

}  // namespace gridbridge::store
