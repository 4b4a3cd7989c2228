#include "backends/local/LocalJobs.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <pthread.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/api/SharedFolder.h"
#include "bridge/folder/ProcessTable.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// From SIGTERM to SIGKILL, and between repetitions of that.
constexpr seconds kKillGrace{3};
/// Until what the machine just refused (a process, a descriptor, disk space) is tried again.
constexpr seconds kRetry{1};
/// The exit code of a process that was never let go, see DirectFolders.
constexpr int kNeverLetGo = 72;

folder::FolderRef folderOf(const LocalRecord& record) {
    return {record.key, record.account};
}

enum class Watch { Open, Gone, NotNow };

/// A handle to exactly that process, not to a later one with its number.
Watch openHandle(const folder::ProcessId& process, Fd& handle) {
    Fd opened(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!opened) {
        return errno == ESRCH ? Watch::Gone : Watch::NotNow;
    }
    const auto stat = folder::readProcessStat(process.pid);
    if (!stat) {
        return Watch::NotNow;
    }
    if (stat->startTicks != process.startTicks) {
        return Watch::Gone;
    }
    handle = std::move(opened);
    return Watch::Open;
}

}  // namespace

LocalJobs::LocalJobs(int slots, std::string bootId, LocalRecords& records,
                     folder::JobFolders& folders, Clock& clock, ChangeListener changed)
    : slots_(static_cast<std::size_t>(std::max(slots, 1))),
      bootId_(std::move(bootId)),
      records_(records),
      folders_(folders),
      clock_(clock),
      changed_(std::move(changed)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake_) {
        throw std::runtime_error("the local backend cannot make an event descriptor");
    }
    load();
    watcher_ = std::jthread([this](std::stop_token stop) { watch(stop); });
}

void LocalJobs::load() {
    for (auto& loaded : records_.load()) {
        if (!loaded.record) {
            damaged_.emplace(loaded.key, loaded.record.error());
            continue;
        }
        auto record = std::move(loaded.record).value();
        nextId_ = std::max(nextId_, record.id + 1);
        auto& entry = jobs_[record.key];
        if (record.state == LocalState::Pending) {
            pending_.emplace(record.id, record.key);
        } else if (record.state == LocalState::Running && record.process->bootId != bootId_) {
            setEnded(record, EndCause::NodeFailure, "the machine was restarted");
            // It had been let go; a marker may have been lost with the power.
            record.scriptStarted = true;
            unsaved_.insert(record.key);
        } else if (record.state == LocalState::Running) {
            active_.insert(record.key);
        }
        entry.record = std::move(record);
        planSignals(entry);
    }
}

std::optional<LocalRecord> LocalJobs::get(const SubmissionKey& key) const {
    const Lock lock(mutex_);
    const auto found = jobs_.find(key);
    return found == jobs_.end() ? std::nullopt : std::optional(found->second.record);
}

std::optional<Error> LocalJobs::damage(const SubmissionKey& key) const {
    const Lock lock(mutex_);
    const auto found = damaged_.find(key);
    return found == damaged_.end() ? std::nullopt : std::optional(found->second);
}

LocalRecord LocalJobs::prepare(const SubmissionKey& key, const std::string& account) {
    const Lock lock(mutex_);
    LocalRecord record;
    record.key = key;
    record.account = account;
    record.id = nextId_++;
    record.submittedAt = clock_.wallNow();
    return record;
}

void LocalJobs::add(LocalRecord record) {
    {
        const Lock lock(mutex_);
        pending_.emplace(record.id, record.key);
        auto& entry = jobs_[record.key];
        entry.record = std::move(record);
    }
    wakeUp();
}

LocalJobs::Entry* LocalJobs::find(const SubmissionKey& key) {
    const auto found = jobs_.find(key);
    return found == jobs_.end() ? nullptr : &found->second;
}

void LocalJobs::wakeUp() {
    ::eventfd_write(wake_.get(), 1);
}

void LocalJobs::persist(const LocalRecord& record) {
    if (records_.update(record)) {
        unsaved_.erase(record.key);
    } else {
        unsaved_.insert(record.key);
    }
}

void LocalJobs::setEnded(LocalRecord& record, EndCause cause, std::string reason) {
    record.state = LocalState::Ended;
    record.endedAt = clock_.wallNow();
    record.cause = cause;
    record.reason = std::move(reason);
}

void LocalJobs::planSignals(Entry& entry) {
    if (!entry.record.removedAt || entry.record.state == LocalState::Ended) {
        return;
    }
    // Steady time does not survive a restart, and a service that restarts often must get to the
    // kill all the same.
    const auto passed =
        std::clamp<Millis>(clock_.wallNow() - *entry.record.removedAt, Millis{0}, kKillGrace);
    entry.termAt = clock_.steadyNow();
    entry.killAt = *entry.termAt + (kKillGrace - passed);
}

Result<CancelOutcome> LocalJobs::cancel(const SubmissionKey& key, CancelKind kind) {
    Lock lock(mutex_);
    if (damaged_.contains(key)) {
        return damaged_.at(key);
    }
    auto* entry = find(key);
    if (entry == nullptr || entry->record.state == LocalState::Ended) {
        return CancelOutcome::AlreadyGone;
    }
    if (!active_.contains(key)) {
        lock.unlock();
        return removePending(key);
    }
    if (kind == CancelKind::Soft) {
        const auto folder = folderOf(entry->record);
        lock.unlock();
        if (auto asked = folders_.requestCancel(folder); !asked) {
            return asked.error();
        }
        return CancelOutcome::Requested;
    }
    if (!entry->record.removedAt) {
        auto changed = entry->record;
        changed.removedAt = clock_.wallNow();
        if (auto saved = records_.update(changed); !saved) {
            return saved.error();
        }
        entry->record = std::move(changed);
        planSignals(*entry);
        wakeUp();
    }
    return CancelOutcome::Requested;
}

Result<CancelOutcome> LocalJobs::removePending(const SubmissionKey& key) {
    Lock lock(mutex_);
    auto* entry = find(key);
    // Out of the queue first: from here on the watcher cannot start it.
    if (entry == nullptr || pending_.erase(entry->record.id) == 0) {
        return CancelOutcome::AlreadyGone;
    }
    auto record = entry->record;
    lock.unlock();
    const auto marked = folders_.mark(folderOf(record));
    lock.lock();
    // For good: whatever is wrong with the folder, nobody but this queue could start the job.
    Result<void> outcome;
    if (!marked && marked.error().kind != ErrorKind::Permanent) {
        outcome = marked.error();
    } else {
        setEnded(record, EndCause::RemovedByUs, "");
        record.scriptStarted = marked && *marked == folder::MarkOutcome::AlreadyStarted;
        outcome = records_.update(record);
    }
    entry = find(key);
    if (entry == nullptr) {
        return CancelOutcome::AlreadyGone;
    }
    if (!outcome) {
        pending_.emplace(record.id, key);
        return outcome.error();
    }
    entry->record = std::move(record);
    lock.unlock();
    changed_(key);
    return CancelOutcome::Requested;
}

Result<void> LocalJobs::release(const folder::FolderRef& folder) {
    const auto& key = folder.key;
    if (const auto record = get(key); record && record->state != LocalState::Ended) {
        // A waiting job must never start again, even if a power failure brings its record back.
        if (auto removed = removePending(key); !removed) {
            return removed.error();
        }
    }
    {
        const Lock lock(mutex_);
        const auto* entry = find(key);
        if (entry != nullptr && entry->record.state != LocalState::Ended) {
            return permanentError(key.value + " still runs and cannot be released");
        }
    }
    auto freed = folders_.free(folder);
    const Lock lock(mutex_);
    if (freed) {
        freed = records_.remove(key);
    }
    if (freed) {
        jobs_.erase(key);
        damaged_.erase(key);
        unsaved_.erase(key);
    }
    return freed;
}

void LocalJobs::watch(std::stop_token stop) {
    ::pthread_setname_np(::pthread_self(), "local-watch");
    const std::stop_callback onStop(stop, [this] { wakeUp(); });
    while (!stop.stop_requested()) {
        startNext();
        sendSignals();
        saveUnsaved();
        for (const auto& key : waitForEnds()) {
            finish(key);
        }
    }
}

bool LocalJobs::mayStart() const {
    return !pending_.empty() && active_.size() < slots_;
}

void LocalJobs::startNext() {
    Lock lock(mutex_);
    if (!mayStart() || clock_.steadyNow() < startAgainAt_) {
        return;
    }
    const auto key = pending_.begin()->second;
    auto* entry = find(key);
    if (entry->record.removedAt) {
        lock.unlock();
        if (!removePending(key)) {
            lock.lock();
            startAgainAt_ = clock_.steadyNow() + kRetry;
        }
        return;
    }
    pending_.erase(pending_.begin());
    active_.insert(key);
    entry->starting = true;
    const auto folder = folderOf(entry->record);
    lock.unlock();
    const auto started = start(folder);
    afterStart(key, started);
    changed_(key);
}

Result<folder::ProcessId> LocalJobs::start(const folder::FolderRef& folder) {
    const auto inputs = records_.inputs(folder.key);
    if (!inputs) {
        return inputs.error();
    }
    if (auto staged = folders_.stage(folder, *inputs); !staged) {
        return staged.error();
    }
    const std::vector<std::string> argv{"bash",
                                        (folders_.path(folder) / "in" / kLoaderName).string()};
    return folders_.start(folder, argv, [this, &folder](const folder::ProcessId& process) {
        return recordStart(folder.key, process);
    });
}

bool LocalJobs::recordStart(const SubmissionKey& key, const folder::ProcessId& process) {
    const Lock lock(mutex_);
    auto* entry = find(key);
    auto record = entry->record;
    record.state = LocalState::Running;
    record.process = process;
    record.startedAt = clock_.wallNow();
    record.reason.clear();
    if (!records_.update(record)) {
        return false;
    }
    entry->record = std::move(record);
    return true;
}

void LocalJobs::afterStart(const SubmissionKey& key, const Result<folder::ProcessId>& started) {
    const Lock lock(mutex_);
    auto* entry = find(key);
    entry->starting = false;
    if (started) {
        entry->letGo = true;
        return;
    }
    if (started.error().kind == ErrorKind::Uncertain) {
        return;  // It was recorded: what became of it shows as after a restart of the service.
    }
    active_.erase(key);
    if (started.error().kind == ErrorKind::Permanent) {
        setEnded(entry->record, EndCause::NeverRunnable, started.error().message);
    } else {
        pending_.emplace(entry->record.id, key);
        entry->record.reason = started.error().message;
        startAgainAt_ = clock_.steadyNow() + kRetry;
    }
    // Also a job that waits again: its record may say that it runs.
    persist(entry->record);
}

void LocalJobs::sendSignals() {
    struct Due {
        LocalRecord record;
        int signal;
    };
    std::vector<Due> due;
    {
        const Lock lock(mutex_);
        const auto now = clock_.steadyNow();
        for (const auto& key : active_) {
            auto* entry = find(key);
            if (entry->killAt && *entry->killAt <= now) {
                due.push_back({entry->record, SIGKILL});
                entry->killAt = now + kKillGrace;
                entry->termAt.reset();
            } else if (entry->termAt && *entry->termAt <= now) {
                due.push_back({entry->record, SIGTERM});
                entry->termAt.reset();
            }
        }
    }
    for (const auto& [record, signal] : due) {
        // A failure shows as a job that does not end: the signal is repeated.
        (void)folders_.signal(folderOf(record), *record.process, signal);
    }
}

void LocalJobs::saveUnsaved() {
    const Lock lock(mutex_);
    const auto keys = unsaved_;
    for (const auto& key : keys) {
        persist(find(key)->record);
    }
}

std::vector<SubmissionKey> LocalJobs::waitForEnds() {
    std::vector<pollfd> events{{wake_.get(), POLLIN, 0}};
    std::vector<SubmissionKey> watched;
    std::vector<SubmissionKey> ended;
    int timeout = 0;
    {
        const Lock lock(mutex_);
        for (const auto& key : active_) {
            auto* entry = find(key);
            if (!entry->handle &&
                openHandle(*entry->record.process, entry->handle) == Watch::Gone) {
                ended.push_back(key);
            } else if (entry->handle) {
                events.push_back({entry->handle.get(), POLLIN, 0});
                watched.push_back(key);
            }
        }
        const bool unwatched = watched.size() + ended.size() < active_.size();
        timeout = ended.empty() ? pollTimeout(unwatched) : 0;
    }
    ::poll(events.data(), events.size(), timeout);
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
    for (std::size_t i = 0; i < watched.size(); ++i) {
        if (events[i + 1].revents != 0) {
            ended.push_back(watched[i]);
        }
    }
    return ended;
}

int LocalJobs::pollTimeout(bool unwatched) const {
    const auto now = clock_.steadyNow();
    auto next = SteadyTime::max();
    if (mayStart()) {
        next = startAgainAt_;
    }
    if (unwatched || !unsaved_.empty()) {
        next = std::min(next, now + kRetry);
    }
    for (const auto& key : active_) {
        const auto& entry = jobs_.at(key);
        next = std::min(next, entry.termAt.value_or(SteadyTime::max()));
        next = std::min(next, entry.killAt.value_or(SteadyTime::max()));
    }
    if (next == SteadyTime::max()) {
        return -1;
    }
    const auto left = std::chrono::ceil<Millis>(std::max(next, now) - now);
    return static_cast<int>(std::min<Millis>(left, seconds(60)).count());
}

void LocalJobs::finish(const SubmissionKey& key) {
    Lock lock(mutex_);
    auto* entry = find(key);
    auto record = entry->record;
    lock.unlock();
    // What it left behind, while its own remains still hold the session's number.
    (void)folders_.signal(folderOf(record), *record.process, SIGKILL);
    const auto end = folders_.reap(folderOf(record), *record.process);
    record.exitCode = end.exitCode;
    record.signal = end.signal;
    record.scriptStarted = isMarked(folders_, folderOf(record));
    lock.lock();
    // A process of an earlier service may have been told nothing before that service died.
    const bool neverRan = !record.scriptStarted && !entry->letGo && !record.signal &&
                          record.exitCode.value_or(kNeverLetGo) == kNeverLetGo;
    record.removedAt = entry->record.removedAt;
    if (neverRan) {
        record.state = LocalState::Pending;
        record.process.reset();
        record.startedAt.reset();
        record.exitCode.reset();
        pending_.emplace(record.id, key);
    } else {
        setEnded(record, record.removedAt ? EndCause::RemovedByUs : EndCause::Exited, "");
    }
    active_.erase(key);
    entry->handle.reset();
    entry->termAt.reset();
    entry->killAt.reset();
    entry->record = std::move(record);
    persist(entry->record);
    lock.unlock();
    changed_(key);
}

}  // namespace gridbridge
