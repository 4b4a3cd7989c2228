#include "backends/diraccli/DiracCliBackend.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <utility>

#include "backends/api/SharedFolder.h"
#include "backends/diraccli/DiracCliParse.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

struct FileClose {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};

/// Waiting jobs have none to tell of, but those that were put back.
bool needsHistory(const DiracxJob& job) {
    const bool first = job.reschedules == 0 && job.status != "Rescheduled";
    return !first || !(job.status == "Running" || pastOf(job).started);
}

/// Of a job of which the row tells all.
void takeRowForHistory(DiracxJob& job) {
    job.history.push_back({job.status, job.minor, job.application, {}, {}});
}

std::vector<std::string> idsOf(std::span<DiracxJob* const> jobs) {
    std::vector<std::string> ids;
    for (const auto* job : jobs) {
        ids.push_back(std::to_string(job->id));
    }
    return ids;
}

/// The file, as far as it is a plain one, into the sink.
Result<void> copy(const std::filesystem::path& from, const SandboxSink& sink) {
    const std::unique_ptr<std::FILE, FileClose> file(std::fopen(from.c_str(), "re"));
    if (!file) {
        return transientError("a file of an output sandbox cannot be read");
    }
    std::vector<char> block(std::size_t{256} << 10U);
    std::int64_t offset = 0;
    while (true) {
        const auto got = std::fread(block.data(), 1, block.size(), file.get());
        if (got > 0 || offset == 0) {
            if (auto taken = sink(from.filename(), offset, {block.data(), got}); !taken) {
                return taken;
            }
        }
        if (got == 0) {
            return std::ferror(file.get()) == 0
                       ? Result<void>()
                       : transientError("a file of an output sandbox cannot be read");
        }
        offset += static_cast<std::int64_t>(got);
    }
}

/// Those of the jobs that one of these ids or names is meant by, or a copy of such a one.
std::vector<DiracxJob> chosen(std::vector<DiracxJob> all, const DiracxQuery& query) {
    const std::set<std::int64_t> ids(query.ids.begin(), query.ids.end());
    std::set<std::string> names(query.names.begin(), query.names.end());
    for (const auto& job : all) {
        if (ids.contains(job.id)) {
            names.insert(job.name);
        }
    }
    std::erase_if(all, [&](const DiracxJob& job) { return !names.contains(job.name); });
    return all;
}

}  // namespace

DiracCliBackend::DiracCliBackend(const DiracCliConfig& config, const std::string& /*runAs*/,
                                 folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                                 Teller tell)
    : DiracBackend(config, folders, runner, clock, std::move(tell)),
      commands_(config, runner, clock),
      workDir_(folders.path({{"any"}, {}}).parent_path()) {}

Capabilities DiracCliBackend::capabilities() const {
    // What was sent before a command died may still be under way.
    return {.maxBatch = 2000,
            .maxSubmit = 20,
            .liveLog = isLive(),
            .softCancel = isLive(),
            .findsByKey = true,
            .filesByCollect = true,
            .visibilityDelay = seconds(30)};
}

Result<void> DiracCliBackend::probe(const CallContext& ctx) {
    const auto proxy = commands_.proxy();
    if (!proxy) {
        return proxy.error();
    }
    const DiracScratch scratch(workDir_);
    const auto jobs = list(ctx, *proxy, scratch, {"-D", "1", "-g", "gridbridge-probe"});
    return jobs ? Result<void>() : jobs.error();
}

Result<std::vector<DiracxJob>> DiracCliBackend::list(const CallContext& ctx,
                                                     const DiracProxy& proxy,
                                                     const DiracScratch& scratch,
                                                     const std::vector<std::string>& which) {
    if (const auto good = scratch.good(); !good) {
        return good.error();
    }
    std::vector<std::string> argv{"dstat", "-f", "json", "-a", "-F", kDiracStatFields};
    argv.insert(argv.end(), which.begin(), which.end());
    const auto said = commands_.ask(ctx, proxy, scratch, argv);
    if (!said) {
        return said.error();
    }
    auto jobs = parseDiracStat(said->out);
    if (!jobs) {
        return transientError("dstat printed no list of jobs that makes sense: " +
                              diracComplaint(said->out, said->err));
    }
    return std::move(*jobs);
}

Result<void> DiracCliBackend::addHistories(const CallContext& ctx, const DiracProxy& proxy,
                                           const DiracScratch& scratch,
                                           std::span<DiracxJob* const> jobs) {
    if (jobs.empty()) {
        return {};
    }
    std::vector<std::string> argv{"dlogging", "-f", "json"};
    const auto ids = idsOf(jobs);
    argv.insert(argv.end(), ids.begin(), ids.end());
    const auto said = commands_.run(ctx, proxy, scratch, argv);
    if (!said) {
        return withoutEffect(said.error());
    }
    auto histories = parseDiracLogging(said->out);
    if (histories && histories->size() == jobs.size()) {
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            jobs[i]->history = std::move((*histories)[i]);
            jobs[i]->submittedAt = jobs[i]->history.front().at;
        }
        return {};
    }
    if (jobs.size() == 1) {
        return said->exitCode == 2 && histories
                   ? Result<void>()  // Of this one nothing is known.
                   : transientError("dlogging: " + diracComplaint(said->out, said->err));
    }
    // Whose is missing it does not say.
    const auto half = jobs.size() / 2;
    const auto first = addHistories(ctx, proxy, scratch, jobs.first(half));
    return first ? addHistories(ctx, proxy, scratch, jobs.subspan(half)) : first;
}

Result<DiracxFound> DiracCliBackend::search(const CallContext& ctx, const DiracxQuery& query) {
    const auto proxy = commands_.proxy();
    if (!proxy) {
        return proxy.error();
    }
    const DiracScratch scratch(workDir_);
    DiracxFound found{ownerOf(*proxy), {}, clock().wallNow()};
    // Days since their last change; those that are over are purged long before.
    constexpr const char* kAllDays = "3000";
    for (const auto& group : query.groups) {
        auto jobs = list(ctx, *proxy, scratch, {"-D", kAllDays, "-g", group});
        if (!jobs) {
            return jobs.error();
        }
        const auto some = chosen(std::move(jobs).value(), query);
        found.jobs.insert(found.jobs.end(), some.begin(), some.end());
    }
    std::vector<DiracxJob*> untold;
    for (auto& job : found.jobs) {
        // Only the history has the time of a submission, which nobody needs who has the id.
        if (!query.names.empty() || (needsHistory(job) && query.history)) {
            untold.push_back(&job);
        } else if (!needsHistory(job)) {
            takeRowForHistory(job);
        }
    }
    if (const auto added = addHistories(ctx, *proxy, scratch, untold); !added) {
        return added.error();
    }
    return found;
}

Result<std::map<std::int64_t, std::string>> DiracCliBackend::killThese(
    const CallContext& ctx, std::span<const DiracxKill> kills) {
    const auto proxy = commands_.proxy();
    if (!proxy) {
        return proxy.error();
    }
    const DiracScratch scratch(workDir_);
    if (const auto good = scratch.good(); !good) {
        return good.error();
    }
    std::vector<std::string> ids;
    for (const auto& kill : kills) {
        ids.push_back(std::to_string(kill.id));
    }
    auto argv = ids;
    argv.insert(argv.begin(), "dirac-wms-job-kill");
    const auto said = commands_.run(ctx, *proxy, scratch, argv);
    if (!said) {
        return said.error();
    }
    if (said->exitCode != 0) {
        return uncertainError("dirac-wms-job-kill: " + diracComplaint(said->out, said->err));
    }
    // It says "killed" of jobs that are not.
    const auto jobs = list(ctx, *proxy, scratch, ids);
    if (!jobs) {
        return jobs.error();
    }
    std::map<std::int64_t, std::string> states;
    for (const auto& job : *jobs) {
        states[job.id] = job.status;
    }
    return states;
}

Result<std::string> DiracCliBackend::giveWrapper(const CallContext&) {
    return std::string();
}

Result<std::vector<std::string>> DiracCliBackend::giveFiles(const CallContext&, const BatchJob& job,
                                                            std::vector<SandboxFile> files) {
    std::size_t bytes = 0;
    std::vector<folder::StagedFile> staged;
    for (const auto& file : files) {
        bytes += file.content.size();
        if (staged.size() < job.inputs.size()) {  // Those after them are there already.
            staged.push_back({file.name, file.content});
        }
    }
    if (bytes > static_cast<std::size_t>(kDiracCliMostPacked)) {
        const auto packed = packSandbox(files);
        if (!packed || packed->size() > static_cast<std::size_t>(kDiracCliMostPacked)) {
            return permanentError(
                "the script and the artifacts that the job depends on are more than 10 MiB, "
                "packed, and a classic DIRAC carries no more");
        }
    }
    const folder::FolderRef folder{job.key, job.account};
    staged.push_back({kDiracxWrapperName, wrapperSandbox(kDiracCliMostPacked).front().content});
    if (const auto made = folders().stage(folder, staged); !made) {
        return made.error();
    }
    const auto in = folders().path(folder) / "in";
    return std::vector<std::string>{in / kDiracxWrapperName, in};
}

Result<std::int64_t> DiracCliBackend::outcomeOf(const Described& job,
                                                const std::string& message) const {
    if (isDiracRefusal(message)) {
        return refusalOf(*job.job, permanentError(message));
    }
    const auto told = "dirac-wms-job-submit: " + message;
    return isDiracAway(message) ? transientError(told) : uncertainError(told);
}

std::vector<Result<std::int64_t>> DiracCliBackend::handAs(const CallContext& ctx,
                                                          const DiracProxy& proxy,
                                                          std::span<const Described> jobs) {
    const auto all = [&](const Error& error) {
        return std::vector<Result<std::int64_t>>(jobs.size(), error);
    };
    const DiracScratch scratch(workDir_);
    if (const auto good = scratch.good(); !good) {
        return all(good.error());
    }
    std::vector<std::string> files;
    for (const auto& job : jobs) {
        const auto name = job.job->key.value + ".jdl";
        if (const auto written = scratch.write(name, job.jdl); !written) {
            return all(written.error());
        }
        files.push_back(scratch.path() / name);
    }
    auto argv = files;
    argv.insert(argv.begin(), "dirac-wms-job-submit");
    const auto said = commands_.run(ctx, proxy, scratch, argv);
    if (!said) {
        return all(submissionError(said.error()));
    }
    const auto outcomes = said->exitCode ? parseDiracSubmit(said->out, files) : std::nullopt;
    if (!outcomes) {
        return all(uncertainError("dirac-wms-job-submit: " + diracComplaint(said->out, said->err)));
    }
    std::vector<Result<std::int64_t>> results;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        const auto& outcome = (*outcomes)[i];
        results.push_back(outcome.id ? Result<std::int64_t>(*outcome.id)
                                     : outcomeOf(jobs[i], outcome.message));
    }
    return results;
}

std::vector<Result<std::int64_t>> DiracCliBackend::hand(const CallContext& ctx,
                                                        const DiracOwner& owner,
                                                        std::span<const Described> jobs) {
    const auto proxy = commands_.proxy();
    if (!proxy || ownerOf(*proxy) != owner) {
        const auto error =
            proxy ? transientError("the proxy is another user's by now") : proxy.error();
        return std::vector<Result<std::int64_t>>(jobs.size(), error);
    }
    return handAs(ctx, *proxy, jobs);
}

Result<Finished> DiracCliBackend::getOutputs(const CallContext& ctx, const DiracScratch& scratch,
                                             std::span<const EndedJob> jobs,
                                             const std::string& into) {
    const auto proxy = commands_.proxy();
    if (!proxy) {
        return proxy.error();
    }
    if (const auto good = scratch.good(); !good) {
        return good.error();
    }
    std::vector<std::string> argv{"dirac-wms-job-get-output", "-D", into};
    for (const auto& job : jobs) {
        argv.push_back(std::to_string(job.id));
    }
    return commands_.run(ctx, *proxy, scratch, argv);
}

Result<bool> DiracCliBackend::take(const CallContext& ctx, const EndedJob& job,
                                   const Finished& said, const std::filesystem::path& from) {
    std::error_code error;
    if (!std::filesystem::is_directory(from, error)) {
        const auto none = withoutDiracOutput(said.out);
        if (std::find(none.begin(), none.end(), job.id) != none.end()) {
            return false;
        }
        const auto errors = parseDiracErrors(said.out);
        const auto found = errors.find(job.id);
        const auto why = found == errors.end() ? diracComplaint(said.out, said.err) : found->second;
        return why.find("the output sandbox is refused") == std::string::npos
                   ? transientError("dirac-wms-job-get-output: " + why)
                   : permanentError(why);
    }
    const folder::FolderRef folder{job.ref.key, job.ref.account};
    const auto wanted = wantedOf(folder);
    if (!wanted) {
        return wanted.error();
    }
    std::set<std::string> begun;
    const auto sink = sinkInto(ctx, folder, begun);
    for (const auto& name : *wanted) {
        if (!std::filesystem::exists(from / name, error)) {
            continue;
        }
        if (const auto copied = copy(from / name, sink); !copied) {
            emptyAllButLog(folder, begun);
            return copied.error();
        }
    }
    return true;
}

std::vector<Result<bool>> DiracCliBackend::fetch(const CallContext& ctx,
                                                 std::span<const EndedJob> jobs) {
    const DiracScratch scratch(workDir_);
    const auto into = scratch.path() / "out";
    const auto said = getOutputs(ctx, scratch, jobs, into);
    std::vector<Result<bool>> results;
    for (const auto& job : jobs) {
        results.push_back(said ? take(ctx, job, *said, into / std::to_string(job.id))
                               : Result<bool>(withoutEffect(said.error())));
    }
    return results;
}

}  // namespace gridbridge
