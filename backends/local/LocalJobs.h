#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "backends/local/LocalRecords.h"

namespace gridbridge {

/// The queue and what runs from it. One thread starts processes, waits for their ends through
/// pidfds, and ends them; a waiting job costs its record alone. Safe for concurrent use.
class LocalJobs {
public:
    /// Goes on with the jobs in `records`: processes of before are watched where they still run.
    /// `changed` is called from now on, without locks held. All references must outlive it.
    /// `bootId` is that of the machine now. Throws std::runtime_error as LocalRecords::load.
    LocalJobs(int slots, std::string bootId, LocalRecords& records, folder::JobFolders& folders,
              Clock& clock, ChangeListener changed);
    LocalJobs(const LocalJobs&) = delete;
    LocalJobs& operator=(const LocalJobs&) = delete;
    /// Leaves the processes alone.
    ~LocalJobs() = default;

    std::optional<LocalRecord> get(const SubmissionKey& key) const;
    /// Why nothing but the existence is known of a job whose record cannot be read.
    std::optional<Error> damage(const SubmissionKey& key) const;
    /// A record for a new job, with the next place in the queue. Not queued yet.
    LocalRecord prepare(const SubmissionKey& key, const std::string& account);
    /// Queues a job that `records` holds.
    void add(LocalRecord record);
    /// Waiting jobs end at once. Running ones are asked softly through the folder, or get SIGTERM
    /// and a few seconds later SIGKILL; this does not wait for it.
    Result<CancelOutcome> cancel(const SubmissionKey& key, CancelKind kind);
    /// Frees the folder and forgets the job; well when there is none. One that waits is taken
    /// out of the queue before. Permanent while it runs.
    Result<void> release(const folder::FolderRef& folder);

private:
    struct Entry {
        LocalRecord record;
        Fd handle = {};                         ///< pidfd; only the watcher uses it.
        bool starting = false;                  ///< The watcher is about to start it.
        bool letGo = false;                     ///< This object told its process to go on.
        std::optional<SteadyTime> termAt = {};  ///< A hard cancel asks then,
        std::optional<SteadyTime> killAt = {};  ///< and from then on kills.
    };
    using Lock = std::unique_lock<std::mutex>;

    void load();
    Entry* find(const SubmissionKey& key);
    void wakeUp();
    /// Stores what became of a job; where that fails the watcher tries again.
    void persist(const LocalRecord& record);
    void setEnded(LocalRecord& record, EndCause cause, std::string reason);
    void planSignals(Entry& entry);
    /// Takes a waiting job out of the queue for good; AlreadyGone when it does not wait.
    Result<CancelOutcome> removePending(const SubmissionKey& key);

    void watch(std::stop_token stop);
    bool mayStart() const;
    void startNext();
    /// Places the inputs only now: a waiting job needs none.
    Result<folder::ProcessId> start(const folder::FolderRef& folder);
    bool recordStart(const SubmissionKey& key, const folder::ProcessId& process);
    void afterStart(const SubmissionKey& key, const Result<folder::ProcessId>& started);
    void sendSignals();
    void saveUnsaved();
    std::vector<SubmissionKey> waitForEnds();
    int pollTimeout(bool unwatched) const;
    void finish(const SubmissionKey& key);

    const std::size_t slots_;
    const std::string bootId_;
    LocalRecords& records_;
    folder::JobFolders& folders_;
    Clock& clock_;
    const ChangeListener changed_;
    Fd wake_;

    mutable std::mutex mutex_;
    std::unordered_map<SubmissionKey, Entry> jobs_;
    std::map<std::uint64_t, SubmissionKey> pending_;  ///< By id, which is first in first out.
    std::set<SubmissionKey> active_;                  ///< Starting and running.
    std::set<SubmissionKey> unsaved_;
    std::unordered_map<SubmissionKey, Error> damaged_;
    std::uint64_t nextId_ = 1;
    SteadyTime startAgainAt_{};

    std::jthread watcher_;
};

}  // namespace gridbridge
