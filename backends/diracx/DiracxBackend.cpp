#include "backends/diracx/DiracxBackend.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "backends/api/SharedFolder.h"
#include "backends/diracx/DiracxSandbox.h"
#include "bridge/http/PocoTransport.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

std::optional<std::int64_t> idOf(const JobRef& ref) {
    std::int64_t id = 0;
    const auto& text = ref.id.value;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
    return read.ptr == text.data() + text.size() && id > 0 ? std::optional(id) : std::nullopt;
}

std::unique_ptr<http::Transport> transportTo(const DiracxConfig& config, const Clock& clock) {
    http::TransportOptions options;
    options.tls.ca = config.caFile;
    return std::make_unique<http::PocoTransport>(config.url, clock, "gridbridge", options);
}

std::string wordsOf(const DiracxJob& job) {
    return job.status + "\n" + job.minor + "\n" + job.application + "\n" +
           std::to_string(job.reschedules);
}

/// A time that DIRAC takes for the newest. The server's clock is known to the second, rounded down.
WallTime stampAfter(const DiracxPast& past, WallTime serverNow) {
    return std::max<WallTime>(serverNow + seconds(1), past.newest + Millis(1));
}

/// The lowest is to live: a script that has started cannot be undone.
auto rankOf(const DiracxJob& job) {
    return std::tuple(!pastOf(job).started, isDiracxFinal(job.status), job.id);
}

template <typename T>
std::vector<T> partOf(const std::vector<T>& all, std::size_t from, std::size_t count) {
    const auto begin = std::min(from, all.size());
    const auto end = std::min(begin + count, all.size());
    return {all.begin() + static_cast<std::ptrdiff_t>(begin),
            all.begin() + static_cast<std::ptrdiff_t>(end)};
}

RemoteId remoteId(const DiracxJob& job) {
    return {std::to_string(job.id)};
}

std::vector<std::string> groupsOf(std::span<const JobRef> refs) {
    std::set<std::string> groups;
    for (const auto& ref : refs) {
        groups.insert(diracxGroup(ref.key));
    }
    return {groups.begin(), groups.end()};
}

}  // namespace

DiracxBackend::DiracxBackend(const DiracxConfig& config, const std::string& /*runAs*/,
                             folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                             Teller tell)
    : DiracxBackend(config, transportTo(config, clock), folders, runner, clock, std::move(tell)) {}

DiracxBackend::DiracxBackend(DiracxConfig config, std::unique_ptr<http::Transport> transport,
                             folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                             Teller tell)
    : config_(std::move(config)),
      folders_(folders),
      clock_(clock),
      tell_(std::move(tell)),
      commands_({}, runner, clock),
      transport_(std::move(transport)),
      tokens_(config_.credentials, *transport_, clock),
      client_(*transport_, tokens_, clock) {}

Capabilities DiracxBackend::capabilities() const {
    // A commit of a submission of which no answer came may still be under way.
    return {.maxBatch = 2000,
            .maxSubmit = 20,
            .findsByKey = true,
            .filesByCollect = true,
            .visibilityDelay = seconds(30)};
}

Result<void> DiracxBackend::probe(const CallContext& ctx) {
    const auto identity = client_.identity(ctx);
    if (!identity) {
        return identity.error();
    }
    // A login comes and goes while the service runs, like the server: nothing here is for good.
    return identity->maySubmit ? Result<void>()
                               : Error{ErrorKind::Transient,
                                       "the group " + identity->group + " of " + identity->user +
                                           " may not submit jobs, for it has not the property "
                                           "NormalUser: log in with another one",
                                       true};
}

const DiracxJob* DiracxBackend::Known::of(const SubmissionKey& key) const {
    const auto found = jobs.find(key.value);
    return found == jobs.end() ? nullptr : &found->second.front();
}

Result<void> DiracxBackend::lookBy(const CallContext& ctx, const DiracxQuery& query, Known& known) {
    // An answer with many histories is longer than what can be taken.
    constexpr std::size_t kMostHistories = 150;
    const auto atOnce =
        query.history ? kMostHistories : std::max(query.ids.size(), query.names.size());
    auto part = query;
    for (std::size_t from = 0; from < std::max(query.ids.size(), query.names.size());
         from += atOnce) {
        part.ids = partOf(query.ids, from, atOnce);
        part.names = partOf(query.names, from, atOnce);
        if (const auto looked = lookOnce(ctx, part, known); !looked) {
            return looked;
        }
    }
    return {};
}

Result<void> DiracxBackend::lookOnce(const CallContext& ctx, const DiracxQuery& query,
                                     Known& known) {
    auto found = client_.search(ctx, query);
    if (!found) {
        return found.error();
    }
    if (known.owner.value_or(found->owner) != found->owner) {
        return transientError("somebody else has just logged in");
    }
    known.owner = found->owner;
    known.serverNow = found->serverNow;
    for (auto& job : found->jobs) {
        known.jobs[job.name].push_back(job);
    }
    return {};
}

Result<void> DiracxBackend::ownersOfMissing(std::span<const JobRef> refs, const Known& known) {
    if (!known.owner) {
        return {};
    }
    std::vector<folder::ReadRequest> reads;
    constexpr std::size_t kLongest = 1000;
    for (const auto& ref : refs) {
        if (known.of(ref.key) == nullptr) {
            reads.push_back({{ref.key, ref.account}, std::string("in/") + kOwnerName, 0, kLongest});
        }
    }
    for (const auto& owner : folders_.read(reads)) {
        if (!owner) {
            return withoutEffect(owner.error());
        }
        if (!owner->bytes.empty() && owner->bytes != known.owner->text()) {
            return Error{ErrorKind::Transient,
                         "open jobs belong to " + lastLineOf(owner->bytes) +
                             ", and the login is that of " + lastLineOf(known.owner->text()) +
                             ": log in as the former until they have ended, see `credentials`",
                         true};
        }
    }
    return {};
}

Result<DiracxBackend::Known> DiracxBackend::look(const CallContext& ctx,
                                                 std::span<const JobRef> refs, bool history) {
    DiracxQuery byId{.groups = groupsOf(refs), .ids = {}, .names = {}, .history = history};
    auto byName = byId;
    byName.history = true;  // Which of two copies counts, it tells.
    std::set<std::string> keys;
    for (const auto& ref : refs) {
        keys.insert(ref.key.value);
        if (const auto id = idOf(ref)) {
            byId.ids.push_back(*id);
        } else {
            byName.names.push_back(ref.key.value);
        }
    }
    Known known;
    for (const auto* query : {&byId, &byName}) {
        if (const auto looked = lookBy(ctx, *query, known); !looked) {
            return looked.error();
        }
    }
    // An id that is now somebody else's is not this job.
    std::erase_if(known.jobs, [&](const auto& each) { return !keys.contains(each.first); });
    for (auto& [key, jobs] : known.jobs) {
        std::sort(jobs.begin(), jobs.end(),
                  [](const auto& a, const auto& b) { return rankOf(a) < rankOf(b); });
    }
    if (const auto own = ownersOfMissing(refs, known); !own) {
        return own.error();
    }
    return known;
}

DiracxKill DiracxBackend::killOf(const DiracxJob& job, WallTime serverNow, const char* why) {
    return {job.id, stampAfter(pastOf(job), serverNow), why};
}

Result<std::map<std::int64_t, std::string>> DiracxBackend::kill(
    const CallContext& ctx, const std::vector<DiracxKill>& kills) {
    if (kills.empty()) {
        return std::map<std::int64_t, std::string>();
    }
    return client_.kill(ctx, kills);
}

void DiracxBackend::killSecondCopies(const CallContext& ctx, const Known& known) {
    std::vector<DiracxKill> kills;
    for (const auto& [key, jobs] : known.jobs) {
        for (std::size_t i = 1; i < jobs.size(); ++i) {
            if (!isDiracxFinal(jobs[i].status)) {
                kills.push_back(killOf(jobs[i], known.serverNow, kDiracxSecondCopy));
            }
        }
    }
    if (const auto killed = kill(ctx, kills); !killed) {
        tell_("second copies of jobs could not be killed: " + killed.error().message);
    }
}

Result<std::vector<FoundJob>> DiracxBackend::find(const CallContext& ctx,
                                                  std::span<const JobRef> refs) {
    std::vector<JobRef> byName(refs.begin(), refs.end());
    for (auto& ref : byName) {
        ref.id = {};
    }
    const auto known = look(ctx, byName, true);
    if (!known) {
        return withoutEffect(known.error());
    }
    killSecondCopies(ctx, *known);
    std::vector<FoundJob> found;
    for (const auto& ref : refs) {
        if (const auto* job = known->of(ref.key)) {
            found.push_back({ref.key, remoteId(*job), job->submittedAt});
        }
    }
    return found;
}

Result<std::map<std::string, DiracxPast>> DiracxBackend::pasts(const CallContext& ctx,
                                                               const Known& known) {
    std::map<std::string, DiracxPast> all;
    std::vector<JobRef> changed;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [key, jobs] : known.jobs) {
            const auto& job = jobs.front();
            const auto remembered = remembered_.find(key);
            if (remembered != remembered_.end() && remembered->second.words == wordsOf(job)) {
                all[key] = remembered->second.past;
            } else if (remembered != remembered_.end() || needsDiracxHistory(job)) {
                // Of a job that was on a node the row alone may say again that it waits.
                changed.push_back({{key}, {}, remoteId(job), {}});
            }
        }
    }
    const auto anew = look(ctx, changed, true);
    if (!anew) {
        return anew.error();
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [key, jobs] : anew->jobs) {
        if (jobs.front().history.empty()) {
            continue;  // Each job has one.
        }
        all[key] = pastOf(jobs.front());
        // Of what has changed meanwhile this is not all: it is asked for again.
        remembered_[key] = {wordsOf(jobs.front()), all[key]};
    }
    return all;
}

void DiracxBackend::killReruns(const CallContext& ctx, const Known& known,
                               const std::map<std::string, DiracxPast>& pasts) {
    if (config_.rerunsAllowed) {
        return;
    }
    std::vector<DiracxKill> kills;
    for (const auto& [key, jobs] : known.jobs) {
        const auto past = pasts.find(key);
        if (past == pasts.end() || isDiracxFinal(jobs.front().status)) {
            continue;
        }
        // One that waits is not in the run in which it started, whatever its history lacks.
        const bool waitsAgain = past->second.started && past->second.waits;
        if (past->second.startedBefore || waitsAgain) {
            const auto at = stampAfter(past->second, known.serverNow);
            kills.push_back({jobs.front().id, at, kDiracxNotAgain});
        }
    }
    if (const auto killed = kill(ctx, kills); !killed) {
        tell_("jobs that DIRAC starts again could not be killed: " + killed.error().message);
    }
}

void DiracxBackend::tellUnknown(const DiracxJob& job) {
    const auto unknown = unknownDiracxState(job);
    constexpr std::size_t kMost = 1000;
    {
        const std::lock_guard lock(mutex_);
        if (unknown.empty() || told_.size() > kMost || !told_.insert(unknown).second) {
            return;
        }
    }
    tell_(unknown);
}

void DiracxBackend::addExitCodes(std::vector<Observation>& seen, std::span<const JobRef> refs) {
    std::vector<folder::ReadRequest> reads;
    std::vector<std::size_t> where;
    constexpr std::size_t kLongest = 8;
    for (std::size_t i = 0; i < seen.size(); ++i) {
        if (seen[i].state == BatchState::Ended && seen[i].cause == EndCause::Exited) {
            reads.push_back({{refs[i].key, refs[i].account}, kDiracxExitName, 0, kLongest});
            where.push_back(i);
        }
    }
    const auto chunks = folders_.read(reads);
    constexpr int kSignals = 128;
    for (std::size_t n = 0; n < where.size(); ++n) {
        int code = -1;
        if (chunks[n]) {
            const auto& text = chunks[n]->bytes;
            std::from_chars(text.data(), text.data() + text.size(), code);
        }
        auto& each = seen[where[n]];
        if (code > kSignals && code <= kSignals + 64) {
            each.signal = code - kSignals;
        } else if (code >= 0 && code < 256) {
            each.exitCode = code;
        }
    }
}

Result<std::vector<Observation>> DiracxBackend::observe(const CallContext& ctx,
                                                        std::span<const JobRef> refs) {
    const auto known = look(ctx, refs, false);
    if (!known) {
        return withoutEffect(known.error());
    }
    const auto past = pasts(ctx, *known);
    if (!past) {
        return withoutEffect(past.error());
    }
    killReruns(ctx, *known, *past);
    const auto asks = unusualInJdl(config_, {});  // What is in the configuration.
    std::vector<Observation> seen(refs.size());
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto* const job = known->of(refs[i].key);
        if (job == nullptr) {
            seen[i].state = BatchState::Absent;
            continue;
        }
        tellUnknown(*job);
        const auto found = past->find(refs[i].key.value);
        if (found != past->end()) {
            seen[i] = observationOf(*job, found->second, asks);
        } else if (!needsDiracxHistory(*job)) {
            seen[i] = observationOf(*job, {}, asks);
        }
    }
    addExitCodes(seen, refs);
    return seen;
}

std::vector<Result<LogChunk>> DiracxBackend::readLogs(const CallContext&,
                                                      std::span<const LogRequest> requests) {
    return readSharedLogs(folders_, requests);
}

DiracxBackend::Killed DiracxBackend::killAll(const CallContext& ctx, std::span<const JobRef> refs,
                                             bool onlyWaiting) {
    Killed killed;
    // What DIRAC heard of a job between our look and our kill is newer than that, which does
    // nothing then.
    constexpr int kMostTries = 4;
    for (int tries = 0; tries < kMostTries; ++tries) {
        auto known = look(ctx, refs, true);
        if (!known) {
            killed.error = withoutEffect(known.error());
            return killed;
        }
        killed.known = std::move(known).value();
        std::vector<DiracxKill> kills;
        for (const auto& [key, jobs] : killed.known.jobs) {
            for (const auto& job : jobs) {
                if (!isDiracxFinal(job.status) && (!onlyWaiting || isDiracxWaiting(job.status))) {
                    kills.push_back(killOf(job, killed.known.serverNow, kDiracxNotWanted));
                }
            }
        }
        const auto states = kill(ctx, kills);
        if (!states) {
            killed.error = states.error();
            return killed;
        }
        std::erase_if(kills, [&](const DiracxKill& each) {
            const auto state = states->find(each.id);
            if (state != states->end() && state->second == "Killed") {
                killed.ids.insert(each.id);
            }
            return state != states->end() && isDiracxFinal(state->second);
        });
        if (kills.empty()) {
            return killed;
        }
    }
    killed.error = transientError("DIRAC has not killed the job");
    return killed;
}

std::vector<Result<CancelOutcome>> DiracxBackend::cancel(const CallContext& ctx,
                                                         std::span<const CancelRequest> requests) {
    std::vector<JobRef> refs;
    for (const auto& request : requests) {
        refs.push_back(request.ref);
    }
    const auto killed = killAll(ctx, refs, false);
    std::vector<Result<CancelOutcome>> results;
    for (const auto& ref : refs) {
        const auto* const job = killed.known.of(ref.key);
        if (job != nullptr && killed.ids.contains(job->id)) {
            results.emplace_back(CancelOutcome::Requested);
        } else if (killed.error && (job == nullptr || !isDiracxFinal(job->status))) {
            results.emplace_back(*killed.error);
        } else {
            results.emplace_back(CancelOutcome::AlreadyGone);
        }
    }
    return results;
}

std::vector<Result<void>> DiracxBackend::release(const CallContext& ctx,
                                                 std::span<const JobRef> refs) {
    const auto killed = killAll(ctx, refs, true);
    std::vector<Result<void>> results;
    for (const auto& ref : refs) {
        const auto* const job = killed.known.of(ref.key);
        const bool isOver =
            job != nullptr && (killed.ids.contains(job->id) || isDiracxFinal(job->status));
        if (killed.error && !isOver) {
            results.emplace_back(
                Error{ErrorKind::Transient, killed.error->message, killed.error->misconfigured});
            continue;
        }
        if (job != nullptr && !isOver) {
            results.emplace_back(permanentError("the job " + ref.key.value + " still runs"));
            continue;
        }
        results.push_back(folders_.free({ref.key, ref.account}));
        const std::lock_guard lock(mutex_);
        remembered_.erase(ref.key.value);
        outputMissing_.erase(ref.key.value);
    }
    return results;
}

}  // namespace gridbridge
