#include "backends/htcondor/HTCondorSpool.h"

#include <algorithm>
#include <utility>

#include "backends/api/SharedFolder.h"
#include "backends/htcondor/HTCondorBackend.h"

namespace gridbridge {

bool isUnsent(const HTCondorJob& job) {
    constexpr int kHeld = 5;
    constexpr int kSpooling = 16;
    return job.status == kHeld && job.holdCode == kSpooling;
}

bool isBeingSent(const HTCondorListing& listing, const std::string& key) {
    const auto job = listing.jobs.find(key);
    return job != listing.jobs.end() && isUnsent(job->second);
}

bool wasNeverSent(const HTCondorJob& job) {
    constexpr int kRemoved = 3;
    return job.status == kRemoved && job.removeReason.starts_with(kNeverSent);
}

namespace {

/// What the schedd says of files that are not here; none = they are to be fetched.
std::optional<Result<CollectOutcome>> toldOf(const HTCondorListing& listing,
                                             const std::string& key) {
    const auto found = listing.jobs.find(key);
    if (found == listing.jobs.end()) {
        return transientError(listing.trouble.empty() ? "neither queue nor history knows the job"
                                                      : listing.trouble);
    }
    const auto& job = found->second;
    if (!hasEnded(job)) {
        return CollectOutcome::NotYet;
    }
    if (!job.completedAt) {
        return CollectOutcome::Done;  // It leaves nothing.
    }
    // Once it has left the queue its spool is gone.
    return job.listed ? std::nullopt : std::optional<Result<CollectOutcome>>(CollectOutcome::Never);
}

}  // namespace

Result<HTCondorListing> HTCondorBackend::withoutUnsent(const Place& place,
                                                       const std::vector<std::string>& keys,
                                                       const CallContext& ctx) {
    auto listing = queue(place, keys, ctx);
    if (!config_.spool || !listing) {
        return listing;
    }
    const auto left = unsentForLong(*listing, keys);
    if (left.empty()) {
        return listing;
    }
    std::string trouble;
    for (const auto& removed : removeKeys(place, left, Removal::Unsent, ctx)) {
        trouble = removed ? trouble : removed.error().message;
    }
    tellUnsent(place, trouble);
    return trouble.empty() ? queue(place, keys, ctx) : listing;
}

void HTCondorBackend::tellUnsent(const Place& place, const std::string& trouble) {
    {
        const std::lock_guard lock(spoolMutex_);
        if (std::exchange(unsentTrouble_[place], trouble) == trouble) {
            return;
        }
    }
    if (!trouble.empty()) {
        tellSpool_("jobs whose files were never all sent cannot be removed: " + trouble);
    }
}

std::vector<std::string> HTCondorBackend::unsentForLong(const HTCondorListing& listing,
                                                        const std::vector<std::string>& keys) {
    const auto now = clock_.steadyNow();
    std::vector<std::string> left;
    const std::lock_guard lock(spoolMutex_);
    for (const auto& key : keys) {
        if (!isBeingSent(listing, key)) {
            unsentSince_.erase(key);
        } else if (now >= unsentSince_.emplace(key, now).first->second + config_.sendingLimit) {
            left.push_back(key);
        }
    }
    return left;
}

Result<void> HTCondorBackend::awaitSent(const Place& place, const std::vector<std::string>& keys,
                                        const CallContext& ctx) {
    constexpr Millis kPause{200};
    do {
        const auto listing = queue(place, keys, ctx);
        if (listing && std::none_of(keys.begin(), keys.end(),
                                    [&](const auto& key) { return isBeingSent(*listing, key); })) {
            return {};
        }
    } while (clock_.steadyNow() + kPause < ctx.deadline &&
             clock_.sleepUntil(clock_.steadyNow() + kPause, ctx.stop));
    return uncertainError("the schedd has not said yet that it has all files");
}

Result<void> HTCondorBackend::fetch(const Place& place, const HTCondorListing& before,
                                    const std::string& key, const CallContext& ctx) {
    forgetFetch(key);
    const auto lock = folders_.path({{key}, place.account}) / "in";
    const auto said = commands_.run({place.account, fetchCommand(place.server, key, lock)}, ctx);
    if (!said) {
        return withoutEffect(said.error());
    }
    if (said->exitCode == kFetchRuns && said->err.empty()) {
        return transientError("an earlier condor_transfer_data still runs");
    }
    if (said->exitCode != 0) {
        return transientError("condor_transfer_data: " + complaintOf(*said));
    }
    const std::lock_guard guard(spoolMutex_);
    fetchedBefore_[key] = before.jobs.at(key).fetchedAt;
    return {};
}

void HTCondorBackend::forgetFetch(const std::string& key) {
    const std::lock_guard lock(spoolMutex_);
    fetchedBefore_.erase(key);
}

bool HTCondorBackend::hasArrived(const HTCondorListing& listing, const JobRef& ref) {
    std::optional<WallTime> before;
    {
        const std::lock_guard lock(spoolMutex_);
        const auto fetch = fetchedBefore_.find(ref.key.value);
        if (fetch == fetchedBefore_.end()) {
            return false;
        }
        before = fetch->second;
    }
    // Only another StageOutFinish than before our fetch is that of our fetch. Its order with
    // CompletionDate tells nothing: the schedd's clock may be set back between them, and what
    // somebody else fetched, before the end or after it, is not here.
    if (const auto job = listing.jobs.find(ref.key.value); job != listing.jobs.end()) {
        return job->second.fetchedAt && job->second.fetchedAt != before;
    }
    // Where the history may not be asked, one that has left with its fetch is nowhere; so is one
    // that somebody removed right before the fetch, which then succeeded with nothing.
    const std::vector<folder::ReadRequest> status{{{ref.key, ref.account}, "status", 0, 0}};
    const auto there = folders_.read(status).front();
    return there && there->exists;
}

Result<CollectOutcome> HTCondorBackend::sync(const Place& place, const std::string& key,
                                             const CallContext& ctx) {
    const auto path = folders_.path({{key}, place.account});
    const auto said =
        commands_.run({place.account, syncCommand(path / "out", path / "in" / kFetchedName)}, ctx);
    if (!said) {
        return withoutEffect(said.error());  // It is made again: a slow disk has lost nothing.
    }
    forgetFetch(key);  // A disk tells only once what it lost: the next sync would succeed.
    return said->exitCode == 0 ? Result<CollectOutcome>(CollectOutcome::Done)
                               : transientError("sync: " + complaintOf(*said));
}

Result<CollectOutcome> HTCondorBackend::collectOne(const JobRef& ref, const CallContext& ctx) {
    const auto place = placeOf(ref);
    const std::vector<std::string> keys{ref.key.value};
    auto listing = everything(place, keys, ctx);
    if (listing && !hasArrived(*listing, ref)) {
        if (const auto told = toldOf(*listing, keys[0])) {
            return *told;
        }
        if (const auto fetched = fetch(place, *listing, keys[0], ctx); !fetched) {
            return fetched.error();
        }
        listing = everything(place, keys, ctx);
    }
    if (!listing) {
        return listing.error();
    }
    return hasArrived(*listing, ref)
               ? sync(place, keys[0], ctx)
               : transientError("the schedd has not said yet that all has arrived");
}

std::vector<Result<CollectOutcome>> HTCondorBackend::collect(const CallContext& ctx,
                                                             std::span<const JobRef> refs) {
    auto results = SchedulerBackend::collect(ctx, refs);
    if (!config_.spool) {
        return results;
    }
    std::vector<folder::ReadRequest> markers;
    for (const auto& ref : refs) {
        markers.push_back({{ref.key, ref.account}, std::string("in/") + kFetchedName, 0, 0});
    }
    const auto fetched = folders_.read(markers);
    for (std::size_t i = 0; i < refs.size(); ++i) {
        if (!results[i].ok() || *results[i] != CollectOutcome::Done) {
            continue;
        }
        if (!fetched[i]) {
            results[i] = fetched[i].error();
        } else if (!fetched[i]->exists) {
            results[i] = collectOne(refs[i], ctx);
        }
    }
    return results;
}

std::vector<Result<void>> HTCondorBackend::release(const CallContext& ctx,
                                                   std::span<const JobRef> refs) {
    if (!config_.spool) {
        return SchedulerBackend::release(ctx, refs);
    }
    for (const auto& ref : refs) {
        forgetFetch(ref.key.value);
    }
    std::vector<Result<void>> results(refs.size());
    const auto places = byPlace(refs);
    auto left = 2 * places.size();  // Half of the time is for the rest.
    for (const auto& [place, indices] : places) {
        const auto removed =
            removeKeys(place, keysOf(refs, indices), Removal::Ended, shareOf(ctx, left--));
        for (std::size_t n = 0; n < indices.size(); ++n) {
            results[indices[n]] = removed[n];
        }
    }
    const auto released = SchedulerBackend::release(ctx, refs);
    for (std::size_t i = 0; i < results.size(); ++i) {
        results[i] = results[i] ? released[i] : results[i];
    }
    return results;
}

}  // namespace gridbridge
