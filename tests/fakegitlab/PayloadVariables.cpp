#include "tests/fakegitlab/PayloadVariables.h"

#include <Poco/URI.h>

namespace gridbridge::fakegitlab {

namespace {

Variable open(std::string key, std::string value) {
    return {.key = std::move(key), .value = std::move(value)};
}

Variable secret(std::string key, std::string value) {
    return {.key = std::move(key), .value = std::move(value), .isPublic = false, .masked = true};
}

std::string slug(const std::string& ref) {
    std::string result;
    for (const char c : ref) {
        const bool upper = c >= 'A' && c <= 'Z';
        const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        result += kept ? c : upper ? static_cast<char>(c - 'A' + 'a') : '-';
    }
    return result.substr(0, 63);
}

void addServer(std::vector<Variable>& out, const State& state) {
    const Poco::URI uri(state.url);
    out.push_back(open("CI", "true"));
    out.push_back(open("GITLAB_CI", "true"));
    out.push_back(open("CI_API_V4_URL", state.url + "/api/v4"));
    out.push_back(open("CI_SERVER_URL", state.url));
    out.push_back(open("CI_SERVER_HOST", uri.getHost()));
    out.push_back(open("CI_SERVER_PORT", std::to_string(uri.getPort())));
    out.push_back(open("CI_SERVER_PROTOCOL", uri.getScheme()));
    out.push_back(open("CI_SERVER_NAME", "GitLab"));
    out.push_back(open("CI_SERVER_VERSION", "19.4.0"));
    out.push_back(open("CI_SERVER_VERSION_MAJOR", "19"));
    out.push_back(open("CI_SERVER_VERSION_MINOR", "4"));
}

void addProject(std::vector<Variable>& out, const State& state, const JobState& job) {
    const auto& path = job.spec.project;
    const auto slash = path.rfind('/');
    const auto group = slash == std::string::npos ? "" : path.substr(0, slash);
    const auto name = slash == std::string::npos ? path : path.substr(slash + 1);
    out.push_back(open("CI_PROJECT_ID", std::to_string(job.projectId)));
    out.push_back(open("CI_PROJECT_NAME", name));
    out.push_back(open("CI_PROJECT_TITLE", name));
    out.push_back(open("CI_PROJECT_PATH", path));
    out.push_back(open("CI_PROJECT_PATH_SLUG", slug(path)));
    out.push_back(open("CI_PROJECT_NAMESPACE", group));
    out.push_back(open("CI_PROJECT_ROOT_NAMESPACE", group.substr(0, group.find('/'))));
    out.push_back(open("CI_PROJECT_URL", state.url + "/" + path));
    out.push_back(open("CI_PROJECT_VISIBILITY", "private"));
    out.push_back(open("CI_DEFAULT_BRANCH", "main"));
}

void addCommit(std::vector<Variable>& out, const JobState& job) {
    const auto& ref = job.spec.ref;
    out.push_back(open("CI_COMMIT_SHA", job.git.sha));
    out.push_back(open("CI_COMMIT_SHORT_SHA", job.git.sha.substr(0, 8)));
    out.push_back(open("CI_COMMIT_BEFORE_SHA", job.git.beforeSha));
    out.push_back(open("CI_COMMIT_REF_NAME", ref));
    out.push_back(open("CI_COMMIT_REF_SLUG", slug(ref)));
    out.push_back(open(job.spec.refType == "tag" ? "CI_COMMIT_TAG" : "CI_COMMIT_BRANCH", ref));
    out.push_back(open("CI_COMMIT_REF_PROTECTED", "true"));
    out.push_back(open("CI_COMMIT_MESSAGE", "A commit"));
    out.push_back(open("CI_COMMIT_TITLE", "A commit"));
    out.push_back(open("CI_COMMIT_AUTHOR", "Ada Example <ada@example.org>"));
    out.push_back(open("CI_COMMIT_TIMESTAMP", "2026-01-01T00:00:00+00:00"));
}

void addJob(std::vector<Variable>& out, const State& state, const JobState& job) {
    const auto project = state.url + "/" + job.spec.project;
    const auto pipeline = std::to_string(job.git.pipeline);
    out.push_back(open("CI_PIPELINE_ID", pipeline));
    out.push_back(open("CI_PIPELINE_URL", project + "/-/pipelines/" + pipeline));
    out.push_back(open("CI_PIPELINE_IID", "7"));
    out.push_back(open("CI_PIPELINE_CREATED_AT", "2026-01-01T00:00:00Z"));
    out.push_back(
        open("CI_PIPELINE_SOURCE", job.spec.mergeRequest ? "merge_request_event" : "push"));
    out.push_back(open("CI_JOB_ID", std::to_string(job.id)));
    out.push_back(open("CI_JOB_URL", project + "/-/jobs/" + std::to_string(job.id)));
    out.push_back(secret("CI_JOB_TOKEN", job.token));
    out.push_back(open("CI_JOB_NAME", job.spec.name));
    out.push_back(open("CI_JOB_NAME_SLUG", slug(job.spec.name)));
    out.push_back(open("CI_JOB_STAGE", job.spec.stage));
    out.push_back(open("CI_JOB_STARTED_AT", "2026-01-01T00:00:00Z"));
    out.push_back(open("CI_JOB_TIMEOUT", std::to_string(job.timeout.count())));
    out.push_back(open("CI_NODE_TOTAL", "1"));
    out.push_back(open("CI_CONFIG_PATH", ".gitlab-ci.yml"));
    out.push_back(
        {.key = "CI_REPOSITORY_URL", .value = repositoryUrl(state, job), .isPublic = false});
    out.push_back(open("CI_RUNNER_ID", "11"));
    out.push_back(open("GITLAB_USER_ID", "17"));
    out.push_back(open("GITLAB_USER_LOGIN", job.spec.userLogin));
    out.push_back(open("GITLAB_USER_NAME", job.spec.userLogin));
    out.push_back(open("GITLAB_USER_EMAIL", job.spec.userLogin + "@example.org"));
    out.push_back(open("CI_REGISTRY", "registry.example.org"));
    out.push_back(open("CI_REGISTRY_USER", "gitlab-ci-token"));
    out.push_back(secret("CI_REGISTRY_PASSWORD", job.token));
}

}  // namespace

std::string repositoryUrl(const State& state, const JobState& job) {
    auto url = state.url;
    const auto scheme = url.find("://");
    url.insert(scheme + 3, "gitlab-ci-token:" + job.token + "@");
    return url + "/" + job.spec.project + ".git";
}

std::vector<Variable> payloadVariables(const State& state, const JobState& job) {
    std::vector<Variable> result;
    addJob(result, state, job);
    addServer(result, state);
    addProject(result, state, job);
    addCommit(result, job);
    result.insert(result.end(), job.spec.variables.begin(), job.spec.variables.end());
    return result;
}

}  // namespace gridbridge::fakegitlab
