#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Params.h"

namespace gridbridge::fakegitlab {

namespace {

JobAccess refused(const std::string& why, const JobState* job) {
    JobAccess result;
    result.refusal = messageReply(403, why);
    if (job != nullptr) {
        result.refusal.headers.emplace_back("Job-Status", nameOf(job->status));
    }
    return result;
}

}  // namespace

JobAccess accessJob(State& state, JobId id, const std::string& token, bool endsOnExpiry) {
    auto* job = state.job(id);
    if (job == nullptr || job->token.empty() || job->token != token) {
        return refused("", nullptr);
    }
    if (!job->gone.empty()) {
        return refused(job->gone, nullptr);
    }
    if (state.tokenExpired(*job) && State::isExecuting(*job)) {
        if (endsOnExpiry) {
            state.finish(*job, Status::Failed, "job_token_expired");
        }
        return refused("Job token has expired", job);
    }
    if (!State::isExecuting(*job)) {
        return refused("Job is not processing on runner", job);
    }
    return {.job = job, .refusal = {}};
}

std::string jobToken(State& state, const Request& request, JobId id) {
    if (request.has("job-token")) {
        return request.header("job-token");
    }
    state.violate("job " + std::to_string(id) + ": " + request.method + " without JOB-TOKEN");
    return queryValue(request.query, "token").value_or("");
}

}  // namespace gridbridge::fakegitlab
