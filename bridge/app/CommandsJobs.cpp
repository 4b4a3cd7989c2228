#include <algorithm>
#include <ostream>

#include "bridge/app/Commands.h"
#include "bridge/app/ExitCode.h"
#include "bridge/app/JobText.h"
#include "bridge/app/StateLock.h"
#include "bridge/app/Text.h"
#include "bridge/app/TraceFollower.h"

namespace gridbridge::app {

namespace {

/// The state folder: even a configuration with mistakes elsewhere says where it is, and whoever
/// looks for the reason of some trouble must not be stopped by it.
std::filesystem::path stateDirOf(const std::filesystem::path& config, const CommandWorld& world) {
    ConfigReading reading = readConfig(config, world.host);
    std::erase_if(reading.problems, [&](const ConfigProblem& problem) {
        const bool unread = problem.key.empty() && problem.place.file == config;
        return !unread && problem.key != "state_dir";
    });
    if (!reading.problems.empty()) {
        throw ConfigError(std::move(reading.problems));
    }
    return reading.config.stateDir;
}

/// The job's record, or an error told to the user.
std::optional<store::JobRecord> find(store::JobReader& reader, const JobName& job,
                                     const CommandWorld& world) {
    if (!job.key.empty()) {
        auto record = reader.job(job.row);
        if (record && jobKey(reader.installation(), job.row) == job.key) {
            return record;
        }
        world.err << "gridbridge: there is no job " << printable(job.key)
                  << "; gridbridge jobs --all lists them\n";
        return std::nullopt;
    }
    auto chosen = chooseJob(job, reader.byGitlabId(job.id));
    if (!chosen) {
        world.err << "gridbridge: " << printable(chosen.error().message) << '\n';
        return std::nullopt;
    }
    return std::move(chosen).value();
}

/// What is wrong with the name of a backend that neither the configuration nor any job has.
std::string backendFault(const std::filesystem::path& config, const std::string& name,
                         store::JobReader& reader, const CommandWorld& world) {
    if (name.empty()) {
        return "";
    }
    const auto known = readConfig(config, world.host).config;
    if (known.backend(name) != nullptr || !reader.jobs({.all = true, .backend = name}).empty()) {
        return "";
    }
    std::string names;
    for (const auto& backend : known.backends) {
        names += (names.empty() ? "" : ", ") + backend.name;
    }
    return "there is no backend " + name + "; configured are: " + names;
}

/// Writes the request, and waits a little for what a running service makes of it.
int ask(const std::filesystem::path& stateDir, store::Request request, const CommandWorld& world) {
    constexpr std::chrono::seconds kPatience{10};
    constexpr Millis kPause{100};
    request.askedAt = world.clock.wallNow();
    const auto id = store::addRequest(stateDir, request);
    const auto holder = StateLock::holder(stateDir);
    if (holder && !*holder) {
        world.out << "noted; no service runs, it sees to it when it next starts\n";
        return kExitWell;
    }
    store::JobReader reader(stateDir);
    const auto end = world.clock.steadyNow() + kPatience;
    do {
        const auto now = reader.request(id);
        if (now && now->state == store::RequestState::Done) {
            world.out << printable(now->result) << '\n';
            return kExitWell;
        }
        if (now && now->state == store::RequestState::Refused) {
            world.err << "gridbridge: " << printable(now->result) << '\n';
            return kExitFailed;
        }
    } while (world.clock.sleepUntil(world.clock.steadyNow() + kPause, {}) &&
             world.clock.steadyNow() < end);
    world.out << "noted; the service has not seen to it yet\n";
    return kExitWell;
}

}  // namespace

int listJobs(const std::filesystem::path& config, const JobsRequest& request,
             const CommandWorld& world) {
    store::JobReader reader(stateDirOf(config, world));
    const auto jobs = reader.jobs(request.filter);
    if (const auto fault = backendFault(config, request.filter.backend, reader, world);
        !fault.empty()) {
        world.err << "gridbridge: " << printable(fault) << '\n';
        return kExitUsage;
    }
    if (request.json) {
        world.out << jobsJson(jobs);
    } else if (jobs.empty()) {
        world.out << (request.filter.all ? "no jobs\n" : "no open jobs; --all shows ended ones\n");
    } else {
        world.out << jobTable(jobs, reader.installation());
    }
    for (const auto& runner : reader.runners()) {
        if (!runner.health.empty() && runner.health != "ok" && !request.json) {
            world.out << "runner " << printable(runner.name) << ' ' << printable(runner.health)
                      << '\n';
        }
        if (runner.draining && !request.json) {
            world.out << "runner " << printable(runner.name)
                      << " drains: it claims nothing until gridbridge resume " << runner.name
                      << '\n';
        }
    }
    return kExitWell;
}

int showJob(const std::filesystem::path& config, const JobName& job, bool json,
            const CommandWorld& world) {
    store::JobReader reader(stateDirOf(config, world));
    const auto record = find(reader, job, world);
    if (!record) {
        return kExitFailed;
    }
    const JobHistory history{jobKey(reader.installation(), record->row), *record,
                             reader.submissions(record->row), reader.transitions(record->row),
                             reader.requests(record->row)};
    world.out << (json ? jobJson(history) : jobPage(history));
    return kExitWell;
}

int printLog(const std::filesystem::path& config, const JobName& job, bool follow,
             const CommandWorld& world) {
    const auto stateDir = stateDirOf(config, world);
    store::JobReader reader(stateDir);
    const auto record = find(reader, job, world);
    if (!record) {
        return kExitFailed;
    }
    const auto file = stateDir / "traces" / (jobKey(reader.installation(), record->row) + ".log");
    const auto look = [&]() -> TraceExtent {
        if (const auto now = reader.job(record->row)) {
            return {now->traceLength, !follow || now->state == store::State::Done};
        }
        return {record->traceLength, true};
    };
    const auto followed = followTrace(file, look, world.clock, world.out);
    if (!followed) {
        world.err << "gridbridge: " << printable(followed.error().message) << '\n';
        return kExitIo;
    }
    return kExitWell;
}

int cancelJob(const std::filesystem::path& config, const JobName& job, const CommandWorld& world) {
    const auto stateDir = stateDirOf(config, world);
    store::JobReader reader(stateDir);
    const auto record = find(reader, job, world);
    if (!record) {
        return kExitFailed;
    }
    if (record->state == store::State::Done) {
        world.err << "gridbridge: the job had ended already\n";
        return kExitFailed;
    }
    return ask(stateDir, {.kind = store::RequestKind::Cancel, .job = record->row}, world);
}

int drainRunner(const std::filesystem::path& config, const std::string& runner,
                store::RequestKind kind, const CommandWorld& world) {
    const auto stateDir = stateDirOf(config, world);
    std::string names;
    for (const auto& known : readConfig(config, world.host).config.runners) {
        names += (names.empty() ? "" : ", ") + known.name;
        if (known.name == runner) {
            names.clear();
            break;
        }
    }
    if (!runner.empty() && !names.empty()) {
        world.err << "gridbridge: there is no runner " << printable(runner)
                  << "; configured are: " << printable(names) << '\n';
        return kExitFailed;
    }
    return ask(stateDir, {.kind = kind, .runner = runner}, world);
}

}  // namespace gridbridge::app
