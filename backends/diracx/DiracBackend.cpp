#include "backends/diracx/DiracBackend.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "backends/api/SharedFolder.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

std::optional<std::int64_t> idOf(const JobRef& ref) {
    std::int64_t id = 0;
    const auto& text = ref.id.value;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
    return read.ptr == text.data() + text.size() && id > 0 ? std::optional(id) : std::nullopt;
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

DiracBackend::DiracBackend(DiracJobConfig config, folder::JobFolders& folders,
                           ProcessRunner& runner, Clock& clock, Teller tell)
    : config_(std::move(config)),
      folders_(folders),
      clock_(clock),
      tell_(std::move(tell)),
      commands_({}, runner, clock),
      liveLog_(folders),
      receiver_(config_.live.url.empty()
                    ? nullptr
                    : std::make_unique<LiveLogReceiver>(config_.live,
                                                        folders.path({{"any"}, {}}).parent_path(),
                                                        liveLog_, clock)) {}

const DiracxJob* DiracBackend::Known::of(const SubmissionKey& key) const {
    const auto found = jobs.find(key.value);
    return found == jobs.end() ? nullptr : &found->second.front();
}

bool DiracBackend::Known::hides(const JobRef& ref) const {
    const auto id = idOf(ref);
    return id && hidden.contains(*id);
}

Result<void> DiracBackend::lookBy(const CallContext& ctx, const DiracxQuery& query, Known& known) {
    if (query.ids.empty() && query.names.empty()) {
        return {};
    }
    auto found = search(ctx, query);
    if (!found) {
        return found.error();
    }
    if (known.owner.value_or(found->owner) != found->owner) {
        return transientError("somebody else has just logged in");
    }
    known.owner = found->owner;
    known.serverNow = found->serverNow;
    known.hidden.insert(found->hidden.begin(), found->hidden.end());
    for (auto& job : found->jobs) {
        known.jobs[job.name].push_back(job);
    }
    return {};
}

Result<void> DiracBackend::ownersOfMissing(std::span<const JobRef> refs, const Known& known) {
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
                             ": log in as the former until they have ended, see `" + loginKey() +
                             "`",
                         true};
        }
    }
    return {};
}

Result<DiracBackend::Known> DiracBackend::look(const CallContext& ctx, std::span<const JobRef> refs,
                                               Histories histories, const Known* rows) {
    DiracxQuery byId{.groups = groupsOf(refs), .history = histories == Histories::All};
    auto byName = byId;
    byName.history = histories != Histories::None;
    std::set<std::string> keys;
    for (const auto& ref : refs) {
        keys.insert(ref.key.value);
        if (const auto id = idOf(ref)) {
            byId.ids.push_back(*id);
            if (const auto* const row = rows != nullptr ? rows->of(ref.key) : nullptr) {
                byId.rows.push_back(*row);
            }
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

DiracxKill DiracBackend::killOf(const DiracxJob& job, WallTime serverNow, const char* why) {
    return {job.id, stampAfter(pastOf(job), serverNow), why};
}

Result<std::map<std::int64_t, std::string>> DiracBackend::kill(
    const CallContext& ctx, const std::vector<DiracxKill>& kills) {
    if (kills.empty()) {
        return std::map<std::int64_t, std::string>();
    }
    return killThese(ctx, kills);
}

void DiracBackend::killSecondCopies(const CallContext& ctx, const Known& known) {
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

Result<std::vector<FoundJob>> DiracBackend::find(const CallContext& ctx,
                                                 std::span<const JobRef> refs) {
    std::vector<JobRef> byName(refs.begin(), refs.end());
    for (auto& ref : byName) {
        ref.id = {};
    }
    const auto known = look(ctx, byName, Histories::All);
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

DiracBackend::Pasts DiracBackend::remembered(const Known& known, std::vector<JobRef>& changed) {
    Pasts all;
    std::vector<JobRef> again;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, jobs] : known.jobs) {
        const auto& job = jobs.front();
        const auto found = remembered_.find(key);
        if (!job.history.empty()) {
            // What was told of it before holds on, when it waits again.
            all[key] = pastOf(job);
            remembered_[key] = {wordsOf(job), all[key]};
        } else if (found != remembered_.end() && found->second.words == wordsOf(job)) {
            all[key] = found->second.past;
        } else if (found != remembered_.end()) {
            // Of a job that was on a node the row alone may say again that it waits.
            again.push_back({{key}, {}, remoteId(job), {}});
        } else if (needsDiracxHistory(job)) {
            changed.push_back({{key}, {}, remoteId(job), {}});
        }
    }
    changed.insert(changed.end(), again.begin(), again.end());
    return all;
}

Result<DiracBackend::Pasts> DiracBackend::pasts(const CallContext& ctx, const Known& known) {
    std::vector<JobRef> changed;
    auto all = remembered(known, changed);
    const auto anew = look(ctx, changed, Histories::All, &known);
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

void DiracBackend::addKills(const Known& known, Pasts& pasts) {
    if (historyTellsWhoKilled()) {
        return;
    }
    std::vector<folder::ReadRequest> reads;
    std::vector<DiracxPast*> killed;
    constexpr std::size_t kLongest = 200;
    for (auto& [key, past] : pasts) {
        const auto* const job = known.of({key});
        if (job != nullptr && (job->status == "Killed" || job->status == "Deleted")) {
            reads.push_back({{{key}, {}}, std::string("in/") + kRemovedName, 0, kLongest});
            killed.push_back(&past);
        }
    }
    const auto marks = folders_.read(reads);
    for (std::size_t i = 0; i < killed.size(); ++i) {
        if (marks[i] && marks[i]->exists) {
            killed[i]->killedByUs = true;
            killed[i]->killedFor = marks[i]->bytes;
        }
    }
}

/// What cannot be written is left out: then the end is only told as somebody else's.
void DiracBackend::markKill(const std::string& key, const char* why) {
    if (historyTellsWhoKilled()) {
        return;
    }
    // It may have been asked for before, and what for then is what ended the job.
    const std::vector<folder::ReadRequest> earlier{
        {{{key}, {}}, std::string("in/") + kRemovedName, 0, 0}};
    if (const auto mark = std::move(folders_.read(earlier).front()); mark && !mark->exists) {
        const std::vector<folder::StagedFile> staged{{kRemovedName, why}};
        static_cast<void>(folders_.stage({{key}, {}}, staged));
    }
}

std::set<std::string> DiracBackend::startedOf(std::span<const JobRef> refs) {
    std::set<std::string> started;
    const std::lock_guard lock(mutex_);
    for (const auto& ref : refs) {
        const auto found = remembered_.find(ref.key.value);
        if (found != remembered_.end() && found->second.past.started) {
            started.insert(ref.key.value);
        }
    }
    return started;
}

void DiracBackend::killReruns(const CallContext& ctx, const Known& known, const Pasts& pasts,
                              const std::set<std::string>& started) {
    if (config_.rerunsAllowed) {
        return;
    }
    std::vector<DiracxKill> kills;
    for (const auto& [key, jobs] : known.jobs) {
        if (isDiracxFinal(jobs.front().status)) {
            continue;
        }
        const auto found = pasts.find(key);
        const auto past = found == pasts.end() ? DiracxPast{} : found->second;
        // One that waits is not in the run in which it started, whatever its history lacks; but
        // it may have started between its row and its history.
        const bool waitsAgain = started.contains(key) && isDiracxWaiting(jobs.front().status);
        if (past.startedBefore || waitsAgain) {
            const auto at = stampAfter(past, known.serverNow);
            kills.push_back({jobs.front().id, at, kDiracxNotAgain});
            markKill(key, kDiracxNotAgain);
        }
    }
    if (const auto killed = kill(ctx, kills); !killed) {
        tell_("jobs that DIRAC starts again could not be killed: " + killed.error().message);
    }
}

void DiracBackend::tellUnknown(const DiracxJob& job) {
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

void DiracBackend::addExitCodes(std::vector<Observation>& seen, std::span<const JobRef> refs) {
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

Result<std::vector<Observation>> DiracBackend::observe(const CallContext& ctx,
                                                       std::span<const JobRef> refs) {
    const auto started = startedOf(refs);
    const auto known = look(ctx, refs, Histories::OfCopies);
    if (!known) {
        return withoutEffect(known.error());
    }
    auto histories = pasts(ctx, *known);
    if (!histories) {
        return withoutEffect(histories.error());
    }
    auto past = std::move(histories).value();
    addKills(*known, past);
    killSecondCopies(ctx, *known);
    killReruns(ctx, *known, past, started);
    const auto asks = unusualInJdl(config_, {});  // What is in the configuration.
    std::vector<Observation> seen(refs.size());
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto* const job = known->of(refs[i].key);
        if (job == nullptr) {
            const bool hidden = known->hides(refs[i]);
            seen[i].state = hidden ? BatchState::Unknown : BatchState::Absent;
            seen[i].reason = hidden ? kDiracHidden : "";
            continue;
        }
        tellUnknown(*job);
        const auto found = past.find(refs[i].key.value);
        if (found != past.end()) {
            seen[i] = observationOf(*job, found->second, asks);
        } else if (!needsDiracxHistory(*job)) {
            seen[i] = observationOf(*job, {}, asks);
        }
    }
    addExitCodes(seen, refs);
    return seen;
}

}  // namespace gridbridge
