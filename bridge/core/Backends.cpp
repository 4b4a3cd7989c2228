// How the batch systems are, and how much is on its way to them.
#include <algorithm>

#include "bridge/core/Reconciler.h"

namespace gridbridge::core {

namespace {

/// Of the descriptions of jobs that are being submitted: each may have 10 MB, and while it waits
/// for its turn it is in memory.
constexpr std::size_t kMostPrepared = std::size_t{16} << 20U;

}  // namespace

/// What one job could not be given, the next need not be offered, nor claimed, for a while.
void Reconciler::noteSubmission(BackendEntry& backend, const Result<Submission>& outcome) {
    const bool failed = !outcome.ok() && outcome.error().kind == ErrorKind::Transient;
    if (failed || (outcome.ok() && outcome->full)) {
        backend.fullUntil = clock_.steadyNow() + backend.policy.poll;
    }
    if (failed) {
        backend.submitTrouble = outcome.error().message;
    } else if (outcome.ok()) {
        backend.submitTrouble.clear();
        backend.pollTrouble.clear();
    }
}

void Reconciler::tellTrouble(BackendEntry& backend) {
    const auto& why = backend.submitTrouble.empty() ? backend.pollTrouble : backend.submitTrouble;
    const auto& told = backend.troubleTold;
    // Another reason is news, but for one that is another at each look.
    const bool tooSoon = clock_.steadyNow() < backend.troubleToldAt + std::chrono::minutes(1);
    if (why == told || (!why.empty() && !told.empty() && tooSoon)) {
        return;
    }
    backend.troubleTold = why;
    backend.troubleToldAt = clock_.steadyNow();
    if (!why.empty()) {
        log_.error("backend {} takes no jobs, they wait error=\"{}\"", backend.name, why);
    } else {
        log_.info("backend {} takes jobs again", backend.name);
    }
}

/// False where the job would only wait in memory behind others. One alone is never too large.
bool Reconciler::takeRoom(const Live& job) {
    if (!prepared_) {
        prepared_.emplace();
        for (const auto& [row, live] : lives_) {
            if (live.inFlight.has(Effect::Submit)) {
                (*prepared_)[live.backend] += live.payloadBytes;
            }
        }
    }
    auto& taken = (*prepared_)[job.backend];
    if (taken > 0 && taken + job.payloadBytes > kMostPrepared) {
        taken = std::max(taken, kMostPrepared);  // In this step nobody overtakes it.
        return false;
    }
    taken += job.payloadBytes;
    return true;
}

}  // namespace gridbridge::core
