#include "bridge/core/Decision.h"

#include <algorithm>

#include "bridge/core/DecisionSteps.h"
#include "bridge/core/Lines.h"

namespace gridbridge::core {

using store::Cancel;
using store::JobRecord;
using store::Outcome;
using store::State;

namespace {

constexpr Millis kBusyPause{1000};

/// Nothing more is sent about the job; what runs is ended and freed.
Decision abandon(Step& step, const std::string& why = "GitLab took the job back") {
    JobRecord& next = step.decision.next;
    next.outcome = Outcome::Dropped;
    next.cancel = Cancel::Hard;
    next.reportedAt = step.now;
    next.endedAt = next.endedAt.value_or(step.now);
    next.traceState = store::TraceState::Complete;
    if (next.submission.attempt == 0) {
        next.dueAt.reset();
        step.decision.forgetSecrets = true;
        return step.to(State::Done, why);
    }
    step.decision.effects.add(Effect::CancelHard);
    step.wait(step.policy.poll);
    return step.to(State::Reporting, why);
}

void describe(JobRecord& job, const Decoded& decoded) {
    job.gitlabId = decoded.gitlabId;
    job.account = decoded.account;
    job.project = decoded.project;
    job.ref = decoded.ref;
    job.sha = decoded.sha;
    job.name = decoded.name;
    job.stage = decoded.stage;
    job.user = decoded.user;
    job.url = decoded.url;
    job.timeoutSeconds = decoded.timeoutSeconds;
}

Decision received(Step& step) {
    if (step.facts.duplicate) {
        return abandon(step, "GitLab gave the same job twice");
    }
    if (!step.facts.decoded) {
        return step.wait(step.policy.firstBackoff);
    }
    const Decoded& decoded = *step.facts.decoded;
    JobRecord& next = step.decision.next;
    step.decision.before = decoded.header;
    describe(next, decoded);
    if (!decoded.gitlabId) {
        // Neither id nor token can be read: nobody can be told. The body is kept for a person.
        next.outcome = Outcome::Failed;
        next.failureReason = decoded.refusalReason;
        next.dueAt.reset();
        return step.to(State::Done, decoded.refusal);
    }
    if (!decoded.refusal.empty()) {
        return step.finish({Outcome::Failed,
                            decoded.refusalReason,
                            {},
                            "Job failed (system failure): " + decoded.refusal,
                            decoded.refusal});
    }
    next.deadline = step.fullDeadline();
    if (step.policy.sections) {
        step.decision.after += sectionStart(
            step.now, kPrepare, "Preparing the \"" + step.policy.backendType + "\" executor");
    }
    step.decision.after += infoLine("Using " + step.policy.backendType + " backend " +
                                    step.policy.backendName + "...");
    for (const auto& warning : decoded.warnings) {
        step.decision.after += warningLine(warning);
    }
    next.dueAt = step.now;
    return step.to(State::Claimed, "decoded");
}

/// Before anything was submitted a job can simply be given back.
std::optional<Decision> stopBeforeSubmission(Step& step) {
    if (step.decision.next.cancel == Cancel::Soft) {
        return step.finish(canceled(step.decision.next));
    }
    if (step.now >= step.lastStart()) {
        return step.finish(neverStarted(step));
    }
    return std::nullopt;
}

/// A new attempt has a key of its own, stored before anything is made by it.
void beginAttempt(Step& step) {
    auto& submission = step.decision.next.submission;
    if (submission.attempt > 0 && submission.cause.empty()) {
        return;
    }
    const int attempt = submission.attempt + 1;
    // What kept the one before from being submitted is told again only when it changes.
    auto told = submission.cause == kNeverStarted ? submission.reason : std::string();
    submission = {};
    submission.reason = std::move(told);
    submission.attempt = attempt;
    submission.key = {"gb-" + step.policy.installation + "-" +
                      std::to_string(static_cast<std::int64_t>(step.job.row)) + "-" +
                      std::to_string(attempt)};
}

/// What has been heard of the download of what the job depends on. None where it goes on to its
/// submission.
std::optional<Decision> afterDownload(Step& step, const TransferFact& downloaded) {
    for (const auto& line : downloaded.lines) {
        step.decision.after += line;
    }
    switch (downloaded.outcome) {
        case TransferOutcome::Done:
            return std::nullopt;
        case TransferOutcome::Failed:
            return step.finish({Outcome::Failed,
                                downloaded.reason,
                                {},
                                "Job failed: it has no artifacts of a job that it depends on",
                                "no artifacts of a dependency"});
        case TransferOutcome::Later:
            break;
    }
    return step.wait(downloaded.after);
}

Decision claimed(Step& step) {
    const auto& facts = step.facts;
    if (step.job.cancel == Cancel::Hard) {
        return abandon(step);
    }
    if (auto stop = stopBeforeSubmission(step)) {
        return *stop;
    }
    if (facts.downloaded) {
        if (auto waits = afterDownload(step, *facts.downloaded)) {
            return *waits;
        }
    } else if (!step.due()) {
        return step.decision;
    } else if (facts.inFlight.has(Effect::Download)) {
        return step.wait(step.policy.poll);
    }
    if (facts.backendFull) {
        return step.wait(step.policy.poll);
    }
    if (facts.backendBusy) {
        return step.wait(kBusyPause);
    }
    if (facts.lacksInputs) {
        beginAttempt(step);
        step.decision.effects.add(Effect::Download);
        return step.wait(step.policy.poll);
    }
    beginAttempt(step);
    auto& submission = step.decision.next.submission;
    step.decision.effects.add(Effect::Submit);
    step.decision.next.dueAt.reset();
    return step.to(State::Submitting, "submitting " + submission.key.value);
}

Decision accepted(Step& step, const RemoteId& id, WallTime at, const std::string& cause) {
    auto& submission = step.decision.next.submission;
    submission.id = id;
    submission.submittedAt = at;
    submission.batchState = "pending";
    submission.reason.clear();  // Why it was not accepted before is no reason to wait there.
    submission.absentSince.reset();
    step.decision.next.dueAt = step.lastStart();
    step.decision.effects.add(Effect::Look);
    step.decision.after += plainLine("Submitted as " + submission.key.value +
                                     (id.value.empty() ? "" : ", batch id " + id.value));
    return step.to(State::Queued, cause);
}

/// Once for as long as it is the same.
void tellWaiting(Step& step, const std::string& why) {
    auto& reason = step.decision.next.submission.reason;
    if (reason != why) {
        step.decision.after += plainLine("The job waits: " + why);
        reason = why;
    }
}

Decision afterSubmit(Step& step, const Result<Submission>& outcome) {
    if (outcome.ok() && outcome->accepted) {
        return accepted(step, outcome->accepted->id, outcome->accepted->submittedAt, "accepted");
    }
    if (outcome.ok()) {
        tellWaiting(step, outcome->full ? outcome->full->why : "the backend is full");
        step.wait(step.policy.poll);
        return step.to(State::Claimed, "the backend is full");
    }
    switch (outcome.error().kind) {
        case ErrorKind::Permanent:
            step.decision.next.submission.cause = "refused";
            return step.finish({Outcome::Failed,
                                "runner_configuration_error",
                                {},
                                "Job failed (system failure): " + outcome.error().message,
                                "refused: " + outcome.error().message});
        case ErrorKind::Transient:
            tellWaiting(step, outcome.error().message);
            step.wait(step.backoff());
            return step.to(State::Claimed, "not accepted: " + outcome.error().message);
        case ErrorKind::Uncertain:
            tellWaiting(step, outcome.error().message +
                                  "; whether the batch system has it is being found out");
            break;
    }
    step.decision.effects.add(Effect::Find);
    return step.wait(step.policy.poll);
}

Decision afterFind(Step& step, const Result<std::optional<FoundJob>>& found) {
    auto& submission = step.decision.next.submission;
    if (!found.ok()) {
        // Whether there is anything to be ended is found out without GitLab, too.
        return step.decision.next.cancel == Cancel::Hard ? abandon(step)
                                                         : step.wait(step.backoff());
    }
    if (*found) {
        return accepted(step, (*found)->id, (*found)->submittedAt, "adopted after doubt");
    }
    const Millis delay = step.policy.capabilities.visibilityDelay;
    if (!submission.absentSince) {
        submission.absentSince = step.now;
        step.decision.next.dueAt = step.now + delay;
        if (delay.count() == 0) {
            step.decision.effects.add(Effect::Find);
            step.wait(step.policy.poll);
        }
        return step.decision;
    }
    if (step.now >= *submission.absentSince + delay) {
        step.decision.effects.add(Effect::Mark);
    }
    return step.wait(step.policy.poll);
}

/// This attempt never started and never will. What is left of it is freed before there is another:
/// nobody would come back to it.
Decision neverToStart(Step& step) {
    const Facts& facts = step.facts;
    if (step.decision.next.cancel == Cancel::Hard) {
        return abandon(step);
    }
    if (auto stop = stopBeforeSubmission(step)) {
        return *stop;
    }
    if (facts.released && facts.released->ok()) {
        step.wait(
            std::min(step.policy.longestBackoff,
                     step.policy.firstBackoff * (1 << std::min(step.job.submission.attempt, 10))));
        return step.to(State::Claimed, "certainly never started");
    }
    if (facts.released && step.policy.capabilities.filesByCollect) {
        // Its node sees no marker of ours: what still runs may have started, and is the job.
        if (facts.released->error().kind != ErrorKind::Permanent) {
            return step.wait(step.backoff());
        }
        step.decision.next.submission.cause.clear();
        return accepted(step, step.job.submission.id, step.now, "it runs after all");
    }
    if (facts.released) {
        // A copy that is listed again after all: it finds the marker taken, or never gets so far.
        step.decision.effects.add(Effect::CancelHard);
        return step.wait(step.backoff());
    }
    if (!facts.inFlight.has(Effect::Release) && step.due()) {
        step.decision.effects.add(Effect::Release);
        return step.wait(step.policy.poll);
    }
    return step.decision;
}

Decision submitting(Step& step) {
    const Facts& facts = step.facts;
    if (!step.job.submission.cause.empty()) {
        return neverToStart(step);
    }
    if (facts.submitted) {
        return afterSubmit(step, *facts.submitted);
    }
    if (facts.marked && facts.marked->ok()) {
        if (!**facts.marked) {
            return accepted(step, {}, step.now, "its script has started");
        }
        step.decision.next.submission.cause = kNeverStarted;
        step.decision.effects.add(Effect::Release);
        return step.wait(step.policy.poll);
    }
    if (facts.found) {
        return afterFind(step, *facts.found);
    }
    const bool asking = facts.inFlight.has(Effect::Submit) || facts.inFlight.has(Effect::Find) ||
                        facts.inFlight.has(Effect::Mark);
    if (!asking && step.due()) {
        // The service was restarted with the outcome unknown, or an answer did not help.
        step.decision.effects.add(Effect::Find);
        return step.wait(step.policy.poll);
    }
    return step.decision;
}

/// Without a status file what the batch system printed may tell the user why.
Decision endedByTheBatchSystem(Step& step) {
    const auto& printed = step.facts.batchLog;
    if (!printed) {
        if (!step.facts.inFlight.has(Effect::ReadBatchLog)) {
            step.decision.effects.add(Effect::ReadBatchLog);
        }
        return step.wait(step.policy.poll);
    }
    if (printed->ok() && !(*printed)->empty()) {
        step.decision.after += plainLine("The batch system printed:") + **printed;
        if (!(*printed)->ends_with('\n')) {
            step.decision.after += '\n';
        }
    }
    return step.finish(verdict(step));
}

/// Who was to bring the outputs has not done so in the job's time. What has come by itself counts.
bool neverBrought(const Step& step) {
    return step.facts.collected && step.now >= step.fullDeadline() &&
           step.facts.failing >= step.policy.settleTime;
}

Decision collecting(Step& step) {
    const Facts& facts = step.facts;
    if (!facts.end || !facts.end->valid) {
        return endedByTheBatchSystem(step);
    }
    if (facts.uploaded) {
        for (const auto& line : facts.uploaded->lines) {
            step.decision.after += line;
        }
        return facts.uploaded->outcome == TransferOutcome::Later ? step.wait(facts.uploaded->after)
                                                                 : step.finish(verdict(step));
    }
    const bool collecting =
        facts.inFlight.has(Effect::Collect) || facts.inFlight.has(Effect::Upload);
    if (hasCome(facts) || neverBrought(step) || (facts.fetched && !collecting && step.due())) {
        if (!facts.hasUploads || isLate(facts.end->why)) {
            return step.finish(verdict(step));
        }
        step.decision.effects.add(Effect::Upload);
        return step.wait(step.policy.longestBackoff);
    }
    if (collecting) {
        return step.decision;
    }
    if (facts.collected) {
        return step.wait(step.backoff());
    }
    if (step.due()) {
        step.decision.effects.add(Effect::Collect);
        return step.wait(step.policy.poll);
    }
    return step.decision;
}

/// The verdict once more: what a log that is complete lost at its end held it.
std::string verdictLine(const JobRecord& job) {
    if (job.outcome == Outcome::Success) {
        return infoLine("Job succeeded");
    }
    return errorLine("Job failed: " + (job.exitCode ? "exit code " + std::to_string(*job.exitCode)
                                       : job.outcome == Outcome::Canceled ? "canceled"
                                                                          : job.failureReason));
}

/// The trace goes on where GitLab's copy ends; false while it has not said where that is.
bool mendTrace(Step& step) {
    const Facts& facts = step.facts;
    const bool settled = facts.reported && facts.reported->outcome != ReportOutcome::Later;
    const bool over = facts.contact == Contact::Gone || settled || facts.unreadable;
    if (!facts.traceInGitLab && !over && !step.pastDeadline()) {
        return false;
    }
    JobRecord& next = step.decision.next;
    const auto onlyThere = std::max<std::int64_t>(
        0, std::min(facts.traceInGitLab.value_or(0), next.traceLength) - *facts.traceOnDisk);
    const auto lost = next.traceLength - *facts.traceOnDisk;
    next.traceLost += lost;
    next.traceLength = *facts.traceOnDisk + onlyThere;
    step.decision.before +=
        "\n" + warningLine("the machine of gridbridge lost " + std::to_string(lost) +
                           " bytes of this log here, perhaps with its power: " +
                           (onlyThere == 0 ? "nobody has them"
                            : onlyThere == lost
                                ? "only GitLab has them"
                                : "only GitLab has " + std::to_string(onlyThere) + " of them"));
    const bool ended = next.outcome == Outcome::Success || next.outcome == Outcome::Failed ||
                       next.outcome == Outcome::Canceled;
    if (ended && onlyThere < lost) {
        step.decision.before += verdictLine(next);
    }
    return true;
}

/// GitLab has taken the job back, or can be told nothing about it any more.
std::optional<Decision> leave(Step& step) {
    const bool gone = step.facts.contact == Contact::Gone || step.facts.unreadable;
    if (!gone || step.job.state == State::Done || step.job.reportedAt) {
        return std::nullopt;
    }
    if (step.job.state == State::Submitting) {
        // A submission whose outcome is open is waited for: it may still have to be ended.
        step.decision.next.cancel = Cancel::Hard;
        return std::nullopt;
    }
    return step.facts.unreadable ? abandon(step, "its stored description cannot be read")
                                 : abandon(step);
}

Decision next(Step& step) {
    const JobRecord& job = step.job;
    const Facts& facts = step.facts;
    if (facts.traceOnDisk && !mendTrace(step)) {
        return step.wait(step.policy.poll);
    }
    if (auto left = leave(step)) {
        return *left;
    }
    if (job.state == State::Claimed || job.state == State::Collecting) {
        step.decision.after += facts.transferring;
    }
    if (facts.contact == Contact::Canceling && job.cancel == Cancel::None) {
        step.decision.next.cancel = Cancel::Soft;
    }
    if (facts.stop && job.cancel == Cancel::None) {
        step.decision.next.cancel = Cancel::Soft;
        step.decision.next.failureReason = facts.stop->reason;
        step.decision.next.stopCause = facts.stop->why;
    }
    switch (job.state) {
        case State::Received:
            return received(step);
        case State::Claimed:
            return claimed(step);
        case State::Submitting:
            return submitting(step);
        case State::Queued:
        case State::Running:
            return job.cancel == Cancel::Hard ? abandon(step) : watched(step);
        case State::Collecting:
            return collecting(step);
        case State::Reporting:
            return reporting(step);
        case State::Done:
            break;
    }
    return step.decision;
}

}  // namespace

Decision decide(const JobRecord& job, const Facts& facts, WallTime now, const Policy& policy) {
    Step step{job, facts, now, policy, {}};
    step.decision.next = job;
    step.decision = next(step);
    const auto& after = step.decision.next;
    if (after.state == job.state && after.dueAt && *after.dueAt <= now) {
        // What is due and stays as it is waits for news: else it would be due again at once.
        step.wait(policy.poll);
    }
    return step.decision;
}

}  // namespace gridbridge::core
