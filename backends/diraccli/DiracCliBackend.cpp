#include "backends/diraccli/DiracCliBackend.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <utility>

#include "backends/api/SharedFolder.h"
#include "backends/diraccli/DiracCliParse.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// Waiting jobs have none to tell of, but those that were put back.
bool needsHistory(const DiracxJob& job) {
    const bool first = job.reschedules == 0 && job.status != "Rescheduled";
    return !first || !(job.status == "Running" || pastOf(job).started);
}

/// Of a job of which the row tells all.
void takeRowForHistory(DiracxJob& job) {
    job.history.push_back({job.status, job.minor, job.application, {}, {}});
}

/// A first run's states before the node's come before these, whatever a node's clock says.
void order(DiracxJob& job) {
    if (job.reschedules == 0 && job.status != "Rescheduled") {
        std::stable_partition(job.history.begin(), job.history.end(),
                              [](const auto& each) { return isDiracxWaiting(each.status); });
    }
    const auto received = std::find_if(job.history.begin(), job.history.end(),
                                       [](const auto& each) { return each.status == "Received"; });
    // DIRAC takes a job also where it cannot write that down.
    const auto first =
        received != job.history.end()
            ? received
            : std::min_element(job.history.begin(), job.history.end(),
                               [](const auto& a, const auto& b) { return a.at < b.at; });
    if (first != job.history.end()) {
        job.submittedAt = first->at;
    }
}

template <typename T>
std::string joined(std::span<const T> all, const char* between) {
    std::ostringstream text;
    for (std::size_t i = 0; i < all.size(); ++i) {
        text << (i == 0 ? "" : between) << all[i];
    }
    return text.str();
}

/// `work` with each part of so many.
template <typename T, typename Work>
Result<void> inParts(std::span<const T> all, std::size_t most, Work work) {
    for (; !all.empty(); all = all.subspan(std::min(most, all.size()))) {
        if (const auto done = work(all.first(std::min(most, all.size()))); !done) {
            return done;
        }
    }
    return {};
}

/// Two of one name, of one of which no history is told.
bool isAmbiguous(const std::vector<DiracxJob>& jobs) {
    std::map<std::string, int> copies;
    for (const auto& job : jobs) {
        ++copies[job.name];
    }
    return std::any_of(jobs.begin(), jobs.end(), [&](const DiracxJob& job) {
        return copies[job.name] > 1 && job.history.empty();
    });
}

}  // namespace

DiracCliBackend::DiracCliBackend(const DiracCliConfig& config, const std::string& /*runAs*/,
                                 folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                                 Teller tell)
    : DiracBackend(config, folders, runner, clock, std::move(tell)),
      commands_(config, folders.path({{"any"}, {}}).parent_path(), runner, clock) {}

Capabilities DiracCliBackend::capabilities() const {
    // What was sent before a command died may still be under way.
    return {.maxBatch = 2000,
            .maxSubmit = 20,
            .liveLog = isLive(),
            .softCancel = isLive(),
            .findsByKey = true,
            .filesByCollect = true,
            .maxCollect = kMostOutputs,
            .visibilityDelay = seconds(30)};
}

Result<void> DiracCliBackend::probe(const CallContext& ctx) {
    const auto session = commands_.begin();
    if (!session) {
        return session.error();
    }
    const auto jobs = list(ctx, *session, {"-D", "1", "-g", "gridbridge-probe"});
    return jobs ? Result<void>() : jobs.error();
}

Result<std::vector<DiracxJob>> DiracCliBackend::list(const CallContext& ctx,
                                                     const DiracSession& session,
                                                     const std::vector<std::string>& which) {
    // `-a` would leave out states that it does not know.
    std::vector<std::string> argv{"dstat", "-f", "json", "-S", "all", "-F", kDiracStatFields};
    argv.insert(argv.end(), which.begin(), which.end());
    const auto said = commands_.ask(ctx, session, argv);
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

Result<void> DiracCliBackend::listIds(const CallContext& ctx, const DiracSession& session,
                                      std::span<const std::int64_t> ids, DiracxFound& found) {
    if (auto written = session.scratch->write("ids", joined(ids, ",")); !written) {
        return written;
    }
    auto jobs = list(ctx, session, {"-i", session.scratch->path() / "ids"});
    if (!jobs) {
        return jobs.error();
    }
    std::set<std::int64_t> missing(ids.begin(), ids.end());
    for (auto& job : *jobs) {
        missing.erase(job.id);
        found.jobs.push_back(std::move(job));
    }
    const std::vector<std::int64_t> others(missing.begin(), missing.end());
    return others.empty() ? Result<void>() : addHidden(ctx, session, others, found);
}

Result<void> DiracCliBackend::addHidden(const CallContext& ctx, const DiracSession& session,
                                        std::span<const std::int64_t> ids, DiracxFound& found) {
    if (auto written = session.scratch->write("missing", joined(ids, "\n")); !written) {
        return written;
    }
    const auto said = commands_.ask(
        ctx, session, {"dirac-wms-job-status", "-f", session.scratch->path() / "missing"});
    if (!said) {
        return said.error();
    }
    const auto there = parseDiracStatus(said->out);
    found.hidden.insert(found.hidden.end(), there.begin(), there.end());
    return {};
}

Result<void> DiracCliBackend::listNames(const CallContext& ctx, const DiracSession& session,
                                        const DiracxQuery& query, DiracxFound& found) {
    // Days since their last change; those that are over are purged long before.
    constexpr const char* kAllDays = "3000";
    constexpr std::size_t kMostNames = 500;
    for (const auto& group : query.groups) {
        const auto listed =
            inParts(std::span(query.names), kMostNames, [&](std::span<const std::string> names) {
                auto jobs =
                    list(ctx, session, {"-D", kAllDays, "-g", group, "-n", joined(names, ",")});
                if (jobs) {
                    std::move(jobs->begin(), jobs->end(), std::back_inserter(found.jobs));
                }
                return jobs ? Result<void>() : jobs.error();
            });
        if (!listed) {
            return listed;
        }
    }
    return {};
}

bool DiracCliBackend::addGroup(const CallContext& ctx, const DiracSession& session,
                               std::span<DiracxJob* const> jobs) {
    std::vector<std::string> argv{"dlogging", "-f", "json"};
    for (const auto* job : jobs) {
        argv.push_back(std::to_string(job->id));
    }
    const auto said = commands_.run(ctx, session, argv);
    auto histories = said ? parseDiracLogging(said->out) : std::nullopt;
    const auto without = said ? withoutDiracHistory(said->out) : std::vector<std::int64_t>();
    if (!histories || histories->size() + without.size() != jobs.size()) {
        return false;
    }
    auto history = histories->begin();
    for (auto* job : jobs) {
        if (std::find(without.begin(), without.end(), job->id) == without.end() &&
            history != histories->end()) {
            job->history = std::move(*history++);
            order(*job);
        }
    }
    return true;
}

void DiracCliBackend::addHistories(const CallContext& outer, const DiracSession& session,
                                   std::span<DiracxJob* const> jobs) {
    constexpr std::size_t kMostAtOnce = 20;
    std::vector<std::int64_t> ids;
    for (const auto* job : jobs) {
        ids.push_back(job->id);
    }
    const auto groups = groupsOf(ids, failedHistories_, kMostAtOnce);
    const auto ctx = partOf(outer, 2);  // What is told already must be of use yet.
    for (std::size_t n = 0; n < groups.size(); ++n) {
        if (clock().steadyNow() >= ctx.deadline) {
            return;
        }
        std::vector<DiracxJob*> some;
        for (const auto i : groups[n]) {
            some.push_back(jobs[i]);
        }
        const bool told = addGroup(partOf(ctx, groups.size() - n), session, some);
        for (const auto* job : some) {
            note(failedHistories_, job->id, !told);
        }
    }
}

Result<DiracxFound> DiracCliBackend::search(const CallContext& ctx, const DiracxQuery& query) {
    const auto session = commands_.begin();
    if (!session) {
        return session.error();
    }
    DiracxFound found{ownerOf(session->proxy), query.rows, clock().wallNow(), {}};
    // `dstat -S all` forgets all but the last thousand that it asks for.
    constexpr std::size_t kMostIds = 1000;
    const auto listed = !query.names.empty() ? listNames(ctx, *session, query, found)
                        : query.rows.empty()
                            ? inParts(std::span(query.ids), kMostIds,
                                      [&](std::span<const std::int64_t> ids) {
                                          return listIds(ctx, *session, ids, found);
                                      })
                            : Result<void>();
    if (!listed) {
        return listed.error();
    }
    std::vector<DiracxJob*> untold;
    for (auto& job : found.jobs) {
        job.submittedAt = found.serverNow;  // Nobody needs it who has the id.
        if (query.history && (!query.names.empty() || needsHistory(job))) {
            untold.push_back(&job);
        } else if (!needsHistory(job)) {
            takeRowForHistory(job);
        }
    }
    addHistories(ctx, *session, untold);
    if (query.history && !query.names.empty() && isAmbiguous(found.jobs)) {
        return transientError("of two jobs of one name no history is told");
    }
    return found;
}

Result<std::map<std::int64_t, std::string>> DiracCliBackend::killThese(
    const CallContext& ctx, std::span<const DiracxKill> kills) {
    const auto session = commands_.begin();
    if (!session) {
        return session.error();
    }
    std::vector<std::string> argv{"dirac-wms-job-kill"};
    std::vector<std::int64_t> ids;
    for (const auto& kill : kills) {
        ids.push_back(kill.id);
        argv.push_back(std::to_string(kill.id));
    }
    const auto said = commands_.run(ctx, *session, argv);
    if (!said) {
        return said.error();
    }
    if (said->exitCode != 0) {
        return uncertainError("dirac-wms-job-kill: " + diracComplaint(said->out, said->err));
    }
    // It says "killed" of jobs that are not.
    DiracxFound found;
    if (const auto listed = listIds(ctx, *session, ids, found); !listed) {
        return listed.error();
    }
    std::map<std::int64_t, std::string> states;
    for (const auto& job : found.jobs) {
        states[job.id] = job.status;
    }
    return states;
}

std::optional<Result<DiracOwner>> DiracCliBackend::login() {
    const auto session = commands_.begin();
    return session ? Result<DiracOwner>(ownerOf(session->proxy))
                   : Result<DiracOwner>(session.error());
}

Result<std::string> DiracCliBackend::giveWrapper(const CallContext&) {
    return std::string();
}

Result<std::vector<std::string>> DiracCliBackend::giveFiles(const CallContext&, const BatchJob& job,
                                                            std::vector<SandboxFile> files) {
    std::size_t bytes = 0;
    std::vector<folder::StagedFile> staged;
    bool isThere = false;  // As the loader is, and those after it.
    for (const auto& file : files) {
        bytes += file.content.size();
        isThere = isThere || file.name == kLoaderName;
        if (!isThere) {
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
                                                          const DiracSession& session,
                                                          std::span<const Described> jobs) {
    const auto all = [&](const Error& error) {
        return std::vector<Result<std::int64_t>>(jobs.size(), error);
    };
    std::vector<std::string> files;
    for (const auto& job : jobs) {
        const auto name = job.job->key.value + ".jdl";
        if (const auto written = session.scratch->write(name, job.jdl); !written) {
            return all(written.error());
        }
        files.push_back(session.scratch->path() / name);
    }
    auto argv = files;
    argv.insert(argv.begin(), "dirac-wms-job-submit");
    const auto said = commands_.run(ctx, session, argv);
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
    const auto session = commands_.begin();
    if (!session || ownerOf(session->proxy) != owner) {
        const auto error =
            session ? transientError("the proxy is another user's by now") : session.error();
        return std::vector<Result<std::int64_t>>(jobs.size(), error);
    }
    return handAs(ctx, *session, jobs);
}

}  // namespace gridbridge
