#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/base/Secret.h"
#include "bridge/base/Sink.h"

namespace gridbridge::http {
class Transport;
}

namespace gridbridge::gitlab {

/// Who asks: sent with verify and jobs/request.
struct RunnerIdentity {
    Secret token;
    std::string systemId;               ///< `s_` or `r_` and 12 characters, stable; empty = none.
    std::vector<std::string> features;  ///< `info.features` that really work.
    std::string executor;               ///< Backend type, for GitLab's pages.
    /// `info.name`, `version`, `revision`, `platform`, `architecture` where they are not those of
    /// this program and machine.
    std::map<std::string, std::string> info = {};
};

enum class VerifyOutcome {
    Valid,
    Invalid,        ///< 403, 422 of GitLab itself: it does not know the token.
    NotGitLab,      ///< A 404, a redirect, a web page and the like: the url, or a proxy before it.
    Unreachable,    ///< Network, 429, 5xx: says nothing, and passes.
    Misconfigured,  ///< Certificate, proxy and the like: says nothing, and a person must act.
};
struct VerifyAnswer {
    VerifyOutcome outcome = VerifyOutcome::Unreachable;
    std::int64_t runnerId = 0;                    ///< 0 = the server did not say.
    std::string message = {};                     ///< Why, when not Valid.
    std::optional<WallTime> tokenExpiresAt = {};  ///< Absent = never, or an old server.
};

enum class ClaimOutcome {
    Job,        ///< 201: `body` is the job.
    NoJob,      ///< 204
    Conflict,   ///< 409: ask again at the next interval.
    Forbidden,  ///< 403, 422 of GitLab itself: counts against the runner's health.
    Retry,      ///< 429, 5xx, network: not the runner's fault. `retryAfter` when the server said.
    Refused,    ///< Any other answer, redirects included: `message` says what to change.
};
struct ClaimAnswer {
    ClaimOutcome outcome = ClaimOutcome::Retry;
    std::string body = {};
    std::string lastUpdate = {};  ///< New value to remember; empty = keep the old one.
    std::optional<std::chrono::seconds> retryAfter = {};
    std::string message = {};
    std::string requestId = {};  ///< With Job: what GitLab's own logs call the request.
    bool cutOff = false;         ///< Only with Retry: sent, and given up by something on the way.
};

/// What any answer about a job says of its life.
enum class JobStatus {
    Alive,      ///< running, or nothing said with a success.
    Canceling,  ///< stop gracefully, then report.
    Gone,       ///< 403, canceled, failed, success: nothing more may be sent.
};

enum class CallOutcome {
    Done,       ///< Accepted.
    Deferred,   ///< 202 to a final report: repeat the identical call after `retryAfter`.
    Mismatch,   ///< 416 to a PATCH: `serverSize` is the offset to continue at.
    Retry,      ///< 409, 429, 5xx, network, a lost answer: the same call may be repeated.
    NotGitLab,  ///< 404, or what GitLab never answers, refusals and successes alike: a proxy's,
                ///< transient for a bounded time.
    TooLarge,   ///< 413, GitLab's or a proxy's: these bytes never pass, fewer may.
    Rejected,   ///< 400, redirects and the like: repeating cannot help.
    Ended,      ///< The job is Gone.
};
struct JobAnswer {
    CallOutcome outcome = CallOutcome::Retry;
    JobStatus status = JobStatus::Alive;
    std::string serverStatus = {};  ///< `Job-Status` as sent; empty = none. `success` with Ended
                                    ///< means that an earlier final report had been accepted.
    std::optional<std::int64_t> serverSize = {};
    std::optional<std::chrono::seconds> retryAfter = {};
    std::optional<std::chrono::seconds> updateInterval = {};  ///< X-GitLab-Trace-Update-Interval
    std::string message = {};  ///< One line: why, when neither Done nor Deferred.
};

struct JobCredentials {
    std::int64_t id = 0;
    Secret token;
};

struct TraceEnd {
    std::uint32_t crc32 = 0;  ///< Of the whole trace as sent.
    std::int64_t bytes = 0;
};

struct FinalReport {
    bool success = false;
    std::string failureReason = {};    ///< Already one the server knows; only when not success.
    std::optional<int> exitCode = {};  ///< 1 to 32767; only when not success.
    std::optional<TraceEnd> traceEnd = {};  ///< Absent = answered at once, without a check.
};

struct Upload {
    /// As http::FilePart: the same bytes at each call. When it fails the answer is Retry, or
    /// Rejected for a permanent error, with the error's message.
    std::function<Result<void>(const Sink&)> content = {};
    std::string filename = {};
    std::string type = {};
    std::string format = {};
    std::string expireIn = {};
};

enum class DownloadOutcome {
    Done,          ///< The sink has the whole archive. Of any other outcome it may have anything.
    NotFound,      ///< 404 of GitLab itself: expired, erased or never there.
    Forbidden,     ///< 403 of GitLab itself: the asking job has no right to it.
    Unauthorized,  ///< 401 of GitLab itself: the token is dead, as when the asking job has ended.
    NotGitLab,     ///< A proxy's refusal or page, or one of the object storage: as CallOutcome's.
    Retry,         ///< 429, 5xx, network, an answer that was cut: the call may be repeated.
    Refused,       ///< Too long, or a redirect that is not followed: repeating cannot help.
    Stopped,       ///< The sink took no more.
};
struct DownloadAnswer {
    DownloadOutcome outcome = DownloadOutcome::Retry;
    std::optional<std::chrono::seconds> retryAfter = {};
    std::string message = {};  ///< One line: why, when not Done. No query of an address is in it.
};

struct Download {
    Sink sink = {};  ///< As http::BodySink: the bytes as they come, zip, tar.zst or gzip.
    std::int64_t limit = std::numeric_limits<std::int64_t>::max();  ///< Bytes; more is Refused.
    /// GitLab may send the caller to its object storage. For the first try: the storage may be
    /// out of reach where GitLab is not.
    bool direct = true;
};

/// The calls of the runner protocol with named outcomes (protocol sections 1 to 6). Stateless;
/// safe for concurrent use; no call is repeated inside. Nothing is thrown.
class RunnerApi {
public:
    virtual ~RunnerApi() = default;
    virtual VerifyAnswer verify(const CallContext& ctx, const RunnerIdentity& runner) = 0;
    /// `lastUpdate` as remembered; empty = none.
    virtual ClaimAnswer requestJob(const CallContext& ctx, const RunnerIdentity& runner,
                                   const std::string& lastUpdate) = 0;
    virtual JobAnswer keepAlive(const CallContext& ctx, const JobCredentials& job) = 0;
    /// Bytes of the trace from `offset`. An empty `bytes` asks for the server's size and needs
    /// offset > 0. With `debug` GitLab shows the log only to people who may see the variables.
    virtual JobAnswer appendTrace(const CallContext& ctx, const JobCredentials& job,
                                  std::int64_t offset, std::string_view bytes, bool debug) = 0;
    virtual JobAnswer finish(const CallContext& ctx, const JobCredentials& job,
                             const FinalReport& report) = 0;
    /// A 307 or 308 is followed, and the same bytes are sent again, to the same host alone: the
    /// token is given to no other, nor without TLS to one that was asked over it.
    virtual JobAnswer uploadArtifact(const CallContext& ctx, const JobCredentials& job,
                                     const Upload& upload) = 0;
    /// The archive of the job `dependency.id`, by the token that the asking job's entry of it
    /// holds, which is good while that job runs. Each call gives it from the beginning: the caller
    /// empties what the sink filled before. Up to three redirects of GitLab to its storage are
    /// followed, never from https to http; a token is sent to none of them.
    virtual DownloadAnswer downloadArtifact(const CallContext& ctx,
                                            const JobCredentials& dependency,
                                            const Download& download) = 0;
};

/// RunnerApi over HTTP. `transport` must outlive it.
class HttpRunnerApi final : public RunnerApi {
public:
    explicit HttpRunnerApi(http::Transport& transport, const Clock& clock);
    VerifyAnswer verify(const CallContext& ctx, const RunnerIdentity& runner) override;
    ClaimAnswer requestJob(const CallContext& ctx, const RunnerIdentity& runner,
                           const std::string& lastUpdate) override;
    JobAnswer keepAlive(const CallContext& ctx, const JobCredentials& job) override;
    JobAnswer appendTrace(const CallContext& ctx, const JobCredentials& job, std::int64_t offset,
                          std::string_view bytes, bool debug) override;
    JobAnswer finish(const CallContext& ctx, const JobCredentials& job,
                     const FinalReport& report) override;
    JobAnswer uploadArtifact(const CallContext& ctx, const JobCredentials& job,
                             const Upload& upload) override;
    DownloadAnswer downloadArtifact(const CallContext& ctx, const JobCredentials& dependency,
                                    const Download& download) override;

private:
    http::Transport& transport_;
    const Clock& clock_;
};

/// The reason to send for `wanted`: itself where the server lists it or it is always legal, else
/// the official runner's mapping (protocol 4.5). `runner_interrupted` falls back to
/// `runner_system_failure`.
std::string reportableReason(std::string_view wanted, const std::vector<std::string>& listed);

/// How long the token lives from the claim on, by a JWT's `exp` and `iat`: its times are those of
/// another clock. Nothing for an opaque token.
std::optional<std::chrono::seconds> tokenLifetime(const Secret& jobToken);

/// How this program calls itself in the header User-Agent: name, version, platform.
std::string userAgent();

/// The 9 characters that GitLab shows of a runner token (job-execution 2.1).
std::string shortToken(const Secret& runnerToken);

}  // namespace gridbridge::gitlab
