#include <algorithm>
#include <cctype>
#include <charconv>

#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Params.h"

namespace gridbridge::fakegitlab {

namespace {

struct Span {
    std::int64_t start = 0;
    std::int64_t end = 0;
};

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

/// `start-end`, with or without `/total`. `end` may be -1 (empty body at 0).
std::optional<Span> spanOf(std::string_view text) {
    text = text.substr(0, text.find('/'));
    const auto dash = text.find('-');
    if (dash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto start = number(text.substr(0, dash));
    const auto end = number(text.substr(dash + 1));
    return start && end && *start >= 0 ? std::optional(Span{*start, *end}) : std::nullopt;
}

void checkStrictly(State& state, const JobState& job, const Request& request, const Span& span) {
    const auto size = static_cast<std::int64_t>(request.body.size());
    if (!request.header("content-type").starts_with("text/plain")) {
        state.violate(job, "PATCH with Content-Type " + request.header("content-type"));
    }
    if (request.has("content-encoding")) {
        state.violate(job, "PATCH with Content-Encoding");
    }
    if (span.end != span.start + size - 1) {
        state.violate(job, "Content-Range " + request.header("content-range") + " for " +
                               std::to_string(size) + " bytes");
    }
    if (size == 0 && span.start == 0) {
        state.violate(job, "empty PATCH at 0");
    }
    if (!job.acknowledged) {
        state.violate(job, "log before the first PUT running");
    }
}

/// A token behind the prefix that the payload names, or behind a parameter of a URL.
bool showsToken(const std::string& text) {
    constexpr std::string_view kMasked = "[MASKED]";
    for (const std::string begin : {"glpat-", "?private_token=", "&private_token="}) {
        for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
            const auto rest = std::string_view(text).substr(at + begin.size());
            const bool ends = rest.empty() || std::isspace(static_cast<unsigned char>(rest[0]));
            const bool token =
                begin == "glpat-" && !ends && std::isalnum(static_cast<unsigned char>(rest[0]));
            const bool value = begin != "glpat-" && !ends &&
                               rest.substr(0, kMasked.size()) !=
                                   kMasked.substr(0, std::min(kMasked.size(), rest.size()));
            if (token || value) {
                return true;
            }
        }
    }
    return false;
}

/// A secret that the new bytes complete, also one that began in an earlier PATCH.
void checkSecrets(State& state, const JobState& job, const std::string& body) {
    for (const auto& secret : job.secrets) {
        const auto overlap = std::min(job.trace.size(), secret.size() - 1);
        const auto window = job.trace.substr(job.trace.size() - overlap) + body;
        if (window.find(secret) != std::string::npos) {
            state.violate(job, "a secret stands in the log");
        }
    }
    constexpr std::size_t kLongestBegin = 15;
    const auto overlap = std::min(job.trace.size(), kLongestBegin);
    if (showsToken(job.trace.substr(job.trace.size() - overlap) + body)) {
        state.violate(job, "a token stands in the log");
    }
}

std::string withoutToken(std::string body, const std::string& token) {
    for (auto at = body.find(token); at != std::string::npos; at = body.find(token, at)) {
        body.replace(at, token.size(), token.size(), 'x');
    }
    return body;
}

std::string range(const JobState& job) {
    return "0-" + std::to_string(job.trace.size());
}

Reply accepted(const State& state, const JobState& job) {
    auto reply = jsonReply(202, "202");
    reply.headers.emplace_back("Job-Status", nameOf(job.status));
    reply.headers.emplace_back("Range", range(job));
    reply.headers.emplace_back("X-GitLab-Trace-Update-Interval",
                               std::to_string(state.options.traceUpdateInterval.count()));
    return reply;
}

}  // namespace

Reply appendTrace(State& state, const Request& request, JobId id) {
    const auto& type = request.header("content-type");
    if (type.empty() || type.starts_with("application/json")) {
        return messageReply(400, "a trace is text/plain");
    }
    const auto [job, refusal] = accessJob(state, id, jobToken(state, request, id), true);
    if (job == nullptr) {
        return refusal;
    }
    const auto span = spanOf(request.header("content-range"));
    if (!span) {
        return messageReply(400, "Missing header Content-Range");
    }
    const auto total = static_cast<std::uint64_t>(span->start) + request.body.size();
    const auto limit = state.options.traceLimitMiB;
    if (limit > 0 && total / (1U << 20U) >= limit) {
        state.finish(*job, Status::Failed, "trace_size_exceeded");
        // Protocol 5.2 gives the status and that there is no Job-Status, but not the body.
        return jsonReply(403, R"({"error":"403 Forbidden"})");
    }
    if (auto conflict = conflictByFault(state, Call::Patch)) {
        return *conflict;
    }
    checkStrictly(state, *job, request, *span);
    if (!request.body.empty() && state.faults.strikes(FaultKind::TraceForgotten, Call::Patch)) {
        job->trace.clear();
    }
    if (static_cast<std::uint64_t>(span->start) != job->trace.size()) {
        auto reply = messageReply(416);
        reply.headers.emplace_back("Range", range(*job));
        return reply;
    }
    const auto debug = queryValue(request.query, "debug_trace");
    if (debug && *debug != "true" && *debug != "false") {
        state.violate(*job, "debug_trace=" + *debug);
    }
    job->debugTrace = job->debugTrace || debug == "true";
    checkSecrets(state, *job, request.body);
    job->trace += withoutToken(request.body, job->token);
    state.touch(*job);
    const auto reply = accepted(state, *job);
    state.cancelIfTraceSaysSo(*job);
    return reply;
}

}  // namespace gridbridge::fakegitlab
