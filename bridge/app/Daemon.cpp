#include "bridge/app/Daemon.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <ctime>
#include <fstream>
#include <random>
#include <stdexcept>
#include <thread>
#include <unistd.h>

#include "bridge/app/Agent.h"
#include "bridge/app/Backends.h"
#include "bridge/app/ExitCode.h"
#include "bridge/app/GitLabAccess.h"
#include "bridge/app/Log.h"
#include "bridge/app/OpenJobs.h"
#include "bridge/app/Reload.h"
#include "bridge/app/ServiceManager.h"
#include "bridge/app/StateFolder.h"
#include "bridge/base/Process.h"
#include "bridge/base/Random.h"
#include "bridge/core/Claimer.h"
#include "bridge/core/Housekeeper.h"
#include "bridge/core/Reconciler.h"
#include "bridge/core/StateDisk.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::app {

namespace {

constexpr int kControlWidth = 8;
constexpr int kFilesWidth = 4;
constexpr int kBulkWidth = 4;
constexpr Millis kStoreRetry{1000};
/// So soon the core sees what a command has asked for.
constexpr Millis kLongestSleep{1000};
constexpr Millis kAskLimit{30000};
constexpr std::string_view kVersion = GRIDBRIDGE_VERSION;

std::string hostName() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

struct BackendParts {
    std::unique_ptr<folder::AgentFolders> folders;
    std::unique_ptr<Backend> backend;
};

struct RunnerParts {
    std::unique_ptr<http::Transport> transport;
    std::unique_ptr<gitlab::HttpRunnerApi> api;
    std::unique_ptr<gitlab::HttpTokenApi> tokens;
    std::unique_ptr<core::TokenRotation> rotation;
};

/// Everything that runs, in the order in which it depends on each other.
class Daemon {
public:
    Daemon(const Config& config, Log& log, Random& random)
        : config_(config),
          pace_(config.checkInterval),
          logs_(log),
          log_(log.named("core")),
          claimLog_(log.named("claim")),
          store_(config.stateDir, clock_, random),
          trace_(config.stateDir / "traces"),
          control_(std::make_unique<Lane>("gitlab", kControlWidth, defect())),
          files_(std::make_unique<Lane>("files", kFilesWidth, defect())),
          bulk_(std::make_unique<Lane>("bulk", kBulkWidth, defect())),
          world_{{},
                 {},
                 *control_,
                 *files_,
                 *bulk_,
                 hostName(),
                 std::string(kVersion),
                 config.stateDir},
          housekeeper_(clock_, store_, trace_, *log_, config.retention),
          capacity_(config.concurrent, runnerLimits(config), backendLimits(config)),
          disk_(
              clock_, capacity_, *log_, [folder = config.stateDir] { return freeSpace(folder); },
              config.minFreeSpace) {
        disk_.step();  // Before anything is claimed.
        if (auto problems = openJobProblems(config, store_.load(store_.open()));
            !problems.empty()) {
            throw ConfigError(std::move(problems));
        }
        for (const auto& backend : config.backends) {
            add(backend);
        }
        for (const auto& runner : config.runners) {
            add(runner, *config.backend(runner.backend));
        }
        reconciler_ = std::make_unique<core::Reconciler>(clock_, store_, world_, answers_, trace_,
                                                         capacity_, *log_);
    }
    ~Daemon() {
        if (core_.joinable()) {
            core_.request_stop();
            core_.join();
        }
        for (auto& each : claimers_) {
            each.request_stop();
        }
        claimers_.clear();
        // Calls under way end, or reach their deadline; only then may go what they use.
        lanes_.clear();
        bulk_.reset();
        files_.reset();
        control_.reset();
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Starts core and claimers; returns the exit code once a signal has come.
    int run(const sigset_t& signals, const CommandWorld::Reread& reread) {
        log_->info("started installation={} runners={} backends={}", store_.installation().id,
                   world_.runners.size(), world_.backends.size());
        for (const auto& runner : config_.runners) {
            startClaiming(runner);
        }
        core_ =
            std::jthread([this](std::stop_token stop) { guarded("core", [&] { core(stop); }); });
        manager_.ready();
        for (int signal = SIGHUP; signal == SIGHUP;) {
            ::sigwait(&signals, &signal);
            if (signal == SIGHUP) {
                reload(reread);
            }
        }
        manager_.stopping();
        log_->info("stopping; jobs go on in the batch system");
        return exitCode_;
    }

private:
    std::function<void(const std::string&)> defect() {
        return
            [this](const std::string& text) { log_->error("defect in a call error=\"{}\"", text); };
    }

    static std::map<std::string, int> runnerLimits(const Config& config) {
        std::map<std::string, int> limits;
        for (const auto& runner : config.runners) {
            limits[runner.name] = runner.limit;
        }
        return limits;
    }
    static std::map<std::string, int> backendLimits(const Config& config) {
        std::map<std::string, int> limits;
        for (const auto& backend : config.backends) {
            limits[backend.name] = backend.maxPending;
        }
        return limits;
    }

    Lane& lane(const std::string& name) {
        lanes_.push_back(std::make_unique<Lane>(name, 1, defect()));
        return *lanes_.back();
    }

    /// What a reload may change.
    static void change(core::BackendEntry& entry, const BackendConfig& backend) {
        entry.resources = backend.resources;
        entry.site = backend.site;
        auto& policy = entry.policy;
        policy.poll = backend.pollInterval;
        policy.pendingLimit = backend.pendingLimit;
        policy.minimumRunTime = backend.minimumRunTime;
        policy.infrastructureRetries = backend.infrastructureRetries;
    }

    void add(const BackendConfig& backend) {
        auto& parts = backends_[backend.name];
        parts.folders = foldersOf(backend, clock_);
        parts.backend = make(backend, *parts.folders);
        core::Policy policy;
        policy.capabilities = parts.backend->capabilities();
        policy.backendName = backend.name;
        policy.backendType = backend.type;
        policy.installation = store_.installation().id;
        world_.backends[backend.name] = std::unique_ptr<core::BackendEntry>(
            new core::BackendEntry{backend.name, *parts.backend, *parts.folders, policy,
                                   lane("read." + backend.name), lane("do." + backend.name)});
        auto& entry = *world_.backends[backend.name];
        entry.runAs = backend.runAs;
        entry.container = backend.container;
        if (entry.policy.capabilities.filesByCollect) {
            entry.fetches = &lane("fetch." + backend.name);
        }
        change(entry, backend);
    }

    std::unique_ptr<Backend> make(const BackendConfig& backend, folder::JobFolders& folders) {
        return backendType(backend.type)
            .make(backend, {.folders = folders,
                            .processes = processes_,
                            .clock = clock_,
                            .account = backend.runAs.usual,
                            .node = hostName(),
                            .tell =
                                [this, name = backend.name](const std::string& what) {
                                    log_->warn("backend {}: {}", name, what);
                                },
                            .listens = true,
                            .minFreeSpace = config_.minFreeSpace,
                            .changed = core::changeListener(answers_)});
    }

    void add(const RunnerConfig& runner, const BackendConfig& backend) {
        auto& parts = runners_[runner.name];
        parts.transport = transportTo(runner, clock_);
        parts.api = std::make_unique<gitlab::HttpRunnerApi>(*parts.transport, clock_);
        const gitlab::RunnerIdentity identity{runner.token, systemId(store_.installation()),
                                              features(runner), backend.type};
        store_.saveRunner({runner.name, runner.url, {}, identity.systemId, {}, "ok"});
        std::string ca;
        if (!runner.tls.ca.empty()) {
            std::ifstream in(runner.tls.ca);
            ca.assign(std::istreambuf_iterator<char>(in), {});
        }
        world_.runners[runner.name] = std::unique_ptr<core::RunnerEntry>(
            new core::RunnerEntry{runner.name, runner.url, *parts.api, core::Identity(identity),
                                  runner.backend, runner.name, ca});
        auto& entry = *world_.runners[runner.name];
        change(entry, runner);
        parts.tokens = std::make_unique<gitlab::HttpTokenApi>(*parts.transport);
        parts.rotation = std::make_unique<core::TokenRotation>(clock_, store_, entry, *parts.tokens,
                                                               *claimLog_, runner.token);
    }

    /// What may change while the service runs; see planReload().
    static void change(core::RunnerEntry& entry, const RunnerConfig& runner) {
        entry.access = runner.access;
        entry.outputLimit = runner.outputLimitKib * 1024;
        entry.artifactLimit = runner.artifactLimit;
        entry.environment = runner.environment;
        entry.debugTraceDisabled = runner.debugTraceDisabled;
        entry.cache = {runner.cacheDir.string(), {}, runner.cacheLimit, runner.cacheAge};
        entry.allowedImages = runner.allowedImages;
        entry.imageIgnored = runner.imageIgnored;
    }

    /// Main thread.
    void reload(const CommandWorld::Reread& reread) {
        manager_.reloading();
        try {
            auto plan = planReload(config_, reread());
            for (const auto& line : plan.later) {
                log_->warn("{}", line);
            }
            config_ = plan.config;
            logs_.setLevel(config_.logLevel);
            pace_ = config_.checkInterval;
            answers_.post(
                {JobRow{}, 0, [this, next = std::move(plan.config)](core::Facts&, core::Live&) {
                     changeTo(next);
                 }});
        } catch (const ConfigError& error) {
            log_->error("the configuration stays as it was, the new one has mistakes");
            for (const auto& problem : error.problems) {
                log_->error("{}", problem.sentence());
            }
        }
        manager_.ready();
    }

    /// Core thread.
    void changeTo(const Config& next) {
        capacity_.limit(next.concurrent, runnerLimits(next), backendLimits(next));
        for (const auto& backend : next.backends) {
            const auto known = world_.backends.find(backend.name);
            if (known != world_.backends.end()) {
                change(*known->second, backend);
            } else {
                added("backends." + backend.name, [&] { add(backend); });
            }
        }
        for (const auto& runner : next.runners) {
            const auto known = world_.runners.find(runner.name);
            if (known != world_.runners.end()) {
                change(*known->second, runner);
                runners_.at(runner.name).rotation->configure(runner.token);
            } else if (world_.backends.count(runner.backend) > 0) {
                added("runners." + runner.name, [&] {
                    add(runner, *next.backend(runner.backend));
                    startClaiming(runner);
                });
            }
        }
        housekeeper_.keepFor(next.retention);
        disk_.keep(next.minFreeSpace);
        reconciler_->accessChanged();
        log_->info("configuration read again runners={} backends={}", world_.runners.size(),
                   world_.backends.size());
    }

    template <typename Body>
    void added(const std::string& section, Body body) {
        try {
            body();
        } catch (const std::exception& e) {
            log_->error("{} cannot begin, restart the service error=\"{}\"", section, e.what());
        }
    }

    /// Before the core begins, then in its thread.
    void startClaiming(const RunnerConfig& runner) {
        claimers_.emplace_back(
            [this, runner, &entry = *world_.runners.at(runner.name),
             &rotation = *runners_.at(runner.name).rotation](std::stop_token stop) {
                guarded("claim", [&] { claim(runner, entry, rotation, stop); });
            });
    }

    void core(std::stop_token stop) {
        core::Outage trouble;
        while (!stop.stop_requested()) {
            SteadyTime next = disk_.step();
            try {
                next = std::min({next, reconciler_->step(), housekeeper_.step()});
                trouble.worked(clock_.steadyNow());
            } catch (const store::StoreError& e) {
                if (!e.passes()) {
                    throw;
                }
                if (trouble.failed(clock_.steadyNow())) {
                    log_->error("the database is not available, trying again error=\"{}\"",
                                e.what());
                }
                next = clock_.steadyNow() + kStoreRetry;
                clock_.sleepUntil(next, stop);
            }
            manager_.alive();
            answers_.waitUntil(std::min(next, clock_.steadyNow() + kLongestSleep), stop);
        }
    }

    void claim(const RunnerConfig& config, const core::RunnerEntry& runner,
               core::TokenRotation& rotation, std::stop_token stop) {
        // The features must reach GitLab with the first contact: it keeps them (protocol 1.3).
        const auto verified =
            runner.api.verify({clock_.steadyNow() + kAskLimit, stop}, runner.identity.get());
        if (verified.outcome == gitlab::VerifyOutcome::Invalid && !rotation.unanswered()) {
            claimLog_->error("{}", tokenRefused(config, verified.message).sentence());
        }
        rotation.learn(verified);
        core::Claimer claimer(clock_, store_, runner, capacity_, answers_, *claimLog_, pace_);
        claimer.heard(verified);
        claimer.run(rotation, stop);
    }

    /// What escapes a thread ends the service: nothing can be promised without that thread.
    template <typename Body>
    void guarded(const char* what, Body body) {
        try {
            body();
        } catch (const store::StoreError& e) {
            fail(what, e.what(), exitCodeOf(e.kind));
        } catch (const std::exception& e) {
            fail(what, e.what(), kExitFailed);
        }
    }
    void fail(const char* what, const char* why, int code) {
        log_->critical("{} cannot go on error=\"{}\"", what, why);
        exitCode_ = code;
        ::kill(::getpid(), SIGTERM);
    }

    Config config_;  ///< Main thread.
    std::atomic<Millis> pace_;
    SystemClock clock_;
    PosixProcessRunner processes_{clock_};
    ServiceManager manager_{clock_};
    Log& logs_;
    std::shared_ptr<spdlog::logger> log_;
    std::shared_ptr<spdlog::logger> claimLog_;
    store::JobStore store_;
    core::Trace trace_;
    core::Answers answers_;
    std::map<std::string, RunnerParts> runners_;
    std::map<std::string, BackendParts> backends_;
    std::unique_ptr<Lane> control_;
    std::unique_ptr<Lane> files_;
    std::unique_ptr<Lane> bulk_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    core::World world_;
    core::Housekeeper housekeeper_;
    core::Capacity capacity_;
    core::StateDisk disk_;
    std::unique_ptr<core::Reconciler> reconciler_;
    std::atomic<int> exitCode_{0};
    std::jthread core_;
    std::vector<std::jthread> claimers_;
};

/// Somebody's lock on the database is waited for, as it is later on; nullptr when a signal to stop
/// came first.
std::unique_ptr<Daemon> started(const Config& config, Log& log, Random& random,
                                const sigset_t& signals) {
    for (;;) {
        try {
            return std::make_unique<Daemon>(config, log, random);
        } catch (const store::StoreError& e) {
            if (e.kind != store::StoreError::Kind::Busy) {
                throw;
            }
            log.named("app")->critical("cannot start yet, trying again error=\"{}\"", e.what());
        }
        const timespec pause{1, 0};
        const int signal = ::sigtimedwait(&signals, nullptr, &pause);
        if (signal == SIGTERM || signal == SIGINT) {
            return nullptr;
        }
    }
}

}  // namespace

int runDaemon(const Config& config, const CommandWorld::Reread& reread) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        sigaddset(&signals, signal);
    }
    Log log(config.logLevel);
    Random random(std::random_device{}());
    try {
        auto daemon = started(config, log, random, signals);
        return daemon ? daemon->run(signals, reread) : kExitWell;
    } catch (const store::StoreError&) {
        throw;
    } catch (const ConfigError&) {
        throw;
    } catch (const std::invalid_argument& e) {
        // Only the way to a server is found unusable so late: a proxy of the environment.
        log.named("app")->critical("cannot start error=\"{}\"", e.what());
        return kExitConfiguration;
    } catch (const std::exception& e) {
        log.named("app")->critical("cannot start error=\"{}\"", e.what());
        return kExitFailed;
    }
}

}  // namespace gridbridge::app
