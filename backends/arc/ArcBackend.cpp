#include "backends/arc/ArcBackend.h"

#include <algorithm>
#include <utility>

#include "backends/api/CarriedFiles.h"
#include "backends/api/SharedFolder.h"
#include "backends/arc/ArcTransport.h"
#include "bridge/http/PocoTransport.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

std::unique_ptr<http::Transport> transportTo(const ArcConfig& config, const Clock& clock) {
    http::TransportOptions options;
    options.tls = config.tls;
    return std::make_unique<ArcTransport>(
        std::vector{config.tls.ca, config.tls.cert, config.tls.key},
        [url = config.url, &clock, options] {
            return std::make_unique<http::PocoTransport>(url, clock, "gridbridge", options);
        });
}

/// What A-REX keeps of a job with that id; a half or an empty answer is none.
bool isCredible(const ArcFields& local) {
    return !arcField(local, "jobname").empty() && arcTime(arcField(local, "starttime"));
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

std::vector<ArcBackend::Job> ArcBackend::Known::all(const JobRef& ref) const {
    std::vector<std::string> wanted{ref.id.value};
    if (ref.id.value.empty()) {
        const auto found = ids.find(ref.key.value);
        wanted = found == ids.end() ? std::vector<std::string>() : found->second;
    }
    std::vector<Job> jobs;
    for (const auto& id : wanted) {
        const auto state = states.find(id);
        if (state != states.end() && !isArcGone(state->second)) {
            jobs.push_back({id, state->second});
        }
    }
    return jobs;
}

std::optional<ArcBackend::Job> ArcBackend::Known::of(const JobRef& ref) const {
    const auto jobs = all(ref);
    return jobs.empty() ? std::nullopt : std::optional(jobs.front());
}

Result<std::optional<ArcFields>> ArcBackend::localOf(const CallContext& ctx,
                                                     const std::string& id) {
    const auto text = client_.diagnose(ctx, id, "local");
    if (!text) {
        return text.error();
    }
    const auto fields = parseArcFields(text->value_or(""));
    return isCredible(fields) ? std::optional(fields) : std::nullopt;
}

Result<std::vector<std::string>> ArcBackend::learn(const CallContext& ctx,
                                                   std::span<const std::string> unknown) {
    const auto told = client_.act(ctx, "info", {unknown.begin(), unknown.end()});
    if (!told) {
        return told.error();
    }
    std::vector<std::string> nameless;
    for (const auto& id : unknown) {
        const auto entry = told->find(id);
        auto name = entry == told->end() ? "" : entry->second.name;
        if (name.empty()) {
            const auto local = localOf(ctx, id);
            if (!local) {
                return local.error();
            }
            name = *local ? arcField(**local, "jobname") : "";
        }
        if (name.empty()) {
            nameless.push_back(id);
            continue;
        }
        const std::lock_guard lock(mutex_);
        names_[id] = name;
        nameless_.erase(id);
    }
    return nameless;
}

Result<void> ArcBackend::bear(const CallContext& ctx, const std::vector<std::string>& nameless) {
    // One that is being removed is not there any more.
    const auto again = client_.list(ctx);
    if (!again) {
        return again.error();
    }
    constexpr std::chrono::minutes kLongest{2};
    const auto now = clock_.steadyNow();
    for (const auto& id : nameless) {
        const auto state = again->find(id);
        if (state == again->end() || isArcGone(state->second)) {
            continue;
        }
        const std::lock_guard lock(mutex_);
        auto& seen = nameless_.try_emplace(id, Nameless{now, false}).first->second;
        if (now - seen.since < kLongest) {
            return transientError("ARC does not say which job " + id + " is");
        }
        // A job of ours has its name from its first moment, and without its files it never starts.
        if (!std::exchange(seen.told, true)) {
            tell_("ARC does not say which job " + id + " is, and it is left alone from now on");
        }
    }
    return {};
}

Result<void> ArcBackend::learnNames(const CallContext& ctx, const Known& known) {
    std::vector<std::string> unknown;
    {
        const std::lock_guard lock(mutex_);
        const auto isGone = [&](const auto& each) { return !known.states.contains(each.first); };
        std::erase_if(names_, isGone);
        std::erase_if(nameless_, isGone);
        for (const auto& [id, state] : known.states) {
            if (!names_.contains(id) && !isArcGone(state)) {
                unknown.push_back(id);
            }
        }
    }
    // Those of a part are kept when the next fails.
    constexpr std::size_t kAtOnce = 500;
    std::vector<std::string> nameless;
    for (std::size_t at = 0; at < unknown.size(); at += kAtOnce) {
        const auto some = std::span(unknown).subspan(at, std::min(kAtOnce, unknown.size() - at));
        const auto left = learn(ctx, some);
        if (!left) {
            return left.error();
        }
        nameless.insert(nameless.end(), left->begin(), left->end());
    }
    return nameless.empty() ? Result<void>() : bear(ctx, nameless);
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

Result<bool> ArcBackend::isStarted(const CallContext& ctx, Turn& turn, const std::string& id) {
    turn.left = false;
    {
        const std::lock_guard lock(mutex_);
        if (started_.contains(id)) {
            return true;
        }
    }
    // Not the marker itself: a pipe in its place would be read for ever.
    const auto out = patience_.ask(ctx, turn, id, "out", [&](const CallContext& brief) {
        return client_.folder(brief, id, "out");
    });
    if (!out) {
        return out.error();
    }
    const bool started = *out && (**out).files.contains("started");
    if (started) {
        const std::lock_guard lock(mutex_);
        started_.insert(id);
    }
    return started;
}

Result<Observation> ArcBackend::inside(const CallContext& ctx, Turn& turn, const Job& job,
                                       const std::string& told) {
    const auto started = isStarted(ctx, turn, job.id);
    if (!started && !turn.left) {
        return started.error();
    }
    return arcObservation(job.state, started && *started, told);
}

Result<Observation> ArcBackend::ended(const CallContext& ctx, Turn& turn, const JobRef& ref,
                                      const Job& job) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = ended_.find(job.id); known != ended_.end()) {
            return known->second;
        }
    }
    const auto local = localOf(ctx, job.id);
    const auto failed = client_.diagnose(ctx, job.id, "failed");
    if (!local || !failed) {
        turn.over = turn.over || clock_.steadyNow() >= ctx.deadline;
        return !local ? local.error() : failed.error();
    }
    // A job may write to it.
    const auto diagnosis = patience_.ask(ctx, turn, job.id, "diag", [&](const CallContext& brief) {
        return client_.diagnose(brief, job.id, "diag");
    });
    if (!diagnosis && (!turn.left || turn.over)) {
        return diagnosis.error();
    }
    const auto why = lastLineOf(failed->value_or(""));
    if (!*local || arcField(**local, "jobname") != ref.key.value ||
        (job.state != "FINISHED" && why.empty())) {
        return transientError("ARC does not say how the job ended");
    }
    const auto started = isStarted(ctx, turn, job.id);
    if (!started && (!turn.left || turn.over)) {
        return started.error();
    }
    const auto end =
        arcEnd(job.state, {.local = **local,
                           .diagnosis = parseArcFields(diagnosis ? diagnosis->value_or("") : ""),
                           .failed = why,
                           .marked = !started || *started,  // Rather that than a second start.
                           .removed = readMarks(folders_, std::span(&ref, 1)).front().removed});
    const std::lock_guard lock(mutex_);
    ended_[job.id] = end;
    return end;
}

Result<std::map<std::string, ArcEntry>> ArcBackend::informationOf(const CallContext& ctx,
                                                                  std::span<const JobRef> refs,
                                                                  const Known& known) {
    std::vector<std::string> asked;
    for (const auto& ref : refs) {
        const auto job = known.of(ref);
        const std::lock_guard lock(mutex_);
        // What a list calls running may wait behind ARC; the information tells, though late.
        if (job && isArcInside(job->state) && !started_.contains(job->id)) {
            asked.push_back(job->id);
        } else if (!job && isArcId(ref.id.value) && !known.states.contains(ref.id.value)) {
            asked.push_back(ref.id.value);
        }
    }
    return client_.act(ctx, "info", asked);
}

Result<void> ArcBackend::absence(const JobRef& ref, const Known& known,
                                 const std::map<std::string, ArcEntry>& told) {
    // A list that was empty for another reason must not end a job that runs.
    const auto entry = told.find(ref.id.value);
    if (isArcId(ref.id.value) && !known.states.contains(ref.id.value) &&
        (entry == told.end() || entry->second.status != 404)) {
        return transientError("ARC's list has no such job, but ARC does not say that it is gone");
    }
    return {};
}

Result<Observation> ArcBackend::observationOf(const CallContext& ctx, Turn& turn, const JobRef& ref,
                                              const Known& known,
                                              const std::map<std::string, ArcEntry>& told) {
    const auto job = known.of(ref);
    if (!job) {
        const auto absent = absence(ref, known, told);
        Observation seen;
        seen.state = BatchState::Absent;
        return absent ? Result<Observation>(seen) : absent.error();
    }
    if (isArcWaiting(job->state)) {
        return arcObservation(job->state, false, "");
    }
    if (isArcFinal(job->state)) {
        return ended(ctx, turn, ref, *job);
    }
    const auto entry = told.find(job->id);
    return inside(ctx, turn, *job, entry == told.end() ? "" : entry->second.told);
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
    // What a list of files would tell besides is told by a later look.
    constexpr std::chrono::seconds kTime{10};
    Turn turn{.until = clock_.steadyNow() + kTime};
    std::vector<Observation> seen(refs.size());
    ArcPatience::each(refs, observed_, turn, [&](std::size_t i) {
        const auto looked = observationOf(ctx, turn, refs[i], *known, *told);
        if (looked) {
            seen[i] = *looked;
        } else {
            seen[i].reason = looked.error().message;
        }
    });
    uploadMore(ctx, refs, *known, seen);
    return seen;
}

Result<LogChunk> ArcBackend::readLive(const CallContext& ctx, Turn& turn,
                                      const LogRequest& request) {
    const auto& id = request.ref.id.value;
    const std::string log = "out/log";
    if (!isArcId(id) || request.source != LogSource::Job || request.limit == 0) {
        return LogChunk{};
    }
    if (patience_.hasHung(id, log)) {  // A pipe is not listed.
        const auto out = patience_.ask(ctx, turn, id, "out", [&](const CallContext& brief) {
            return client_.folder(brief, id, "out");
        });
        if (!out) {
            return out.error();
        }
        if (!*out || !(**out).files.contains("log")) {
            return LogChunk{};
        }
    }
    const auto read = patience_.ask(ctx, turn, id, log, [&](const CallContext& brief) {
        return client_.read(brief, id, log, request.offset, request.limit);
    });
    if (!read) {
        return read.error();
    }
    LogChunk chunk;
    if (*read) {
        chunk.bytes = (**read).bytes;
        chunk.size = (**read).size;
    }
    return chunk;
}

std::vector<Result<LogChunk>> ArcBackend::readLogs(const CallContext& ctx,
                                                   std::span<const LogRequest> requests) {
    // Once it is here, with the status file.
    auto results = readSharedLogs(folders_, requests);
    std::vector<folder::ReadRequest> markers;
    std::vector<JobRef> refs;
    for (const auto& request : requests) {
        refs.push_back(request.ref);
        markers.push_back(
            {{request.ref.key, request.ref.account}, std::string("in/") + kFetchedName, 0, 0});
    }
    const auto fetched = folders_.read(markers);
    Turn turn{.until = ctx.deadline};
    ArcPatience::each(refs, read_, turn, [&](std::size_t i) {
        if (fetched[i] && !fetched[i]->exists) {
            results[i] = readLive(ctx, turn, requests[i]);
        }
    });
    return results;
}

}  // namespace gridbridge
