#include "bridge/app/JobText.h"

#include <optional>

#include "bridge/app/Text.h"

namespace gridbridge::app {

namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string text(const std::optional<WallTime>& time) {
    return time ? localTime(*time) : "";
}

template <typename Number>
std::string text(const std::optional<Number>& number) {
    return number ? std::to_string(*number) : "";
}

std::string gitlabId(const store::JobRecord& job) {
    return job.gitlabId ? std::to_string(*job.gitlabId) : "-";
}

/// Why a job ended as it did, or waits as it does.
std::string reasonOf(const store::JobRecord& job) {
    if (!job.failureReason.empty()) {
        return job.failureReason;
    }
    return job.stopCause.empty() ? job.submission.reason : job.stopCause;
}

std::string ending(const store::SubmissionRecord& submission) {
    if (submission.exitCode) {
        return "exit " + std::to_string(*submission.exitCode);
    }
    return submission.signal ? "signal " + std::to_string(*submission.signal) : "";
}

Rows facts(const JobHistory& history) {
    const store::JobRecord& job = history.job;
    const Rows all{
        {"job", gitlabId(job)},
        {"key", history.key},
        {"runner", job.runner},
        {"server", job.serverUrl},
        {"project", job.project},
        {"ref", job.ref},
        {"sha", job.sha},
        {"name", job.name},
        {"stage", job.stage},
        {"user", job.user},
        {"url", job.url},
        {"backend", job.backend},
        {"account", job.account},
        {"state", std::string(nameOf(job.state))},
        {"outcome", std::string(nameOf(job.outcome))},
        {"failure reason", job.failureReason},
        {"exit code", text(job.exitCode)},
        {"cancel", job.cancel == store::Cancel::None ? "" : std::string(nameOf(job.cancel))},
        {"stopped", job.stopCause},
        {"claimed", localTime(job.claimedAt)},
        {"started", text(job.startedAt)},
        {"ended", text(job.endedAt)},
        {"reported", text(job.reportedAt)},
        {"timeout", std::to_string(job.timeoutSeconds) + " s"},
        {"deadline", text(job.deadline)},
        {"log", std::to_string(job.traceLength) + " bytes, " + std::string(nameOf(job.traceState))},
    };
    Rows known;
    for (const auto& row : all) {
        if (!row[1].empty()) {
            known.push_back(row);
        }
    }
    return known;
}

}  // namespace

std::string jobTable(const std::vector<store::JobRecord>& jobs,
                     const store::Installation& installation) {
    Rows rows{{"JOB", "RUNNER", "STATE", "OUTCOME", "PROJECT", "REF", "NAME", "BACKEND", "CLAIMED",
               "REASON"}};
    for (const store::JobRecord& job : jobs) {
        rows.push_back({job.gitlabId ? gitlabId(job) : jobKey(installation, job.row), job.runner,
                        std::string(nameOf(job.state)), std::string(nameOf(job.outcome)),
                        job.project, job.ref, job.name, job.backend, localTime(job.claimedAt),
                        reasonOf(job)});
    }
    return alignedTable(rows);
}

std::string jobPage(const JobHistory& history) {
    std::string page = alignedTable(facts(history));
    if (!history.submissions.empty()) {
        Rows rows{{"ATTEMPT", "KEY", "REMOTE", "STATE", "RUN", "NODE", "SUBMITTED", "STARTED",
                   "ENDED", "CAUSE", "END", "REASON"}};
        for (const store::SubmissionRecord& s : history.submissions) {
            rows.push_back({std::to_string(s.attempt), s.key.value, s.id.value, s.batchState,
                            std::to_string(s.run), s.node, text(s.submittedAt), text(s.startedAt),
                            text(s.endedAt), s.cause, ending(s), s.reason});
        }
        page += '\n' + alignedTable(rows);
    }
    if (!history.transitions.empty()) {
        Rows rows{{"TIME", "FROM", "TO", "CAUSE"}};
        for (const store::Transition& t : history.transitions) {
            rows.push_back({localTime(t.at), t.from, t.to, t.cause});
        }
        page += '\n' + alignedTable(rows);
    }
    if (!history.requests.empty()) {
        Rows rows{{"ASKED", "COMMAND", "STATE", "SETTLED", "RESULT"}};
        for (const store::Request& r : history.requests) {
            rows.push_back({localTime(r.askedAt), std::string(nameOf(r.kind)),
                            std::string(nameOf(r.state)), text(r.settledAt), r.result});
        }
        page += '\n' + alignedTable(rows);
    }
    return page;
}

}  // namespace gridbridge::app
