#include "backends/arc/ArcBackend.h"

#include <algorithm>
#include <utility>

#include "backends/api/CarriedFiles.h"
#include "backends/api/SharedFolder.h"
#include "bridge/http/PocoTransport.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

std::unique_ptr<http::Transport> transportTo(const ArcConfig& config, const Clock& clock) {
    http::TransportOptions options;
    options.tls = config.tls;
    return std::make_unique<http::PocoTransport>(config.url, clock, "gridbridge", options);
}

std::vector<JobRef> refsOf(std::span<const CancelRequest> requests) {
    std::vector<JobRef> refs;
    for (const auto& request : requests) {
        refs.push_back(request.ref);
    }
    return refs;
}

}  // namespace

ArcBackend::ArcBackend(const ArcConfig& config, const std::string& /*runAs*/,
                       folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                       Teller tell)
    : ArcBackend(config, transportTo(config, clock), folders, runner, clock, std::move(tell)) {}

ArcBackend::ArcBackend(ArcConfig config, std::unique_ptr<http::Transport> transport,
                       folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                       Teller tell)
    : config_(std::move(config)),
      folders_(folders),
      clock_(clock),
      tell_(std::move(tell)),
      commands_({}, runner, clock),
      transport_(std::move(transport)),
      client_(*transport_, config_.tokenFile, clock) {}

Capabilities ArcBackend::capabilities() const {
    // A submission of which no answer came may still be under way.
    return {.maxBatch = 2000,
            .maxSubmit = 20,
            .liveLog = true,
            .softCancel = true,
            .findsByKey = true,
            .filesByCollect = true,
            .reportsUsage = true,
            .visibilityDelay = seconds(30)};
}

Result<void> ArcBackend::probe(const CallContext& ctx) {
    const auto listed = client_.list(ctx);
    return listed ? Result<void>() : withoutEffect(listed.error());
}

std::optional<ArcBackend::Job> ArcBackend::Known::of(const JobRef& ref) const {
    auto id = ref.id.value;
    if (const auto found = ids.find(ref.key.value); id.empty() && found != ids.end()) {
        id = found->second.front();
    }
    const auto state = states.find(id);
    return state == states.end() || isArcGone(state->second)
               ? std::nullopt
               : std::optional(Job{id, state->second});
}

Result<std::optional<std::string>> ArcBackend::nameOf(const CallContext& ctx,
                                                      const std::string& id) {
    const auto local = client_.diagnose(ctx, id, "local");
    if (!local) {
        return local.error();
    }
    return *local ? std::optional(arcField(parseArcFields(**local), "jobname")) : std::nullopt;
}

Result<void> ArcBackend::learnNames(const CallContext& ctx, const Known& known) {
    std::vector<std::string> unknown;
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(names_, [&](const auto& each) { return !known.states.contains(each.first); });
        for (const auto& [id, state] : known.states) {
            if (!names_.contains(id) && !isArcGone(state)) {
                unknown.push_back(id);
            }
        }
    }
    const auto told = client_.act(ctx, "info", unknown);
    if (!told) {
        return told.error();
    }
    for (const auto& id : unknown) {
        const auto entry = told->find(id);
        std::optional<std::string> name;
        if (entry != told->end() && !entry->second.name.empty()) {
            name = entry->second.name;
        } else if (auto kept = nameOf(ctx, id); !kept) {
            return kept.error();
        } else {
            name = *kept;
        }
        if (!name) {
            return transientError("ARC does not say which job " + id + " is");
        }
        const std::lock_guard lock(mutex_);
        names_[id] = *name;
    }
    return {};
}

Result<ArcBackend::Known> ArcBackend::look(const CallContext& ctx, std::span<const JobRef> refs,
                                           bool byName) {
    auto states = client_.list(ctx);
    if (!states) {
        return states.error();
    }
    Known known{std::move(states).value(), {}};
    std::set<std::string> keys;
    for (const auto& ref : refs) {
        if (byName || ref.id.value.empty()) {
            keys.insert(ref.key.value);
        }
    }
    if (keys.empty()) {
        return known;
    }
    if (const auto learnt = learnNames(ctx, known); !learnt) {
        return learnt.error();
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [id, state] : known.states) {
        const auto name = names_.find(id);
        if (name != names_.end() && !isArcGone(state) && keys.contains(name->second)) {
            known.ids[name->second].push_back(id);
        }
    }
    return known;
}

Result<std::vector<FoundJob>> ArcBackend::find(const CallContext& ctx,
                                               std::span<const JobRef> refs) {
    const auto known = look(ctx, refs, true);
    if (!known) {
        return withoutEffect(known.error());
    }
    std::vector<FoundJob> found;
    for (const auto& ref : refs) {
        const auto job = adopt(ctx, *known, ref);
        if (!job) {
            return withoutEffect(job.error());
        }
        if (*job) {
            found.push_back(**job);
        }
    }
    return found;
}

Result<bool> ArcBackend::isStarted(const CallContext& ctx, const std::string& id) {
    {
        const std::lock_guard lock(mutex_);
        if (started_.contains(id)) {
            return true;
        }
    }
    const auto marker = client_.read(ctx, id, "out/started", 0, 1);
    if (!marker) {
        return marker.error();
    }
    if (marker->has_value()) {
        const std::lock_guard lock(mutex_);
        started_.insert(id);
    }
    return marker->has_value();
}

Result<Observation> ArcBackend::inside(const CallContext& ctx, const Job& job,
                                       const std::string& told) {
    const auto started = isStarted(ctx, job.id);
    return started ? Result<Observation>(arcObservation(job.state, *started, told))
                   : started.error();
}

Result<Observation> ArcBackend::ended(const CallContext& ctx, const JobRef& ref, const Job& job) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = ended_.find(job.id); known != ended_.end()) {
            return known->second;
        }
    }
    const auto local = client_.diagnose(ctx, job.id, "local");
    const auto diagnosis = client_.diagnose(ctx, job.id, "diag");
    const auto failed = client_.diagnose(ctx, job.id, "failed");
    const auto started = isStarted(ctx, job.id);
    if (!local || !diagnosis || !failed || !started) {
        return !local       ? local.error()
               : !diagnosis ? diagnosis.error()
               : !failed    ? failed.error()
                            : started.error();
    }
    if (!*local || (job.state != "FINISHED" && !*failed)) {
        return transientError("ARC does not say how the job ended");
    }
    const auto end =
        arcEnd(job.state, {.local = parseArcFields(**local),
                           .diagnosis = parseArcFields(diagnosis->value_or("")),
                           .failed = lastLineOf(failed->value_or("")),
                           .marked = *started,
                           .removed = readMarks(folders_, std::span(&ref, 1)).front().removed});
    const std::lock_guard lock(mutex_);
    ended_[job.id] = end;
    return end;
}

Result<std::map<std::string, ArcEntry>> ArcBackend::informationOf(const CallContext& ctx,
                                                                  std::span<const JobRef> refs,
                                                                  const Known& known) {
    // What a list calls running may wait behind ARC; the information tells, though late.
    std::vector<std::string> unstarted;
    for (const auto& ref : refs) {
        const auto job = known.of(ref);
        const std::lock_guard lock(mutex_);
        if (job && isArcInside(job->state) && !started_.contains(job->id)) {
            unstarted.push_back(job->id);
        }
    }
    return client_.act(ctx, "info", unstarted);
}

Result<std::vector<Observation>> ArcBackend::observe(const CallContext& ctx,
                                                     std::span<const JobRef> refs) {
    const auto known = look(ctx, refs, false);
    if (!known) {
        return withoutEffect(known.error());
    }
    const auto told = informationOf(ctx, refs, *known);
    if (!told) {
        return withoutEffect(told.error());
    }
    std::vector<Observation> seen(refs.size());
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto job = known->of(refs[i]);
        if (!job) {
            seen[i].state = BatchState::Absent;
            continue;
        }
        if (isArcWaiting(job->state)) {
            seen[i] = arcObservation(job->state, false, "");
            continue;
        }
        const auto entry = told->find(job->id);
        const auto looked = isArcFinal(job->state)
                                ? ended(ctx, refs[i], *job)
                                : inside(ctx, *job, entry == told->end() ? "" : entry->second.told);
        if (looked) {
            seen[i] = *looked;
        } else {
            seen[i].reason = looked.error().message;
        }
    }
    return seen;
}

Result<LogChunk> ArcBackend::readLive(const CallContext& ctx, const LogRequest& request) {
    const auto& id = request.ref.id.value;
    const auto now = clock_.steadyNow();
    if (!isArcId(id) || request.source != LogSource::Job || request.limit == 0) {
        return LogChunk{};
    }
    {
        const std::lock_guard lock(mutex_);
        if (const auto hung = hungUntil_.find(id); hung != hungUntil_.end() && now < hung->second) {
            return transientError("ARC does not give the job's log");
        }
    }
    // What a job puts in the place of its log may never give a byte: no other job waits for that.
    constexpr seconds kPatience{5};
    auto soon = ctx;
    soon.deadline = std::min(ctx.deadline, now + kPatience);
    auto read = client_.read(soon, id, "out/log", request.offset, request.limit);
    if (!read) {
        if (clock_.steadyNow() >= soon.deadline && soon.deadline < ctx.deadline) {
            constexpr std::chrono::minutes kRest{1};
            const std::lock_guard lock(mutex_);
            hungUntil_[id] = now + kRest;
        }
        return read.error();
    }
    LogChunk chunk;
    if (*read) {
        chunk.bytes = std::move((**read).bytes);
        chunk.size = (**read).size;
    }
    return chunk;
}

std::vector<Result<LogChunk>> ArcBackend::readLogs(const CallContext& ctx,
                                                   std::span<const LogRequest> requests) {
    // Once it is here, with the status file.
    auto results = readSharedLogs(folders_, requests);
    std::vector<folder::ReadRequest> markers;
    for (const auto& request : requests) {
        markers.push_back(
            {{request.ref.key, request.ref.account}, std::string("in/") + kFetchedName, 0, 0});
    }
    const auto fetched = folders_.read(markers);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (fetched[i] && !fetched[i]->exists) {
            results[i] = readLive(ctx, requests[i]);
        }
    }
    return results;
}

Result<CancelOutcome> ArcBackend::cancelOne(const CallContext& ctx, const CancelRequest& request,
                                            const Job& job) {
    const bool soft = request.kind == CancelKind::Soft && isArcInside(job.state);
    if (!soft) {
        markRemoved(folders_, request.ref);
    }
    // ARC's `fork` ends no process of a job, and a soft cancel ARC does not have at all: its own
    // program and script look for these files.
    const auto asked = client_.put(ctx, job.id, soft ? "in/cancel" : "in/kill", 0, "", 0);
    if (soft) {
        return asked ? Result<CancelOutcome>(CancelOutcome::Requested) : asked.error();
    }
    const auto killed = client_.act(ctx, "kill", {job.id});
    if (!killed) {
        return killed.error();
    }
    const auto entry = killed->find(job.id);
    if (entry == killed->end() || entry->second.status / 100 != 2) {
        return transientError("ARC does not kill the job: " + (entry == killed->end()
                                                                   ? "it does not say why"
                                                                   : entry->second.reason));
    }
    return CancelOutcome::Requested;
}

std::vector<Result<CancelOutcome>> ArcBackend::cancel(const CallContext& ctx,
                                                      std::span<const CancelRequest> requests) {
    const auto known = look(ctx, refsOf(requests), false);
    if (!known) {
        return {requests.size(), withoutEffect(known.error())};
    }
    std::vector<Result<CancelOutcome>> results;
    for (const auto& request : requests) {
        const auto job = known->of(request.ref);
        const bool isOver = !job || isArcFinal(job->state);
        results.push_back(isOver ? Result<CancelOutcome>(CancelOutcome::AlreadyGone)
                                 : cancelOne(ctx, request, *job));
    }
    return results;
}

Result<ArcBackend::Known> ArcBackend::takeBack(const CallContext& ctx,
                                               std::span<const JobRef> refs) {
    constexpr int kTries = 75;  // A-REX hears of it within a second or two, where it is not busy.
    for (int tries = 0;; ++tries) {
        auto known = look(ctx, refs, false);
        if (!known) {
            return known;
        }
        std::vector<std::string> waiting;
        for (const auto& ref : refs) {
            if (const auto job = known->of(ref); job && isArcWaiting(job->state)) {
                waiting.push_back(job->id);
            }
        }
        if (waiting.empty() || tries == kTries) {
            return known;
        }
        if (const auto killed = client_.act(ctx, "kill", waiting); !killed) {
            return killed.error();
        }
        const auto next = clock_.steadyNow() + Millis(200);
        if (next >= ctx.deadline || !clock_.sleepUntil(next, ctx.stop)) {
            return transientError("there was no time for ARC to take the jobs back");
        }
    }
}

Result<void> ArcBackend::releaseOne(const CallContext& ctx, const JobRef& ref, const Known& known) {
    const auto job = known.of(ref);
    if (job && isArcInside(job->state)) {
        return permanentError("the job " + ref.key.value + " still runs");
    }
    if (job && isArcWaiting(job->state)) {
        return transientError("ARC has not taken the job back");
    }
    if (job) {
        const auto cleaned = client_.act(ctx, "clean", {job->id});
        if (!cleaned) {
            return cleaned.error();
        }
        const std::lock_guard lock(mutex_);
        ended_.erase(job->id);
        started_.erase(job->id);
        hungUntil_.erase(job->id);
    }
    return folders_.free({ref.key, ref.account});
}

std::vector<Result<void>> ArcBackend::release(const CallContext& ctx,
                                              std::span<const JobRef> refs) {
    const auto known = takeBack(ctx, refs);
    std::vector<Result<void>> results;
    for (const auto& ref : refs) {
        results.push_back(known ? releaseOne(ctx, ref, *known) : withoutEffect(known.error()));
    }
    return results;
}

}  // namespace gridbridge
