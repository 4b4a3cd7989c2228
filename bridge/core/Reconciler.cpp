#include "bridge/core/Reconciler.h"

#include <algorithm>

#include "bridge/base/CrashPoint.h"

namespace gridbridge::core {

using store::JobRecord;
using store::State;

/// A decision on its way through the commit to its effects.
struct Reconciler::Ready {
    JobRecord before;
    Decision decision;
    bool committed = false;
};

namespace {

constexpr Millis kStoreRetry{1000};
constexpr Millis kIdleProbe{30000};
constexpr Millis kRequestPause{100};

bool waits(State state) {
    return state == State::Received || state == State::Claimed || state == State::Submitting ||
           state == State::Queued;
}

bool mayHaveBatchJob(const JobRecord& job) {
    return (job.state == State::Queued || job.state == State::Running ||
            job.state == State::Collecting || job.state == State::Reporting) &&
           job.submission.attempt > 0 && !job.submission.releasedAt;
}

}  // namespace

Reconciler::Reconciler(Clock& clock, store::JobStore& store, World& world, Answers& answers,
                       Trace& trace, Capacity& capacity, spdlog::logger& log, Decide decide)
    : clock_(clock),
      store_(store),
      world_(world),
      answers_(answers),
      trace_(trace),
      capacity_(capacity),
      log_(log),
      decide_(std::move(decide)),
      effects_(clock, world, answers),
      conversation_(clock, world, answers, trace, log),
      now_(clock.wallNow()),
      steadyNow_(clock.steadyNow()) {
    for (const auto& runner : store_.runners()) {
        capacity_.drain(runner.name, runner.draining);
    }
    followClockSetWhileDown();
    const auto open = store_.open();
    for (const auto& job : store_.load(open)) {
        adopt(job, false);
        // To a job that is only watched the first look brings whatever there is to decide.
        const bool watched = job.state == State::Queued || job.state == State::Running;
        const bool known = lives_.at(job.row).credentials.id != 0;
        if (!watched || !known || job.cancel != store::Cancel::None) {
            facts_[job.row].restarted = true;
        }
        judge(job);
    }
    lastBefore_ = lastAdopted_;
}

SteadyTime Reconciler::step() {
    followClock();
    prepared_.reset();
    hear();
    hearRequests();
    const auto rows = dueRows();
    const std::vector<JobRow> wanted(rows.begin(), rows.end());
    std::vector<Ready> ready;
    for (const auto& job : store_.load(wanted)) {
        if (auto one = decideOne(job)) {
            ready.push_back(std::move(*one));
        }
    }
    if (commit(ready)) {
        start(ready);
    }
    poll();
    const auto talk = converse();
    auto next = talk;
    for (const auto& [name, entry] : world_.backends) {
        next = std::min(next, entry->polling ? SteadyTime::max() : entry->nextPoll);
    }
    const auto now = clock_.steadyNow();
    if (const auto due = store_.nextDue()) {
        // What is due already was not stored now, and is not tried before `retryAt_`.
        const auto soon = std::max(now + Millis(1), steadyNow_ + (*due - now_));
        next = std::min(next, std::max(soon, retryAt_));
    }
    if (retryAt_ > now) {
        next = std::min(next, retryAt_);
    }
    capacity_.unwritable(retryAt_ > now);
    return requestsOpen_ ? std::min(next, now + kRequestPause) : next;
}

void Reconciler::hear() {
    for (auto& answer : answers_.take()) {
        if (answer.row == JobRow{}) {
            Facts nobody;
            Live none;
            answer.apply(nobody, none);
            continue;
        }
        auto live = lives_.find(answer.row);
        if (live == lives_.end()) {
            const std::vector<JobRow> rows{answer.row};
            for (const auto& job : store_.load(rows)) {
                if (job.state != State::Done) {
                    adopt(job, true);
                }
            }
            live = lives_.find(answer.row);
            if (live == lives_.end()) {
                continue;
            }
        }
        hear(answer, live->second);
    }
}

void Reconciler::hear(const Answer& answer, Live& live) {
    if (answer.attempt != 0 && answer.attempt != live.attempt) {
        // Of an attempt that is over: it says nothing, but its effect is not under way any more.
        Facts nobody;
        answer.apply(nobody, live);
        return;
    }
    auto& facts = facts_[answer.row];
    answer.apply(facts, live);
    schedule(answer.row, live);
    if (live.lookWanted && live.look && !live.inFlight.has(Effect::Look)) {
        live.lookWanted = false;
        live.inFlight.add(Effect::Look);
        looks_[live.backend].push_back(*live.look);
    }
    if (!newsworthy(facts, live)) {
        facts_.erase(answer.row);
    }
}

std::set<JobRow> Reconciler::dueRows() {
    std::set<JobRow> rows;
    if (clock_.steadyNow() < retryAt_) {
        return rows;
    }
    for (const auto row : store_.due(now_)) {
        if (lives_.count(row) > 0) {
            rows.insert(row);
        }
    }
    for (const auto& [row, facts] : facts_) {
        rows.insert(row);
    }
    return rows;
}

std::optional<Reconciler::Ready> Reconciler::decideOne(const JobRecord& job) {
    auto& live = lives_.at(job.row);
    auto& facts = facts_[job.row];
    learn(job.row, live);
    complete(job, facts, live);
    auto& backend = backendOf(live);
    if (facts.submitted) {
        noteSubmission(backend, *facts.submitted);
    }
    Policy policy = backend.policy;
    policy.sections = live.sections;
    policy.wallTime = live.wallTime;
    Ready ready{job, decide_(job, facts, now_, policy)};
    TraceNews news{ready.decision.before,  {},  ready.decision.endOfLog, ready.decision.after,
                   live.wishes.timestamps, now_};
    const bool logOpen = job.state == State::Queued || job.state == State::Running;
    const bool mended = !facts.traceOnDisk || ready.decision.next.traceLost != job.traceLost;
    if (facts.log && logOpen && mended) {
        news.raw = facts.log->bytes;
    }
    if (!news.before.empty() || !news.raw.empty() || !news.after.empty()) {
        const auto limit = world_.runners.at(live.runner)->outputLimit;
        const auto written =
            trace_.append(ready.decision.next, live.key, news, *masker(job, live), limit);
        if (!written.ok()) {
            retryAt_ = clock_.steadyNow() + kStoreRetry;
            if (trouble_.failed(clock_.steadyNow())) {
                log_.error("trace not written, trying again job={} error=\"{}\"", live.key,
                           written.error().message);
            }
            return std::nullopt;
        }
    }
    if (ready.decision.next == job && ready.decision.effects.empty()) {
        taken(job, live);
        return std::nullopt;
    }
    return ready;
}

/// What was learnt of a job has been decided upon, and that is stored: until then a look that
/// brings the same again is news.
void Reconciler::taken(const JobRecord& job, Live& live) {
    const auto known = facts_.extract(job.row);
    if (known.empty()) {
        return;
    }
    const Facts& facts = known.mapped();
    if (facts.traceOnDisk) {
        return;
    }
    tellTransfers(job, facts, live);
    if (facts.log) {
        live.rawSeen = job.rawOffset + static_cast<std::int64_t>(facts.log->bytes.size());
    }
    if (facts.observed) {
        live.seen = facts.observed;
    }
}

bool Reconciler::commit(std::vector<Ready>& ready) {
    std::vector<store::Change> changes;
    for (const auto& one : ready) {
        changes.push_back(
            {one.before.state, one.decision.next, one.decision.cause, one.decision.forgetSecrets});
    }
    if (changes.empty() && settlements_.empty()) {
        return true;
    }
    try {
        const auto stored = store_.commit(changes, settlements_);
        for (std::size_t i = 0; i < ready.size(); ++i) {
            ready[i].committed = stored[i];
        }
        if (trouble_.worked(clock_.steadyNow())) {
            log_.info("traces and the database are written again");
        }
        settled();
    } catch (const store::StoreError& e) {
        noteUnwritable(e);
        return false;
    }
    return true;
}

void Reconciler::noteUnwritable(const store::StoreError& error) {
    if (!error.passes()) {
        throw error;
    }
    if (trouble_.failed(clock_.steadyNow())) {
        log_.critical("the database cannot be written, trying again error=\"{}\"", error.what());
    }
    retryAt_ = clock_.steadyNow() + kStoreRetry;
}

void Reconciler::remember(const Ready& ready) {
    const JobRecord& next = ready.decision.next;
    auto& live = lives_.at(next.row);
    if (next.traceLength != ready.before.traceLength) {
        crashPoint("trace-committed");
    }
    if (next.reportedAt && !ready.before.reportedAt) {
        crashPoint("settled");
    }
    if (next.state != ready.before.state) {
        log_.info("{} job={} gitlab={} from={} cause=\"{}\"", store::nameOf(next.state), live.key,
                  next.gitlabId.value_or(0), store::nameOf(ready.before.state),
                  ready.decision.cause);
        if (next.state == State::Done && !next.gitlabId && !live.duplicate) {
            log_.error(
                "a claimed job cannot be read, so GitLab cannot be told; its body is kept in "
                "the database job={} error=\"{}\"",
                live.key, ready.decision.cause);
        }
        if (next.state == State::Submitting) {
            crashPoint("intent");
        } else if (next.state == State::Queued) {
            crashPoint("id-stored");
        }
    }
    if (next.traceLost != ready.before.traceLost) {
        live.traceOnDisk.reset();
    }
    refresh(live, next);
    if (next.state == State::Done) {
        capacity_.closed(live.runner);
        conversation_.closed(live);
        agenda_.erase({live.talkAt, next.row});
        facts_.erase(next.row);
        lives_.erase(next.row);
        return;
    }
    schedule(next.row, live);
}

/// What is not here yet is not read: who began to look before it came would find nothing, or, of a
/// log that is live, no status file.
Look Reconciler::lookFor(const JobRecord& job, Live& live) {
    auto look = lookOf(job);
    const auto& abilities = backendOf(live).policy.capabilities;
    look.early = abilities.filesByCollect && !isFetched(job, live, abilities);
    look.logOpen = look.logOpen && (!look.early || abilities.liveLog);
    return look;
}

void Reconciler::refresh(Live& live, const JobRecord& job) {
    live.attempt = job.submission.attempt;
    live.traceLength = job.traceLength;
    live.traceLost = job.traceLost;
    live.look = mayHaveBatchJob(job) ? std::optional(lookFor(job, live)) : std::nullopt;
    live.settled = live.settled || job.reportedAt.has_value();
    live.reportDue = job.state == State::Reporting && !job.reportedAt;
    const bool waiting = waits(job.state);
    if (live.counted && !waiting) {
        --waiting_[live.backend];
    } else if (!live.counted && waiting) {
        ++waiting_[live.backend];
    }
    live.counted = waiting;
    live.waiting = waiting;
    if (job.state != State::Claimed) {
        live.stopDownload.request_stop();
    }
    live.goesOn = waiting && job.state != State::Queued && (!job.dueAt || *job.dueAt <= now_);
    if (!live.goesOn) {
        live.description.reset();
    }
    if (waiting && !live.goesOn) {
        live.masker.reset();  // Waiting jobs keep nothing big in memory.
    }
}

void Reconciler::start(const std::vector<Ready>& ready) {
    for (const auto& one : ready) {
        if (!one.committed) {
            facts_.erase(one.before.row);
            dropped(one.before);
            continue;
        }
        taken(one.before, lives_.at(one.before.row));
        remember(one);
        if (one.decision.next.state != State::Done) {
            startOne(one);
        }
    }
    effects_.startGathered();
}

void Reconciler::dropped(const JobRecord& job) {
    auto& live = lives_.at(job.row);
    if (job.state == State::Received) {
        // The other row of this job, which is older, carries it.
        log_.error("GitLab gave the same job twice job={}", live.key);
        live.duplicate = true;
    } else {
        log_.warn("change dropped, the row was changed elsewhere job={}", live.key);
    }
}

void Reconciler::startOne(const Ready& ready) {
    auto& live = lives_.at(ready.decision.next.row);
    for (std::size_t i = 0; i < kEffects; ++i) {
        const auto effect = static_cast<Effect>(i);
        if (ready.decision.effects.has(effect) && !live.inFlight.has(effect)) {
            carryOut(effect, ready.decision.next, live);
        } else if (ready.decision.effects.has(effect) && effect == Effect::Look) {
            live.lookWanted = true;  // What is under way began before.
        }
    }
}

void Reconciler::carryOut(Effect effect, const JobRecord& job, Live& live) {
    auto& backend = backendOf(live);
    switch (effect) {
        case Effect::Download:
            return effects_.download(backend, job, live, describe(job.row, live));
        case Effect::Submit:
            live.inFlight.add(Effect::Submit);
            return effects_.submit(backend, prepare(job, live));
        case Effect::Find:
            return effects_.find(backend, job, live);
        case Effect::Mark:
            return effects_.mark(backend, job, live);
        case Effect::Look:
            live.inFlight.add(Effect::Look);
            return looks_[live.backend].push_back(lookFor(job, live));
        case Effect::ReadBatchLog:
            return effects_.readBatchLog(backend, job, live);
        case Effect::CancelSoft:
        case Effect::CancelHard:
        case Effect::Collect:
        case Effect::Release:
            return effects_.gather(effect, backend, job, live);
        case Effect::Upload:
            // Nothing is packed for a server that is away.
            live.uploadWanted = conversation_.away(live);
            return live.uploadWanted ? void()
                                     : effects_.upload(backend, job, live, describe(job.row, live),
                                                       steadyOf(job.submission.statusAt));
        case Effect::Report:
            return startReport(job, live);
    }
}

void Reconciler::poll() {
    const auto now = clock_.steadyNow();
    for (auto& [name, entry] : world_.backends) {
        if (!entry->polling && now >= entry->nextPoll) {
            auto& looks = looks_[name];
            bool isAsked = false;  // Whether a submission will tell if jobs are taken.
            for (auto& [row, live] : lives_) {
                if (live.backend == name && live.look && !live.inFlight.has(Effect::Look)) {
                    live.inFlight.add(Effect::Look);
                    looks.push_back(*live.look);
                }
                isAsked = isAsked || (live.backend == name && live.waiting && !live.look);
            }
            if (!isAsked) {
                entry->submitTrouble.clear();
            }
            entry->polling = true;
            const bool idle = looks.empty();
            entry->nextPoll = now + (idle && entry->healthy ? kIdleProbe : entry->policy.poll);
            if (idle) {
                effects_.probe(*entry);
            } else {
                effects_.look(*entry, std::exchange(looks, {}), true);
            }
        }
        if (auto& looks = looks_[name]; !looks.empty()) {
            effects_.look(*entry, std::exchange(looks, {}), false);
            entry->nextPoll = std::min(entry->nextPoll, now + entry->policy.poll);
        }
        tellTrouble(*entry);
        // Where one job could not be submitted the next is not claimed before that one has been.
        capacity_.backendState(
            name, waiting_[name],
            entry->healthy && now >= entry->fullUntil && entry->submitTrouble.empty());
    }
}

}  // namespace gridbridge::core
