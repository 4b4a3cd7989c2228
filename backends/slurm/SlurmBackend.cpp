#include "backends/slurm/SlurmBackend.h"

#include <algorithm>
#include <filesystem>

#include "backends/api/SharedFolder.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// slurmdbd that hangs costs its clients 45 seconds: that may not be the end of the whole look.
constexpr seconds kHistoryLimit{10};
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

std::map<std::string, std::vector<std::size_t>> byAccount(std::span<const JobRef> refs) {
    std::map<std::string, std::vector<std::size_t>> accounts;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        accounts[refs[i].account].push_back(i);
    }
    return accounts;
}

}  // namespace

SlurmBackend::SlurmBackend(SlurmConfig config, std::string runAs, folder::JobFolders& folders,
                           ProcessRunner& runner, Clock& clock, Teller tell)
    : config_(std::move(config)),
      runAs_(std::move(runAs)),
      folders_(folders),
      clock_(clock),
      commands_({.binDir = config_.binDir, .variables = settingsOf(config_)}, runner, clock),
      tell_(std::move(tell)) {}

Capabilities SlurmBackend::capabilities() const {
    // A controller that hangs takes what it was sent when it goes on; a network file system shows
    // the status file as late.
    return {.maxBatch = 10'000,
            .maxSubmit = 50,
            .liveLog = true,
            .softCancel = true,
            .sharedFolder = true,
            .findsByKey = true,
            .visibilityDelay = seconds(60)};
}

void SlurmBackend::tellOnce(const std::string& trouble) {
    {
        const std::lock_guard lock(mutex_);
        if (trouble == told_) {
            return;
        }
        told_ = trouble;
    }
    if (!trouble.empty()) {
        tell_(trouble + "; jobs that are not listed are left as they are");
    }
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
    tellOnce(listing.trouble);
    return listing;
}

const Result<SlurmListing>& SlurmBackend::queueOf(Queues& queues, const std::string& account,
                                                  const CallContext& ctx) {
    const auto known = queues.find(account);
    return known != queues.end() ? known->second
                                 : queues.emplace(account, queue(account, ctx)).first->second;
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
        if (!trouble.empty()) {
            listing.trouble = listing.trouble.empty() ? trouble : listing.trouble;
            tellOnce(trouble);
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
    auto files = filesOf(folders_, job);
    if (!files) {
        return files.error();
    }
    auto staged = std::move(files).value();
    // The loader is last; sbatch takes only what names its interpreter.
    if (auto& loader = staged.back().content; !loader.starts_with("#!")) {
        loader.insert(0, "#!/bin/sh\n");
    }
    const folder::FolderRef folder{job.key, job.account};
    if (auto made = folders_.stage(folder, staged); !made) {
        return made.error();
    }
    const auto now = clock_.wallNow();
    const auto said =
        commands_.run({job.account, submitCommand(config_, job, folders_.path(folder), now)}, ctx);
    if (!said) {
        // Without the command no job can be submitted, this one or another.
        const bool notRun = said.error().kind == ErrorKind::Permanent;
        return notRun ? transientError(said.error().message) : said.error();
    }
    return parseSubmission(*said, std::chrono::floor<seconds>(now));
}

std::vector<Result<Submission>> SlurmBackend::submit(const CallContext& ctx,
                                                     std::span<const BatchJob> jobs) {
    std::vector<Result<Submission>> results;
    Queues queues;
    // After an answer that says it for all, the others are not even tried.
    std::optional<Result<Submission>> forAll;
    for (const auto& job : jobs) {
        if (forAll) {
            results.push_back(*forAll);
            continue;
        }
        const auto& listing = queueOf(queues, job.account, ctx);
        if (!listing) {
            results.emplace_back(transientError(listing.error().message));
            continue;
        }
        if (const auto known = listing->jobs.find(job.key.value); known != listing->jobs.end()) {
            results.emplace_back(Submission{
                .accepted = Accepted{known->second.id, known->second.submittedAt}, .full = {}});
            continue;
        }
        results.push_back(submitOne(job, ctx));
        const auto& last = results.back();
        if (last.ok() && last->full) {
            forAll = last;
        } else if (!last.ok() && last.error().kind != ErrorKind::Permanent) {
            forAll = transientError(last.error().message);
        }
    }
    return results;
}

Result<std::vector<FoundJob>> SlurmBackend::find(const CallContext& ctx,
                                                 std::span<const SubmissionKey> keys) {
    auto answer = queue(runAs_, ctx);
    if (!answer) {
        return answer.error();
    }
    auto listing = std::move(answer).value();
    std::vector<std::string> names;
    for (const auto& key : keys) {
        names.push_back(key.value);
    }
    // Whoever searches does so soon after the submission, and at the latest after an outage.
    addHistory(listing, runAs_, names, clock_.wallNow() - std::chrono::hours(24 * 7), ctx);
    std::vector<FoundJob> found;
    for (const auto& name : names) {
        if (const auto job = listing.jobs.find(name); job != listing.jobs.end()) {
            found.push_back({{name}, job->second.id, job->second.submittedAt});
        }
    }
    if (found.size() < names.size() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    return found;
}

std::vector<Observation> SlurmBackend::observations(const SlurmListing& listing,
                                                    const std::vector<JobRef>& refs) {
    const auto marks = readMarks(folders_, refs);
    std::vector<Observation> seen;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        seen.push_back(
            observationOf(listing.jobs.at(refs[i].key.value), marks[i].started, marks[i].removed));
    }
    return seen;
}

Result<std::vector<Observation>> SlurmBackend::observe(const CallContext& ctx,
                                                       std::span<const JobRef> refs) {
    std::vector<Observation> seen(refs.size());
    for (const auto& [account, indices] : byAccount(refs)) {
        auto answer = queue(account, ctx);
        if (!answer) {
            return withoutEffect(answer.error());
        }
        auto listing = std::move(answer).value();
        std::vector<std::string> names;
        auto since = WallTime::max();
        for (const auto i : indices) {
            names.push_back(refs[i].key.value);
            since = std::min(since, refs[i].submittedAt);
        }
        addHistory(listing, account, names, since, ctx);
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
        auto some = observations(listing, listed);
        for (std::size_t n = 0; n < some.size(); ++n) {
            seen[where[n]] = std::move(some[n]);
        }
    }
    return seen;
}

std::vector<Result<LogChunk>> SlurmBackend::readLogs(const CallContext&,
                                                     std::span<const LogRequest> requests) {
    return readSharedLogs(folders_, requests);
}

Result<void> SlurmBackend::remove(const JobRef& ref, const RemoteId& id, bool onlyPending,
                                  const CallContext& ctx) {
    // Without it the end is only told as somebody else's.
    const std::vector<folder::StagedFile> mark{{kRemovedName, ""}};
    static_cast<void>(folders_.stage({ref.key, ref.account}, mark));
    const auto said = commands_.run({ref.account, cancelCommand(ref.key, id, onlyPending)}, ctx);
    if (!said) {
        return said.error();
    }
    // Its exit code is an error number modulo 256; the request may have arrived all the same.
    return said->exitCode == 0 || foundNothingToCancel(*said)
               ? Result<void>()
               : uncertainError("scancel: " + lastLineOf(said->err));
}

Result<CancelOutcome> SlurmBackend::cancelOne(const CancelRequest& request,
                                              const SlurmListing& listing, const CallContext& ctx) {
    const auto& ref = request.ref;
    const auto known = listing.jobs.find(ref.key.value);
    if (known == listing.jobs.end() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    if (known == listing.jobs.end() || hasEnded(known->second)) {
        return CancelOutcome::AlreadyGone;
    }
    const bool soft = request.kind == CancelKind::Soft;
    const auto done = soft && !isWaiting(known->second)
                          ? folders_.requestCancel({ref.key, ref.account})
                          : remove(ref, known->second.id, soft, ctx);
    return done ? Result<CancelOutcome>(CancelOutcome::Requested) : done.error();
}

std::vector<Result<CancelOutcome>> SlurmBackend::cancel(const CallContext& ctx,
                                                        std::span<const CancelRequest> requests) {
    std::vector<Result<CancelOutcome>> results;
    Queues queues;
    for (const auto& request : requests) {
        const auto& listing = queueOf(queues, request.ref.account, ctx);
        results.push_back(listing ? cancelOne(request, *listing, ctx)
                                  : Result<CancelOutcome>(withoutEffect(listing.error())));
    }
    return results;
}

std::vector<Result<CollectOutcome>> SlurmBackend::collect(const CallContext&,
                                                          std::span<const JobRef> refs) {
    return collectShared(folders_, refs);
}

Result<void> SlurmBackend::releaseOne(const JobRef& ref, const SlurmListing& listing,
                                      const CallContext& ctx) {
    const auto known = listing.jobs.find(ref.key.value);
    if (known == listing.jobs.end() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    if (known != listing.jobs.end() && isWaiting(known->second)) {
        if (auto removed = remove(ref, known->second.id, false, ctx); !removed) {
            return removed;
        }
    } else if (known != listing.jobs.end() && !hasEnded(known->second)) {
        return permanentError("the job " + ref.key.value + " still runs in Slurm");
    }
    return folders_.free({ref.key, ref.account});
}

std::vector<Result<void>> SlurmBackend::release(const CallContext& ctx,
                                                std::span<const JobRef> refs) {
    std::vector<Result<void>> results;
    Queues queues;
    for (const auto& ref : refs) {
        const auto& listing = queueOf(queues, ref.account, ctx);
        results.push_back(listing ? releaseOne(ref, *listing, ctx)
                                  : Result<void>(withoutEffect(listing.error())));
    }
    return results;
}

}  // namespace gridbridge
