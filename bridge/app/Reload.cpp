#include "bridge/app/Reload.h"

#include <algorithm>
#include <set>

#include "bridge/app/Backends.h"
#include "bridge/app/ConfigCache.h"

namespace gridbridge::app {

namespace {

template <typename Section>
const Section* find(const std::vector<Section>& sections, const std::string& name) {
    const auto found = std::find_if(sections.begin(), sections.end(),
                                    [&](const Section& each) { return each.name == name; });
    return found == sections.end() ? nullptr : &*found;
}

class Plan {
public:
    Plan(const Config& now, const Config& next) : now_(now), next_(next), reload_{now, {}} {}

    Reload make() {
        auto& config = reload_.config;
        keep("state_dir", now_.stateDir, next_.stateDir);
        config.concurrent = next_.concurrent;
        config.checkInterval = next_.checkInterval;
        config.logLevel = next_.logLevel;
        config.retention = next_.retention;
        config.minFreeSpace = next_.minFreeSpace;
        for (auto& backend : config.backends) {
            change(backend, find(next_.backends, backend.name));
        }
        for (auto& runner : config.runners) {
            change(runner, find(next_.runners, runner.name));
        }
        addNew(config.backends, next_.backends);
        addNew(config.runners, next_.runners);
        for (auto& runner : config.runners) {
            if (const auto* backend = config.backend(runner.backend)) {
                takeAbilities(runner, *backend);
            }
        }
        closeCaches(config);
        return std::move(reload_);
    }

private:
    template <typename Value>
    void keep(const std::string& key, const Value& now, const Value& next) {
        if (!(now == next)) {
            later(key);
        }
    }
    void later(const std::string& key) {
        reload_.later.push_back(key + " changes when the service is started again");
    }

    /// What each type has of its own; a key that several have is told once.
    void keepOfTypes(const std::string& section, const BackendConfig& now,
                     const BackendConfig& next) {
        std::set<std::string_view> told;
        for (const BackendType& type : backendTypes()) {
            const auto changes = type.changes != nullptr ? type.changes(now, next) : KeyChanges();
            for (const auto& [key, isChanged] : changes) {
                if (isChanged && told.insert(key).second) {
                    later(section + std::string(key));
                }
            }
        }
    }

    /// GitLab is told once whether a runner has containers.
    void keepContainer(const std::string& section, const payload::ContainerCommands& now,
                       const payload::ContainerCommands& next) {
        keep(section + ".container_command", now.run, next.run);
        keep(section + ".container_pull", now.pull, next.pull);
        keep(section + ".container_stop", now.stop, next.stop);
        keep(section + ".container_binds", now.binds, next.binds);
    }

    void change(BackendConfig& backend, const BackendConfig* next) {
        const std::string section = "backends." + backend.name;
        if (next == nullptr) {
            reload_.later.push_back(section + " goes when the service is started again");
            return;
        }
        keep(section + ".type", backend.type, next->type);
        keep(section + ".work_dir", backend.workDir, next->workDir);
        keep(section + ".slots", backend.slots, next->slots);
        keep(section + ".run_as", backend.runAs.usual, next->runAs.usual);
        keep(section + ".project_run_as", backend.runAs.projects, next->runAs.projects);
        keep(section + ".trusted_jobs", backend.trustedJobs, next->trustedJobs);
        keepContainer(section, backend.container, next->container);
        keepOfTypes(section, backend, *next);
        backend.pollInterval = next->pollInterval;
        backend.maxPending = next->maxPending;
        backend.pendingLimit = next->pendingLimit;
        backend.minimumRunTime = next->minimumRunTime;
        backend.infrastructureRetries = next->infrastructureRetries;
        changeSite(section, backend, next->site);
        // What the batch system can be asked for is a matter of its type and commands.
        const auto used = std::move(backend.resources.used);
        backend.resources = next->resources;
        backend.resources.used = used;
    }

    /// A home of the project needs a folder that the nodes see, and that waits for the restart.
    void changeSite(const std::string& section, BackendConfig& backend, payload::Site next) {
        if (next.home == payload::Site::Home::Project && !backend.sharesFolder()) {
            next.home = backend.site.home;
            later(section + ".home");
        }
        backend.site = std::move(next);
    }

    void change(RunnerConfig& runner, const RunnerConfig* next) {
        const std::string section = "runners." + runner.name;
        if (next == nullptr) {
            runner.limit = 0;
            reload_.later.push_back(section +
                                    " claims nothing any more, and goes when the service is "
                                    "started again");
            return;
        }
        keep(section + ".url", runner.url, next->url);
        if (runner.url == next->url) {
            runner.token = next->token;
            runner.tokenKey = next->tokenKey;
            runner.tokenPlace = next->tokenPlace;
            runner.tokenFile = next->tokenFile;
        } else {
            keep(next->tokenKey, runner.token, next->token);  // It is for another server.
        }
        keep(section + ".backend", runner.backend, next->backend);
        keep(section + ".cache_dir", runner.cacheDir, next->cacheDir);
        keep(section + ".tls_ca_file", runner.tls.ca, next->tls.ca);
        keep(section + ".tls_cert_file", runner.tls.cert, next->tls.cert);
        keep(section + ".tls_key_file", runner.tls.key, next->tls.key);
        runner.limit = next->limit;
        runner.outputLimitKib = next->outputLimitKib;
        runner.artifactLimit = next->artifactLimit;
        runner.environment = next->environment;
        runner.debugTraceDisabled = next->debugTraceDisabled;
        runner.allowedImages = next->allowedImages;
        runner.imageIgnored = next->imageIgnored;
        runner.access = next->access;
        runner.cacheLimit = next->cacheLimit;
        runner.cacheAge = next->cacheAge;
    }

    /// Who may run a job changes at once, as whom it runs later.
    void closeCaches(Config& config) {
        for (auto& runner : config.runners) {
            const auto account = sharedAccount(config, runner);
            if (!account.empty()) {
                runner.cacheDir.clear();
                reload_.later.push_back("runners." + runner.name +
                                        " keeps no caches until the service is started again: "
                                        "jobs of several projects run as the account " +
                                        account);
            }
        }
    }

    template <typename Section>
    static void addNew(std::vector<Section>& sections, const std::vector<Section>& next) {
        for (const auto& section : next) {
            if (find(sections, section.name) == nullptr) {
                sections.push_back(section);
            }
        }
    }

    const Config& now_;
    const Config& next_;
    Reload reload_;
};

}  // namespace

Reload planReload(const Config& now, const Config& next) {
    return Plan(now, next).make();
}

}  // namespace gridbridge::app
