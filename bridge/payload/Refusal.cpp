#include "bridge/payload/Refusal.h"

#include <algorithm>

namespace gridbridge::payload {

namespace {

using gitlab::JobDescription;
using gitlab::Step;

bool hasNul(const std::vector<std::string>& script) {
    return std::any_of(script.begin(), script.end(), [](const std::string& item) {
        return item.find('\0') != std::string::npos;
    });
}

bool anyNul(const JobDescription& job) {
    const auto inStep = [](const Step& step) { return hasNul(step.script); };
    return std::any_of(job.steps.begin(), job.steps.end(), inStep) ||
           std::any_of(job.hooks.begin(), job.hooks.end(), inStep) || hasNul(job.git.refspecs) ||
           hasNul({job.git.repoUrl, job.git.ref, job.git.sha, job.git.objectFormat});
}

}  // namespace

std::optional<std::string> refusal(const JobDescription& job, const ScriptContext& context) {
    if (!job.image.name.empty() && context.container.run.empty() && !context.imageIgnored) {
        return "this runner cannot run jobs in container images: backend " + context.backend +
               " has neither `container` nor `container_command`, and the runner not image = "
               "\"ignore\"; remove `image` or choose another runner by tags";
    }
    if (job.hasServices) {
        return "this runner cannot start `services`: remove them or choose another runner by tags";
    }
    if (job.hasSecrets) {
        return "this runner cannot fetch `secrets`: remove them or choose another runner by tags";
    }
    if (job.hasRun) {
        return "this runner cannot execute `run` steps: use `script`";
    }
    if (std::none_of(job.steps.begin(), job.steps.end(), [](const Step& step) {
            return step.name != "after_script" && !step.script.empty();
        })) {
        return "GitLab sent no `script` for this job: there is nothing to run";
    }
    if (anyNul(job)) {
        return "the script contains a NUL byte, which no shell can read";
    }
    return std::nullopt;
}

void warnOfUnsupported(const JobDescription& job, const ScriptContext& context,
                       std::vector<std::string>& warnings) {
    if (!job.image.name.empty() && context.container.run.empty()) {
        warnings.emplace_back(
            "`image` is ignored by this runner: the job runs without a container");
    }
    if (!job.image.user.empty() || !job.image.platform.empty()) {
        warnings.emplace_back("`user` and `platform` of `image` are ignored by this runner");
    }
    const auto& entries = job.artifacts;
    if (std::any_of(entries.begin(), entries.end(), [](const gitlab::ArtifactEntry& entry) {
            return entry.format != "zip" && entry.format != "gzip" && entry.format != "raw";
        })) {
        warnings.emplace_back("artifacts of an unknown format are not uploaded by this runner");
    }
}

}  // namespace gridbridge::payload
