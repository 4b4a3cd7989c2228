#include "backends/htcondor/HTCondorBackend.h"

#include <algorithm>

#include "backends/api/SharedFolder.h"
#include "backends/htcondor/HTCondorSpool.h"
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

/// Of the same bytes either has the beginning: the stream while the job runs, and for good when its
/// files do not come; the copy while it arrives, and then all of it.
Result<LogChunk> withStream(Result<LogChunk> copy, Result<folder::ReadChunk> stream) {
    if (!copy || (!stream && stream.error().kind != ErrorKind::Permanent)) {
        return copy ? stream.error() : copy.error();
    }
    auto chunk = std::move(copy).value();
    chunk.size.reset();
    if (stream && stream->bytes.size() > chunk.bytes.size()) {
        chunk.bytes = std::move(stream).value().bytes;
    }
    return chunk;
}

/// Of the same are those that may be submitted together. What has much to send to a spool goes
/// alone, and last: the others would share its fate.
std::string groupOf(const BatchJob& job, const HTCondorConfig& config) {
    constexpr std::size_t kMuch = std::size_t{1} << 20U;
    std::size_t bytes = 0;
    for (const auto& input : job.inputs) {
        bytes += input.content.size();
    }
    const bool alone = config.spool && bytes > kMuch;
    return (alone ? "~" + job.key.value : "") + resourceLines(job.resources);
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
    : SchedulerBackend(std::move(runAs), folders,
                       {.binDir = config.binDir, .variables = settingsOf(config)}, runner, clock,
                       tell),
      config_(std::move(config)),
      tellSpool_(std::move(tell)) {}

Capabilities HTCondorBackend::capabilities() const {
    // A network file system shows the status file late; a schedd takes what it was sent when it
    // goes on.
    return {.maxBatch = 10'000,
            .maxSubmit = 20,
            .liveLog = !config_.spool,
            .softCancel = !copiesFiles(config_),
            .sharedFolder = !copiesFiles(config_),
            .findsByKey = true,
            .filesByCollect = config_.spool,
            .reportsUsage = true,
            .visibilityDelay = seconds(60)};
}

HTCondorBackend::Place HTCondorBackend::placeOf(const JobRef& ref) const {
    return {ref.account, ref.id.value.empty() ? config_.schedd : scheddOf(ref.id)};
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
    tellOnce(place, argv[0], listing.trouble);
    if (listing.jobs.empty() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    return listing;
}

Result<HTCondorListing> HTCondorBackend::queue(const Place& place,
                                               const std::vector<std::string>& keys,
                                               const CallContext& ctx) {
    const bool one = keys.size() == 1;
    return ask(place, queueCommand(place.server, one ? keys : std::vector<std::string>()), ctx);
}

Result<HTCondorListing> HTCondorBackend::everything(const Place& place,
                                                    const std::vector<std::string>& keys,
                                                    const CallContext& ctx) {
    auto listing = withoutUnsent(place, keys, ctx);
    if (!listing) {
        return listing;
    }
    auto all = std::move(listing).value();
    std::vector<std::string> missing;
    std::copy_if(keys.begin(), keys.end(), std::back_inserter(missing),
                 [&](const std::string& key) { return !all.jobs.contains(key); });
    inPieces(missing, [&](std::span<const std::string> some) {
        auto known = ask(place, historyCommand(place.server, some), ctx);
        const auto trouble = known ? known->trouble : known.error().message;
        if (!known) {
            tellOnce(place, "condor_history", trouble);
        }
        all.trouble = all.trouble.empty() ? trouble : all.trouble;
        if (known) {
            for (const auto& [key, job] : known->jobs) {
                if (hasEnded(job)) {
                    all.jobs.emplace(key, job).first->second.listed = false;
                }
            }
        }
    });
    return all;
}

SchedulerQueue HTCondorBackend::queueOf(const Place& place, const HTCondorListing& listing) const {
    using Phase = QueuedJob::Phase;
    SchedulerQueue queue{{}, listing.trouble};
    for (const auto& [key, job] : listing.jobs) {
        const auto phase = isWaiting(job)  ? Phase::Waiting
                           : hasEnded(job) ? Phase::Ended
                                           : Phase::Running;
        queue.jobs.emplace(key, QueuedJob{remoteId(place.server, job.id), job.submittedAt, phase,
                                          mustBeRemoved(job)});
    }
    return queue;
}

Result<SchedulerQueue> HTCondorBackend::queueAt(const Place& place, const CallContext& ctx) {
    const auto listing = queue(place, {}, ctx);
    return listing ? Result<SchedulerQueue>(queueOf(place, *listing)) : listing.error();
}

Result<SchedulerQueue> HTCondorBackend::search(const Place& place,
                                               const std::vector<std::string>& keys,
                                               const CallContext& ctx) {
    const auto listing = everything(place, keys, ctx);
    for (const auto& key : keys) {
        if (listing && isBeingSent(*listing, key)) {
            return transientError("the files of " + key + " are still on the way to the schedd");
        }
    }
    return listing ? Result<SchedulerQueue>(queueOf(place, *listing)) : listing.error();
}

Result<void> HTCondorBackend::probe(const CallContext& ctx) {
    const auto account = folder::findAccount(runAs_);
    if (account && account->uid == 0) {
        return permanentError(
            "HTCondor takes no jobs of root: start the service as another "
            "account, or name one for its jobs");
    }
    const auto answers = queue({runAs_, config_.schedd}, {}, ctx);
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
        commands_.run({account, submitCommand(config_, path / "in" / kDescription)}, ctx);
    if (!said) {
        return {jobs.size(), submissionError(said.error())};
    }
    auto results = parseSubmission(*said, config_.schedd, jobs.size(), now);
    if (!config_.spool) {
        return results;
    }
    const auto keys = keysOf(jobs);
    if (said->exitCode != 0) {
        // Nobody sends the rest any more. Where this fails they are removed when they are asked of.
        static_cast<void>(removeKeys({account, config_.schedd}, keys, Removal::Unsent, ctx));
    } else if (const auto sent = awaitSent({account, config_.schedd}, keys, ctx); !sent) {
        return {jobs.size(), sent.error()};
    }
    return results;
}

Result<void> HTCondorBackend::stage(const BatchJob& job) {
    auto files = filesOf(folders_, job, copiesFiles(config_) ? "." : "");
    if (!files) {
        return files.error();
    }
    auto all = std::move(files).value();
    if (copiesFiles(config_)) {
        all.push_back({kFollowerName, followerScript()});
    }
    return folders_.stage({job.key, job.account}, all);
}

void HTCondorBackend::submitTogether(const std::string& account, std::span<const BatchJob> jobs,
                                     const std::vector<std::size_t>& indices,
                                     std::vector<Result<Submission>>& results,
                                     const CallContext& ctx) {
    std::vector<const BatchJob*> staged;
    std::vector<std::size_t> where;
    for (const auto i : indices) {
        const auto made = stage(jobs[i]);
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
        const auto listing = withoutUnsent({account, config_.schedd}, keysOf(jobs, indices), ctx);
        std::map<std::string, std::vector<std::size_t>> unknown;  // By what they have in common.
        for (const auto i : indices) {
            if (!listing ||
                (!listing->jobs.contains(jobs[i].key.value) && !listing->trouble.empty())) {
                results[i] = transientError(listing ? listing->trouble : listing.error().message);
            } else if (isBeingSent(*listing, jobs[i].key.value)) {
                results[i] = transientError("its files are still on the way to the schedd");
            } else if (const auto known = listing->jobs.find(jobs[i].key.value);
                       known != listing->jobs.end()) {
                results[i] =
                    Submission{.accepted = Accepted{remoteId(config_.schedd, known->second.id),
                                                    known->second.submittedAt},
                               .full = {}};
            } else {
                unknown[groupOf(jobs[i], config_)].push_back(i);
            }
        }
        for (const auto& [lines, alike] : unknown) {
            submitTogether(account, jobs, alike, results, ctx);
        }
    }
    return results;
}

void HTCondorBackend::addStarts(std::vector<Observation>& seen, std::span<const JobRef> refs,
                                const std::vector<std::size_t>& indices) {
    if (copiesFiles(config_)) {  // The marker comes back with the rest.
        for (const auto i : indices) {
            seen[i].started = true;
        }
        return;
    }
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

Result<std::vector<Observation>> HTCondorBackend::observe(const CallContext& outer,
                                                          std::span<const JobRef> refs) {
    return observeEach(
        outer, refs,
        [&](const CallContext& ctx, const Place& place, const std::vector<std::size_t>& indices,
            std::vector<Observation>& seen) -> Result<void> {
            const auto listing = everything(place, keysOf(refs, indices), ctx);
            if (!listing) {
                return listing.error();
            }
            std::vector<std::size_t> mayHaveStarted;  // Of thousands that wait no file is read.
            for (const auto i : indices) {
                const auto job = listing->jobs.find(refs[i].key.value);
                if (job == listing->jobs.end()) {
                    seen[i].state =
                        listing->trouble.empty() ? BatchState::Absent : BatchState::Unknown;
                    seen[i].reason = listing->trouble;
                    continue;
                }
                seen[i] = observationOf(job->second);
                if (job->second.starts > 0) {
                    mayHaveStarted.push_back(i);
                }
            }
            addStarts(seen, refs, mayHaveStarted);
            return {};
        });
}

std::vector<Result<LogChunk>> HTCondorBackend::readLogs(const CallContext& ctx,
                                                        std::span<const LogRequest> requests) {
    auto chunks = SchedulerBackend::readLogs(ctx, requests);
    if (!copiesFiles(config_)) {
        return chunks;
    }
    std::vector<folder::ReadRequest> streams;
    for (const auto& request : requests) {
        streams.push_back({{request.ref.key, request.ref.account},
                           kStreamName,
                           request.offset,
                           request.source == LogSource::Job ? request.limit : 0});
    }
    auto streamed = folders_.read(streams);
    std::vector<JobRef> toldOf;
    std::vector<std::size_t> where;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        chunks[i] = withStream(std::move(chunks[i]), std::move(streamed[i]));
        if (chunks[i] && chunks[i]->status) {
            toldOf.push_back(requests[i].ref);
            where.push_back(i);
        }
    }
    if (config_.spool) {
        return chunks;  // What is asked for has been collected.
    }
    const auto come = haveCome(toldOf, ctx);
    for (std::size_t n = 0; n < where.size(); ++n) {
        if (!come[n]) {
            chunks[where[n]] = come[n].error();
        } else if (!*come[n]) {
            auto chunk = std::move(chunks[where[n]]).value();
            chunk.status.reset();
            chunks[where[n]] = std::move(chunk);
        }
    }
    return chunks;
}

std::vector<Result<bool>> HTCondorBackend::haveCome(const std::vector<JobRef>& refs,
                                                    const CallContext& ctx) {
    std::vector<Result<bool>> come(refs.size(), false);
    for (const auto& [place, indices] : byPlace(refs)) {
        const auto listing = everything(place, keysOf(refs, indices), ctx);
        for (const auto i : indices) {
            if (!listing) {
                come[i] = transientError(listing.error().message);
                continue;
            }
            const auto job = listing->jobs.find(refs[i].key.value);
            if (job == listing->jobs.end()) {
                come[i] = listing->trouble.empty() ? Result<bool>(true)
                                                   : transientError(listing->trouble);
            } else {
                come[i] = hasEnded(job->second) && job->second.completedAt.has_value() &&
                          observationOf(job->second).cause == EndCause::Exited;
            }
        }
    }
    return come;
}

std::vector<Result<CancelOutcome>> HTCondorBackend::cancel(
    const CallContext& ctx, std::span<const CancelRequest> requests) {
    std::vector<CancelRequest> all(requests.begin(), requests.end());
    if (copiesFiles(config_)) {
        // A request in the folder reaches no node, and a removal gives the job its minute as well.
        for (auto& request : all) {
            request.kind = CancelKind::Hard;
        }
    }
    return SchedulerBackend::cancel(ctx, all);
}

std::vector<Result<void>> HTCondorBackend::remove(const Place& place,
                                                  const std::vector<JobRef>& jobs, bool onlyWaiting,
                                                  const CallContext& ctx) {
    return removeKeys(place, keysOf(jobs), onlyWaiting ? Removal::Waiting : Removal::NotEnded, ctx);
}

std::vector<Result<void>> HTCondorBackend::removeKeys(const Place& place,
                                                      const std::vector<std::string>& keys,
                                                      Removal which, const CallContext& ctx) {
    std::vector<Result<void>> results;
    inPieces(keys, [&](std::span<const std::string> some) {
        const auto said =
            commands_.run({place.account, removeCommand(place.server, some, which)}, ctx);
        Result<void> result;
        if (!said) {
            result = said.error();
        } else if (said->exitCode != 0 && !foundNothingToRemove(*said)) {
            result = uncertainError("condor_rm: " + complaintOf(*said));
        }
        results.insert(results.end(), some.size(), result);
    });
    return results;
}

}  // namespace gridbridge
