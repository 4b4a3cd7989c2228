#include "bridge/core/JobLines.h"

#include <algorithm>
#include <map>

#include "bridge/core/Lines.h"

namespace gridbridge::core {

namespace {

std::int64_t secondsBetween(WallTime from, WallTime to) {
    return std::max<std::int64_t>(0, std::chrono::floor<std::chrono::seconds>(to - from).count());
}

std::string on(const std::string& node) {
    return node.empty() ? "" : " on " + node;
}

/// Why the batch system ended it, in words; empty where it did not.
std::string endedByBatchSystem(const store::SubmissionRecord& submission) {
    static const std::map<std::string, std::string, std::less<>> kWords{
        {"wall_time", "its time limit was over"},
        {"memory", "it was out of memory"},
        {"node_failure", "the node failed"},
        {"preempted", "it was preempted"},
        {"removed_by_other", "it was removed, and not by gridbridge"},
        {"never_runnable", "it can never run"}};
    const auto found = kWords.find(submission.cause);
    if (found == kWords.end() || !submission.endedAt) {
        return "";
    }
    const auto& reason = submission.reason;
    return found->second + (reason.empty() ? "" : " (" + reason + ")");
}

/// Whole MiB, rounded up.
std::string inMiB(std::int64_t bytes) {
    constexpr std::int64_t kMiB = std::int64_t{1} << 20;
    return std::to_string(bytes / kMiB + (bytes % kMiB == 0 ? 0 : 1)) + " MiB of memory";
}

std::string usedBy(const store::SubmissionRecord& submission) {
    std::string text;
    if (submission.cpuMs) {
        text += ", used " + goDuration(*submission.cpuMs / 1000) + " of processor time";
    }
    if (submission.memoryBytes) {
        text += (text.empty() ? ", used" : " and") + (" at most " + inMiB(*submission.memoryBytes));
    }
    return text;
}

}  // namespace

std::string waitingLine(const std::string& backendName, const store::SubmissionRecord& before,
                        const Observation& seen) {
    const bool held = seen.state == BatchState::Held;
    const bool waits = held || seen.state == BatchState::Pending;
    if (!waits || (seen.reason == before.reason && held == (before.batchState == "held"))) {
        return "";
    }
    return plainLine(std::string(held ? "The job is held" : "The job waits") + " in backend " +
                     backendName + (seen.reason.empty() ? "" : ": " + seen.reason));
}

std::string runLine(const store::SubmissionRecord& before, const Observation& seen) {
    if (seen.run <= before.run) {
        return "";
    }
    const auto last = std::to_string(seen.run);
    const auto first = before.run + 1;
    return warningLine(
        "the batch system has put the job back, to start it again: " +
        (first == seen.run ? "run " + last : "runs " + std::to_string(first) + " to " + last));
}

std::string startedLine(const store::JobRecord& job) {
    return plainLine("Started" + on(job.submission.node) + " after " +
                     goDuration(secondsBetween(job.claimedAt, *job.startedAt)));
}

std::string lastWords(const store::JobRecord& job, WallTime now) {
    const auto& submission = job.submission;
    std::string text;
    const auto why = endedByBatchSystem(submission);
    if (!why.empty() && job.outcome == store::Outcome::Success) {
        text += warningLine("the batch system ended the job: " + why +
                            "; its script had succeeded, and that decides");
    } else if (!why.empty()) {
        text += plainLine("The batch system ended the job: " + why);
    }
    if (job.startedAt) {
        const auto end = submission.statusAt ? submission.statusAt : submission.endedAt;
        const auto ran = submission.elapsedMs ? *submission.elapsedMs / 1000
                                              : secondsBetween(*job.startedAt, end.value_or(now));
        text += plainLine("The job ran for " + goDuration(ran) + on(submission.node) +
                          usedBy(submission));
    }
    return text;
}

std::string submittedAgainLine(const store::SubmissionRecord& submission) {
    const auto& reason = submission.reason;
    return warningLine((submission.cause == "lost" ? "the batch system lost the job"
                        : submission.cause == "exited" || submission.cause == "unknown"
                            ? "the batch job could not begin"
                            : "the node failed" + (reason.empty() ? "" : ": " + reason)) +
                       "; its script had not started, so it is submitted again");
}

std::string nameOf(BatchState state) {
    switch (state) {
        case BatchState::Pending:
            return "pending";
        case BatchState::Running:
            return "running";
        case BatchState::Held:
            return "held";
        case BatchState::Ended:
            return "ended";
        case BatchState::Absent:
            return "absent";
        case BatchState::Unknown:
            return "unknown";
    }
    return "unknown";
}

std::string nameOf(EndCause cause) {
    switch (cause) {
        case EndCause::None:
            return "";
        case EndCause::Exited:
            return "exited";
        case EndCause::WallTimeLimit:
            return "wall_time";
        case EndCause::MemoryLimit:
            return "memory";
        case EndCause::NodeFailure:
            return "node_failure";
        case EndCause::Preempted:
            return "preempted";
        case EndCause::RemovedByUs:
            return "removed_by_us";
        case EndCause::RemovedByOther:
            return "removed_by_other";
        case EndCause::NeverRunnable:
            return "never_runnable";
        case EndCause::Unknown:
            return "unknown";
    }
    return "unknown";
}

}  // namespace gridbridge::core
