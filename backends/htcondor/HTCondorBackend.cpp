#include "backends/htcondor/HTCondorBackend.h"

#include <algorithm>

#include "backends/api/SharedFolder.h"
#include "bridge/folder/Account.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// In the `in/` of the first of the jobs that are submitted together.
constexpr const char* kDescription = "jobs.sub";
/// Keys in one constraint, which is compared with every job of the queue.
constexpr std::size_t kKeysAtOnce = 200;

std::vector<std::string> settingsOf(const HTCondorConfig& config) {
    return config.condorConfig.empty()
               ? std::vector<std::string>()
               : std::vector<std::string>{"CONDOR_CONFIG=" + config.condorConfig};
}

template <typename Body>
void inPieces(const std::vector<std::string>& keys, Body body) {
    for (std::size_t at = 0; at < keys.size(); at += kKeysAtOnce) {
        body(std::span(keys).subspan(at, std::min(kKeysAtOnce, keys.size() - at)));
    }
}

}  // namespace

HTCondorBackend::HTCondorBackend(HTCondorConfig config, std::string runAs,
                                 folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                                 Teller tell)
    : config_(std::move(config)),
      runAs_(std::move(runAs)),
      folders_(folders),
      clock_(clock),
      commands_({.binDir = config_.binDir, .variables = settingsOf(config_)}, runner, clock),
      tell_(std::move(tell)) {}

Capabilities HTCondorBackend::capabilities() const {
    // A network file system shows the status file late; a schedd takes what it was sent when it
    // goes on.
    return {.maxBatch = 10'000,
            .maxSubmit = 100,
            .liveLog = true,
            .softCancel = true,
            .sharedFolder = true,
            .findsByKey = true,
            .visibilityDelay = seconds(60)};
}

HTCondorBackend::Place HTCondorBackend::placeOf(const JobRef& ref) const {
    return {ref.account, ref.id.value.empty() ? config_.schedd : scheddOf(ref.id)};
}

HTCondorBackend::ByPlace HTCondorBackend::byPlace(std::span<const JobRef> refs) const {
    ByPlace places;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        places[placeOf(refs[i])].push_back(i);
    }
    return places;
}

void HTCondorBackend::tellOnce(const std::string& trouble) {
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

Result<HTCondorListing> HTCondorBackend::ask(const Place& place,
                                             const std::vector<std::string>& argv,
                                             const CallContext& ctx) {
    const auto said = commands_.run({place.account, argv}, ctx);
    if (!said) {
        return withoutEffect(said.error());
    }
    if (said->exitCode != 0) {
        const auto complaint = complaintOf(*said);
        return transientError(argv[0] + ": " + (complaint.empty() ? "it failed" : complaint));
    }
    auto listing = parseJobs(said->out, argv[0]);
    tellOnce(listing.trouble);
    if (listing.jobs.empty() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    return listing;
}

Result<HTCondorListing> HTCondorBackend::queue(const Place& place, const CallContext& ctx) {
    return ask(place, queueCommand(place.schedd), ctx);
}

Result<HTCondorListing> HTCondorBackend::everything(const Place& place,
                                                    const std::vector<std::string>& keys,
                                                    const CallContext& ctx) {
    auto listing = queue(place, ctx);
    if (!listing) {
        return listing;
    }
    auto all = std::move(listing).value();
    std::vector<std::string> missing;
    std::copy_if(keys.begin(), keys.end(), std::back_inserter(missing),
                 [&](const std::string& key) { return !all.jobs.contains(key); });
    inPieces(missing, [&](std::span<const std::string> some) {
        auto known = ask(place, historyCommand(place.schedd, some), ctx);
        const auto trouble = known ? known->trouble : known.error().message;
        all.trouble = all.trouble.empty() ? trouble : all.trouble;
        if (known) {
            for (auto& [key, job] : known->jobs) {
                if (hasEnded(job)) {
                    all.jobs.emplace(key, std::move(job));
                }
            }
        }
    });
    tellOnce(all.trouble);
    return all;
}

Result<void> HTCondorBackend::probe(const CallContext& ctx) {
    const auto account = folder::findAccount(runAs_);
    if (account && account->uid == 0) {
        return permanentError(
            "HTCondor takes no jobs of root: start the service as another "
            "account, or name one for its jobs");
    }
    const auto answers = queue({runAs_, config_.schedd}, ctx);
    return answers ? Result<void>() : answers.error();
}

std::vector<Result<Submission>> HTCondorBackend::submitStaged(
    const std::string& account, const std::vector<const BatchJob*>& jobs, const CallContext& ctx) {
    const folder::FolderRef first{jobs.front()->key, account};
    const auto path = folders_.path(first);
    const std::vector<folder::StagedFile> description{
        {kDescription, submitDescription(config_, jobs, path.parent_path())}};
    if (const auto made = folders_.stage(first, description); !made) {
        return {jobs.size(), made.error()};
    }
    const auto now = std::chrono::floor<seconds>(clock_.wallNow());
    const auto said =
        commands_.run({account, submitCommand(config_.schedd, path / "in" / kDescription)}, ctx);
    if (said) {
        return parseSubmission(*said, config_.schedd, jobs.size(), now);
    }
    // Without the command no job can be submitted, these or others.
    const bool notRun = said.error().kind == ErrorKind::Permanent;
    return {jobs.size(), notRun ? transientError(said.error().message) : said.error()};
}

void HTCondorBackend::submitTogether(const std::string& account, std::span<const BatchJob> jobs,
                                     const std::vector<std::size_t>& indices,
                                     std::vector<Result<Submission>>& results,
                                     const CallContext& ctx) {
    std::vector<const BatchJob*> staged;
    std::vector<std::size_t> where;
    for (const auto i : indices) {
        const auto files = filesOf(folders_, jobs[i]);
        const auto made =
            files ? folders_.stage({jobs[i].key, account}, *files) : Result<void>(files.error());
        if (made) {
            staged.push_back(&jobs[i]);
            where.push_back(i);
        } else {
            results[i] = made.error();
        }
    }
    if (staged.empty()) {
        return;
    }
    auto outcomes = submitStaged(account, staged, ctx);
    for (std::size_t n = 0; n < where.size(); ++n) {
        results[where[n]] = std::move(outcomes[n]);
    }
}

std::vector<Result<Submission>> HTCondorBackend::submit(const CallContext& ctx,
                                                        std::span<const BatchJob> jobs) {
    std::vector<Result<Submission>> results(jobs.size(), transientError("not submitted"));
    std::map<std::string, std::vector<std::size_t>> accounts;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        accounts[jobs[i].account].push_back(i);
    }
    for (const auto& [account, indices] : accounts) {
        const auto listing = queue({account, config_.schedd}, ctx);
        std::vector<std::size_t> unknown;
        for (const auto i : indices) {
            if (!listing ||
                (!listing->jobs.contains(jobs[i].key.value) && !listing->trouble.empty())) {
                results[i] = transientError(listing ? listing->trouble : listing.error().message);
            } else if (const auto known = listing->jobs.find(jobs[i].key.value);
                       known != listing->jobs.end()) {
                results[i] =
                    Submission{.accepted = Accepted{remoteId(config_.schedd, known->second.id),
                                                    known->second.submittedAt},
                               .full = {}};
            } else {
                unknown.push_back(i);
            }
        }
        submitTogether(account, jobs, unknown, results, ctx);
    }
    return results;
}

Result<std::vector<FoundJob>> HTCondorBackend::find(const CallContext& ctx,
                                                    std::span<const SubmissionKey> keys) {
    std::vector<std::string> names;
    for (const auto& key : keys) {
        names.push_back(key.value);
    }
    const auto listing = everything({runAs_, config_.schedd}, names, ctx);
    if (!listing) {
        return listing.error();
    }
    std::vector<FoundJob> found;
    for (const auto& name : names) {
        if (const auto job = listing->jobs.find(name); job != listing->jobs.end()) {
            found.push_back(
                {{name}, remoteId(config_.schedd, job->second.id), job->second.submittedAt});
        }
    }
    if (found.size() < names.size() && !listing->trouble.empty()) {
        return transientError(listing->trouble);
    }
    return found;
}

void HTCondorBackend::addStarts(std::vector<Observation>& seen, std::span<const JobRef> refs,
                                const std::vector<std::size_t>& indices) {
    std::vector<folder::ReadRequest> marks;
    for (const auto i : indices) {
        marks.push_back({{refs[i].key, refs[i].account}, "started", 0, 0});
    }
    const auto there = folders_.read(marks);
    for (std::size_t n = 0; n < indices.size(); ++n) {
        // What cannot be read may be there, and a script must rather not start than start twice.
        seen[indices[n]].started = !there[n] || there[n]->exists;
    }
}

Result<std::vector<Observation>> HTCondorBackend::observe(const CallContext& ctx,
                                                          std::span<const JobRef> refs) {
    std::vector<Observation> seen(refs.size());
    for (const auto& [place, indices] : byPlace(refs)) {
        std::vector<std::string> keys;
        for (const auto i : indices) {
            keys.push_back(refs[i].key.value);
        }
        const auto listing = everything(place, keys, ctx);
        if (!listing) {
            return listing.error();
        }
        std::vector<std::size_t> mayHaveStarted;  // Of thousands that wait no file is read.
        for (const auto i : indices) {
            const auto job = listing->jobs.find(refs[i].key.value);
            if (job == listing->jobs.end()) {
                seen[i].state = listing->trouble.empty() ? BatchState::Absent : BatchState::Unknown;
                seen[i].reason = listing->trouble;
                continue;
            }
            seen[i] = observationOf(job->second);
            if (job->second.starts > 0) {
                mayHaveStarted.push_back(i);
            }
        }
        addStarts(seen, refs, mayHaveStarted);
    }
    return seen;
}

std::vector<Result<LogChunk>> HTCondorBackend::readLogs(const CallContext&,
                                                        std::span<const LogRequest> requests) {
    return readSharedLogs(folders_, requests);
}

Result<void> HTCondorBackend::remove(const Place& place, const std::vector<std::string>& keys,
                                     bool onlyWaiting, const CallContext& ctx) {
    Result<void> result;
    inPieces(keys, [&](std::span<const std::string> some) {
        const auto said =
            commands_.run({place.account, removeCommand(place.schedd, some, onlyWaiting)}, ctx);
        if (!said) {
            result = said.error();
        } else if (said->exitCode != 0 && !foundNothingToRemove(*said)) {
            result = uncertainError("condor_rm: " + complaintOf(*said));
        }
    });
    return result;
}

void HTCondorBackend::cancelAt(const Place& place, std::span<const CancelRequest> requests,
                               const std::vector<std::size_t>& indices,
                               std::vector<Result<CancelOutcome>>& results,
                               const CallContext& ctx) {
    const auto listing = queue(place, ctx);
    std::map<bool, std::vector<std::size_t>> toRemove;  // By whether only what waits is meant.
    for (const auto i : indices) {
        const auto& ref = requests[i].ref;
        if (!listing) {
            results[i] = withoutEffect(listing.error());
            continue;
        }
        const auto known = listing->jobs.find(ref.key.value);
        const bool soft = requests[i].kind == CancelKind::Soft;
        if (known == listing->jobs.end() && !listing->trouble.empty()) {
            results[i] = transientError(listing->trouble);
        } else if (known == listing->jobs.end() || hasEnded(known->second)) {
            results[i] = CancelOutcome::AlreadyGone;
        } else if (soft && !isWaiting(known->second)) {
            const auto asked = folders_.requestCancel({ref.key, ref.account});
            results[i] = asked ? Result<CancelOutcome>(CancelOutcome::Requested) : asked.error();
        } else {
            toRemove[soft].push_back(i);
        }
    }
    for (const auto& [onlyWaiting, some] : toRemove) {
        std::vector<std::string> keys;
        for (const auto i : some) {
            keys.push_back(requests[i].ref.key.value);
        }
        const auto removed = remove(place, keys, onlyWaiting, ctx);
        for (const auto i : some) {
            results[i] =
                removed ? Result<CancelOutcome>(CancelOutcome::Requested) : removed.error();
        }
    }
}

std::vector<Result<CancelOutcome>> HTCondorBackend::cancel(
    const CallContext& ctx, std::span<const CancelRequest> requests) {
    std::vector<Result<CancelOutcome>> results(requests.size(), CancelOutcome::AlreadyGone);
    std::vector<JobRef> refs;
    for (const auto& request : requests) {
        refs.push_back(request.ref);
    }
    for (const auto& [place, indices] : byPlace(refs)) {
        cancelAt(place, requests, indices, results, ctx);
    }
    return results;
}

std::vector<Result<CollectOutcome>> HTCondorBackend::collect(const CallContext&,
                                                             std::span<const JobRef> refs) {
    return collectShared(folders_, refs);
}

void HTCondorBackend::releaseAt(const Place& place, std::span<const JobRef> refs,
                                const std::vector<std::size_t>& indices,
                                std::vector<Result<void>>& results, const CallContext& ctx) {
    const auto listing = queue(place, ctx);
    std::vector<std::string> keys;
    std::vector<std::size_t> queued;
    for (const auto i : indices) {
        const auto& key = refs[i].key.value;
        if (!listing) {
            results[i] = withoutEffect(listing.error());
            continue;
        }
        const auto known = listing->jobs.find(key);
        if (known == listing->jobs.end()) {
            results[i] =
                listing->trouble.empty() ? Result<void>() : transientError(listing->trouble);
        } else if (!isWaiting(known->second) && !hasEnded(known->second)) {
            results[i] = permanentError("the job " + key + " still runs in HTCondor");
        } else if (mustBeRemoved(known->second)) {
            keys.push_back(key);
            queued.push_back(i);
        }
    }
    if (const auto removed = remove(place, keys, false, ctx); !removed) {
        for (const auto i : queued) {
            results[i] = removed;
        }
    }
    for (const auto i : indices) {
        if (results[i].ok()) {
            results[i] = folders_.free({refs[i].key, refs[i].account});
        }
    }
}

std::vector<Result<void>> HTCondorBackend::release(const CallContext& ctx,
                                                   std::span<const JobRef> refs) {
    std::vector<Result<void>> results(refs.size());
    for (const auto& [place, indices] : byPlace(refs)) {
        releaseAt(place, refs, indices, results, ctx);
    }
    return results;
}

}  // namespace gridbridge
