// The parts of the reconciler that see to what operators have asked for.
#include "bridge/core/Reconciler.h"

namespace gridbridge::core {

using store::Request;
using store::RequestKind;
using store::RequestState;
using store::State;

namespace {

const StopFact kStopped{"runner_interrupted", "an operator stopped the job"};

bool hasEnded(State state) {
    return state == State::Collecting || state == State::Reporting || state == State::Done;
}

}  // namespace

void Reconciler::hearRequests() {
    settlements_.clear();
    requestsOpen_ = false;
    for (const auto& request : store_.openRequests()) {
        if (request.kind == RequestKind::Cancel) {
            hearCancel(request);
        } else {
            hearDrain(request);
        }
    }
}

/// The request is settled once the decision that it led to is stored: until then, and after a
/// restart, it is heard again.
void Reconciler::hearCancel(const Request& request) {
    const std::vector<JobRow> one{request.job.value_or(JobRow{})};
    for (const auto& job : store_.load(one)) {
        const bool inTime = !job.endedAt || request.askedAt <= *job.endedAt;
        if (!job.stopCause.empty() && inTime) {
            settlements_.push_back({request.id, RequestState::Done, "the job is being stopped"});
        } else if (hasEnded(job.state)) {
            settlements_.push_back({request.id, RequestState::Refused,
                                    job.state == State::Done
                                        ? "the job had ended already"
                                        : "the job's script has ended already, its result is on "
                                          "its way to GitLab"});
        } else if (job.cancel != store::Cancel::None) {
            settlements_.push_back({request.id, RequestState::Done,
                                    "the job is being stopped, as GitLab has asked for already"});
        } else {
            requestsOpen_ = true;
            if (lives_.count(job.row) > 0) {
                facts_[job.row].stop = kStopped;
            }
        }
    }
}

void Reconciler::judge(const store::JobRecord& job) {
    if (job.state != State::Claimed && job.state != State::Submitting &&
        job.state != State::Queued) {
        return;
    }
    auto refusal = world_.runners.at(job.runner)->access.refusal(job.project, job.user);
    if (!refusal.empty()) {
        facts_[job.row].stop = StopFact{"runner_configuration_error", std::move(refusal)};
    }
}

void Reconciler::accessChanged() {
    std::vector<JobRow> waiting;
    for (const auto& [row, live] : lives_) {
        if (live.waiting) {
            waiting.push_back(row);
        }
    }
    for (const auto& job : store_.load(waiting)) {
        judge(job);
    }
}

void Reconciler::hearDrain(const Request& request) {
    store::Settlement settlement{request.id};
    settlement.draining = request.kind == RequestKind::Drain;
    std::string names;
    for (const auto& [name, entry] : world_.runners) {
        if (request.runner.empty() || request.runner == name) {
            settlement.runners.push_back(name);
            names += (names.empty() ? "" : ", ") + name;
        }
    }
    if (names.empty()) {
        settlement.state = RequestState::Refused;
        settlement.result = "there is no runner " + request.runner + " in the configuration";
    } else {
        settlement.result =
            (settlement.draining ? "claims nothing any more: " : "claims jobs again: ") + names;
    }
    settlements_.push_back(std::move(settlement));
}

/// After the commit.
void Reconciler::settled() {
    for (const auto& settlement : settlements_) {
        for (const auto& runner : settlement.runners) {
            capacity_.drain(runner, settlement.draining);
        }
        log_.info("request {} request={} result=\"{}\"", nameOf(settlement.state),
                  settlement.request, settlement.result);
    }
    settlements_.clear();
}

}  // namespace gridbridge::core
