// What is known of a job when a decision about it is made.
#include "bridge/core/Reconciler.h"

namespace gridbridge::core {

using store::JobRecord;
using store::State;

namespace {

/// Whether the artifacts that it depends on are still to come, into the folder of this attempt.
bool lacksInputs(const JobRecord& job, const Facts& facts, Live& live) {
    if (facts.downloaded && facts.downloaded->outcome == TransferOutcome::Done) {
        live.downloaded = job.submission.attempt;
    }
    const bool begun = job.submission.attempt > 0 && job.submission.cause.empty();
    return live.hasDependencies && !(begun && live.downloaded == job.submission.attempt);
}

}  // namespace

bool Reconciler::newsworthy(const Facts& facts, const Live& live) const {
    if (live.traceOnDisk && live.acknowledged) {
        return true;
    }
    if (facts.restarted || facts.decoded || facts.contact || facts.downloaded || facts.submitted ||
        facts.found || facts.marked || facts.end || facts.batchLog || facts.collected ||
        facts.uploaded || facts.reported || facts.released || facts.stop ||
        !facts.transferring.empty()) {
        return true;
    }
    if (facts.log &&
        (facts.log->cut ||
         facts.logOffset + static_cast<std::int64_t>(facts.log->bytes.size()) > live.rawSeen)) {
        return true;
    }
    const auto& seen = facts.observed;
    const bool final =
        seen && (seen->state == BatchState::Ended || seen->state == BatchState::Absent);
    return seen && seen->state != BatchState::Unknown && (final || seen != live.seen);
}

void Reconciler::tellTransfers(const JobRecord& job, const Facts& facts, Live& live) {
    if (facts.downloaded && !facts.downloaded->trouble.empty()) {
        log_.warn("artifacts that a job depends on cannot be fetched job={} error=\"{}\"", live.key,
                  masked(facts.downloaded->trouble, job, live));
    }
    if (facts.uploaded && !facts.uploaded->trouble.empty()) {
        log_.warn("artifacts of a job cannot be uploaded job={} error=\"{}\"", live.key,
                  masked(facts.uploaded->trouble, job, live));
    }
}

void Reconciler::complete(const JobRecord& job, Facts& facts, Live& live) {
    facts.duplicate = live.duplicate;
    conversation_.measure(live);  // Nothing is written behind what is not there.
    if (live.traceOnDisk) {
        facts.traceOnDisk = live.traceOnDisk;
        // A call under way reads the trace, and may add to what GitLab has.
        const bool calling = live.talking || live.reporting;
        facts.traceInGitLab = calling ? std::nullopt : live.acknowledged;
        facts.restarted = true;  // It begins anew once the trace can go on.
    }
    if (job.state == State::Received) {
        facts.decoded = decode(job, live);
    }
    if (facts.log && !facts.log->cut && facts.logOffset != job.rawOffset) {
        facts.log.reset();  // Read before the last commit: it would be taken twice.
    }
    facts.unreadable = job.state != State::Received && live.credentials.id == 0;
    if (facts.log && !facts.log->bytes.empty() && !canMask(job, live)) {
        facts.log.reset();
        facts.unmaskable = true;
        log_.error("the stored description of a job cannot be read, so it fails job={} gitlab={}",
                   live.key, job.gitlabId.value_or(0));
    }
    if (!facts.end && !job.submission.status.empty()) {
        facts.end = scriptEnd(job.submission.status, job.submission.key.value);
    }
    facts.backendFull = clock_.steadyNow() < backendOf(live).fullUntil;
    facts.lacksInputs = lacksInputs(job, facts, live);
    facts.backendBusy = job.state == State::Claimed && !facts.lacksInputs && !takeRoom(live);
    if (hasCome(facts)) {
        live.fetched = job.submission.attempt;
    }
    facts.fetched = isFetched(job, live, backendOf(live).policy.capabilities);
    facts.inFlight = live.inFlight;
    facts.failures = live.failures;
    live.failingSince =
        live.failures == 0 ? std::nullopt : std::optional(live.failingSince.value_or(steadyNow_));
    facts.failing = std::chrono::floor<Millis>(steadyNow_ - live.failingSince.value_or(steadyNow_));
    facts.hasUploads = live.hasUploads;
}

}  // namespace gridbridge::core
