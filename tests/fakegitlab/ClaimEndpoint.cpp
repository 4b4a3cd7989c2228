#include <algorithm>
#include <set>
#include <stdexcept>

#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Params.h"
#include "tests/fakegitlab/Payload.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr std::size_t kLargestRequest = std::size_t{32} * 1024;
constexpr std::size_t kLongestSystemId = 64;
constexpr auto kLastUpdate = "X-GitLab-Last-Update";
/// How often a held request looks at the injected clock.
constexpr auto kLook = Millis(10);

void checkStrictly(State& state, const Params& params,
                   const std::optional<std::set<std::string>>& features) {
    if (!features || features->empty()) {
        state.violate("jobs/request without info.features");
    } else if (features->count("two_phase_job_commit") > 0) {
        state.violate("jobs/request declares two_phase_job_commit");
    }
    const auto systemId = params.text("system_id");
    if (systemId.empty() || systemId.size() > kLongestSystemId) {
        state.violate("jobs/request with a missing or too long system_id");
    }
    if (params.has("session")) {
        state.violate("jobs/request with a session");
    }
}

Reply nothing(RunnerState& owner) {
    owner.issuedUpdates.insert(owner.lastUpdate);
    Reply reply;
    reply.status = 204;
    reply.headers.emplace_back(kLastUpdate, owner.lastUpdate);
    return reply;
}

/// Waits like Workhorse: until the queue changes or the time is over; 204 without headers, even
/// when a job has come. Like it, it does not see that the client has gone.
Reply hold(State& state, const std::string& token, const std::string& value,
           std::unique_lock<std::mutex>& lock) {
    const auto end = state.clock.steadyNow() + state.options.longPoll;
    const auto unchanged = [&] {
        const auto* owner = state.runner(token);
        return owner != nullptr && owner->lastUpdate == value;
    };
    ++state.held;
    while (!state.stopping && !state.away && unchanged() && state.clock.steadyNow() < end) {
        state.changed.wait_for(lock, kLook);
        state.reapNowAndThen();
    }
    --state.held;
    Reply reply;
    reply.status = 204;
    return reply;
}

/// False = the pre-assign checks failed the job.
bool mayStart(State& state, JobState& job, const std::set<std::string>& features) {
    for (const auto id : job.spec.dependencies) {
        const auto* other = state.job(id);
        if (other == nullptr || other->artifactsExpired) {
            state.finish(job, Status::Failed, "missing_dependency_failure");
            return false;
        }
    }
    const auto needed = neededFeatures(job.spec);
    if (!std::includes(features.begin(), features.end(), needed.begin(), needed.end())) {
        state.finish(job, Status::Failed, "runner_unsupported");
        return false;
    }
    return true;
}

Reply handOut(State& state, JobState& job, const RunnerState& owner, const Params& params) {
    state.start(job, owner, params.text("system_id"));
    auto payload = makePayload(state, job);
    job.secrets = std::move(payload.secrets);
    job.reportableReasons = std::move(payload.reportableReasons);
    auto reply = jsonReply(201, payload.body);
    reply.claimed = job.id;
    state.event("job " + std::to_string(job.id) + " " + job.spec.name + ": claimed by " +
                owner.spec.description + " " + job.systemId);
    return reply;
}

}  // namespace

Reply requestJob(State& state, const Request& request, std::unique_lock<std::mutex>& lock) {
    if (request.body.size() > kLargestRequest) {
        return messageReply(413);
    }
    const Params params(request);
    if (!request.header("content-type").starts_with("application/json") || !params.ok()) {
        return messageReply(400, "the body must be JSON");
    }
    const auto token = params.text("token");
    if (token.empty()) {
        return missing("token is missing");
    }
    auto* owner = state.runner(token);
    if (owner == nullptr) {
        return messageReply(403);
    }
    const auto features = params.features();
    checkStrictly(state, params, features);
    state.meetManager(*owner, params.text("system_id"), features);
    if (owner->spec.paused) {
        return nothing(*owner);
    }
    const auto lastUpdate = params.text("last_update");
    if (!lastUpdate.empty() && owner->issuedUpdates.count(lastUpdate) == 0) {
        state.violate("jobs/request with a last_update that this server never gave");
    }
    if (lastUpdate == owner->lastUpdate) {
        return state.options.longPoll.count() > 0 ? hold(state, token, lastUpdate, lock)
                                                  : nothing(*owner);
    }
    if (auto conflict = conflictByFault(state, Call::Claim)) {
        return *conflict;
    }
    // A copy: failing a job changes the set.
    const auto candidates = state.pending();
    for (const auto id : candidates) {
        auto& job = *state.job(id);
        if (State::matches(*owner, job) &&
            mayStart(state, job, features.value_or(std::set<std::string>{}))) {
            return handOut(state, job, *owner, params);
        }
    }
    return nothing(*owner);
}

std::optional<Reply> conflictByFault(State& state, Call call) {
    if (!state.faults.strikes(FaultKind::Conflict, call)) {
        return std::nullopt;
    }
    auto reply = messageReply(409);
    reply.fault = true;
    return reply;
}

}  // namespace gridbridge::fakegitlab
