#include <algorithm>
#include <charconv>
#include <fstream>
#include <ostream>

#include "bridge/app/Commands.h"
#include "bridge/app/ExitCode.h"
#include "bridge/app/JobText.h"
#include "bridge/app/Text.h"

namespace gridbridge::app {

namespace {

constexpr std::chrono::seconds kFollowInterval{1};
constexpr std::size_t kPiece = 64 * 1024;

/// The state folder: even a configuration with mistakes elsewhere says where it is, and whoever
/// looks for the reason of some trouble must not be stopped by it.
std::filesystem::path stateDirOf(const std::filesystem::path& config, const CommandWorld& world) {
    const ConfigReading reading = readConfig(config, world.host);
    if (!reading.places.contains("state_dir") && !reading.problems.empty()) {
        throw ConfigError(reading.problems);
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

/// Copies bytes [from, to) of a trace that may be shorter; gives where it stopped, or nothing
/// when the file cannot be read.
std::optional<std::int64_t> copyTrace(const std::filesystem::path& file, std::int64_t from,
                                      std::int64_t to, std::ostream& out) {
    std::ifstream in(file, std::ios::binary);
    in.seekg(from);
    if (!in) {
        return std::nullopt;
    }
    std::string piece(kPiece, '\0');
    while (from < to) {
        const auto wanted = std::min(to - from, static_cast<std::int64_t>(piece.size()));
        in.read(piece.data(), wanted);
        out.write(piece.data(), in.gcount());
        from += in.gcount();
        if (in.gcount() < wanted) {
            break;
        }
    }
    out.flush();
    return from;
}

}  // namespace

std::optional<JobName> parseJobName(const std::string& text) {
    JobName name;
    const auto slash = text.rfind('/');
    const bool hasRunner = slash != std::string::npos;
    if (hasRunner) {
        name.runner = text.substr(0, slash);
    }
    const std::string id = hasRunner ? text.substr(slash + 1) : text;
    const char* const end = id.data() + id.size();
    const auto [rest, error] = std::from_chars(id.data(), end, name.id);
    if (error != std::errc() || rest != end || name.id <= 0 || (hasRunner && slash == 0)) {
        return std::nullopt;
    }
    return name;
}

Result<store::JobRecord> chooseJob(const JobName& job, std::vector<store::JobRecord> candidates) {
    const std::string id = std::to_string(job.id);
    std::erase_if(candidates, [&](const auto& candidate) {
        return !job.runner.empty() && candidate.runner != job.runner;
    });
    if (candidates.empty()) {
        return permanentError("there is no job " +
                              (job.runner.empty() ? id : job.runner + "/" + id) +
                              "; gridbridge jobs --all lists them");
    }
    std::sort(candidates.begin(), candidates.end(),
              [](const auto& a, const auto& b) { return a.row > b.row; });
    std::string names;
    for (const auto& candidate : candidates) {
        if (candidate.runner != candidates.front().runner) {
            names += " or " + candidate.runner + "/" + id;
        }
    }
    if (!names.empty()) {
        return permanentError("several servers have a job " + id + "; name " +
                              candidates.front().runner + "/" + id + names);
    }
    return std::move(candidates.front());
}

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

Result<void> followTrace(const std::filesystem::path& file,
                         const std::function<TraceExtent()>& look, Clock& clock,
                         std::ostream& out) {
    std::int64_t shown = 0;
    for (;;) {
        const TraceExtent extent = look();
        if (extent.length > shown) {
            const auto copied = copyTrace(file, shown, extent.length, out);
            if (!copied && extent.done) {
                return permanentError("the log " + file.string() + " cannot be read");
            }
            shown = copied.value_or(shown);
        }
        if (extent.done) {
            return {};
        }
        clock.sleepUntil(clock.steadyNow() + kFollowInterval, {});
    }
}

}  // namespace gridbridge::app
