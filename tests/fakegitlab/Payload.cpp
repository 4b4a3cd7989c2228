#include "tests/fakegitlab/Payload.h"

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <stdexcept>

#include "tests/fakegitlab/Params.h"
#include "tests/fakegitlab/PayloadVariables.h"

namespace gridbridge::fakegitlab {

namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;
using Var = Poco::Dynamic::Var;

/// GitLab's own rule for a variable that can be masked.
constexpr std::size_t kShortestMasked = 8;
const Var kNull;

Object::Ptr newObject() {
    return new Object(Poco::JSON_PRESERVE_KEY_ORDER);
}

Array::Ptr texts(const std::vector<std::string>& values) {
    Array::Ptr result = new Array;
    for (const auto& value : values) {
        result->add(value);
    }
    return result;
}

Var textsOrNull(const std::vector<std::string>& values) {
    return values.empty() ? kNull : Var(texts(values));
}

Var textOrNull(const std::string& value) {
    return value.empty() ? kNull : Var(value);
}

Object::Ptr jobInfo(const State& state, const JobState& job) {
    const auto& path = job.spec.project;
    auto o = newObject();
    o->set("id", job.id);
    o->set("name", job.spec.name);
    o->set("stage", job.spec.stage);
    o->set("pipeline_id", job.git.pipeline);
    o->set("project_id", job.projectId);
    o->set("project_name", path.substr(path.rfind('/') + 1));
    o->set("project_full_path", path);
    o->set("namespace_id", 88);
    o->set("root_namespace_id", 88);
    o->set("organization_id", 1);
    o->set("instance_id", "3f1c");
    o->set("instance_uuid", "5d0c8f0e-2f57-4c4e-9a55-0c6a1f5d7b10");
    o->set("user_id", 17);
    o->set("scoped_user_id", kNull);
    o->set("time_in_queue_seconds",
           std::chrono::floor<Seconds>(state.now() - job.pendingAt).count());
    o->set("project_jobs_running_on_instance_runners_count", "+Inf");
    o->set("queue_size", 1);
    o->set("queue_depth", 0);
    return o;
}

Object::Ptr gitInfo(const State& state, const JobState& job) {
    const auto pipeline = "refs/pipelines/" + std::to_string(job.git.pipeline);
    std::vector<std::string> refspecs = {"+" + pipeline + ":" + pipeline};
    const auto& ref = job.spec.ref;
    if (job.spec.gitDepth == 0) {
        refspecs.emplace_back("+refs/heads/*:refs/remotes/origin/*");
        refspecs.emplace_back("+refs/tags/*:refs/tags/*");
    } else if (job.spec.refType == "tag") {
        refspecs.push_back("+refs/tags/" + ref + ":refs/tags/" + ref);
    } else if (!job.spec.mergeRequest) {
        refspecs.push_back("+refs/heads/" + ref + ":refs/remotes/origin/" + ref);
    }
    auto o = newObject();
    o->set("repo_url", repositoryUrl(state, job));
    o->set("ref", ref);
    o->set("sha", job.git.sha);
    o->set("before_sha", job.git.beforeSha);
    o->set("ref_type", job.spec.refType);
    o->set("refspecs", texts(refspecs));
    o->set("depth", job.spec.gitDepth);
    o->set("repo_object_format", "sha1");
    o->set("protected", true);
    return o;
}

Array::Ptr variables(const State& state, const JobState& job) {
    Array::Ptr result = new Array;
    for (const auto& variable : payloadVariables(state, job)) {
        auto o = newObject();
        o->set("key", variable.key);
        o->set("value", variable.value);
        o->set("public", variable.isPublic);
        o->set("masked", variable.masked);
        // Absent means false: real servers leave them out.
        if (variable.raw) {
            o->set("raw", true);
        }
        if (variable.file) {
            o->set("file", true);
        }
        result->add(o);
    }
    return result;
}

void addStep(Array& steps, const std::string& name, const std::vector<std::string>& script,
             Seconds timeout, bool always) {
    auto o = newObject();
    o->set("name", name);
    o->set("script", texts(script));
    o->set("timeout", timeout.count());
    o->set("when", always ? "always" : "on_success");
    o->set("allow_failure", always);
    steps.add(o);
}

Array::Ptr steps(const JobState& job) {
    Array::Ptr result = new Array;
    addStep(*result, "script", job.spec.script, job.timeout, false);
    if (!job.spec.release.empty()) {
        addStep(*result, "release", job.spec.release, job.timeout, false);
    }
    if (!job.spec.afterScript.empty()) {
        addStep(*result, "after_script", job.spec.afterScript, job.timeout, true);
    }
    return result;
}

Array::Ptr hooks(const JobSpec& spec) {
    Array::Ptr result = new Array;
    const auto add = [&](const char* name, const std::vector<std::string>& script) {
        if (!script.empty()) {
            auto o = newObject();
            o->set("name", name);
            o->set("script", texts(script));
            result->add(o);
        }
    };
    add("pre_get_sources_script", spec.preGetSources);
    add("post_get_sources_script", spec.postGetSources);
    return result;
}

Object::Ptr image(const std::string& name, bool service) {
    auto o = newObject();
    o->set("name", name);
    o->set("entrypoint", kNull);
    o->set("ports", Array::Ptr(new Array));
    o->set("executor_opts", newObject());
    o->set("pull_policy", kNull);
    if (service) {
        o->set("alias", kNull);
        o->set("command", kNull);
        o->set("variables", Array::Ptr(new Array));
    }
    return o;
}

Var imageOf(const JobSpec& spec) {
    if (spec.image.empty()) {
        return kNull;
    }
    auto o = image(spec.image, false);
    o->set("entrypoint", textsOrNull(spec.imageEntrypoint));
    o->set("pull_policy", textsOrNull(spec.imagePullPolicy));
    return o;
}

Array::Ptr services(const JobSpec& spec) {
    Array::Ptr result = new Array;
    for (const auto& name : spec.services) {
        result->add(image(name, true));
    }
    return result;
}

Var artifacts(const JobSpec& spec) {
    if (spec.artifacts.empty()) {
        return kNull;
    }
    Array::Ptr result = new Array;
    for (const auto& artifact : spec.artifacts) {
        auto o = newObject();
        o->set("name", textOrNull(artifact.name));
        if (artifact.type == "archive") {
            o->set("untracked", artifact.untracked);
        }
        o->set("paths", textsOrNull(artifact.paths));
        if (!artifact.exclude.empty()) {
            o->set("exclude", texts(artifact.exclude));
        }
        o->set("when", textOrNull(artifact.when));
        o->set("expire_in", textOrNull(artifact.expireIn));
        o->set("artifact_type", artifact.type);
        o->set("artifact_format", artifact.format);
        result->add(o);
    }
    return result;
}

Array::Ptr caches(const JobSpec& spec) {
    Array::Ptr result = new Array;
    for (const auto& cache : spec.cache) {
        auto o = newObject();
        o->set("key", cache.key);
        o->set("untracked", cache.untracked);
        o->set("paths", texts(cache.paths));
        o->set("policy", cache.policy);
        o->set("when", cache.when);
        o->set("fallback_keys", texts(cache.fallbackKeys));
        result->add(o);
    }
    return result;
}

Array::Ptr dependencies(State& state, const JobState& job) {
    Array::Ptr result = new Array;
    for (const auto id : job.spec.dependencies) {
        const auto* other = state.job(id);
        if (other == nullptr) {
            continue;
        }
        auto o = newObject();
        o->set("id", id);
        o->set("name", other->spec.name);
        o->set("token", job.token);
        for (const auto& artifact : other->artifacts) {
            if (artifact.type == "archive") {
                auto file = newObject();
                file->set("filename", artifact.filename);
                file->set("size", artifact.size);
                o->set("artifacts_file", file);
            }
        }
        result->add(o);
    }
    return result;
}

Object::Ptr features() {
    auto o = newObject();
    o->set("trace_sections", true);
    o->set("token_mask_prefixes", texts({"glpat-"}));
    Array::Ptr reasons = new Array;
    for (const auto& reason : knownFailureReasons()) {
        reasons->add(reason);
    }
    o->set("failure_reasons", reasons);
    return o;
}

Array::Ptr credentials(const JobState& job) {
    auto o = newObject();
    o->set("type", "registry");
    o->set("url", "registry.example.org");
    o->set("username", "gitlab-ci-token");
    o->set("password", job.token);
    Array::Ptr result = new Array;
    result->add(o);
    return result;
}

Object::Ptr wholePayload(State& state, const JobState& job) {
    auto runner = newObject();
    runner->set("timeout", job.timeout.count());
    runner->set("runner_session_url", kNull);
    runner->set("uuid", "c1b4a4de");
    auto o = newObject();
    o->set("id", job.id);
    o->set("token", job.token);
    o->set("allow_git_fetch", job.spec.allowGitFetch);
    o->set("job_info", jobInfo(state, job));
    o->set("git_info", gitInfo(state, job));
    o->set("runner_info", runner);
    o->set("inputs", Array::Ptr(new Array));
    o->set("variables", variables(state, job));
    o->set("steps", steps(job));
    o->set("hooks", hooks(job.spec));
    o->set("image", imageOf(job.spec));
    o->set("services", services(job.spec));
    o->set("artifacts", artifacts(job.spec));
    o->set("cache", caches(job.spec));
    o->set("credentials", credentials(job));
    o->set("dependencies", dependencies(state, job));
    o->set("features", features());
    o->set("secrets", newObject());
    o->set("policy_options", kNull);
    o->set("suspend_options", kNull);
    return o;
}

void merge(Object& into, const Object& from) {
    for (const auto& [key, value] : from) {
        auto mine = into.getObject(key);
        const bool both = !mine.isNull() && from.isObject(key);
        both ? merge(*mine, *from.getObject(key)) : static_cast<void>(into.set(key, value));
    }
}

/// Calls `change(object, last name)` where a dotted path leads; nothing when it leads nowhere.
template <typename Change>
void at(Object::Ptr object, std::string path, Change change) {
    for (auto dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
        object = object->getObject(path.substr(0, dot));
        if (object.isNull()) {
            return;
        }
        path.erase(0, dot + 1);
    }
    change(*object, path);
}

void applyWishes(Object::Ptr payload, const JobSpec& spec) {
    if (!spec.merge.empty()) {
        Poco::JSON::Parser parser;
        const auto wish = parser.parse(spec.merge);
        if (wish.type() != typeid(Object::Ptr)) {
            throw std::runtime_error("merge of job " + spec.name + " is not a JSON object");
        }
        merge(*payload, *wish.extract<Object::Ptr>());
    }
    for (const auto& path : spec.nulls) {
        at(payload, path, [](Object& o, const std::string& name) { o.set(name, kNull); });
    }
    for (const auto& path : spec.without) {
        at(payload, path, [](Object& o, const std::string& name) { o.remove(name); });
    }
}

std::vector<std::string> secretsIn(const Object& payload, const std::string& token) {
    std::vector<std::string> result = {token};
    const auto list = payload.getArray("variables");
    for (std::size_t i = 0; !list.isNull() && i < list->size(); ++i) {
        const auto variable = list->getObject(static_cast<unsigned>(i));
        const auto masked = variable.isNull() ? Poco::Dynamic::Var() : variable->get("masked");
        if (!masked.isBoolean() || !masked.convert<bool>()) {
            continue;
        }
        const auto value = variable->get("value");
        if (value.isString() && value.toString().size() >= kShortestMasked) {
            result.push_back(value.toString());
        }
    }
    return result;
}

std::set<std::string> reasonsIn(const Object& payload) {
    std::set<std::string> result = {"unknown_failure", "script_failure", "runner_system_failure",
                                    "job_execution_timeout"};
    const auto listed = payload.getObject("features");
    const auto reasons = listed.isNull() ? Array::Ptr() : listed->getArray("failure_reasons");
    for (std::size_t i = 0; !reasons.isNull() && i < reasons->size(); ++i) {
        const auto reason = reasons->get(static_cast<unsigned>(i));
        if (reason.isString()) {
            result.insert(reason.toString());
        }
    }
    return result;
}

std::string filledIn(std::string text, const std::string& mark, const std::string& value) {
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at)) {
        text.replace(at, mark.size(), value);
        at += value.size();
    }
    return text;
}

}  // namespace

Payload makePayload(State& state, const JobState& job) {
    const auto payload = wholePayload(state, job);
    applyWishes(payload, job.spec);
    Payload result{.body = toText(*payload),
                   .secrets = secretsIn(*payload, job.token),
                   .reportableReasons = reasonsIn(*payload)};
    if (job.spec.rawBody) {
        result.body = filledIn(filledIn(*job.spec.rawBody, "@ID@", std::to_string(job.id)),
                               "@TOKEN@", job.token);
    }
    return result;
}

std::set<std::string> neededFeatures(const JobSpec& spec) {
    std::set<std::string> result(spec.needsFeatures.begin(), spec.needsFeatures.end());
    for (const auto& artifact : spec.artifacts) {
        if (artifact.type != "archive") {
            result.insert("upload_multiple_artifacts");
        }
        if (!artifact.exclude.empty()) {
            result.insert("artifacts_exclude");
        }
    }
    for (const auto& cache : spec.cache) {
        if (!cache.fallbackKeys.empty()) {
            result.insert("fallback_cache_keys");
        }
    }
    if (!spec.release.empty()) {
        result.insert("multi_build_steps");
    }
    if (spec.mergeRequest) {
        result.insert("refspecs");
    }
    return result;
}

}  // namespace gridbridge::fakegitlab
