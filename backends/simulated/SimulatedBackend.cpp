#include "backends/simulated/SimulatedBackend.h"

#include <algorithm>

#include "backends/api/SharedFolder.h"

namespace gridbridge {

namespace {

using enum SimulatedFault;

constexpr Millis kOutage{180000};
/// One more than a status file may have, so that a longer one is recognised.
constexpr std::size_t kStatusLimit = 4097;

Submission accepted(const SimulatedJob& job) {
    return {.accepted = Accepted{{std::to_string(job.id)}, job.submittedAt}, .full = {}};
}

/// One outcome per item; what concerns the whole call concerns each.
template <typename T>
std::vector<Result<T>> outcomes(const Result<void>& all, std::vector<Result<T>> each,
                                std::size_t items) {
    if (!all.ok()) {
        return std::vector<Result<T>>(items, Result<T>(all.error()));
    }
    return each;
}

/// The id of the first job that has ended, if any: nobody thinks of it any more.
std::optional<std::int64_t> usedId(const SimulatedTables::Jobs& jobs) {
    const SimulatedJob* first = nullptr;
    for (const auto& [key, job] : jobs) {
        if (job.state == SimulatedState::Ended && (first == nullptr || job.place < first->place)) {
            first = &job;
        }
    }
    return first == nullptr ? std::nullopt : std::optional(first->id);
}

}  // namespace

/// One call at work.
struct SimulatedBackend::Call {
    SimulatedTables::Jobs& jobs;
    WallTime now;
    std::string name;  ///< Verb and number, for its faults.

    SimulatedJob* find(const SubmissionKey& key) {
        const auto found = jobs.find(key);
        return found == jobs.end() ? nullptr : &found->second;
    }
    std::string about(const SubmissionKey& key) const { return name + " " + key.value; }
};

SimulatedBackend::SimulatedBackend(const SimulatedConfig& config, folder::JobFolders& folders,
                                   Clock& clock, std::shared_ptr<SimulatedWorkload> workload)
    : folders_(folders),
      clock_(clock),
      workload_(std::move(workload)),
      slots_(config.slots),
      faults_(config.seed, config.faults),
      tables_(config.workDir),
      cluster_(config.slots, faults_, folders, *workload_, tables_) {}

std::map<std::string, std::int64_t> SimulatedBackend::strikes() {
    const std::lock_guard lock(mutex_);
    return tables_.strikes();
}

std::vector<SubmissionKey> SimulatedBackend::jobs() {
    const std::lock_guard lock(mutex_);
    std::vector<SubmissionKey> keys;
    tables_.change([&](SimulatedTables::Jobs& jobs) {
        for (const auto& [key, job] : jobs) {
            keys.push_back(key);
        }
    });
    return keys;
}

Capabilities SimulatedBackend::capabilities() const {
    // Twice the longest time for which a job may not be listed.
    return {.maxBatch = 20,
            .liveLog = true,
            .softCancel = true,
            .sharedFolder = true,
            .findsByKey = true,
            .visibilityDelay = faults_.any() ? Millis(60000) : Millis(0)};
}

Result<void> SimulatedBackend::perform(const CallContext& ctx, const char* verb,
                                       const std::function<void(Call&)>& work) {
    if (ctx.stop.stop_requested() || clock_.steadyNow() >= ctx.deadline) {
        return transientError("the simulated backend was left no time");
    }
    const auto now = clock_.wallNow();
    const auto period = std::to_string(sinceEpoch(now) / kOutage);
    bool away = false;
    bool hangs = false;
    try {
        const std::lock_guard lock(mutex_);
        tables_.change([&](SimulatedTables::Jobs& jobs) {
            Call call{jobs, now, verb};
            if (faults_.any()) {
                call.name += " " + std::to_string(tables_.nextCall(verb));
            }
            cluster_.advance(jobs, now);
            away = faults_.strikes(Outage, period);
            hangs = !away && faults_.strikes(CallHangs, call.name);
            tables_.count(Outage, away ? 1 : 0);
            tables_.count(CallHangs, hangs ? 1 : 0);
            if (!away) {
                work(call);
            }
        });
    } catch (const std::runtime_error& failure) {
        return transientError(std::string("simulated.db: ") + failure.what());
    }
    if (away) {
        return transientError("the simulated batch system does not answer");
    }
    if (hangs) {
        clock_.sleepUntil(ctx.deadline, ctx.stop);
        return uncertainError("the simulated batch system did not answer in time");
    }
    return {};
}

Result<void> SimulatedBackend::probe(const CallContext& ctx) {
    return perform(ctx, "probe", [](Call&) {});
}

Result<Submission> SimulatedBackend::submitOne(const BatchJob& job, Call& call) {
    if (const auto* known = call.find(job.key)) {
        return accepted(*known);
    }
    const auto& key = job.key.value;
    if (faults_.strikes(AcknowledgementFalse, key)) {
        tables_.count(AcknowledgementFalse);
        return uncertainError("the answer of the simulated batch system was lost");
    }
    if (const auto files = filesOf(folders_, job); !files) {
        return files.error();
    }
    // Nothing reads its files: they need not lie on this disk.
    if (auto made = folders_.stage({job.key, job.account}, {}); !made) {
        return made.error();
    }
    SimulatedJob made;
    made.key = job.key;
    made.account = job.account;
    made.submittedAt = made.readyAt = call.now;
    made.deadline = job.deadline;
    made.place = tables_.nextPlace();
    made.id = made.place;
    if (const auto used = usedId(call.jobs); used && faults_.strikes(IdReused, key)) {
        tables_.count(IdReused);
        made.id = *used;
    }
    call.jobs.emplace(made.key, made);
    if (faults_.strikes(AcknowledgementLost, key)) {
        tables_.count(AcknowledgementLost);
        return uncertainError("the answer of the simulated batch system was lost");
    }
    return accepted(made);
}

std::vector<Result<Submission>> SimulatedBackend::submit(const CallContext& ctx,
                                                         std::span<const BatchJob> jobs) {
    std::vector<Result<Submission>> each;
    const auto all = perform(ctx, "submit", [&](Call& call) {
        for (const auto& job : jobs) {
            each.push_back(submitOne(job, call));
        }
    });
    return outcomes(all, std::move(each), jobs.size());
}

Result<std::vector<FoundJob>> SimulatedBackend::find(const CallContext& ctx,
                                                     std::span<const JobRef> refs) {
    std::vector<FoundJob> found;
    bool partial = false;
    const auto all = perform(ctx, "find", [&](Call& call) {
        partial = faults_.strikes(AnswerPartial, call.name);
        tables_.count(AnswerPartial, partial ? 1 : 0);
        for (const auto& ref : refs) {
            const auto& key = ref.key;
            const auto* job = call.find(key);
            if (job != nullptr && cluster_.visible(*job, call.now)) {
                found.push_back({key, {std::to_string(job->id)}, job->submittedAt});
            }
        }
    });
    if (!all.ok()) {
        return transientError(all.error().message);
    }
    if (partial) {
        return transientError("the simulated batch system listed only some of its jobs");
    }
    return found;
}

Observation SimulatedBackend::observeOne(const JobRef& ref, Call& call) {
    Observation seen;
    const auto* job = call.find(ref.key);
    if (faults_.strikes(AnswerPartial, call.about(ref.key))) {
        tables_.count(AnswerPartial);
        return seen;
    }
    if (job == nullptr || !cluster_.visible(*job, call.now)) {
        tables_.count(AbsentForAWhile,
                      job != nullptr && job->state != SimulatedState::Lost ? 1 : 0);
        seen.state = BatchState::Absent;
        return seen;
    }
    seen.run = job->run;
    // Of a copy on a node that does not answer only its marker tells.
    seen.started = job->scriptAt.has_value() && !job->nodeFailed;
    seen.startedAt = job->startedAt;
    seen.node = job->startedAt ? "simulated" : "";
    switch (job->state) {
        case SimulatedState::Pending:
            seen.state = BatchState::Pending;
            seen.reason = "waiting for one of " + std::to_string(slots_) + " simulated slots";
            break;
        case SimulatedState::Running:
            seen.state = BatchState::Running;
            break;
        case SimulatedState::Ended:
        case SimulatedState::Lost:
            seen.state = BatchState::Ended;
            seen.cause = job->nodeFailed ? EndCause::NodeFailure
                         : job->removed  ? EndCause::RemovedByUs
                                         : EndCause::Exited;
            seen.reason = job->nodeFailed ? "a simulated node failed" : "";
            seen.exitCode = job->exitCode;
            seen.signal = job->signal;
            seen.endedAt = job->endedAt;
            break;
    }
    return seen;
}

Result<std::vector<Observation>> SimulatedBackend::observe(const CallContext& ctx,
                                                           std::span<const JobRef> refs) {
    std::vector<Observation> seen;
    const auto all = perform(ctx, "observe", [&](Call& call) {
        for (const auto& ref : refs) {
            seen.push_back(observeOne(ref, call));
        }
    });
    if (!all.ok()) {
        return transientError(all.error().message);
    }
    return seen;
}

LogChunk SimulatedBackend::readOne(const LogRequest& request, Call& call) {
    LogChunk chunk;
    const auto* job = call.find(request.ref.key);
    if (job == nullptr || request.source == LogSource::Batch) {
        return chunk;
    }
    const auto then = call.now - cluster_.delay(*job);
    auto log = cluster_.log(*job, then);
    if (!log.empty() && faults_.strikes(LogShorter, call.about(request.ref.key))) {
        tables_.count(LogShorter);
        log.resize(log.size() / 2);
    }
    const auto offset = static_cast<std::size_t>(std::max<std::int64_t>(request.offset, 0));
    if (offset < log.size()) {
        chunk.bytes = log.substr(offset, request.limit);
    }
    if (auto status = cluster_.status(*job, then)) {
        chunk.status = status->substr(0, kStatusLimit);
    }
    return chunk;
}

std::vector<Result<LogChunk>> SimulatedBackend::readLogs(const CallContext& ctx,
                                                         std::span<const LogRequest> requests) {
    std::vector<Result<LogChunk>> each;
    const auto all = perform(ctx, "readLogs", [&](Call& call) {
        for (const auto& request : requests) {
            if (faults_.strikes(AnswerPartial, call.about(request.ref.key))) {
                tables_.count(AnswerPartial);
                each.emplace_back(transientError("the simulated log cannot be read now"));
            } else {
                each.emplace_back(readOne(request, call));
            }
        }
    });
    return outcomes(all, std::move(each), requests.size());
}

std::vector<Result<CancelOutcome>> SimulatedBackend::cancel(
    const CallContext& ctx, std::span<const CancelRequest> requests) {
    std::vector<Result<CancelOutcome>> each;
    const auto all = perform(ctx, "cancel", [&](Call& call) {
        for (const auto& request : requests) {
            auto* job = call.find(request.ref.key);
            if (job == nullptr || !cluster_.visible(*job, call.now) ||
                job->state == SimulatedState::Ended) {
                each.emplace_back(CancelOutcome::AlreadyGone);
                continue;
            }
            cluster_.cancel(*job, request.kind, call.now);
            each.emplace_back(CancelOutcome::Requested);
        }
    });
    return outcomes(all, std::move(each), requests.size());
}

std::vector<Result<CollectOutcome>> SimulatedBackend::collect(const CallContext& ctx,
                                                              std::span<const JobRef> refs) {
    std::vector<Result<CollectOutcome>> each;
    const auto all = perform(ctx, "collect", [&](Call& call) {
        for (const auto& ref : refs) {
            const auto* job = call.find(ref.key);
            if (job == nullptr || job->state == SimulatedState::Lost) {
                each.emplace_back(CollectOutcome::Never);
            } else if (!job->endedAt || call.now < *job->endedAt + cluster_.delay(*job)) {
                each.emplace_back(CollectOutcome::NotYet);
            } else {
                each.emplace_back(CollectOutcome::Done);
            }
        }
    });
    return outcomes(all, std::move(each), refs.size());
}

Result<void> SimulatedBackend::releaseOne(const JobRef& ref, Call& call) {
    const auto* job = call.find(ref.key);
    const bool known = job != nullptr && cluster_.visible(*job, call.now);
    if (known && job->state == SimulatedState::Running) {
        return permanentError("the simulated job " + ref.key.value + " still runs");
    }
    const bool over = job != nullptr &&
                      (job->state == SimulatedState::Ended || job->state == SimulatedState::Lost);
    // One that is alive and just not listed is not known now: it goes on.
    if (known || over) {
        call.jobs.erase(ref.key);
    }
    return folders_.free({ref.key, ref.account});
}

std::vector<Result<void>> SimulatedBackend::release(const CallContext& ctx,
                                                    std::span<const JobRef> refs) {
    std::vector<Result<void>> each;
    const auto all = perform(ctx, "release", [&](Call& call) {
        for (const auto& ref : refs) {
            each.push_back(releaseOne(ref, call));
        }
    });
    return outcomes<void>(all, std::move(each), refs.size());
}

}  // namespace gridbridge
