#include <algorithm>
#include <ostream>

#include "bridge/app/Commands.h"
#include "bridge/app/ExitCode.h"
#include "bridge/app/JobText.h"
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
    auto chosen = chooseJob(job, reader.byGitlabId(job.id));
    if (!chosen) {
        world.err << "gridbridge: " << printable(chosen.error().message) << '\n';
        return std::nullopt;
    }
    return std::move(chosen).value();
}

}  // namespace

int listJobs(const std::filesystem::path& config, const JobsRequest& request,
             const CommandWorld& world) {
    store::JobReader reader(stateDirOf(config, world));
    const auto jobs = reader.jobs(request.filter);
    if (request.json) {
        world.out << jobsJson(jobs);
    } else if (jobs.empty()) {
        world.out << (request.filter.all ? "no jobs\n" : "no open jobs; --all shows ended ones\n");
    } else {
        world.out << jobTable(jobs);
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
                             reader.submissions(record->row), reader.transitions(record->row)};
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
        for (const auto& now : reader.byGitlabId(job.id)) {
            if (now.row == record->row) {
                return {now.traceLength, !follow || now.state == store::State::Done};
            }
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

}  // namespace gridbridge::app
