#include "backends/slurm/SlurmBackend.h"

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "backends/api/SharedFolder.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// slurmdbd that hangs costs its clients 45 seconds: that may not be the end of the whole look.
constexpr seconds kHistoryLimit{10};
/// Between two questions of what jobs used, where accounting does not answer or is not kept.
constexpr std::chrono::minutes kUsagePause{10};
/// Of what the node's daemon prints into a job's output.
constexpr std::size_t kLongestPrint = 16'384;
/// Names in one command: an argument has at most 128 KiB.
constexpr std::size_t kNamesAtOnce = 1000;

std::vector<std::string> settingsOf(const SlurmConfig& config) {
    return config.slurmConf.empty() ? std::vector<std::string>()
                                    : std::vector<std::string>{"SLURM_CONF=" + config.slurmConf};
}

Error saidNo(const std::string& command, const Finished& finished) {
    const auto sentence = lastLineOf(finished.err);
    return transientError(command + ": " + (sentence.empty() ? "it failed" : sentence));
}

SchedulerQueue queueOf(const SlurmListing& listing) {
    using Phase = QueuedJob::Phase;
    SchedulerQueue queue{{}, listing.trouble};
    for (const auto& [name, job] : listing.jobs) {
        const bool waits = isWaiting(job);
        const auto phase = waits ? Phase::Waiting : hasEnded(job) ? Phase::Ended : Phase::Running;
        queue.jobs.emplace(name, QueuedJob{job.id, job.submittedAt, phase, waits});
    }
    return queue;
}

}  // namespace

SlurmBackend::SlurmBackend(SlurmConfig config, std::string runAs, folder::JobFolders& folders,
                           ProcessRunner& runner, Clock& clock, Teller tell)
    : SchedulerBackend(std::move(runAs), folders,
                       {.binDir = config.binDir, .variables = settingsOf(config)}, runner, clock,
                       std::move(tell)),
      config_(std::move(config)) {}

Capabilities SlurmBackend::capabilities() const {
    // Each submission is a command, and what has ended waits for its turn behind them. A controller
    // that hangs takes what it was sent when it goes on; a network file system shows the status
    // file as late.
    return {.maxBatch = 10'000,
            .maxSubmit = 10,
            .liveLog = true,
            .softCancel = true,
            .sharedFolder = true,
            .findsByKey = true,
            .reportsUsage = true,
            .visibilityDelay = seconds(60)};
}

Result<SlurmListing> SlurmBackend::queue(const std::string& account, const CallContext& ctx) {
    // Without its file every command waits for a minute.
    if (std::error_code ignored;
        !config_.slurmConf.empty() && !std::filesystem::exists(config_.slurmConf, ignored)) {
        return permanentError("there is no file " + config_.slurmConf);
    }
    const auto said = commands_.run({account, queueCommand(), timeVariables()}, ctx);
    if (!said) {
        return withoutEffect(said.error());
    }
    if (said->exitCode != 0) {
        return saidNo("squeue", *said);
    }
    auto listing = parseQueue(said->out);
    if (listing.jobs.empty() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    tellOnce({account}, "squeue", listing.trouble);
    return listing;
}

Result<SchedulerQueue> SlurmBackend::queueAt(const Place& place, const CallContext& ctx) {
    const auto listing = queue(place.account, ctx);
    return listing ? Result<SchedulerQueue>(queueOf(*listing)) : listing.error();
}

Result<SlurmListing> SlurmBackend::history(const std::string& account,
                                           const std::vector<std::string>& names, WallTime since,
                                           const CallContext& ctx) {
    CallContext limited = ctx;
    limited.deadline = std::min(ctx.deadline, clock_.steadyNow() + kHistoryLimit);
    const auto said =
        commands_.run({account, historyCommand(names, since), timeVariables()}, limited);
    if (!said) {
        return withoutEffect(said.error());
    }
    if (keepsNoHistory(*said)) {
        return SlurmListing{};
    }
    if (said->exitCode != 0) {
        return saidNo("sacct", *said);
    }
    return parseHistory(said->out);
}

void SlurmBackend::addHistory(SlurmListing& listing, const std::string& account,
                              const std::vector<std::string>& names, WallTime since,
                              const CallContext& ctx) {
    std::vector<std::string> missing;
    std::copy_if(names.begin(), names.end(), std::back_inserter(missing),
                 [&](const std::string& name) { return !listing.jobs.contains(name); });
    for (std::size_t at = 0; at < missing.size(); at += kNamesAtOnce) {
        const std::vector<std::string> some(
            missing.begin() + static_cast<std::ptrdiff_t>(at),
            missing.begin() +
                static_cast<std::ptrdiff_t>(std::min(at + kNamesAtOnce, missing.size())));
        auto known = history(account, some, since, ctx);
        const auto trouble = known ? known->trouble : known.error().message;
        tellOnce({account}, "sacct", trouble);
        if (!trouble.empty()) {
            listing.trouble = listing.trouble.empty() ? trouble : listing.trouble;
        }
        if (known) {
            // One that the queue has lost and that accounting calls unfinished is not there.
            for (auto& [name, job] : known->jobs) {
                if (hasEnded(job)) {
                    listing.jobs.emplace(name, std::move(job));
                }
            }
        }
    }
}

Result<void> SlurmBackend::probe(const CallContext& ctx) {
    if (auto answers = queue(runAs_, ctx); !answers) {
        return answers.error();
    }
    if (config_.partition.empty()) {
        return {};
    }
    const auto said = commands_.run({runAs_, partitionCommand(config_.partition)}, ctx);
    if (!said) {
        return withoutEffect(said.error());
    }
    if (said->exitCode != 0) {
        return saidNo("sinfo", *said);
    }
    if (lastLineOf(said->out).empty()) {
        return permanentError("Slurm has no partition " + config_.partition);
    }
    return {};
}

Result<Submission> SlurmBackend::submitOne(const BatchJob& job, const CallContext& ctx) {
    const auto files = filesOf(folders_, job);
    if (!files) {
        return files.error();
    }
    const folder::FolderRef folder{job.key, job.account};
    if (auto made = folders_.stage(folder, *files); !made) {
        return made.error();
    }
    const auto now = clock_.wallNow();
    const auto said =
        commands_.run({job.account, submitCommand(config_, job, folders_.path(folder), now)}, ctx);
    if (!said) {
        return submissionError(said.error());
    }
    return parseSubmission(*said, std::chrono::floor<seconds>(now));
}

std::vector<Result<Submission>> SlurmBackend::submit(const CallContext& ctx,
                                                     std::span<const BatchJob> jobs) {
    return submitEach(
        ctx, jobs,
        [](const BatchJob& job, const SchedulerQueue& queue) -> std::optional<Accepted> {
            const auto known = queue.jobs.find(job.key.value);
            return known == queue.jobs.end()
                       ? std::optional<Accepted>()
                       : Accepted{known->second.id, known->second.submittedAt};
        },
        [&](const BatchJob& job) { return submitOne(job, ctx); });
}

Result<SchedulerQueue> SlurmBackend::search(const Place& place,
                                            const std::vector<std::string>& keys,
                                            const CallContext& ctx) {
    auto answer = queue(place.account, ctx);
    if (!answer) {
        return answer.error();
    }
    auto listing = std::move(answer).value();
    // Whoever searches does so soon after the submission, and at the latest after an outage.
    addHistory(listing, place.account, keys, clock_.wallNow() - std::chrono::hours(24 * 7), ctx);
    return queueOf(listing);
}

const SlurmBackend::Usages& SlurmBackend::usage(const std::string& account,
                                                const std::vector<JobRef>& ended,
                                                const CallContext& ctx) {
    auto& known = usages_[account];
    std::vector<std::string> missing;
    auto since = WallTime::max();
    Usages kept;
    for (const auto& ref : ended) {
        if (auto told = known.extract(ref.key.value); !told.empty()) {
            kept.insert(std::move(told));
        } else if (missing.size() < kNamesAtOnce) {
            missing.push_back(ref.key.value);
            since = std::min(since, ref.submittedAt);
        }
    }
    known = std::move(kept);
    const auto now = clock_.steadyNow();
    if (missing.empty() || now < usageAfter_[account]) {
        return known;
    }
    CallContext limited = ctx;
    limited.deadline = std::min(ctx.deadline, now + kHistoryLimit);
    const auto said =
        commands_.run({account, usageCommand(missing, since), timeVariables()}, limited);
    if (said && said->exitCode == 0) {
        known.merge(parseUsage(said->out));
    } else {
        usageAfter_[account] = clock_.steadyNow() + kUsagePause;
    }
    return known;
}

std::vector<Observation> SlurmBackend::observations(const SlurmListing& listing,
                                                    const std::string& account,
                                                    const std::vector<JobRef>& refs,
                                                    const CallContext& ctx) {
    std::vector<JobRef> ended;
    std::copy_if(refs.begin(), refs.end(), std::back_inserter(ended),
                 [&](const JobRef& ref) { return hasEnded(listing.jobs.at(ref.key.value)); });
    const auto& used = usage(account, ended, ctx);
    const auto marks = readMarks(folders_, refs);
    std::vector<Observation> seen;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto& key = refs[i].key.value;
        auto one = observationOf(listing.jobs.at(key), marks[i].started, marks[i].removed);
        if (const auto known = used.find(key); known != used.end()) {
            one.usage = known->second.usage;
            if (one.cause == EndCause::RemovedByOther && !known->second.canceledBy.empty()) {
                // Slurm's own hand has that number, too.
                one.reason = known->second.canceledBy == "0"
                                 ? "by an administrator or by Slurm itself"
                                 : "by the user with the id " + known->second.canceledBy;
            }
        }
        seen.push_back(std::move(one));
    }
    addMemoryKills(seen, refs);
    return seen;
}

void SlurmBackend::addMemoryKills(std::vector<Observation>& seen, const std::vector<JobRef>& refs) {
    std::vector<LogRequest> printed;
    std::vector<std::size_t> where;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        if (seen[i].cause == EndCause::Exited && seen[i].signal == SIGKILL) {
            printed.push_back({.ref = refs[i],
                               .run = seen[i].run,
                               .limit = kLongestPrint,
                               .source = LogSource::Batch});
            where.push_back(i);
        }
    }
    const auto texts = readSharedLogs(folders_, printed);
    for (std::size_t n = 0; n < where.size(); ++n) {
        if (texts[n] && tellsOfMemory(texts[n]->bytes)) {
            seen[where[n]].cause = EndCause::MemoryLimit;
        }
    }
}

Result<std::vector<Observation>> SlurmBackend::observe(const CallContext& outer,
                                                       std::span<const JobRef> refs) {
    return observeEach(
        outer, refs,
        [&](const CallContext& ctx, const Place& place, const std::vector<std::size_t>& indices,
            std::vector<Observation>& seen) -> Result<void> {
            auto answer = queue(place.account, ctx);
            if (!answer) {
                return answer.error();
            }
            auto listing = std::move(answer).value();
            std::vector<std::string> names;
            auto since = WallTime::max();
            for (const auto i : indices) {
                names.push_back(refs[i].key.value);
                since = std::min(since, refs[i].submittedAt);
            }
            addHistory(listing, place.account, names, since, ctx);
            std::vector<JobRef> listed;
            std::vector<std::size_t> where;
            for (const auto i : indices) {
                if (listing.jobs.contains(refs[i].key.value)) {
                    listed.push_back(refs[i]);
                    where.push_back(i);
                } else if (listing.trouble.empty()) {
                    seen[i].state = BatchState::Absent;
                } else {
                    seen[i].reason = listing.trouble;
                }
            }
            auto some = observations(listing, place.account, listed, ctx);
            for (std::size_t n = 0; n < some.size(); ++n) {
                seen[where[n]] = std::move(some[n]);
            }
            return {};
        });
}

std::vector<Result<void>> SlurmBackend::remove(const Place& place, const std::vector<JobRef>& jobs,
                                               bool onlyWaiting, const CallContext& ctx) {
    std::vector<Result<void>> results;
    for (const auto& job : jobs) {
        markRemoved(folders_, job);
        const auto said =
            commands_.run({place.account, cancelCommand(job.key, job.id, onlyWaiting)}, ctx);
        if (!said) {
            results.emplace_back(said.error());
        } else if (said->exitCode == 0 || foundNothingToCancel(*said)) {
            results.emplace_back();
        } else {
            // Its exit code is an error number modulo 256; the request may have arrived all the
            // same.
            results.emplace_back(uncertainError("scancel: " + lastLineOf(said->err)));
        }
    }
    return results;
}

}  // namespace gridbridge
