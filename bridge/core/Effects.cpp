#include "bridge/core/Effects.h"

#include <algorithm>

#include "bridge/base/CrashPoint.h"

namespace gridbridge::core {

namespace {

constexpr Millis kEffectLimit{60000};
constexpr Millis kReadLimit{30000};
constexpr std::size_t kLogChunk = 256 * 1024;
/// Jobs of one gathered call, so that the first of many does not wait long for its answer.
constexpr std::size_t kMostTogether = 100;
/// Of what the batch system prints, a few lines.
constexpr std::size_t kBatchLogLimit = 16 * 1024;

std::size_t mostTogether(Effect effect, const Capabilities& abilities) {
    if (effect == Effect::Collect && abilities.filesByCollect) {
        return std::max<std::size_t>(abilities.maxCollect, 1);
    }
    const auto most = effect == Effect::Submit ? std::min(abilities.maxSubmit, abilities.maxBatch)
                                               : std::min(abilities.maxBatch, kMostTogether);
    return std::max<std::size_t>(most, 1);
}

/// What is already in a folder that we see is looked at, not fetched: a report need not wait until
/// other jobs have been submitted.
Lane& laneOf(const BackendEntry& entry, Effect effect) {
    if (effect != Effect::Collect) {
        return entry.effects;
    }
    auto& usual = entry.policy.capabilities.sharedFolder ? entry.reads : entry.effects;
    return entry.fetches ? *entry.fetches : usual;
}

folder::FolderRef folderOf(const store::JobRecord& job) {
    return {job.submission.key, job.account};
}

template <typename T>
bool hasFailed(const Result<T>& outcome) {
    return !outcome.ok();
}
bool hasFailed(const Result<CollectOutcome>& outcome) {
    return !outcome.ok() || *outcome == CollectOutcome::NotYet;
}

/// Gives each job its outcome of a call as a fact; fewer of them are the backend's defect.
template <typename Jobs, typename T>
void answerEach(Answers& answers, Effect effect, const Jobs& jobs,
                const std::vector<Result<T>>& outcomes, std::optional<Result<T>> Facts::*fact) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        auto outcome =
            i < outcomes.size() ? outcomes[i] : transientError("the backend gave no outcome");
        answers.post({jobs[i].row, jobs[i].attempt,
                      [effect, fact, outcome = std::move(outcome)](Facts& facts, Live& known) {
                          known.inFlight.remove(effect);
                          known.failures = hasFailed(outcome) ? known.failures + 1 : 0;
                          facts.*fact = outcome;
                      }});
    }
}

/// The outcome of a single-item call; a vector of the wrong length is the backend's defect.
template <typename T>
Result<T> only(std::vector<Result<T>> outcomes, ErrorKind kind) {
    if (outcomes.size() != 1) {
        return Error{
            kind, "the backend gave " + std::to_string(outcomes.size()) + " outcomes for one job"};
    }
    return std::move(outcomes.front());
}

/// What can never be read, for instance behind a link that the job made of its folder, is an empty
/// log without a status file: the batch system's word then ends the job.
std::optional<LogChunk> readable(Result<LogChunk> chunk) {
    if (chunk.ok()) {
        return std::move(chunk).value();
    }
    return chunk.error().kind == ErrorKind::Permanent ? std::optional(LogChunk{}) : std::nullopt;
}

/// A log is only taken further from where it was read to; one that was once shorter never is.
void hearLog(const LogChunk& chunk, const Look& job, Facts& facts, const Live& live) {
    const bool goesOn = facts.log && facts.logOffset == job.rawOffset;
    const auto known = goesOn ? static_cast<std::int64_t>(facts.log->bytes.size()) : 0;
    const auto read = std::max(live.rawSeen, job.rawOffset + known);
    const bool shorter = !job.limited && chunk.size && *chunk.size < read;
    if (shorter || (goesOn && facts.log->cut)) {
        facts.log = LogFact{.bytes = "", .cut = true};
    } else {
        facts.log = LogFact{.bytes = chunk.bytes, .atEnd = chunk.bytes.size() < kLogChunk};
    }
    facts.logOffset = job.rawOffset;
}

/// What a look at one job brought, in one piece.
Answer seenOf(const Look& job, std::optional<Observation> observation,
              std::optional<LogChunk> chunk) {
    return {job.row, job.attempt,
            [observation = std::move(observation), chunk = std::move(chunk), job](Facts& facts,
                                                                                  Live& live) {
                live.inFlight.remove(Effect::Look);
                facts.observed = observation ? observation : facts.observed;
                if (!chunk) {
                    return;
                }
                hearLog(*chunk, job, facts, live);
                if (facts.log) {
                    facts.log->early = job.early;
                }
                if (chunk->status) {
                    facts.end = scriptEnd(*chunk->status, job.ref.key.value);
                }
            }};
}

/// How the backend is: empty = well.
Answer polled(BackendEntry& entry, const std::string& trouble) {
    return {JobRow{}, 0, [&entry, trouble](Facts&, Live&) {
                entry.polling = false;
                entry.healthy = trouble.empty();
                entry.pollTrouble = trouble;
            }};
}

}  // namespace

JobRef refOf(const store::JobRecord& job) {
    return {job.submission.key, job.account, job.submission.id,
            job.submission.submittedAt.value_or(job.claimedAt)};
}

Look lookOf(const store::JobRecord& job) {
    return {.row = job.row,
            .attempt = job.submission.attempt,
            .ref = refOf(job),
            .run = job.submission.run,
            .rawOffset = job.rawOffset,
            .logOpen = job.state == store::State::Queued || job.state == store::State::Running,
            .limited = job.traceState == store::TraceState::Limited};
}

void Effects::find(BackendEntry& entry, const store::JobRecord& job, Live& live) {
    live.inFlight.add(Effect::Find);
    entry.reads.post([this, &entry, row = job.row, attempt = job.submission.attempt,
                      ref = JobRef{job.submission.key, job.account, {}, {}}](std::stop_token stop) {
        const auto found = entry.backend.find(within(kReadLimit, stop), std::vector{ref});
        Result<std::optional<FoundJob>> mine{std::optional<FoundJob>{}};
        if (!found.ok()) {
            mine = found.error();
        } else if (!found->empty()) {
            mine = std::optional<FoundJob>(found->front());
        }
        answers_.post({row, attempt, [mine](Facts& facts, Live& known) {
                           known.inFlight.remove(Effect::Find);
                           known.failures = mine.ok() ? 0 : known.failures + 1;
                           facts.found = mine;
                       }});
    });
}

void Effects::mark(BackendEntry& entry, const store::JobRecord& job, Live& live) {
    live.inFlight.add(Effect::Mark);
    entry.effects.post([this, &entry, row = job.row, attempt = job.submission.attempt,
                        where = folderOf(job)](std::stop_token) {
        const auto outcome = entry.folders.mark(where);
        crashPoint("marked");
        answers_.post({row, attempt, [outcome](Facts& facts, Live& known) {
                           known.inFlight.remove(Effect::Mark);
                           if (outcome.ok()) {
                               facts.marked = Result<bool>(*outcome == folder::MarkOutcome::Taken);
                           } else {
                               facts.marked = Result<bool>(outcome.error());
                           }
                       }});
    });
}

void Effects::gather(Effect effect, BackendEntry& entry, const store::JobRecord& job, Live& live) {
    live.inFlight.add(effect);
    add(effect, entry, {job.row, job.submission.attempt, refOf(job)});
}

void Effects::submit(BackendEntry& entry, ReadySubmission ready) {
    if (ready.job.ok()) {
        return add(Effect::Submit, entry, {ready.row, ready.attempt, std::move(ready.job).value()});
    }
    const std::vector<ReadySubmission> jobs{ready};
    const std::vector<Result<Submission>> outcomes{ready.job.error()};
    answerEach(answers_, Effect::Submit, jobs, outcomes, &Facts::submitted);
}

void Effects::add(Effect effect, const BackendEntry& entry, Gathered job) {
    const std::lock_guard lock(mutex_);
    const bool apart = &laneOf(entry, effect) != &entry.effects;
    auto& gathering = gathered_[{entry.name, apart}].byEffect[effect];
    gathering.jobs.push_back(std::move(job));
    ++gathering.fresh;
}

void Effects::startGathered() {
    const std::lock_guard lock(mutex_);
    for (auto& [key, gathered] : gathered_) {
        auto& entry = *world_.backends.at(key.first);
        const bool apart = key.second;
        for (auto& [effect, gathering] : gathered.byEffect) {
            const auto most = mostTogether(effect, entry.policy.capabilities);
            // An earlier call may take them along; then there is nothing left for this one.
            for (auto calls = (gathering.fresh + most - 1) / most; calls > 0; --calls) {
                laneOf(entry, effect).post([this, &entry, apart](std::stop_token stop) {
                    if (auto [next, jobs] = takeGathered(entry, apart); !jobs.empty()) {
                        call(entry, next, jobs, std::move(stop));
                    }
                });
            }
            gathering.fresh = 0;
        }
    }
}

std::pair<Effect, std::vector<Effects::Gathered>> Effects::takeGathered(const BackendEntry& entry,
                                                                        bool apart) {
    const std::lock_guard lock(mutex_);
    auto& [byEffect, last] = gathered_.at({entry.name, apart});
    auto next = byEffect.upper_bound(last);
    for (std::size_t tried = 0; tried < byEffect.size(); ++tried, ++next) {
        next = next == byEffect.end() ? byEffect.begin() : next;
        if (!next->second.jobs.empty()) {
            break;
        }
    }
    if (next == byEffect.end() || next->second.jobs.empty()) {
        return {};
    }
    last = next->first;
    auto& jobs = next->second.jobs;
    const auto most = mostTogether(last, entry.policy.capabilities);
    const auto end = jobs.begin() + static_cast<std::ptrdiff_t>(std::min(most, jobs.size()));
    std::vector<Gathered> taken(std::make_move_iterator(jobs.begin()),
                                std::make_move_iterator(end));
    jobs.erase(jobs.begin(), end);
    return {last, std::move(taken)};
}

void Effects::call(BackendEntry& entry, Effect effect, std::span<Gathered> jobs,
                   std::stop_token stop) {
    const auto ctx = within(kEffectLimit, std::move(stop));
    if (effect == Effect::Submit) {
        std::vector<BatchJob> batch;
        for (auto& job : jobs) {
            batch.push_back(std::move(std::get<BatchJob>(job.what)));
        }
        auto outcomes = entry.backend.submit(ctx, batch);
        crashPoint("effect-done");
        outcomes.resize(jobs.size(), uncertainError("the backend gave no outcome"));
        return answerEach(answers_, effect, jobs, outcomes, &Facts::submitted);
    }
    std::vector<JobRef> refs;
    for (const auto& job : jobs) {
        refs.push_back(std::get<JobRef>(job.what));
    }
    if (effect == Effect::Collect) {
        const auto outcomes = entry.backend.collect(ctx, refs);
        crashPoint("collected");
        answerEach(answers_, effect, jobs, outcomes, &Facts::collected);
    } else if (effect == Effect::Release) {
        const auto outcomes = entry.backend.release(ctx, refs);
        crashPoint("released");
        answerEach(answers_, effect, jobs, outcomes, &Facts::released);
    } else {
        const auto kind = effect == Effect::CancelSoft ? CancelKind::Soft : CancelKind::Hard;
        std::vector<CancelRequest> requests;
        for (const auto& ref : refs) {
            requests.push_back({ref, kind});
        }
        // A failed cancel needs no reaction of its own: the decision asks again while it matters.
        static_cast<void>(entry.backend.cancel(ctx, requests));
        for (const auto& job : jobs) {
            answers_.post(
                {job.row, 0, [effect](Facts&, Live& known) { known.inFlight.remove(effect); }});
        }
    }
}

void Effects::readBatchLog(BackendEntry& entry, const store::JobRecord& job, Live& live) {
    live.inFlight.add(Effect::ReadBatchLog);
    entry.reads.post([this, &entry, row = job.row, attempt = job.submission.attempt,
                      ref = refOf(job), run = job.submission.run](std::stop_token stop) {
        const std::vector<LogRequest> requests{{ref, run, 0, kBatchLogLimit, LogSource::Batch}};
        const auto chunk =
            only(entry.backend.readLogs(within(kReadLimit, stop), requests), ErrorKind::Transient);
        answers_.post({row, attempt, [chunk](Facts& facts, Live& known) {
                           known.inFlight.remove(Effect::ReadBatchLog);
                           facts.batchLog = chunk.ok() ? Result<std::string>(chunk->bytes)
                                                       : Result<std::string>(chunk.error());
                       }});
    });
}

void Effects::look(BackendEntry& entry, std::vector<Look> jobs, bool poll) {
    entry.reads.post([this, &entry, jobs = std::move(jobs), poll](std::stop_token stop) {
        const std::size_t batch = std::max<std::size_t>(1, entry.policy.capabilities.maxBatch);
        std::string trouble;
        for (std::size_t at = 0; at < jobs.size(); at += batch) {
            const auto some = std::span(jobs).subspan(at, std::min(batch, jobs.size() - at));
            if (trouble.empty()) {
                trouble = lookAt(entry, some, stop);
                continue;
            }
            // The rest is not asked: each call may take its whole time limit.
            for (const auto& job : some) {
                answers_.post(seenOf(job, {}, {}));
            }
        }
        if (poll) {
            answers_.post(polled(entry, trouble));
        }
    });
}

std::string Effects::lookAt(BackendEntry& entry, std::span<const Look> jobs, std::stop_token stop) {
    std::vector<JobRef> refs;
    for (const auto& job : jobs) {
        refs.push_back(job.ref);
    }
    const auto seen = entry.backend.observe(within(kReadLimit, stop), refs);
    // What waits prints nothing: of thousands only those are read that may have run.
    std::vector<LogRequest> requests;
    std::vector<std::size_t> readers;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        const bool waits = seen.ok() && i < seen->size() && (*seen)[i].state == BatchState::Pending;
        if (jobs[i].logOpen && !waits) {
            requests.push_back(
                {refs[i], jobs[i].run, jobs[i].rawOffset, jobs[i].limited ? 0 : kLogChunk});
            readers.push_back(i);
        }
    }
    std::vector<std::optional<LogChunk>> chunks(jobs.size());
    if (!requests.empty()) {
        auto read = entry.backend.readLogs(within(kReadLimit, stop), requests);
        for (std::size_t i = 0; i < std::min(read.size(), readers.size()); ++i) {
            chunks[readers[i]] = readable(std::move(read[i]));
        }
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        const bool known = seen.ok() && i < seen->size();
        answers_.post(seenOf(jobs[i], known ? std::optional((*seen)[i]) : std::nullopt,
                             std::move(chunks[i])));
    }
    return seen.ok() ? std::string() : seen.error().message;
}

void Effects::probe(BackendEntry& entry) {
    entry.reads.post([this, &entry](std::stop_token stop) {
        const auto probed = entry.backend.probe(within(Millis(10000), stop));
        answers_.post(polled(entry, probed.ok() ? std::string() : probed.error().message));
    });
}

ScriptEnd scriptEnd(const std::string& text, const std::string& nonce) {
    ScriptEnd end;
    end.text = text.substr(0, 4096);
    const auto status = payload::parseStatus(text, nonce);
    if (!status.ok()) {
        return end;
    }
    end.valid = true;
    end.outcome = status->outcome;
    end.why = status->why;
    end.stage = status->stage;
    end.exitCode = status->exitCode;
    end.logBytes = status->logBytes;
    end.outputs = {status->outputs.begin(), status->outputs.end()};
    return end;
}

}  // namespace gridbridge::core
