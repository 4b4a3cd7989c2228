#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/base/Clock.h"

namespace gridbridge::fakegitlab {

using Seconds = std::chrono::seconds;
using JobId = std::int64_t;

/// Job states by GitLab's names. Created = its stage is not open yet.
enum class Status { Created, Pending, Running, Canceling, Success, Failed, Canceled };
std::string_view nameOf(Status status);
bool isEnded(Status status);

enum class TokenForm {
    Opaque,  ///< `glcbt-64_…`, valid while the job runs.
    Jwt,     ///< `glcbt-eyJ…`, dead at claim + max(60 s, timeout) + 5 min.
};

/// One entry of the payload's `variables`.
struct Variable {
    std::string key = {};
    std::string value = {};
    bool isPublic = true;
    bool masked = false;
    bool raw = false;
    bool file = false;
};

/// One entry of the payload's `artifacts`.
struct ArtifactSpec {
    std::string name = {};  ///< Empty = null in the payload.
    std::vector<std::string> paths = {};
    std::vector<std::string> exclude = {};
    bool untracked = false;
    std::string when = "on_success";
    std::string expireIn = "1 week";  ///< Empty = null in the payload.
    std::string type = "archive";
    std::string format = "zip";
};

/// One entry of the payload's `cache`.
struct CacheSpec {
    std::string key = "default-non_protected";
    std::vector<std::string> paths = {};
    bool untracked = false;
    std::string policy = "pull-push";
    std::string when = "on_success";
    std::vector<std::string> fallbackKeys = {};
};

/// A job as the person who wrote .gitlab-ci.yml sees it. Everything not said here gets the value
/// that a real server would send.
struct JobSpec {
    std::string name = "test";
    std::string stage = "test";
    std::string project = "physics/detector";  ///< `group/project`.
    std::string ref = "main";
    std::string refType = "branch";
    int gitDepth = 20;          ///< 0 = whole history.
    bool mergeRequest = false;  ///< Needs the runner feature `refspecs`.
    bool allowGitFetch = true;
    Seconds timeout{3600};
    std::vector<std::string> script = {"true"};
    std::vector<std::string> release = {};      ///< Step `release`; needs `multi_build_steps`.
    std::vector<std::string> afterScript = {};  ///< Step `after_script` when not empty.
    std::vector<std::string> preGetSources = {};
    std::vector<std::string> postGetSources = {};
    std::vector<Variable> variables = {};  ///< After the server's own, so they win.
    std::vector<std::string> tags = {};
    std::string image = {};  ///< Empty = null.
    /// Of the image, when there is one. Empty = null; one empty text = no entrypoint.
    std::vector<std::string> imageEntrypoint = {};
    std::vector<std::string> imagePullPolicy = {};  ///< Empty = null.
    std::vector<std::string> services = {};         ///< Image names.
    std::vector<ArtifactSpec> artifacts = {};
    std::vector<CacheSpec> cache = {};
    std::vector<JobId> dependencies = {};
    std::vector<std::string> needsFeatures = {};  ///< More gates, e.g. `return_exit_code`.
    std::vector<std::string> readable = {};       ///< Other projects that its token may fetch.
    std::string userLogin = "ada";
    TokenForm token = TokenForm::Opaque;

    /// JSON object merged into the payload: objects member by member, all else replaced.
    std::string merge = {};
    std::vector<std::string> nulls = {};    ///< Dotted paths that become null after the merge.
    std::vector<std::string> without = {};  ///< Dotted paths that are taken out after the merge.
    /// The whole body of the 201 instead of a payload. `@ID@` and `@TOKEN@` are filled in.
    std::optional<std::string> rawBody = {};

    std::string cancelWhen = {};              ///< Cancelled once this text is in the trace.
    std::optional<Seconds> cancelAfter = {};  ///< Cancelled so long after the claim.
    bool cancelByForce = false;               ///< Straight to canceled, whatever the runner can do.
};

struct RunnerSpec {
    std::string token = {};
    std::vector<std::string> tags = {};
    bool runUntagged = true;
    bool paused = false;
    bool locked = false;
    std::string description = "runner";
    std::string maintenanceNote = {};
    std::string accessLevel = "not_protected";
    std::string program = {};   ///< `info.name` of a registration.
    Seconds maximumTimeout{0};  ///< 0 = no limit of its own.
    std::optional<WallTime> expiresAt = {};
    bool resettable = true;  ///< false = 422 to a reset of its token.
};

/// PEM files of a server that speaks TLS.
struct ServerTls {
    std::filesystem::path certificate = {};  ///< Empty = no TLS.
    std::filesystem::path key = {};
    std::filesystem::path clientAuthority = {};  ///< Clients must show one of its certificates.
};

/// Behaviour of the server. The defaults are those of GitLab 19 with somebody watching the logs.
struct Options {
    std::uint16_t port = 0;                  ///< 0 = the system chooses.
    bool listen = true;                      ///< false = no socket at all; only handle() answers.
    std::optional<std::uint64_t> seed = {};  ///< Of tokens and the like; absent = the system's.
    ServerTls tls = {};
    std::string root = {};                    ///< Relative URL root, e.g. `/gitlab`.
    std::string movedTo = {};                 ///< All of the API answers 301 to here.
    std::filesystem::path repositories = {};  ///< Folder of bare repositories; empty = no git.
    std::string registrationToken = {};       ///< Empty = legacy registration answers 410.
    std::optional<Seconds> tokenLife = {};    ///< Of runner tokens that it makes from now on.
    std::string accessToken = {};             ///< PRIVATE-TOKEN of `POST /user/runners`.
    std::string weakAccessToken = {};         ///< One that may not make or reset runners: 403.
    Millis longPoll{0};                       ///< 0 = no long polling.
    bool directDownload = false;              ///< 302 to a second server for direct_download=true.
    /// Where the fault UploadMoved leads: true = to this server again, false = to the second one.
    bool movedUploadsStay = false;
    /// Live logs: a final report with a checksum gets 202 until so long after the first one.
    std::optional<Millis> liveTrace = {};
    Seconds traceUpdateInterval{3};
    std::uint64_t traceLimitMiB = 100;
    std::uint64_t artifactLimit = std::uint64_t{100} << 20;  ///< Some types have less.
    /// Larger artifacts are kept as size and SHA-256 alone, and cost no memory while they come.
    std::uint64_t keepArtifactsBelow = std::uint64_t{64} << 20;
    Millis noUpdatesAfter = std::chrono::minutes(30);
    Millis timeoutReserve = std::chrono::minutes(15);  ///< Server kills at timeout + this.
    Millis slowAnswer{300};                            ///< Delay of the fault SlowAnswer.
    Seconds retryAfter{1};         ///< Header of the fault TooManyRequests; 0 = none.
    bool resetTime = false;        ///< That header is RateLimit-ResetTime, not Retry-After.
    std::uint64_t proxyLimit = 0;  ///< Longer bodies get a proxy's 413; 0 = any length passes.
    Millis keepAlive = std::chrono::seconds(10);  ///< Idle connections close after this.

    /// Longer silence of an acknowledged job is a violation; 0 = not checked.
    Millis heartbeatLimit = std::chrono::seconds(330);
    /// Calls for a job that was told its end (403, or 200 to a final report) are violations...
    Millis endGrace = std::chrono::seconds(2);  ///< ...from so long after that answer on...
    int callsAfterEnd = 0;                      ///< ...when there are more than this many.
    bool requireChecksum = true;                ///< A final report without checksum is a violation.

    /// One line per interesting event. Called with the state locked: must not call back.
    std::function<void(const std::string&)> onEvent = {};
};

struct Artifact {
    std::string type = {};
    std::string format = {};
    std::string filename = {};
    std::uint64_t size = 0;
    std::string sha256 = {};  ///< Lower-case hex.
    std::string bytes = {};   ///< Empty above Options::keepArtifactsBelow.
    std::string expireIn = {};
};

enum class Delivery {
    Whole,
    Cut,      ///< Headers and half of the body, then the connection closes.
    Dropped,  ///< The connection closes without an answer.
};

/// What one client sent and what it was answered.
struct RequestRecord {
    WallTime at = {};
    std::string method = {};
    std::string path = {};
    std::string query = {};
    std::map<std::string, std::string> headers = {};  ///< Lower-case names.
    std::string body = {};                            ///< JSON bodies only.
    std::size_t bodyBytes = 0;
    std::size_t bodyHash = 0;  ///< Equal for equal bodies.
    JobId job = 0;             ///< 0 = not about one job.
    int status = 0;
    Delivery delivery = Delivery::Whole;
    bool fault = false;  ///< The answer or its loss was an injected fault.
};

/// A copy of everything the server knows of one job.
struct JobSnapshot {
    JobId id = 0;
    std::string name = {};
    std::string stage = {};
    std::string project = {};
    std::string token = {};  ///< Empty until the claim.
    Status status = Status::Created;
    std::string failureReason = {};
    std::optional<int> exitCode = {};
    std::string trace = {};
    bool debugTrace = false;  ///< A PATCH said that the log shows variables.
    std::vector<Artifact> artifacts = {};
    int acceptedFinals = 0;          ///< Final PUTs that changed the state: 0 or 1.
    int deferredFinals = 0;          ///< Final PUTs answered 202.
    std::string lastChecksum = {};   ///< Of the latest PUT that carried one.
    std::int64_t lastBytesize = -1;  ///< -1 = never sent.
    Millis maxSilence{0};            ///< Longest time between two contacts since the claim.
    bool claimDelivered = false;     ///< The whole 201 went out.
    bool erased = false;
    std::string systemId = {};
    std::optional<WallTime> claimedAt = {};
    std::optional<WallTime> endedAt = {};
    std::vector<RequestRecord> requests = {};
};

struct Upload;

/// One HTTP request without the transport. Header names in lower case.
struct Request {
    std::string method = {};
    std::string path = {};   ///< Decoded, without query.
    std::string query = {};  ///< Raw, without `?`.
    std::map<std::string, std::string> headers = {};
    std::string body = {};  ///< Empty when it is in `upload`.
    /// A multipart body that was read as it came; null = it is in `body`.
    std::shared_ptr<const Upload> upload = {};
    bool atStorage = false;  ///< Came in at the second server (object storage).

    /// Empty when absent.
    const std::string& header(const std::string& name) const;
    bool has(const std::string& name) const { return headers.count(name) > 0; }
    std::uint64_t bodyBytes() const;
};

struct Reply {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
    Delivery delivery = Delivery::Whole;
    Millis delay{0};     ///< The answer leaves so much later.
    bool fault = false;  ///< Injected, not the answer of the rules.
    bool users = false;  ///< A 400 for what a user's file holds: no breach by the client.
    JobId claimed = 0;   ///< The job that a 201 to jobs/request hands out.

    /// Empty when absent.
    std::string header(std::string_view name) const;
};

}  // namespace gridbridge::fakegitlab
