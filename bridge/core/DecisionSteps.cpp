#include "bridge/core/DecisionSteps.h"

#include <algorithm>

#include "bridge/core/JobLines.h"
#include "bridge/core/Lines.h"

namespace gridbridge::core {

using store::Cancel;
using store::JobRecord;
using store::Outcome;
using store::State;

namespace {

bool isWaiting(State state) {
    return state == State::Claimed || state == State::Submitting || state == State::Queued;
}

}  // namespace

Decision& Step::to(State state, const std::string& cause) {
    decision.next.state = state;
    decision.cause = cause;
    return decision;
}

Decision& Step::wait(Millis howLong) {
    decision.next.dueAt = now + howLong;
    if (decision.next.deadline && now < *decision.next.deadline) {
        decision.next.dueAt = std::min(*decision.next.dueAt, *decision.next.deadline);
    }
    if (isWaiting(decision.next.state) && now < lastStart()) {
        decision.next.dueAt = std::min(*decision.next.dueAt, lastStart());
    }
    return decision;
}

WallTime Step::fullDeadline() const {
    const std::chrono::seconds timeout(decision.next.timeoutSeconds);
    return job.claimedAt + timeout -
           std::min<Millis>(policy.capabilities.finishReserve, timeout / 10);
}

WallTime Step::lastStart() const {
    const auto patience = job.claimedAt + policy.pendingLimit;
    return job.deadline ? std::min(patience, *job.deadline - policy.minimumRunTime) : patience;
}

bool Step::due() const {
    return facts.restarted || !job.dueAt || now >= *job.dueAt;
}

Millis Step::backoff() const {
    return std::min(policy.longestBackoff,
                    policy.firstBackoff * (1 << std::min(facts.failures, 10)));
}

Decision& Step::finish(const Ending& ending) {
    JobRecord& next = decision.next;
    next.outcome = ending.outcome;
    next.failureReason = ending.reason;
    next.exitCode = ending.exitCode;
    next.endedAt = next.endedAt.value_or(now);
    next.traceState = store::TraceState::Complete;
    if (isWaiting(job.state) && policy.sections) {
        decision.after += sectionEnd(now, kPrepare);
    }
    // Of an attempt that came before, the log has told.
    decision.after += job.state == State::Collecting ? lastWords(next, now) : "";
    decision.after +=
        ending.outcome == Outcome::Success ? infoLine("Job succeeded") : errorLine(ending.lastLine);
    decision.effects.add(Effect::Report);
    if (job.state == State::Claimed && next.submission.attempt > 0) {
        decision.effects.add(Effect::Look);  // Its folder is freed once it is known to be nowhere.
    }
    wait(policy.poll);
    return to(State::Reporting, ending.cause);
}

namespace {

void startRunning(Step& step) {
    JobRecord& next = step.decision.next;
    if (next.state != State::Queued) {
        return;
    }
    next.startedAt = next.submission.startedAt.value_or(step.now);
    if (step.policy.wallTime && next.deadline) {
        next.deadline = std::min<WallTime>(*next.deadline, *next.startedAt + *step.policy.wallTime);
    }
    step.decision.before += startedLine(next);
    if (step.policy.sections) {
        step.decision.before += sectionEnd(step.now, kPrepare);
    }
    step.to(State::Running, "started");
}

/// Accounting may tell it later than the end, and not again.
void keepUsage(store::SubmissionRecord& submission, const Usage& usage) {
    const auto count = [](const std::optional<Millis>& time) {
        return time ? std::optional<std::int64_t>(time->count()) : std::nullopt;
    };
    submission.elapsedMs = usage.elapsed ? count(usage.elapsed) : submission.elapsedMs;
    submission.cpuMs = usage.cpu ? count(usage.cpu) : submission.cpuMs;
    submission.memoryBytes = usage.memory ? usage.memory : submission.memoryBytes;
}

/// Writes what the scheduler says into the row.
void apply(Step& step, const Observation& seen) {
    auto& submission = step.decision.next.submission;
    if (seen.state == BatchState::Absent) {
        submission.absentSince = submission.absentSince.value_or(step.now);
    } else if (seen.state != BatchState::Unknown) {
        submission.absentSince.reset();
    }
    if (seen.state == BatchState::Unknown) {
        return;
    }
    submission.batchState = nameOf(seen.state);
    if (seen.state == BatchState::Absent) {
        return;  // What was known of it stays true.
    }
    submission.reason = seen.reason;
    submission.run = seen.run;
    if (!seen.node.empty()) {
        submission.node = seen.node;
    }
    keepUsage(submission, seen.usage);
    submission.startedAt = seen.startedAt ? seen.startedAt : submission.startedAt;
    if (seen.state == BatchState::Ended && !submission.endedAt) {
        submission.endedAt = step.now;  // Not the scheduler's clock: graces begin here.
        submission.cause = nameOf(seen.cause);
        submission.exitCode = seen.exitCode;
        submission.signal = seen.signal;
    }
}

}  // namespace

bool provenAbsent(const Step& step) {
    const auto& since = step.job.submission.absentSince;
    return step.facts.observed && step.facts.observed->state == BatchState::Absent && since &&
           step.now >= *since + step.policy.capabilities.visibilityDelay;
}

Decision collect(Step& step, const std::string& cause) {
    step.decision.endOfLog = true;
    step.decision.next.dueAt = step.now;
    if (step.facts.end && step.facts.end->valid && !step.facts.fetched) {
        step.decision.effects.add(Effect::Collect);
        step.wait(step.policy.poll);
    }
    return step.to(State::Collecting, cause);
}

namespace {

/// What else the job prints is in no trace.
bool isLimited(const Step& step) {
    return step.decision.next.traceState == store::TraceState::Limited;
}

/// Where the rest of a log that was cut belongs, nobody knows.
void leaveCutLog(Step& step) {
    if (step.facts.log && step.facts.log->cut && !isLimited(step)) {
        step.decision.next.traceState = store::TraceState::Limited;
        step.decision.before +=
            warningLine("the job cut its own log after " + std::to_string(step.job.rawOffset) +
                        " bytes of it were read: nothing more of it is shown");
    }
}

/// Whose SIGTERM it was only the scheduler's end of the job can tell; or that it has forgotten the
/// job, for then it ends what still runs of it.
bool awaitsScheduler(Step& step) {
    auto& submission = step.decision.next.submission;
    if (step.policy.capabilities.reportsUsage && !submission.endedAt &&
        step.now < *submission.statusAt + step.policy.poll) {
        return true;  // Its next word tells what the job used, and whether it was out of memory.
    }
    if (step.facts.end->outcome != "canceled" || step.decision.next.cancel != Cancel::None ||
        !submission.cause.empty()) {
        return false;
    }
    if (provenAbsent(step)) {
        submission.cause = "lost";
        return false;
    }
    const auto proof = step.policy.capabilities.visibilityDelay * (submission.absentSince ? 2 : 0);
    return step.now < *submission.statusAt + step.policy.releaseGrace + proof;
}

/// The status file is there: the job is over once its log is complete.
Decision statusSeen(Step& step) {
    auto& submission = step.decision.next.submission;
    const ScriptEnd& end = *step.facts.end;
    submission.status = end.text;
    submission.statusAt = submission.statusAt.value_or(step.now);
    if (!end.valid) {
        return collect(step, "unreadable status file");
    }
    const auto known = step.job.rawOffset +
                       static_cast<std::int64_t>(step.facts.log ? step.facts.log->bytes.size() : 0);
    if (known >= end.logBytes || isLimited(step)) {
        if (awaitsScheduler(step)) {
            return step.wait(step.policy.poll);
        }
        if (known > end.logBytes && !isLimited(step)) {
            step.decision.after += warningLine("the job cut its own log: " + std::to_string(known) +
                                               " bytes were read, and at its end it had " +
                                               std::to_string(end.logBytes));
        }
        return collect(step, "status file and whole log");
    }
    // Also where the service was away for so long: what is there is read before it is missed.
    const bool readToItsEnd = step.facts.log ? step.facts.log->atEnd : step.pastDeadline();
    if (readToItsEnd && step.now >= *submission.statusAt + step.policy.settleTime) {
        step.decision.after +=
            warningLine("the log is incomplete: " + std::to_string(known) + " of " +
                        std::to_string(end.logBytes) + " bytes arrived");
        return collect(step, "status file and incomplete log");
    }
    if (step.facts.log && !step.facts.log->bytes.empty()) {
        step.decision.effects.add(Effect::Look);
    }
    return step.wait(step.policy.poll);
}

Ending unmaskable() {
    return {Outcome::Failed,
            "runner_system_failure",
            {},
            "Job failed (system failure): its description cannot be read any more, so its log "
            "cannot be masked",
            "its log cannot be masked"};
}

/// No copy may start any more; then `ending` is true.
std::optional<Decision> takeBack(Step& step, const Ending& ending) {
    if (step.facts.marked && step.facts.marked->ok()) {
        if (!**step.facts.marked) {
            startRunning(step);
            return std::nullopt;
        }
        step.decision.effects.add(Effect::CancelHard);
        return step.finish(ending);
    }
    if (!step.facts.inFlight.has(Effect::Mark)) {
        step.decision.effects.add(Effect::Mark);
    }
    return step.wait(step.policy.poll);
}

std::optional<Decision> stopQueued(Step& step) {
    // Once the start marker is ours the job never starts, even where a clock has gone back since.
    const bool takenBack = step.facts.marked && step.facts.marked->ok() && **step.facts.marked;
    const bool canceling = step.decision.next.cancel == Cancel::Soft;
    if (step.decision.next.state != State::Queued || step.policy.capabilities.filesByCollect ||
        !(canceling || step.now >= step.lastStart() || takenBack)) {
        return std::nullopt;
    }
    return takeBack(step, canceling ? canceled(step.decision.next) : neverStarted(step));
}

std::optional<Decision> stopRunning(Step& step) {
    JobRecord& next = step.decision.next;
    const bool late = step.isOverdue() && !step.facts.fetched;
    const bool unheard = next.cancel == Cancel::Soft && next.submission.cancelAt &&
                         step.now >= *next.submission.cancelAt + step.policy.softCancelLimit;
    if (late || unheard) {
        step.decision.effects.add(Effect::CancelHard);
        next.submission.cause = late ? "wall_time" : next.submission.cause;
        step.wait(step.policy.poll);
        return collect(step, late ? "ran past its deadline" : "did not stop when canceled");
    }
    if (next.cancel == Cancel::Soft) {
        next.submission.cancelAt = next.submission.cancelAt.value_or(step.now);
        step.decision.effects.add(Effect::CancelSoft);
        step.wait(step.policy.longestBackoff / 2);
    }
    return std::nullopt;
}

std::optional<Decision> endedWithoutStatus(Step& step) {
    auto& submission = step.decision.next.submission;
    const Millis delay = step.policy.capabilities.visibilityDelay;
    const auto& log = step.facts.log;
    if (!log || log->early || !(log->atEnd || isLimited(step))) {
        return std::nullopt;
    }
    if (submission.endedAt && step.job.submission.endedAt &&
        step.now >= *step.job.submission.endedAt + delay) {
        const auto again = submitAgain(step);
        return again ? again : collect(step, "ended without a status file");
    }
    if (provenAbsent(step)) {
        submission.cause = "lost";
        const auto again = submitAgain(step);
        return again ? again : collect(step, "lost");
    }
    const auto& before = step.job.submission;
    if ((submission.endedAt && !before.endedAt) ||
        (submission.absentSince && !before.absentSince)) {
        step.wait(step.policy.poll);
        if (delay.count() == 0) {
            step.decision.effects.add(Effect::Look);
        }
    }
    return std::nullopt;
}

}  // namespace

/// It was taken for lost and is listed again: its script may run, where the marker is not ours.
bool isBack(const Step& step) {
    const auto& state = step.decision.next.submission.batchState;
    const auto& marked = step.facts.marked;
    return step.job.submission.cause == "lost" && state != "absent" && state != "ended" &&
           !step.facts.inFlight.has(Effect::Mark) && !(marked && marked->ok() && **marked);
}

/// What is seen goes into the row and the log. Whether an end is known that asked for the marker:
/// then the marker that is seen may be our own.
bool takeLook(Step& step) {
    auto& submission = step.decision.next.submission;
    if (step.facts.observed) {
        step.decision.before += runLine(step.job.submission, *step.facts.observed);
        step.decision.after +=
            waitingLine(step.policy.backendName, step.job.submission, *step.facts.observed);
        apply(step, *step.facts.observed);
    }
    if (isBack(step)) {
        submission.cause.clear();
    }
    return saysNothingOfTheScript(step.job.submission) && !submission.cause.empty();
}

/// The log was empty and at its end when the marker was asked for.
Decision afterMark(Step& step) {
    if (auto again = submitAgain(step)) {
        return *again;
    }
    const bool begun = step.decision.next.submission.cause != kNeverStarted;
    return collect(step, begun ? "its script had started" : "its script never started");
}

Decision watched(Step& step) {
    const bool mayBeOurs = takeLook(step);
    if (step.facts.unmaskable) {
        step.decision.effects.add(Effect::CancelHard);
        return step.finish(unmaskable());
    }
    const bool runs =
        step.facts.observed && !mayBeOurs &&
        (step.facts.observed->started || step.facts.observed->state == BatchState::Running);
    if (runs || (step.facts.log && !step.facts.log->bytes.empty()) || step.facts.end) {
        startRunning(step);
    }
    leaveCutLog(step);
    if (step.facts.end) {
        return statusSeen(step);
    }
    if (step.facts.marked && mayBeOurs) {
        return afterMark(step);
    }
    auto over = beforeFiles(step);
    over = over ? over : endedWithoutStatus(step);
    over = over ? over : stopQueued(step);
    if (over) {
        return *over;
    }
    if (step.decision.next.state == State::Running) {
        if (auto stop = stopRunning(step)) {
            return *stop;
        }
        if (step.pastDeadline()) {
            step.wait(step.policy.poll);
        }
    }
    if (step.facts.log && !step.facts.log->atEnd && !isLimited(step)) {
        step.decision.effects.add(Effect::Look);
    }
    return step.decision;
}

namespace {

void report(Step& step) {
    JobRecord& next = step.decision.next;
    const auto& reported = step.facts.reported;
    if (reported && reported->outcome != ReportOutcome::Later) {
        next.reportedAt = step.now;
        if (reported->canceled) {
            next.outcome = Outcome::Canceled;
        } else if (reported->outcome == ReportOutcome::Unwanted) {
            next.outcome = Outcome::Dropped;
        }
        return;
    }
    if (reported) {
        step.wait(reported->after.count() > 0 ? reported->after : step.backoff());
        return;
    }
    if (!step.facts.inFlight.has(Effect::Report) && step.due()) {
        step.decision.effects.add(Effect::Report);
        step.wait(step.policy.poll);
    }
}

/// The batch job must be proven gone before its folder is freed.
void release(Step& step) {
    auto& submission = step.decision.next.submission;
    if (step.facts.observed) {
        apply(step, *step.facts.observed);
    }
    if (step.facts.released && step.facts.released->ok()) {
        submission.releasedAt = step.now;
        return;
    }
    if (step.facts.released) {
        step.wait(step.backoff());
        return;
    }
    // A proof holds until it is seen again: the look of it and the next try rarely coincide.
    const bool proven = submission.endedAt && submission.batchState == "absent";
    const bool gone = submission.batchState == "ended" || provenAbsent(step) || proven;
    if (gone || submission.cause == "refused") {
        submission.endedAt = submission.endedAt.value_or(step.now);
        // What still comes would make the folder anew. What failed is not tried again at every
        // look.
        const auto& busyWith = step.facts.inFlight;
        const bool busy = busyWith.has(Effect::Mark) || busyWith.has(Effect::Download) ||
                          busyWith.has(Effect::Release);
        if (!busy && (step.facts.failures == 0 || step.due())) {
            step.decision.effects.add(Effect::Release);
            step.wait(step.policy.poll);
        }
        return;
    }
    const bool patient =
        submission.statusAt && step.now < *submission.statusAt + step.policy.releaseGrace;
    if (!patient && !step.facts.inFlight.has(Effect::CancelHard)) {
        step.decision.effects.add(Effect::CancelHard);
    }
    if (!step.decision.next.dueAt || *step.decision.next.dueAt <= step.now) {
        step.wait(step.policy.poll);
    }
}

}  // namespace

Decision reporting(Step& step) {
    JobRecord& next = step.decision.next;
    const bool submitted = next.submission.attempt > 0;
    if (submitted && !next.submission.releasedAt) {
        release(step);
    }
    if (!next.reportedAt) {
        report(step);
    }
    if (next.reportedAt && (!submitted || next.submission.releasedAt)) {
        next.dueAt.reset();
        step.decision.forgetSecrets = true;
        return step.to(State::Done, next.outcome == Outcome::Dropped ? "given up and released"
                                                                     : "reported and released");
    }
    return step.decision;
}

}  // namespace gridbridge::core
