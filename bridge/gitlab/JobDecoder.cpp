#include <Poco/Exception.h>

#include <algorithm>
#include <limits>
#include <set>

#include "bridge/gitlab/JobDescription.h"
#include "bridge/gitlab/JsonFields.h"

namespace gridbridge::gitlab {

namespace {

constexpr std::size_t kLargestBody = std::size_t{64} << 20U;
/// Protocol 0.1: a JWT has many hundred bytes; 8 KiB must be accepted.
constexpr std::size_t kLongestToken = std::size_t{64} << 10U;
/// What the official runner takes when the server does not say.
constexpr std::int64_t kUsualTimeout = 7200;
/// GitLab's longest is a month; a bound keeps deadlines computable.
constexpr std::int64_t kLongestTimeout = 366LL * 24 * 3600;

std::string orElse(std::string text, const char* otherwise) {
    return text.empty() ? otherwise : text;
}

/// The address without `user:password@`: no secret may reach a command line or a file of git's.
std::string withoutCredentials(const std::string& url) {
    const auto start = url.find("://");
    if (start == std::string::npos) {
        return url;
    }
    const auto host = start + 3;
    const auto end = std::min(url.find_first_of("/?#", host), url.size());
    const auto at = url.substr(host, end - host).rfind('@');
    return at == std::string::npos ? url : url.substr(0, host) + url.substr(host + at + 1);
}

GitInfo gitInfo(const JsonFields& from, const Secret& token) {
    GitInfo git;
    git.repoUrl = withoutCredentials(from.text("repo_url"));
    if (git.repoUrl.find(token.reveal()) != std::string::npos) {
        from.refuse("repo_url", "holds the job token outside of its credentials");
    }
    git.ref = from.text("ref");
    git.sha = from.text("sha");
    git.beforeSha = from.text("before_sha");
    git.refType = from.text("ref_type");
    git.refspecs = from.texts("refspecs");
    git.depth = static_cast<int>(
        std::clamp<std::int64_t>(from.number("depth", 0), 0, std::numeric_limits<int>::max()));
    git.objectFormat = orElse(from.text("repo_object_format"), "sha1");
    return git;
}

std::vector<JobVariable> variables(const JsonFields& from) {
    std::vector<JobVariable> result;
    for (const auto& each : from.objects("variables")) {
        JobVariable variable{.key = each.text("key"),
                             .value = each.text("value", JsonFields::kLong),
                             .isPublic = each.flag("public", false),
                             .masked = each.flag("masked", false),
                             .raw = each.flag("raw", false),
                             .file = each.flag("file", false)};
        if (!variable.key.empty()) {
            result.push_back(std::move(variable));
        }
    }
    return result;
}

/// `steps` or `hooks`: they look alike.
std::vector<Step> scripts(const JsonFields& from, const char* field) {
    std::vector<Step> result;
    for (const auto& each : from.objects(field)) {
        result.push_back(
            {.name = each.text("name"), .script = each.texts("script", JsonFields::kLong)});
    }
    return result;
}

std::vector<ArtifactEntry> artifacts(const JsonFields& from) {
    std::vector<ArtifactEntry> result;
    for (const auto& each : from.objects("artifacts")) {
        result.push_back({.name = each.text("name"),
                          .untracked = each.flag("untracked", false),
                          .paths = each.texts("paths"),
                          .exclude = each.texts("exclude"),
                          .when = orElse(each.text("when"), "on_success"),
                          .expireIn = each.text("expire_in"),
                          .type = orElse(each.text("artifact_type"), "archive"),
                          .format = orElse(each.text("artifact_format"), "zip")});
    }
    return result;
}

std::vector<Dependency> dependencies(const JsonFields& from) {
    std::vector<Dependency> result;
    for (const auto& each : from.objects("dependencies")) {
        const auto file = each.object("artifacts_file");
        result.push_back({.id = each.number("id", 0),
                          .name = each.text("name"),
                          .token = Secret(each.text("token", kLongestToken)),
                          .filename = file.text("filename"),
                          .size = std::max<std::int64_t>(file.number("size", 0), 0)});
    }
    return result;
}

std::vector<CacheEntry> caches(const JsonFields& from) {
    std::vector<CacheEntry> result;
    for (const auto& each : from.objects("cache")) {
        result.push_back({.key = each.text("key"),
                          .untracked = each.flag("untracked", false),
                          .paths = each.texts("paths"),
                          .policy = orElse(each.text("policy"), "pull-push"),
                          .when = orElse(each.text("when"), "on_success"),
                          .fallbackKeys = each.texts("fallback_keys")});
    }
    return result;
}

Image imageOf(const JsonFields& from) {
    if (from.isText("image")) {
        return {.name = from.text("image")};
    }
    const auto image = from.object("image");
    const auto docker = image.object("executor_opts").object("docker");
    return {.name = image.text("name"),
            .entrypoint = image.texts("entrypoint"),
            .pullPolicy = image.texts("pull_policy"),
            .platform = docker.text("platform"),
            .user = docker.text("user")};
}

std::vector<RegistryCredential> registryCredentials(const JsonFields& from) {
    std::vector<RegistryCredential> result;
    for (const auto& each : from.objects("credentials")) {
        if (each.text("type") == "registry" && each.filled("url")) {
            result.push_back({.url = each.text("url"),
                              .username = each.text("username"),
                              .password = Secret(each.text("password", kLongestToken))});
        }
    }
    return result;
}

/// GitLab's own value of one of its predefined variables: they come first in the list, and what
/// users define under the same name after them.
std::string first(const std::vector<JobVariable>& all, std::string_view key) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [key](const JobVariable& each) { return each.key == key; });
    return found == all.end() ? std::string() : found->value.substr(0, JsonFields::kShort);
}

/// GitLab's own value of a variable about the user. These come after those of .gitlab-ci.yml;
/// what can be defined after them (project, pipeline, dotenv) is not public (GitLab 19,
/// lib/gitlab/ci/variables/builder.rb). So nobody can pass for another user.
std::string lastPublic(const std::vector<JobVariable>& all, std::string_view key) {
    const auto found = std::find_if(all.rbegin(), all.rend(), [key](const JobVariable& each) {
        return each.isPublic && each.key == key;
    });
    return found == all.rend() ? std::string() : found->value.substr(0, JsonFields::kShort);
}

std::chrono::seconds timeoutOf(const JsonFields& runner) {
    const auto said = runner.number("timeout", 0);
    return std::chrono::seconds(said <= 0 ? kUsualTimeout : std::min(said, kLongestTimeout));
}

void takeFeatures(JobDescription& job, const JsonFields& features) {
    job.traceSections = features.flag("trace_sections", false);
    job.failureReasons = features.texts("failure_reasons");
    job.tokenMaskPrefixes = features.texts("token_mask_prefixes");
}

JobDescription jobFrom(const JsonFields& all) {
    JobDescription job;
    job.id = all.number("id", 0);
    if (job.id <= 0) {
        all.refuse("id", "is missing or not positive");
    }
    job.token = Secret(all.text("token", kLongestToken));
    if (job.token.empty()) {
        all.refuse("token", "is missing");
    }
    job.allowGitFetch = all.flag("allow_git_fetch", true);
    const auto info = all.object("job_info");
    job.name = info.text("name");
    job.stage = info.text("stage");
    job.projectId = info.number("project_id", 0);
    job.pipelineId = info.number("pipeline_id", 0);
    job.queued = std::chrono::seconds(info.number("time_in_queue_seconds", 0));
    job.git = gitInfo(all.object("git_info"), job.token);
    job.timeout = timeoutOf(all.object("runner_info"));
    job.variables = variables(all);
    job.userLogin = lastPublic(job.variables, "GITLAB_USER_LOGIN");
    job.url = first(job.variables, "CI_JOB_URL");
    // Old servers do not send project_full_path.
    job.projectPath =
        orElse(info.text("project_full_path"), first(job.variables, "CI_PROJECT_PATH").c_str());
    job.steps = scripts(all, "steps");
    job.hooks = scripts(all, "hooks");
    job.hasRun = all.filled("run");
    job.image = imageOf(all);
    job.hasServices = all.filled("services");
    job.hasSecrets = all.filled("secrets");
    job.artifacts = artifacts(all);
    job.cache = caches(all);
    job.dependencies = dependencies(all);
    job.registryCredentials = registryCredentials(all);
    takeFeatures(job, all.object("features"));
    return job;
}

}  // namespace

std::string JobVariable::bash() const {
    constexpr std::string_view kLetters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    const bool isName = !key.empty() && (key.front() < '0' || key.front() > '9') &&
                        key.find_first_not_of(kLetters) == std::string::npos;
    if (!isName || value.find('\0') != std::string::npos) {
        return {};
    }
    std::string line = "export " + key + "='";
    for (const char c : value) {
        c == '\'' ? line.append("'\\''") : line.append(1, c);
    }
    return line + "'";
}

const JobVariable* JobDescription::variable(std::string_view key) const {
    const auto found = std::find_if(variables.rbegin(), variables.rend(),
                                    [key](const JobVariable& each) { return each.key == key; });
    return found == variables.rend() ? nullptr : &*found;
}

std::vector<Secret> JobDescription::tokens() const {
    // GitLab gives all dependencies the job's own token, older ones each its own.
    std::vector<Secret> result = {token};
    std::set<std::string_view> taken = {token.reveal()};
    for (const auto& each : dependencies) {
        if (taken.insert(each.token.reveal()).second) {
            result.push_back(each.token);
        }
    }
    return result;
}

Result<JobDescription> decodeJob(std::string_view body) {
    if (body.size() > kLargestBody) {
        return permanentError("the job cannot be understood: it is larger than 64 MiB");
    }
    try {
        return jobFrom(JsonFields::parse(body));
    } catch (const UnreadableField& field) {
        return permanentError(std::string("the job cannot be understood: ") + field.what());
    } catch (const Poco::Exception&) {
        return permanentError("the job cannot be understood: its JSON is broken");
    }
}

}  // namespace gridbridge::gitlab
