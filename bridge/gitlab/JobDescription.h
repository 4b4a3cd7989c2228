#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Result.h"
#include "bridge/base/Secret.h"

namespace gridbridge::gitlab {

/// One entry of the payload's `variables`; the names are GitLab's.
struct JobVariable {
    std::string key;
    std::string value;
    bool isPublic = false;
    bool masked = false;
    bool raw = false;
    bool file = false;

    /// `export KEY='value'`: a line that gives a POSIX shell exactly this value. A `file`
    /// variable's value is what the file shall hold. Empty when no shell can have it: a key that
    /// is no name, or a NUL byte.
    std::string bash() const;
};

struct Step {
    std::string name;  ///< `script`, `release`, `after_script`, or whatever the server invents.
    std::vector<std::string> script;
};

struct GitInfo {
    std::string repoUrl;  ///< Without credentials.
    std::string ref;
    std::string sha;
    std::string beforeSha;
    std::string refType;
    std::vector<std::string> refspecs;
    int depth = 0;
    std::string objectFormat = "sha1";
};

struct ArtifactEntry {
    std::string name;
    bool untracked = false;
    std::vector<std::string> paths;
    std::vector<std::string> exclude;
    std::string when = "on_success";
    std::string expireIn;
    std::string type = "archive";
    std::string format = "zip";
};

/// An earlier job whose archive this one wants.
struct Dependency {
    std::int64_t id = 0;
    std::string name = {};
    Secret token = {};          ///< With which its archive is fetched.
    std::string filename = {};  ///< Of its archive; empty = it has none.
    std::int64_t size = 0;      ///< Bytes of its archive, as far as GitLab says so.
};

struct CacheEntry {
    std::string key = {};
    bool untracked = false;
    std::vector<std::string> paths = {};
    std::string policy = "pull-push";
    std::string when = "on_success";
    std::vector<std::string> fallbackKeys = {};
};

/// A container image.
struct Image {
    std::string name = {};                     ///< Empty = none.
    std::vector<std::string> entrypoint = {};  ///< Empty = the image's own; one empty text = none.
    std::vector<std::string> pullPolicy = {};  ///< In order of preference; empty = the runner's.
    std::string platform = {};                 ///< Empty = the node's.
    std::string user = {};                     ///< Name or number; empty = the image's.
};

/// How to log in to one container registry.
struct RegistryCredential {
    std::string url;  ///< Host, with port and path where it has them.
    std::string username;
    Secret password;
};

/// What GitLab said of a job: the body of a 201, decoded leniently (protocol section 3).
/// Plain data; holds secrets, so it is never logged whole.
struct JobDescription {
    std::int64_t id = 0;
    Secret token;
    bool allowGitFetch = true;
    std::string name;
    std::string stage;
    std::int64_t projectId = 0;
    std::string projectPath;  ///< `group/project`
    std::string userLogin;    ///< From GITLAB_USER_LOGIN.
    std::string url;          ///< From CI_JOB_URL.
    std::int64_t pipelineId = 0;
    std::chrono::seconds queued{0};  ///< How long it had waited at GitLab, as far as that says so.
    GitInfo git;
    std::chrono::seconds timeout{7200};
    std::vector<JobVariable> variables;
    std::vector<Step> steps;
    std::vector<Step> hooks;  ///< `pre_get_sources_script`, `post_get_sources_script`.
    bool hasRun = false;      ///< The payload has `run:` steps.
    Image image;
    bool hasServices = false;
    bool hasSecrets = false;
    std::vector<ArtifactEntry> artifacts;
    std::vector<CacheEntry> cache;
    std::vector<Dependency> dependencies;
    std::vector<RegistryCredential> registryCredentials;
    bool traceSections = false;
    std::vector<std::string> failureReasons;  ///< `features.failure_reasons`
    std::vector<std::string> tokenMaskPrefixes;

    /// The last variable of that name, unexpanded; nullptr when absent.
    const JobVariable* variable(std::string_view key) const;
    /// The job's token and those of its dependencies, each once: none may stand in a log.
    std::vector<Secret> tokens() const;
};

/// Decodes the body of a 201. `null`, absent and unknown fields are tolerated wherever the
/// protocol allows them; the error (Permanent) names the field that cannot be understood and
/// carries no value. Bodies over 64 MiB are refused.
Result<JobDescription> decodeJob(std::string_view body);

/// The two fields with which an undecodable job can still be reported.
struct JobIdentity {
    std::int64_t id = 0;
    Secret token;
};
/// Finds `id` and `token` at the top level of a body, also of one that is cut short or broken
/// further on; nothing when either is unreadable.
std::optional<JobIdentity> identityOf(std::string_view body);

}  // namespace gridbridge::gitlab
