#include "backends/local/LocalBackend.h"

#include <utility>

#include "backends/api/SharedFolder.h"

namespace gridbridge {
namespace {

Submission accepted(const LocalRecord& record) {
    return {.accepted = Accepted{{std::to_string(record.id)}, record.submittedAt}, .full = {}};
}

BatchState batchState(LocalState state) {
    switch (state) {
        case LocalState::Pending:
            return BatchState::Pending;
        case LocalState::Running:
            return BatchState::Running;
        case LocalState::Ended:
            return BatchState::Ended;
    }
    return BatchState::Unknown;
}

}  // namespace

LocalBackend::LocalBackend(LocalConfig config, folder::JobFolders& folders, Clock& clock,
                           ChangeListener changed)
    : config_(std::move(config)),
      folders_(folders),
      clock_(clock),
      records_(config_.workDir),
      jobs_(config_.slots, config_.bootId, records_, folders, clock, std::move(changed)) {}

Capabilities LocalBackend::capabilities() const {
    // A submission waits for the disk: so many take about a second.
    return {.maxSubmit = 200,
            .liveLog = true,
            .softCancel = true,
            .sharedFolder = true,
            .findsByKey = true};
}

Result<void> LocalBackend::probe(const CallContext&) {
    return records_.probe();
}

Result<void> LocalBackend::timeLeft(const CallContext& ctx) const {
    if (ctx.stop.stop_requested() || clock_.steadyNow() >= ctx.deadline) {
        return transientError("the local backend was left no time");
    }
    return {};
}

Result<LocalRecord> LocalBackend::record(const CallContext& ctx, const BatchJob& job) {
    if (auto time = timeLeft(ctx); !time) {
        return time.error();
    }
    const auto files = filesOf(folders_, job);
    if (!files) {
        return files.error();
    }
    // Only the folder: whether the account is there, and whether it may be served, must be known
    // now. The files follow at the start; until then the record holds them durably.
    if (auto made = folders_.stage({job.key, job.account}, {}); !made) {
        return made.error();
    }
    auto record = jobs_.prepare(job.key, job.account);
    if (auto created = records_.create(record, *files); !created) {
        return created.error();
    }
    return record;
}

std::vector<Result<Submission>> LocalBackend::submit(const CallContext& ctx,
                                                     std::span<const BatchJob> jobs) {
    std::vector<Result<Submission>> results;
    std::vector<std::pair<std::size_t, LocalRecord>> written;
    for (const auto& job : jobs) {
        if (const auto known = jobs_.get(job.key)) {
            results.push_back(accepted(*known));
        } else if (auto damage = jobs_.damage(job.key)) {
            results.push_back(*damage);
        } else if (auto made = record(ctx, job); !made) {
            results.push_back(made.error());
        } else {
            written.emplace_back(results.size(), *made);
            results.push_back(accepted(*made));
        }
    }
    if (written.empty()) {
        return results;
    }
    const auto synced = records_.sync();
    for (auto& [index, made] : written) {
        if (!synced) {
            results[index] = synced.error();
        }
        jobs_.add(std::move(made));
    }
    return results;
}

Result<std::vector<FoundJob>> LocalBackend::find(const CallContext&, std::span<const JobRef> refs) {
    std::vector<FoundJob> found;
    for (const auto& ref : refs) {
        const auto& key = ref.key;
        if (const auto record = jobs_.get(key)) {
            found.push_back({key, {std::to_string(record->id)}, record->submittedAt});
        } else if (jobs_.damage(key)) {
            found.push_back({key, {}, {}});
        }
    }
    return found;
}

Observation LocalBackend::observeOne(const JobRef& ref) {
    Observation seen;
    const auto record = jobs_.get(ref.key);
    if (!record) {
        const auto damage = jobs_.damage(ref.key);
        seen.state = damage ? BatchState::Unknown : BatchState::Absent;
        seen.reason = damage ? damage->message : "";
        return seen;
    }
    seen.state = batchState(record->state);
    seen.cause = record->cause;
    seen.exitCode = record->exitCode;
    seen.signal = record->signal;
    seen.startedAt = record->startedAt;
    seen.endedAt = record->endedAt;
    seen.reason = record->reason;
    switch (record->state) {
        case LocalState::Pending:
            if (seen.reason.empty()) {
                seen.reason = "waiting for one of " + std::to_string(config_.slots) + " slots";
            }
            break;
        case LocalState::Running:
            seen.started = isMarked(folders_, {record->key, record->account});
            seen.node = config_.node;
            break;
        case LocalState::Ended:
            seen.started = record->scriptStarted;
            seen.node = record->startedAt ? config_.node : "";
            break;
    }
    return seen;
}

Result<std::vector<Observation>> LocalBackend::observe(const CallContext&,
                                                       std::span<const JobRef> refs) {
    std::vector<Observation> seen;
    for (const auto& ref : refs) {
        seen.push_back(observeOne(ref));
    }
    return seen;
}

std::vector<Result<LogChunk>> LocalBackend::readLogs(const CallContext&,
                                                     std::span<const LogRequest> requests) {
    return readSharedLogs(folders_, requests);
}

std::vector<Result<CancelOutcome>> LocalBackend::cancel(const CallContext& ctx,
                                                        std::span<const CancelRequest> requests) {
    std::vector<Result<CancelOutcome>> results;
    for (const auto& request : requests) {
        const auto time = timeLeft(ctx);
        results.push_back(time ? jobs_.cancel(request.ref.key, request.kind)
                               : Result<CancelOutcome>(time.error()));
    }
    return results;
}

std::vector<Result<CollectOutcome>> LocalBackend::collect(const CallContext&,
                                                          std::span<const JobRef> refs) {
    std::vector<Result<CollectOutcome>> results;
    for (const auto& ref : refs) {
        // They are written where they belong.
        results.emplace_back(jobs_.get(ref.key) ? CollectOutcome::Done : CollectOutcome::Never);
    }
    return results;
}

std::vector<Result<void>> LocalBackend::release(const CallContext& ctx,
                                                std::span<const JobRef> refs) {
    std::vector<Result<void>> results;
    for (const auto& ref : refs) {
        const auto time = timeLeft(ctx);
        results.push_back(time ? jobs_.release({ref.key, ref.account}) : time);
    }
    return results;
}

}  // namespace gridbridge
