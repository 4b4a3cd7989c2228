#include "tests/simulation/Simulation.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <spdlog/sinks/base_sink.h>

#include <algorithm>
#include <cstdio>

#include "bridge/base/CrashPoint.h"
#include "bridge/core/Claimer.h"
#include "bridge/core/Reconciler.h"

namespace gridbridge::simulation {

using namespace std::chrono_literals;

namespace {

constexpr const char* kToken = "glrt-simulated-0000000";
constexpr Millis kLongest = 6h;
constexpr int kControlWorkers = 3;

/// The service's own log, into the story.
class StorySink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
    explicit StorySink(std::function<void(const std::string&)> tell) : tell_(std::move(tell)) {}

protected:
    /// Without what differs between two runs of one seed: request ids.
    void sink_it_(const spdlog::details::log_msg& message) override {
        std::string text(message.payload.begin(), message.payload.end());
        constexpr std::string_view kId = " (request ";
        if (const auto at = text.find(kId); at != std::string::npos) {
            text.erase(at, text.find(')', at) + 1 - at);
        }
        tell_("service: " + text);
    }
    void flush_() override {}

private:
    std::function<void(const std::string&)> tell_;
};

fakegitlab::Options serverOptions(const Plan& plan,
                                  std::function<void(const std::string&)> onEvent) {
    fakegitlab::Options options;
    options.listen = false;
    options.seed = plan.seed;
    options.liveTrace = plan.liveTrace;
    // Twice the time between two heartbeats of a waiting job; twice that where a streak of faults
    // may look like an outage. A call that hangs costs a minute, and until it is over a server that
    // seems away is asked nothing else.
    if (plan.hangs == 0) {
        options.heartbeatLimit = plan.gitlabFaults == 0 ? 120s : 240s;
    }
    // A kill, or a call that hangs, can lose the answer that told the end.
    options.callsAfterEnd = 3 * plan.restarts() + (plan.hangs > 0 ? 6 : 0);
    options.onEvent = std::move(onEvent);
    return options;
}

std::filesystem::path made(const std::filesystem::path& folder) {
    std::filesystem::create_directory(folder);
    return folder;
}

std::size_t rowsIn(const std::filesystem::path& database) {
    SQLite::Database db(database, SQLite::OPEN_READONLY);
    return db.execAndGet("SELECT count(*) FROM job").getUInt();
}

}  // namespace

/// The process, from its start to its kill.
struct Simulation::Life {
    explicit Life(Simulation& world)
        : capacity(1000, {{"pool", 1000}}, {{"batch", 1000}}),
          store(world.stateDir(), world.serviceClock_, world.random_, Millis(0)),
          trace(world.stateDir() / "traces"),
          log("core",
              std::make_shared<StorySink>([&world](const std::string& line) { world.tell(line); })),
          markers(world.folders_,
                  [&world](folder::JobFolders& real, const folder::FolderRef& folder) {
                      world.serviceClock_.pause(world.dice_.time(1ms, 200ms));
                      auto marked = world.bug_->taken(folder, real.mark(folder));
                      world.tell("service: asks for the start marker of " + folder.key.value);
                      world.serviceClock_.pause(world.dice_.time(1ms, 200ms));
                      return marked;
                  }),
          nodes(world.folders_,
                [&world](folder::JobFolders& real, const folder::FolderRef& folder) {
                    auto& truth = world.truths_.at(folder.key);
                    const auto free = truth.starts == 0 ? folder::MarkOutcome::Taken
                                                        : folder::MarkOutcome::AlreadyStarted;
                    auto marked = world.bug_->marked(world.plan_.apart ? free : real.begin(folder));
                    if (marked.ok() && *marked == folder::MarkOutcome::Taken) {
                        ++truth.starts;
                        truth.startedAt = world.time_.wallNow();
                        world.tell("cluster: the script of " + folder.key.value + " starts");
                    }
                    return marked;
                }),
          cluster({world.workDir(), world.plan_.slots, world.plan_.seed, world.plan_.backendFaults},
                  nodes, world.clusterClock_, world.workload_),
          backend(cluster, world.serviceClock_, world.dice_, world.truths_, world.plan_,
                  *world.bug_),
          api(world.network_, world.serviceClock_) {
        core::Policy policy;
        policy.capabilities = backend.capabilities();
        policy.backendName = "batch";
        policy.backendType = "simulated";
        policy.installation = store.installation().id;
        places.backends["batch"] = std::unique_ptr<core::BackendEntry>(
            new core::BackendEntry{"batch", backend, markers, policy, reads, effects});
        const gitlab::RunnerIdentity identity{
            Secret(kToken),
            "s_0123456789ab",
            {"variables", "refspecs", "masking", "raw_variables", "multi_build_steps",
             "return_exit_code", "trace_reset", "trace_checksum", "trace_size", "cancelable",
             "cancel_gracefully"},
            "simulated"};
        places.runners["pool"] = std::unique_ptr<core::RunnerEntry>(new core::RunnerEntry{
            "pool", world.gitlab_.url(), api, core::Identity(identity), "batch", "pool", ""});
        reconciler = std::make_unique<core::Reconciler>(
            world.serviceClock_, store, places, answers, trace, capacity, log,
            [&world](const auto&... about) { return world.bug_->decide(about...); });
        claimer =
            std::make_unique<core::Claimer>(world.serviceClock_, store, *places.runners.at("pool"),
                                            capacity, answers, log, interval);
        actors = std::make_unique<Actors>(world.time_);
        world.serviceClock_.use(*actors);
        world.clusterClock_.use(*actors);
        hire(control, kControlWorkers);
        for (auto* lane : {&files, &reads, &effects}) {
            hire(*lane, 1);
        }
        claims = actors->add();
        actors->assign(claims, [this, &clock = world.serviceClock_] {
            for (;;) {
                clock.pause(claimer->step(stop.get_token()));
            }
        });
    }

    void hire(Lane& lane, int width) {
        for (int i = 0; i < width; ++i) {
            workers.emplace_back(actors->add(), &lane);
        }
    }
    /// Gives waiting tasks to idle workers.
    void distribute() {
        for (const auto& [id, lane] : workers) {
            if (!actors->idle(id)) {
                continue;
            }
            if (auto task = lane->takeNext()) {
                actors->assign(id, [this, task = std::move(*task)] { task(stop.get_token()); });
            }
        }
    }

    static void defect(const std::string& text) { throw std::logic_error(text); }

    std::stop_source stop;
    core::Answers answers;
    core::Capacity capacity;
    store::JobStore store;
    core::Trace trace;
    spdlog::logger log;
    MarkedFolders markers;
    MarkedFolders nodes;
    SimulatedBackend cluster;
    DistantBackend backend;
    gitlab::HttpRunnerApi api;
    Lane control{"control", 0, &defect};
    Lane files{"files", 0, &defect};
    Lane reads{"reads", 0, &defect};
    Lane effects{"effects", 0, &defect};
    core::World places{{}, {}, control, files, files, "host", "0.0", "/nowhere"};
    const std::atomic<Millis> interval{Millis(3000)};
    std::unique_ptr<core::Reconciler> reconciler;
    std::unique_ptr<core::Claimer> claimer;
    SteadyTime coreAt = {};
    Actors::Id claims = 0;
    std::vector<std::pair<Actors::Id, Lane*>> workers;
    /// First to go: they use everything else.
    std::unique_ptr<Actors> actors;
};

Simulation::Simulation(Plan plan, std::unique_ptr<Defect> bug)
    : plan_(std::move(plan)),
      bug_(std::move(bug)),
      dice_(plan_.seed + 1),
      random_(plan_.seed),
      gitlab_(time_, serverOptions(plan_, [this](const auto& line) { tell("gitlab: " + line); })),
      network_(gitlab_, serviceClock_, dice_, plan_.hangs, *bug_),
      workload_(std::make_shared<PlannedWorkload>(truths_, gitlab_, ids_)),
      folders_(made(folder_.path() / "work")),
      beginAt_(time_.steadyNow()) {
    std::filesystem::create_directory(stateDir());
    std::filesystem::permissions(stateDir(), std::filesystem::perms::owner_all);
    gitlab_.addRunner(kToken);
    gitlab_.setFaults(plan_.seed, plan_.gitlabFaults);
    tell("the plan: jobs=" + std::to_string(plan_.jobs.size()) + " slots=" +
         std::to_string(plan_.slots) + " faults of gitlab=" + std::to_string(plan_.gitlabFaults) +
         ", of the network=" + std::to_string(plan_.hangs) + ", of the cluster=" +
         std::to_string(plan_.backendFaults) + (plan_.apart ? ", which sees no folder" : ""));
}

Simulation::~Simulation() = default;

Millis Simulation::elapsed() const {
    return std::chrono::floor<Millis>(time_.steadyNow() - start_);
}

void Simulation::tell(const std::string& line) {
    const auto now = elapsed();
    char stamp[32];
    std::snprintf(stamp, sizeof stamp, "%3ld:%02ld.%03ld ", long(now / 1min), long(now % 1min / 1s),
                  long((now % 1s).count()));
    story_.push_back(stamp + line);
    const auto folder = folder_.path().string();
    auto& text = story_.back();
    for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder)) {
        text.replace(at, folder.size(), "DIR");
    }
}

std::map<std::string, std::int64_t> Simulation::strikes() const {
    auto all = happened_;
    for (const auto& [kind, count] : gitlab_.faults()) {
        all["gitlab " + std::string(nameOf(kind))] += static_cast<std::int64_t>(count);
    }
    all["network call-hangs"] += network_.hung();
    return all;
}

std::vector<std::string> Simulation::leftovers() {
    std::set<std::string> keys;
    for (const auto& key : life_->cluster.jobs()) {
        keys.insert(key.value);
    }
    for (const auto& entry : std::filesystem::directory_iterator(workDir())) {
        if (entry.is_directory()) {
            keys.insert(entry.path().filename());
        }
    }
    return {keys.begin(), keys.end()};
}

std::vector<Finding> Simulation::run() {
    onCrashPoint([this](std::string_view name) { passPoint(name); });
    while (turn()) {
    }
    onCrashPoint({});
    for (const auto& [name, count] : life_ ? life_->cluster.strikes() : happened_) {
        happened_["cluster " + name] += count;
    }
    auto findings = check(*this);
    for (const auto& finding : findings) {
        tell("VIOLATED " + finding.invariant + ": " + finding.what);
    }
    return findings;
}

/// One thing happens. False = nothing will any more.
bool Simulation::turn() {
    if (!life_ && time_.steadyNow() >= beginAt_) {
        startService();
    }
    while (eventsDone_ < plan_.events.size() && plan_.events[eventsDone_].at <= elapsed()) {
        happen(plan_.events[eventsDone_++]);
    }
    for (std::size_t i = 0; i < later_.size();) {
        if (later_[i].first > time_.steadyNow()) {
            ++i;
            continue;
        }
        const auto action = std::move(later_[i].second);
        later_.erase(later_.begin() + static_cast<std::ptrdiff_t>(i));
        action();
    }
    for (const auto& job : plan_.jobs) {
        if (!offered(job) && job.at <= elapsed()) {
            interfere(job);
        }
    }
    if (!calm_ && elapsed() >= plan_.chaos) {
        calmDown();
    }
    if (over() || elapsed() > kLongest) {
        return false;
    }
    try {
        act();
    } catch (const Killed&) {
        end(pause_);
    }
    return true;
}

void Simulation::startService() {
    try {
        const auto database = stateDir() / "gridbridge.db";
        if (!person_ && std::filesystem::exists(database)) {
            bug_->restarted(database);
        }
        life_ = std::make_unique<Life>(*this);
        tell("the service starts");
    } catch (const store::StoreError& error) {
        if (error.kind != store::StoreError::Kind::Busy) {
            throw;
        }
        tell("the service cannot start yet: " + std::string(error.what()));
        beginAt_ = time_.steadyNow() + 1s;
    }
}

void Simulation::end(Millis pause) {
    if (life_) {
        tell("the service is killed");
        life_.reset();
        // Only before its commit, for which a locked database lets it wait, may a claim be lost.
        const bool mayLose = person_ || diedAt_ == "received-uncommitted";
        if (mayLose && rowsIn(stateDir() / "gridbridge.db") < network_.claims().size()) {
            tell("the claim in hand is lost");
            network_.loseLastClaim();
        }
        beginAt_ = time_.steadyNow() + pause;
        diedAt_.clear();
    }
}

void Simulation::passPoint(std::string_view name) {
    const auto kill = std::find_if(kills_.begin(), kills_.end(), [&](auto& planned) {
        return planned.crashPoint == name && --planned.visit == 0;
    });
    if (kill != kills_.end()) {
        diedAt_ = name;
        pause_ = kill->howLong;
        kills_.erase(kill);
        ++happened_["kill at " + diedAt_];
        tell("the service comes to " + diedAt_);
        throw Killed{};
    }
}

/// Somebody who can do something does it, whoever the dice say; else time
/// passes.
void Simulation::act() {
    if (!life_) {
        pass();
        return;
    }
    life_->distribute();
    auto ready = life_->actors->ready();
    const bool core = life_->coreAt <= time_.steadyNow();
    const auto choices = static_cast<std::int64_t>(ready.size()) + (core ? 1 : 0);
    if (choices == 0) {
        pass();
        return;
    }
    const auto pick = static_cast<std::size_t>(dice_.between(0, choices - 1));
    if (pick < ready.size()) {
        const bool done = life_->actors->resume(ready[pick]);
        if (done || ready[pick] == life_->claims) {
            life_->coreAt = time_.steadyNow();
        }
        return;
    }
    stepCore();
}

void Simulation::stepCore() {
    try {
        life_->coreAt = life_->reconciler->step();
    } catch (const store::StoreError& error) {
        if (error.kind != store::StoreError::Kind::Busy) {
            throw;
        }
        life_->coreAt = time_.steadyNow() + 1s;
    }
}

SteadyTime Simulation::next() const {
    auto at = start_ + kLongest + 1s;
    const auto consider = [&at](SteadyTime other) { at = std::min(at, other); };
    if (eventsDone_ < plan_.events.size()) {
        consider(start_ + plan_.events[eventsDone_].at);
    }
    for (const auto& [when, action] : later_) {
        consider(when);
    }
    for (const auto& job : plan_.jobs) {
        if (!offered(job)) {
            consider(start_ + job.at);
        }
    }
    if (!calm_) {
        consider(start_ + plan_.chaos);
    }
    if (!life_) {
        consider(beginAt_);
        return at;
    }
    consider(life_->coreAt);
    consider(life_->actors->nextWake().value_or(at));
    return at;
}

void Simulation::pass() {
    const auto wait = std::chrono::ceil<Millis>(next() - time_.steadyNow());
    time_.advance(std::max(wait, Millis(1)));
}

bool Simulation::over() {
    if (!calm_ || !life_ || time_.steadyNow() < lookAt_ || ids_.size() < plan_.jobs.size() ||
        !later_.empty()) {
        return false;
    }
    lookAt_ = time_.steadyNow() + 30s;
    if (!life_->store.open().empty() || !leftovers().empty()) {
        return false;
    }
    for (const auto& [name, id] : ids_) {
        // What became of a claim that nobody got is GitLab's own affair.
        const bool ours =
            gitlab_.status(id) == fakegitlab::Status::Pending || network_.claims().count(id) > 0;
        if (ours && !isEnded(gitlab_.status(id)) && !gitlab_.job(id).erased) {
            return false;
        }
    }
    atRest_ = true;
    return true;
}

}  // namespace gridbridge::simulation
