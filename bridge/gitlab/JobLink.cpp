#include "bridge/gitlab/JobLink.h"

#include "bridge/base/Check.h"
#include "bridge/gitlab/Errors.h"

namespace gridbridge::gitlab {

JobAnswer JobLink::keepAlive() {
    if (ended_) {
        throwEnd();
    }
    return orThrow(client_->api().keepAlive(client_->call(), job_));
}

JobAnswer JobLink::append(std::int64_t offset, std::string_view bytes) {
    if (ended_) {
        throwEnd();
    }
    return orThrow(client_->api().appendTrace(client_->call(), job_, offset, bytes, false));
}

JobAnswer JobLink::finish(const FinalReport& report) {
    if (ended_) {
        throwEnd();
    }
    return heard(client_->api().finish(client_->call(), job_, report));
}

void JobLink::throwEnd() const {
    BRIDGE_CHECK(ended_.has_value());
    const auto job = "job " + std::to_string(job_.id);
    const auto& status = ended_->serverStatus;
    if (status == "canceled") {
        throw JobCancelled(job + " was cancelled");
    }
    if (status == "success" || status == "failed") {
        throw AlreadyFinished(job + " has already ended as " + status);
    }
    throw AuthError(job + " is not accepted: " + ended_->message);
}

void JobLink::tellCancel() {
    if (canceling_ && !told_) {
        told_ = true;
        throw JobCancelled("job " + std::to_string(job_.id) +
                           " was cancelled; end it with setFailed()");
    }
}

JobAnswer JobLink::heard(JobAnswer answer) {
    canceling_ = canceling_ || answer.status == JobStatus::Canceling;
    if (answer.outcome == CallOutcome::Ended) {
        ended_ = answer;
    }
    if (answer.outcome == CallOutcome::Rejected) {
        throw RunnerError(answer.message);
    }
    return answer;
}

JobAnswer JobLink::orThrow(JobAnswer answer) {
    answer = heard(std::move(answer));
    if (ended_) {
        throwEnd();
    }
    return answer;
}

}  // namespace gridbridge::gitlab
