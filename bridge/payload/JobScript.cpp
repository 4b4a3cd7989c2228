#include "bridge/payload/JobScript.h"

#include <algorithm>
#include <set>

#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/CacheStage.h"
#include "bridge/payload/ClonePath.h"
#include "bridge/payload/Container.h"
#include "bridge/payload/Dependency.h"
#include "bridge/payload/Expansion.h"
#include "bridge/payload/Refusal.h"
#include "bridge/payload/Settings.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/Stages.h"
#include "bridge/payload/Variables.h"
#include "bridge/payload/Wrapper.h"

namespace gridbridge::payload {

namespace {

using gitlab::JobDescription;
using gitlab::Step;

/// Names come from the server: they become file names, section names and words of the status file.
std::string stageName(const std::string& step, std::set<std::string>& taken) {
    constexpr std::size_t kLongestName = 60;
    std::string name = "step_" + step.substr(0, kLongestName);
    std::replace_if(
        name.begin(), name.end(),
        [](char c) {
            return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_');
        },
        '_');
    auto unique = name;
    for (int n = 2; !taken.insert(unique).second; ++n) {
        unique = name + "_" + std::to_string(n);
    }
    return unique;
}

/// Release steps are the only ones in which the runner itself replaces references.
std::vector<std::string> scriptOf(const Step& step, const Variables& variables) {
    if (step.name != "release") {
        return step.script;
    }
    constexpr std::size_t kLongestItem = std::size_t{1} << 20;
    std::vector<std::string> items;
    for (const auto& item : step.script) {
        auto budget = kLongestItem;
        items.push_back(plainText(variables.expand(item, budget)));
    }
    return items;
}

std::string slugOf(const JobDescription& job) {
    const auto& path = job.projectPath;
    const bool plain = std::all_of(path.begin(), path.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/._-").find(c) != std::string_view::npos;
    });
    const bool contained = ("/" + path + "/").find("/../") == std::string::npos &&
                           path.find("//") == std::string::npos && !path.starts_with('/') &&
                           !path.ends_with('/') && path != ".";
    return plain && contained && !path.empty() && path.size() <= 512
               ? path
               : "project-" + std::to_string(job.projectId);
}

/// GitLab's number of the project, which a new name does not change, and the server's address.
std::string projectOf(const JobDescription& job, const ScriptContext& context) {
    const auto& url = context.serverUrl;
    const auto scheme = url.find("://");
    std::string server = url.substr(scheme == std::string::npos ? 0 : scheme + 3);
    std::replace_if(
        server.begin(), server.end(),
        [](char c) {
            return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.');
        },
        '_');
    return server + "-" + std::to_string(job.projectId);
}

Settings settingsOf(const JobDescription& job, const ScriptContext& context,
                    const Variables& variables, std::vector<std::string>& warnings) {
    auto settings = readSettings(variables, job, warnings);
    if (settings.debugTrace && context.debugTraceDisabled) {
        settings.debugTrace = false;
        warnings.emplace_back("CI_DEBUG_TRACE: usage is disabled on this Runner");
    }
    return settings;
}

/// As many as the status file has room to tell of, and more than GitLab has kinds of reports.
constexpr std::size_t kMostArtifacts = 60;

class Builder {
public:
    Builder(const JobDescription& job, const ScriptContext& context)
        : job_(job), context_(context), variables_(job, context) {}

    Result<JobScript> build() {
        const auto settings = settingsOf(job_, context_, variables_, script_.warnings);
        if (const auto why = refused()) {
            return permanentError(*why);
        }
        const auto place = clonePath(variables_);
        if (!place) {
            return place.error();
        }
        if (auto added = addContainer(); !added) {
            return added.error();
        }
        warnOfUnsupported(job_, context_, script_.warnings);
        const auto environment = variables_.environmentFile(script_.warnings);
        if (!environment) {
            return environment.error();
        }
        add("env.sh", *environment);
        addSite();
        const auto caches = plannedCaches();
        addFetching(caches, settings);
        addSteps(settings);
        for (auto& stage : archiveCacheStages(caches, context_.cache, job_.projectId, settings)) {
            plan_.stages.push_back(std::move(stage));
        }
        if (auto added = addCollection(); !added) {
            return added.error();
        }
        addFiles(plan_.stages);
        plan_.slug = place->empty() ? slugOf(job_) : *place;
        plan_.sections = job_.traceSections;
        add("job.sh", wrapperScript(plan_, settings, context_));
        script_.loader = loaderScript();
        addMaskPhrases();
        return std::move(script_);
    }

private:
    void add(std::string name, std::string content) {
        script_.inputs.push_back({std::move(name), std::move(content)});
    }

    void addFiles(const std::vector<Stage>& stages) {
        for (const auto& stage : stages) {
            const bool isStep =
                stage.phase == Stage::Phase::Script || stage.phase == Stage::Phase::After;
            add(stage.name + ".sh", stageBeginning(plan_.site, isStep) + stage.text);
            addFiles(stage.repairs);
        }
    }

    std::optional<std::string> refused() const {
        const bool isInside = !job_.image.name.empty() && !context_.container.run.empty();
        if (context_.site.home == Site::Home::Project && job_.projectId <= 0 && !isInside) {
            return "the home of a job is that of its project here, and GitLab named no project";
        }
        return refusal(job_, context_);
    }

    void addSite() {
        plan_.project = projectOf(job_, context_);
        plan_.site = context_.site;
        if (!plan_.container.image.empty()) {  // What the node has is not in the image.
            plan_.site.shellInit.clear();
            plan_.site.home = Site::Home::Private;
            plan_.site.buildsDir.clear();
        }
        if (!plan_.site.shellInit.empty()) {
            add("shell_init.sh", plan_.site.shellInit + "\n");
        }
        if (hasOwnBeginning(plan_.site)) {
            add("prepare_script.sh", stageBeginning(plan_.site, true));
        }
    }

    void addFetching(const std::vector<PlannedCache>& caches, const Settings& settings) {
        const bool hasArchives =
            std::any_of(job_.dependencies.begin(), job_.dependencies.end(), hasArchive);
        plan_.stages.push_back(
            getSourcesStage(job_, settings, context_, hasArchives && !keepsOthers(caches)));
        if (!caches.empty()) {
            plan_.stages.push_back(
                restoreCacheStage(caches, context_.cache, job_.projectId, settings));
        }
        if (hasArchives) {
            plan_.stages.push_back(downloadStage(job_.dependencies, settings));
        }
    }

    /// Whether a cache or the home may hold what was made of other sources, and since the pipeline
    /// began.
    bool keepsOthers(const std::vector<PlannedCache>& caches) const {
        return plan_.site.home != Site::Home::Private ||
               std::any_of(caches.begin(), caches.end(),
                           [](const auto& cache) { return cache.plan.pull; });
    }

    std::vector<PlannedCache> plannedCaches() {
        if (job_.cache.empty()) {
            return {};
        }
        // What is of no project would be of all.
        if (context_.cache.folder.empty() || job_.projectId <= 0) {
            script_.warnings.emplace_back("Cache is not supported by this runner, skipping");
            return {};
        }
        auto caches = planCaches(job_, variables_, script_.warnings);
        for (const auto& cache : caches) {
            warnOfLiterals("cache", cache.entry);
        }
        return caches;
    }

    /// `what`: whose texts the entry has.
    void warnOfLiterals(const std::string& what, const gitlab::ArtifactEntry& entry) {
        for (const auto& text : textsOf(entry)) {
            if (hasReference(text) && nodeText(text).partlyLiteral) {
                script_.warnings.push_back(what + ": " + oneLine(text) +
                                           ": a part of it is no expansion of a variable that "
                                           "this runner knows and is taken as it is");
            }
        }
    }

    Result<void> addContainer() {
        auto container = containerOf(job_, context_.container, context_.allowedImages, variables_);
        if (!container) {
            return container.error();
        }
        plan_.container = std::move(container).value();
        if (plan_.container.pull) {
            plan_.stages.push_back(*plan_.container.pull);
        }
        if (!plan_.container.logins.empty()) {
            add(std::string(kLoginsFile), plan_.container.logins);
        }
        return {};
    }

    void addMaskPhrases() {
        script_.maskPhrases = variables_.maskPhrases();
        script_.maskPhrases.push_back(job_.token.reveal());
        for (const auto& login : job_.registryCredentials) {
            script_.maskPhrases.push_back(login.password.reveal());
        }
    }

    void addSteps(const Settings& settings) {
        std::set<std::string> taken;
        std::optional<Stage> after;
        for (const auto& step : job_.steps) {
            if (step.script.empty()) {
                continue;
            }
            if (step.name == "after_script") {
                after = afterScriptStage(step.script, settings.debugTrace);
                continue;
            }
            plan_.stages.push_back(stepStage(stageName(step.name, taken),
                                             scriptOf(step, variables_), settings.debugTrace));
        }
        if (after) {
            plan_.stages.push_back(std::move(*after));
        }
    }

    void addOutput(const std::string& name) {
        plan_.outputs.push_back(name);
        script_.outputs.push_back(name);
    }

    Result<void> addCollection() {
        std::vector<CollectedEntry> entries;
        std::size_t length = 0;
        script_.outputs = {"log", "status"};
        for (std::size_t i = 0; i < job_.artifacts.size(); ++i) {
            const auto& entry = job_.artifacts[i];
            if (!isCollected(entry)) {
                continue;
            }
            auto plan = planArtifact(job_, entry);
            if (!plan) {
                return plan.error();
            }
            for (const auto* paths : {&plan->paths, &plan->excluded}) {
                for (const auto& path : *paths) {
                    length += path.glob ? path.glob->expression().size() : 0;
                }
            }
            entries.push_back({i, wantsUpload(entry, true), wantsUpload(entry, false), entry,
                               std::move(plan).value()});
            if (entries.size() > kMostArtifacts || length > 2 * kLargestPlan) {
                return permanentError("the artifacts of this job are too many, or their patterns");
            }
            addOutput(tarballName(i));
            if (hasNames(entry)) {
                addOutput(namesName(i));
            }
            warnOfLiterals("artifacts", entry);
        }
        plan_.stages.push_back(collectStage(entries, context_.artifactLimit));
        return {};
    }

    const JobDescription& job_;
    const ScriptContext& context_;
    Variables variables_;
    WrapperPlan plan_;
    JobScript script_;
};

}  // namespace

LogWishes logWishes(const JobDescription& job, const ScriptContext& context) {
    std::vector<std::string> told;  // By makeScript().
    const auto settings = settingsOf(job, context, Variables(job, context), told);
    return {settings.debugTrace, settings.timestamps};
}

std::map<std::string, std::string> variablesNamed(const JobDescription& job,
                                                  const ScriptContext& context,
                                                  std::string_view prefix) {
    std::set<std::string> names;
    for (const auto& variable : job.variables) {
        if (variable.key.starts_with(prefix)) {
            names.insert(variable.key);
        }
    }
    for (const auto& assignment : context.environment) {
        if (assignment.starts_with(prefix)) {
            names.insert(assignment.substr(0, assignment.find('=')));
        }
    }
    std::map<std::string, std::string> values;
    if (!names.empty()) {
        const Variables variables(job, context);
        for (const auto& name : names) {
            values.emplace(name, variables.setting(name));
        }
    }
    return values;
}

Result<JobScript> makeScript(const JobDescription& job, const ScriptContext& context) {
    return Builder(job, context).build();
}

}  // namespace gridbridge::payload
