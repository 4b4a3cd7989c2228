#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/base/Sink.h"
#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/ContainerCommands.h"
#include "bridge/payload/Member.h"
#include "bridge/payload/Site.h"

namespace gridbridge::payload {

/// Where the nodes keep what is in `cache`.
struct CacheStore {
    std::string folder = {};      ///< Absolute; empty = there are no caches.
    std::string account = {};     ///< Of the job; a folder in it, none where it is empty.
    std::uint64_t limit = 0;      ///< Bytes that the caches of one account may have, and so one.
    std::chrono::seconds age{0};  ///< What nobody has used for so long goes.
};

/// What the script needs beyond GitLab's description.
struct ScriptContext {
    std::string runnerShortToken;
    std::string serverUrl;                      ///< Base URL of GitLab as configured.
    std::string bridgeHost;                     ///< For `Running on NODE via HOST...`.
    std::string version;                        ///< Of gridbridge.
    std::vector<std::string> environment = {};  ///< NAME=value of the runner's configuration.
    std::string nonce;                ///< Guards against stale status files; unique per submission.
    WallTime deadline;                ///< Absolute; the wrapper ends the job then.
    bool debugTraceDisabled = false;  ///< CI_DEBUG_TRACE has no effect but a warning.
    std::string tlsCa = {};  ///< Certificates (PEM text) that GitLab's own must be signed by.
    std::chrono::seconds wallTime{0};  ///< From the job's start on its node; 0 = no such limit.
    Site site = {};                    ///< Of the backend.
    CacheStore cache = {};
    std::string backend = {};                     ///< Its name in the configuration.
    ContainerCommands container = {};             ///< The backend's.
    std::vector<std::string> allowedImages = {};  ///< Patterns, see Glob; none = all.
    bool imageIgnored = false;  ///< Where the backend has no containers a job runs without.
    std::int64_t artifactLimit = kMostMemberBytes;  ///< Bytes of each entry as GitLab gets it.
};

struct ScriptFile {
    std::string name;
    std::string content;
};

/// What a submission puts into `in/`, and what it will leave in `out/`.
struct JobScript {
    std::vector<ScriptFile> inputs;
    std::string loader;                    ///< See BatchJob::loader.
    std::vector<std::string> outputs;      ///< `log`, `status`, and what may appear of artifacts.
    std::vector<std::string> maskPhrases;  ///< Expanded values of masked variables.
    std::vector<std::string> warnings;  ///< One log line each: what is not supported and skipped.
};

/// How a job wants its log.
struct LogWishes {
    bool debugTrace = false;  ///< CI_DEBUG_TRACE: every command is shown, variables perhaps too.
    bool timestamps = false;  ///< FF_TIMESTAMPS
};
LogWishes logWishes(const gitlab::JobDescription& job, const ScriptContext& context);

/// The job's variables whose names begin so, those of the runner's configuration included, as the
/// job sees them: of two the last counts, references are replaced.
std::map<std::string, std::string> variablesNamed(const gitlab::JobDescription& job,
                                                  const ScriptContext& context,
                                                  std::string_view prefix);

/// Generates the script. Pure. Permanent error = the job cannot run here; its text is the one
/// line for the job's log (image, services, secrets, run, dependencies, GIT_CLONE_PATH).
Result<JobScript> makeScript(const gitlab::JobDescription& job, const ScriptContext& context);

/// The wrapper's verdict, from the status file (job-execution 11.2).
struct Status {
    std::string outcome;  ///< success, failed, timedout, canceled, system
    /// empty, canceled, terminated, limit (told that the batch system's time limit comes),
    /// stage_timeout, job_timeout, wall_timeout, collect_failed, image_failed
    std::string why;
    std::string stage;
    std::optional<int> exitCode;
    std::string host;
    std::int64_t logBytes = 0;
    std::vector<std::pair<std::string, std::int64_t>> outputs;  ///< Name and size of each output.
    std::optional<WallTime> endedAt;                            ///< The node's clock.
};

/// Strict: at most 4 KiB, known keys, each once. Permanent error otherwise.
Result<Status> parseStatus(std::string_view text, std::string_view nonce);

/// The node's tarball of the job's artifact entry `index`, in `out/`.
std::string tarballName(std::size_t index);
/// What the node tells about that entry beside it, if anything: see ArtifactPlan.
std::string namesName(std::size_t index);

/// Bytes that the node may pack of an entry of which GitLab gets `limit` at most. A loose bound on
/// what a job can cost: the node packs fast, not small, and more than GitLab gets.
std::int64_t nodeLimit(std::int64_t limit);

/// Whether an artifact entry, an archive or a report, is uploaded for that outcome.
bool wantsUpload(const gitlab::ArtifactEntry& entry, bool success);

/// What the service found in the node's tarball of one artifact entry.
struct ArtifactContent {
    std::int64_t entries = 0;        ///< Files and directories for GitLab; 0 = nothing matched.
    std::string filename;            ///< For the upload.
    std::vector<std::string> lines;  ///< Messages for the job's log, without colours.
};

/// The next piece of a file at each call; empty = its end.
using Pieces = std::function<Result<std::string>()>;

/// Reads the node's tarball of entry `index` (empty = nothing was collected) to its end and matches
/// it again. `names` is what the file namesName() holds, if the node wrote one. Permanent error =
/// what the node wrote is hostile, damaged or too large; or what `tarball` gave.
Result<ArtifactContent> surveyArtifact(const gitlab::JobDescription& job, std::size_t index,
                                       const std::optional<std::string>& names,
                                       const Pieces& tarball);

/// What surveyArtifact() counted, as the zip, the gzip stream or the file that GitLab wants, the
/// same bytes for the same tarball, for as long as `sink` takes them. Nothing is extracted or kept:
/// a tarball of any size costs the same memory, but for about 100 bytes for each entry. Errors as
/// those of surveyArtifact().
Result<void> packArtifact(const gitlab::JobDescription& job, std::size_t index,
                          const std::optional<std::string>& names, const Pieces& tarball,
                          const Sink& sink);

}  // namespace gridbridge::payload
