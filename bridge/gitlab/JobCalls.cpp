#include <Poco/JSON/Object.h>
#include <Poco/URI.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "bridge/base/Check.h"
#include "bridge/gitlab/Answer.h"
#include "bridge/gitlab/Redirects.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

namespace {

using Poco::JSON::Object;
using std::chrono::seconds;

constexpr auto kInterval = "X-GitLab-Trace-Update-Interval";
/// The official runner's ceiling.
constexpr seconds kLongestInterval = std::chrono::minutes(15);

enum class Call { KeepAlive, Trace, Finish, Upload };

std::string jobPath(const JobCredentials& job, const std::string& rest = {}) {
    return "/api/v4/jobs/" + std::to_string(job.id) + rest;
}

http::Request update(const JobCredentials& job, Object json) {
    json.set("token", job.token.reveal());
    std::ostringstream text;
    json.stringify(text);
    return {.method = "PUT",
            .path = jobPath(job),
            .headers = {{"Content-Type", "application/json"}, {"X-Request-Id", newRequestId()}},
            .body = text.str()};
}

std::string checksum(std::uint32_t crc) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text = "crc32:";
    for (unsigned shift = 32; shift > 0; shift -= 4) {
        text += kDigits[(crc >> (shift - 4)) & 15U];
    }
    return text;
}

std::string encoded(const std::string& value) {
    std::string result;
    Poco::URI::encode(value, "!#$&'()*+,/:;=?@[]", result);
    return result;
}

/// `Job-Status`, if it looks like one.
std::string statusIn(const http::Response& response) {
    constexpr std::size_t kLongest = 32;
    auto value = response.header("Job-Status");
    const bool word = value.size() <= kLongest &&
                      std::all_of(value.begin(), value.end(),
                                  [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    return word ? value : std::string();
}

/// The number behind the dash of `Range: 0-<size>`: the count of bytes (protocol 5.2).
std::optional<std::int64_t> sizeIn(const http::Response& response) {
    const auto range = response.header("Range");
    if (!range.starts_with("0-")) {
        return std::nullopt;
    }
    std::int64_t size = 0;
    const auto* end = range.data() + range.size();
    const auto [stop, error] = std::from_chars(range.data() + 2, end, size);
    const bool whole = error == std::errc{} && stop == end && size >= 0;
    return whole ? std::optional(size) : std::nullopt;
}

bool isOver(const std::string& serverStatus) {
    return serverStatus == "success" || serverStatus == "failed" || serverStatus == "canceled";
}

/// Whether a success is GitLab's own: a login or a portal before it answers 200 to anything, and
/// what it swallowed would be taken for stored.
bool isTaken(Call call, const http::Response& response, const JobAnswer& seen) {
    switch (call) {
        case Call::Trace:
            return seen.serverSize.has_value();
        case Call::Upload:
            return response.status == 201;
        case Call::KeepAlive:
        case Call::Finish:
            break;
    }
    // Servers to version 15 name no status here, and some say nothing at all. A sign of life may
    // be believed then; a report that is not is repeated, and their 403 names the status.
    return !seen.serverStatus.empty() || isBareStatus(response) ||
           (call == Call::KeepAlive && response.body.empty());
}

/// What GitLab never answers: a proxy did, and may stop doing so. A proxy's 413 is as good as
/// GitLab's.
bool isProxys(Call call, const http::Response& response, const JobAnswer& seen) {
    const int status = response.status;
    if (status >= 200 && status < 300) {
        return !isTaken(call, response, seen);
    }
    if (status == 403) {
        return seen.serverStatus.empty() && !isRefusal(response);
    }
    const bool page = isWebPage(response) && seen.serverStatus.empty();
    return status == 404 || (page && status >= 400 && status < 406);
}

/// Protocol 4.2, 5.2, 5.4 and 6.1.
CallOutcome outcomeOf(Call call, const http::Response& response, const JobAnswer& seen) {
    const int status = response.status;
    const bool success = status >= 200 && status < 300;
    if (isProxys(call, response, seen)) {
        return CallOutcome::NotGitLab;
    }
    if (status == 403) {
        // A stale replica right after the claim (protocol 9.13).
        const bool early = seen.serverStatus == "pending" || seen.serverStatus == "created";
        return early ? CallOutcome::Retry : CallOutcome::Ended;
    }
    if (call == Call::Finish && success && status != 202) {
        return CallOutcome::Done;
    }
    if (isOver(seen.serverStatus)) {
        return CallOutcome::Ended;
    }
    if (success) {
        return call == Call::Finish ? CallOutcome::Deferred : CallOutcome::Done;
    }
    if (status == 416 && call == Call::Trace) {
        return seen.serverSize ? CallOutcome::Mismatch : CallOutcome::Retry;
    }
    if (status == 413) {
        return CallOutcome::TooLarge;
    }
    // 401, 407 and 412 are not GitLab's here; the official runner repeats them too.
    const bool repeat = isPassing(status) || status == 401 || status == 407 || status == 412;
    return repeat ? CallOutcome::Retry : CallOutcome::Rejected;
}

JobStatus lifeAfter(Call call, const JobAnswer& answer) {
    const bool reported = call == Call::Finish && answer.outcome == CallOutcome::Done;
    if (answer.outcome == CallOutcome::Ended || reported) {
        return JobStatus::Gone;
    }
    return answer.serverStatus == "canceling" ? JobStatus::Canceling : JobStatus::Alive;
}

/// What the answer to `request` says.
JobAnswer judged(const Moved& moved, const Clock& clock, Call call, const http::Request& request,
                 const Secret& token) {
    const auto& sent = moved.answer;
    if (!sent) {
        const bool permanent = sent.error().kind == ErrorKind::Permanent;
        return {.outcome = permanent ? CallOutcome::Rejected : CallOutcome::Retry,
                .message = sent.error().message};
    }
    JobAnswer answer{.serverStatus = statusIn(*sent)};
    answer.updateInterval = secondsIn(*sent, kInterval);
    if (answer.updateInterval) {
        answer.updateInterval = std::min(*answer.updateInterval, kLongestInterval);
    }
    answer.retryAfter = retryAfter(*sent, clock.wallNow());
    answer.serverSize = call == Call::Trace ? sizeIn(*sent) : std::nullopt;
    answer.outcome = outcomeOf(call, *sent, answer);
    answer.status = lifeAfter(call, answer);
    if (answer.outcome == CallOutcome::Deferred && !answer.retryAfter) {
        answer.retryAfter = answer.updateInterval.value_or(seconds(1));
    }
    if (answer.outcome != CallOutcome::Done && answer.outcome != CallOutcome::Deferred) {
        answer.message = describe(moved.baseUrl, request, *sent, token);
        if (!moved.stayed.empty()) {
            answer.message += "; " + moved.stayed;
        }
    }
    return answer;
}

JobAnswer perform(http::Transport& transport, const Clock& clock, const CallContext& ctx, Call call,
                  const http::Request& request, const Secret& token) {
    return judged({transport.send(ctx, request), transport.baseUrl()}, clock, call, request, token);
}

}  // namespace

JobAnswer HttpRunnerApi::keepAlive(const CallContext& ctx, const JobCredentials& job) {
    Object json;
    json.set("state", "running");
    return perform(transport_, clock_, ctx, Call::KeepAlive, update(job, json), job.token);
}

JobAnswer HttpRunnerApi::appendTrace(const CallContext& ctx, const JobCredentials& job,
                                     std::int64_t offset, std::string_view bytes, bool debug) {
    BRIDGE_CHECK(offset > 0 || (offset == 0 && !bytes.empty()));
    const auto last = offset + static_cast<std::int64_t>(bytes.size()) - 1;
    const http::Request request{
        .method = "PATCH",
        .path = jobPath(job, debug ? "/trace?debug_trace=true" : "/trace"),
        .headers = {{"Content-Type", "text/plain"},
                    {"JOB-TOKEN", job.token.reveal()},
                    {"Content-Range", std::to_string(offset) + "-" + std::to_string(last)},
                    {"X-Request-Id", newRequestId()}},
        .body = std::string(bytes)};
    return perform(transport_, clock_, ctx, Call::Trace, request, job.token);
}

JobAnswer HttpRunnerApi::finish(const CallContext& ctx, const JobCredentials& job,
                                const FinalReport& report) {
    Object json;
    json.set("state", report.success ? "success" : "failed");
    if (!report.success) {
        json.set("failure_reason", report.failureReason);
        if (report.exitCode) {
            json.set("exit_code", *report.exitCode);
        }
    }
    if (report.traceEnd) {
        Object output;
        output.set("checksum", checksum(report.traceEnd->crc32));
        output.set("bytesize", report.traceEnd->bytes);
        json.set("output", output);
    }
    return perform(transport_, clock_, ctx, Call::Finish, update(job, json), job.token);
}

JobAnswer HttpRunnerApi::uploadArtifact(const CallContext& ctx, const JobCredentials& job,
                                        const Upload& upload) {
    // In the query, where GitLab's front end looks for them (protocol 6.1).
    auto query =
        "?artifact_type=" + encoded(upload.type) + "&artifact_format=" + encoded(upload.format);
    if (!upload.expireIn.empty()) {
        query += "&expire_in=" + encoded(upload.expireIn);
    }
    const http::Request request{
        .method = "POST",
        .path = jobPath(job, "/artifacts" + query),
        .headers = {{"JOB-TOKEN", job.token.reveal()}, {"X-Request-Id", newRequestId()}},
        .file = http::FilePart{upload.filename, upload.content}};
    return judged(sendWithToken(transport_, ctx, request), clock_, Call::Upload, request,
                  job.token);
}

}  // namespace gridbridge::gitlab
