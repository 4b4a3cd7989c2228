#include <Poco/Checksum.h>

#include <algorithm>

#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Params.h"
#include "tests/fakegitlab/Payload.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr std::int64_t kLargestExitCode = 32767;
/// A pending final state is applied after this, whatever is still being stored.
constexpr auto kGiveUpLiveTrace = std::chrono::minutes(5);
/// From so long before the timeout on a report may leave the checksum out, to be answered at
/// once: then a JWT has little more than five minutes left.
constexpr Seconds kHurry{60};

struct Report {
    std::string state;
    std::string reason;
    std::optional<std::int64_t> exitCode;
    std::string checksum;
    std::optional<std::int64_t> bytesize;
};

Report reportOf(const Params& params) {
    Report report{.state = params.text("state"),
                  .reason = params.text("failure_reason"),
                  .exitCode = params.number("exit_code"),
                  .checksum = params.text("checksum"),
                  .bytesize = std::nullopt};
    const auto output = params.object("output");
    if (!output.isNull()) {
        if (output->has("checksum")) {
            report.checksum = output->optValue<std::string>("checksum", "");
        }
        if (output->has("bytesize")) {
            report.bytesize = output->optValue<std::int64_t>("bytesize", -1);
        }
    }
    return report;
}

std::string checksumOf(const std::string& bytes) {
    Poco::Checksum crc(Poco::Checksum::TYPE_CRC32);
    for (std::size_t at = 0; at < bytes.size(); at += 1U << 20U) {
        const auto part = std::string_view(bytes).substr(at, 1U << 20U);
        crc.update(part.data(), static_cast<unsigned>(part.size()));
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text = "crc32:";
    for (int shift = 28; shift >= 0; shift -= 4) {
        text += kDigits[(crc.checksum() >> shift) & 15U];
    }
    return text;
}

void checkShape(State& state, const JobState& job, const Request& request, const Params& params) {
    if (!request.header("content-type").starts_with("application/json")) {
        state.violate(job, "PUT without Content-Type application/json");
    }
    if (queryValue(request.query, "token")) {
        state.violate(job, "PUT with the token in the query");
    }
    if (params.has("trace")) {
        state.violate(job, "PUT with the removed field trace");
    }
}

void checkTrace(State& state, const JobState& job, const Report& report) {
    const auto held = static_cast<std::int64_t>(job.trace.size());
    if (report.bytesize && *report.bytesize > held) {
        state.violate(job, "final report before the trace is complete: " + std::to_string(held) +
                               " of " + std::to_string(*report.bytesize) + " bytes arrived");
    } else if (report.bytesize && *report.bytesize != held) {
        state.violate(job, "final bytesize " + std::to_string(*report.bytesize) +
                               " but the server holds " + std::to_string(held));
    } else if (!report.checksum.empty() && report.checksum != checksumOf(job.trace)) {
        state.violate(job, "final checksum " + report.checksum + " but the trace has " +
                               checksumOf(job.trace));
    }
    const bool hurry = state.now() + kHurry > *job.claimedAt + job.timeout ||
                       (job.pendingFinal && state.now() - job.pendingFinal->at > kGiveUpLiveTrace);
    if (state.options.requireChecksum && !hurry && (report.checksum.empty() || !report.bytesize)) {
        state.violate(job, "final report without checksum and bytesize");
    }
}

void checkVerdict(State& state, const JobState& job, const Report& report) {
    if (report.state == "success" && (!report.reason.empty() || report.exitCode)) {
        state.violate(job, "success with a failure_reason or an exit_code");
    }
    if (report.state == "failed") {
        if (report.reason.empty()) {
            state.violate(job, "failed without a failure_reason");
        } else if (knownFailureReasons().count(report.reason) == 0) {
            state.violate(job, "unknown failure_reason " + report.reason);
        } else if (job.reportableReasons.count(report.reason) == 0) {
            state.violate(job, "failure_reason " + report.reason + " is not in the list sent");
        }
        if (report.exitCode && (*report.exitCode < 1 || *report.exitCode > kLargestExitCode)) {
            state.violate(job, "exit_code " + std::to_string(*report.exitCode));
        }
    }
}

JobState::PendingFinal verdictOf(const State& state, const Report& report,
                                 const std::string& body) {
    JobState::PendingFinal verdict{.at = state.now(), .body = body, .reason = "", .exitCode = {}};
    if (report.state == "success") {
        verdict.status = Status::Success;
        return verdict;
    }
    const bool known = knownFailureReasons().count(report.reason) > 0;
    verdict.reason = known ? report.reason : "unknown_failure";
    if (report.exitCode) {
        verdict.exitCode =
            static_cast<int>(std::clamp(*report.exitCode, std::int64_t{0}, kLargestExitCode));
    }
    return verdict;
}

/// 1 s (0 to 3 s), 2, 4, … 64 s: GitLab's interval by the age of the pending state.
Seconds backoff(Millis age) {
    Seconds step{1};
    Millis edge = Seconds(3);
    while (age >= edge && step < Seconds(64)) {
        step *= 2;
        edge += step * 2;
    }
    return step;
}

Reply withStatus(int status, const JobState& job) {
    auto reply = jsonReply(status, std::to_string(status));
    reply.headers.emplace_back("Job-Status", nameOf(job.status));
    return reply;
}

/// 202 while live logs are still being stored; nullopt = finish now.
std::optional<Reply> deferred(State& state, JobState& job, const Report& report) {
    if (!state.options.liveTrace || report.checksum.empty()) {
        return std::nullopt;
    }
    const Millis age = state.now() - job.pendingFinal->at;
    if (age >= std::min<Millis>(*state.options.liveTrace, kGiveUpLiveTrace)) {
        return std::nullopt;
    }
    ++job.deferredFinals;
    auto reply = withStatus(202, job);
    reply.headers.emplace_back("X-GitLab-Trace-Update-Interval",
                               std::to_string(backoff(age).count()));
    return reply;
}

Reply finalReport(State& state, JobState& job, const Report& report, const std::string& body) {
    checkVerdict(state, job, report);
    checkTrace(state, job, report);
    if (!job.pendingFinal) {
        job.pendingFinal = verdictOf(state, report, body);
    } else if (job.pendingFinal->body != body && !report.checksum.empty()) {
        state.violate(job, "a repeated final report differs from the first one");
    }
    if (auto wait = deferred(state, job, report)) {
        return *wait;
    }
    const auto verdict = *job.pendingFinal;
    const bool canceling = job.status == Status::Canceling;
    job.exitCode = verdict.exitCode;
    ++job.acceptedFinals;
    state.finish(job, canceling ? Status::Canceled : verdict.status, verdict.reason);
    return withStatus(200, job);
}

}  // namespace

Reply updateJob(State& state, const Request& request, JobId id) {
    const Params params(request);
    const auto token = params.text("token");
    if (token.empty()) {
        return missing("token is missing");
    }
    const auto [job, refusal] = accessJob(state, id, token, true);
    if (job == nullptr) {
        return refusal;
    }
    checkShape(state, *job, request, params);
    const auto report = reportOf(params);
    const bool running = report.state == "running";
    if (auto conflict = conflictByFault(state, running ? Call::PutRunning : Call::PutFinal)) {
        return *conflict;
    }
    if (!running && report.state != "success" && report.state != "failed") {
        return messageReply(400, "state must be running, success or failed");
    }
    if (!report.checksum.empty()) {
        job->lastChecksum = report.checksum;
    }
    job->lastBytesize = report.bytesize.value_or(job->lastBytesize);
    if (!running) {
        return finalReport(state, *job, report, request.body);
    }
    state.touch(*job);
    return withStatus(200, *job);
}

}  // namespace gridbridge::fakegitlab
