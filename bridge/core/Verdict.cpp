#include <csignal>

#include "bridge/core/DecisionSteps.h"
#include "bridge/core/Lines.h"

namespace gridbridge::core {

using store::Cancel;
using store::JobRecord;
using store::Outcome;

bool isLate(std::string_view why) {
    return why == "job_timeout" || why == "wall_timeout";
}

Ending canceled(const JobRecord& job) {
    if (!job.stopCause.empty()) {
        return {Outcome::Failed,
                job.failureReason,
                {},
                "Job failed (system failure): " + job.stopCause,
                job.stopCause};
    }
    return {Outcome::Canceled, "unknown_failure", {}, "Job failed: canceled", "canceled in GitLab"};
}

Ending neverStarted(const Step& step) {
    const JobRecord& job = step.job;
    const auto& policy = step.policy;
    const auto inSeconds = [](Millis time) {
        return std::chrono::ceil<std::chrono::seconds>(time).count();
    };
    const bool patient = step.now < job.claimedAt + policy.pendingLimit;
    if (step.pastDeadline() || (patient && policy.minimumRunTime.count() == 0)) {
        return {Outcome::Failed,
                "job_execution_timeout",
                {},
                "Job failed: execution took longer than " + goDuration(job.timeoutSeconds) +
                    " seconds; the job never left the queue: raise `timeout:`",
                "deadline passed in the queue"};
    }
    if (patient || step.now >= *job.deadline - policy.minimumRunTime) {
        return {Outcome::Failed,
                "job_execution_timeout",
                {},
                "Job failed: less than " + goDuration(inSeconds(policy.minimumRunTime)) +
                    " of its timeout of " + goDuration(job.timeoutSeconds) +
                    " was left, and it still waited: raise `timeout:`",
                "too little time left in the queue"};
    }
    return {Outcome::Failed,
            "runner_system_failure",
            {},
            "Job failed (system failure): backend " + policy.backendName +
                " did not start the job within " + goDuration(inSeconds(policy.pendingLimit)) +
                (job.submission.reason.empty() ? "" : ": " + job.submission.reason),
            "pending_limit"};
}

namespace {

/// A script that could write `system` has run longer than preparing takes (job-execution 11.2).
constexpr std::chrono::seconds kLongestPreparation{60};

Ending scriptFailure(int code, const std::string& cause, const std::string& explanation = "") {
    return {Outcome::Failed, "script_failure", code,
            "Job failed: exit code " + std::to_string(code) + explanation, cause};
}

/// For a job whose script left no valid status file.
std::string withoutStatus(const store::SubmissionRecord& submission) {
    std::string text = ": the batch job left no valid status file (" +
                       (submission.cause.empty() ? "cause unknown" : submission.cause);
    if (submission.signal) {
        text += ", signal " + std::to_string(*submission.signal);
    } else if (submission.exitCode) {
        text += ", exit code " + std::to_string(*submission.exitCode);
    }
    return text + ")";
}

Ending systemFailure(const std::string& text) {
    return {
        Outcome::Failed, "runner_system_failure", {}, "Job failed (system failure): " + text, text};
}

Ending wallTimeOver(const Step& step) {
    const auto& limit = step.policy.wallTime;
    return {Outcome::Failed,
            "job_execution_timeout",
            {},
            "Job failed: execution took longer than its wall time" +
                (limit ? " of " + goDuration(limit->count()) : "") +
                ": raise GRIDBRIDGE_WALLTIME, as far as the runner allows",
            "wall time"};
}

/// By the service's word, or the scheduler's.
Ending timedOut(const Step& step) {
    const JobRecord& job = step.decision.next;
    if (step.policy.wallTime && job.deadline && *job.deadline < step.fullDeadline()) {
        return wallTimeOver(step);
    }
    return {Outcome::Failed,
            "job_execution_timeout",
            {},
            "Job failed: execution took longer than " + goDuration(job.timeoutSeconds) + " seconds",
            "job timeout"};
}

/// The batch system's own limit may come before the job's deadline.
Ending limitOver(const Step& step) {
    if (step.pastDeadline()) {
        return timedOut(step);
    }
    return {Outcome::Failed,
            "job_execution_timeout",
            {},
            "Job failed: execution took longer than the batch system's time limit",
            "the batch system's time limit"};
}

Ending interrupted(const store::SubmissionRecord& submission) {
    return {Outcome::Failed,
            "runner_interrupted",
            {},
            "Job failed (system failure): batch job was terminated by the backend",
            submission.cause};
}

/// Whether what ended was not the first run. A batch system that forgot in a crash that it had
/// started the job does so again, counts no second run, and tells another time of its start.
bool startedAgain(const JobRecord& job) {
    const auto& submission = job.submission;
    return submission.run > 1 || (job.startedAt && submission.startedAt &&
                                  *submission.startedAt > *job.startedAt + std::chrono::seconds(1));
}

/// It was to leave the queue, and had just begun. Elsewhere its status file would say so: a script
/// may have made the batch system say this.
bool wasTakenBack(const Step& step) {
    return step.decision.next.submission.cause == "removed_by_us" &&
           step.policy.capabilities.filesByCollect;
}
Ending takenBack(const Step& step) {
    return step.pastDeadline() ? timedOut(step) : interrupted(step.decision.next.submission);
}

Ending neverBegan(const Step& step) {
    return step.now >= step.lastStart()
               ? neverStarted(step)
               : systemFailure("the batch job ended before it could begin its script");
}

/// The scheduler's word, where the script left none: only an infrastructure reason is a system
/// failure, for a script can remove its own status file (job-execution 10, row 11).
Ending schedulersVerdict(const Step& step) {
    const JobRecord& job = step.decision.next;
    const auto& submission = job.submission;
    if (submission.cause == "lost") {
        return systemFailure("the batch system does not know the job any more");
    }
    if (submission.cause == kNotFetched) {
        return systemFailure("what the job left could not be fetched");
    }
    if (submission.cause == "node_failure") {
        return systemFailure("the node failed: " + submission.reason);
    }
    if (submission.cause == "never_runnable") {
        return systemFailure("the batch system cannot start the job: " + submission.reason);
    }
    if (submission.cause == kNeverStarted) {
        return neverBegan(step);
    }
    if (submission.cause == "wall_time") {
        return limitOver(step);
    }
    if (wasTakenBack(step)) {
        return takenBack(step);
    }
    if (submission.cause == "preempted" || submission.cause == "removed_by_other") {
        return interrupted(submission);
    }
    if (submission.cause == "memory") {
        return scriptFailure(137, "out of memory",
                             ": the job needed more memory than it was given");
    }
    if (startedAgain(job)) {
        // However that run ended, even before its loader found the start marker taken.
        return systemFailure(
            "the batch system started the job again, and no run of it left a result");
    }
    const int code = submission.exitCode.value_or(0);
    return scriptFailure(code > 0 && code < 256 ? code : 1, "no valid status file",
                         withoutStatus(submission));
}

/// A wrapper that was sent SIGTERM without our asking: a script can do that too, so only a
/// scheduler that says it ended the job, or that it started it again, makes it a system failure.
Ending terminatedVerdict(const Step& step, const ScriptEnd& end) {
    const JobRecord& job = step.decision.next;
    const std::string& cause = job.submission.cause;
    if (cause == "removed_by_us" || cause == "node_failure") {
        return interrupted(job.submission);
    }
    if (cause.empty() || cause == "exited" || cause == "unknown") {
        if (end.why == "limit") {
            return limitOver(step);
        }
        if (job.submission.run > 1) {
            return interrupted(job.submission);  // Taken from its node, to be started again.
        }
        return scriptFailure(128 + SIGTERM, "terminated",
                             ": the job was sent SIGTERM, and not by the batch system");
    }
    return schedulersVerdict(step);
}

/// A node's word that the time is up.
Ending timeoutVerdict(const Step& step, const ScriptEnd& end) {
    const JobRecord& job = step.decision.next;
    if (end.why == "stage_timeout") {
        return {Outcome::Failed,
                "job_execution_timeout",
                {},
                "Job failed: script timeout: context deadline exceeded",
                "script timeout"};
    }
    if (end.why == "wall_timeout") {
        return wallTimeOver(step);
    }
    if (job.deadline && step.now + std::chrono::seconds(60) < *job.deadline) {
        return systemFailure("the clock of node " + job.submission.node +
                             " is ahead: it ended the job before its time");
    }
    return timedOut(step);
}

/// A script can forge `system`: it counts only from the stage before any user code, and soon.
bool believable(const JobRecord& job, const ScriptEnd& end) {
    const auto& submission = job.submission;
    const auto started = submission.startedAt ? submission.startedAt : job.startedAt;
    return end.stage == "prepare_script" && started && submission.statusAt &&
           *submission.statusAt >= *started &&
           *submission.statusAt - *started < kLongestPreparation;
}

}  // namespace

Ending verdict(const Step& step) {
    const JobRecord& job = step.decision.next;
    // Where we stop a job, what its script had done by then stands; GitLab's word is the last.
    const bool endedByItself = !job.stopCause.empty() && step.facts.end && step.facts.end->valid &&
                               step.facts.end->outcome != "canceled";
    if (job.cancel == Cancel::Soft && !endedByItself) {
        return canceled(job);
    }
    if (!step.facts.end || !step.facts.end->valid) {
        return schedulersVerdict(step);
    }
    const ScriptEnd& end = *step.facts.end;
    if (end.outcome == "success") {
        const bool lost =
            end.why == "collect_failed" ||
            (step.facts.uploaded && step.facts.uploaded->outcome == TransferOutcome::Failed);
        return lost ? scriptFailure(1, "artifacts failed")
                    : Ending{Outcome::Success, "", {}, "", "script succeeded"};
    }
    if (end.outcome == "failed") {
        if (end.why == "image_failed") {
            return scriptFailure(end.exitCode.value_or(1), "no container",
                                 ": its image could not be pulled or started");
        }
        return scriptFailure(end.exitCode.value_or(1), "script failed");
    }
    if (end.outcome == "timedout") {
        return timeoutVerdict(step, end);
    }
    if (end.outcome == "canceled") {
        return terminatedVerdict(step, end);
    }
    return believable(job, end)
               ? systemFailure("prepare environment: the node could not start the job")
               : scriptFailure(1, "a system failure told too late to be believed");
}

}  // namespace gridbridge::core
