#pragma once

#include <gtest/gtest.h>

#include <string>

#include "bridge/core/Decision.h"

namespace gridbridge::core {

/// Decisions about one job, without a core around them.
class DecisionFixture : public ::testing::Test {
protected:
    DecisionFixture() {
        policy.installation = "abcd1234";
        policy.backendName = "here";
        policy.backendType = "local";
        job.row = JobRow{7};
        job.gitlabId = 42;
        job.claimedAt = now;
        job.timeoutSeconds = 3600;
        job.deadline = now + std::chrono::hours(1);
    }
    /// A job in `state` with one accepted submission.
    void in(store::State state) {
        job.state = state;
        if (state != store::State::Received && state != store::State::Claimed) {
            job.submission.attempt = 1;
            job.submission.key = {"gb-abcd1234-7-1"};
        }
        if (state != store::State::Submitting) {
            job.submission.batchState = state == store::State::Queued ? "pending" : "running";
        }
    }
    void sees(BatchState state, EndCause cause = EndCause::None) {
        Observation seen;
        seen.state = state;
        seen.cause = cause;
        seen.started = state == BatchState::Running;
        facts.observed = seen;
    }
    void ends(const std::string& outcome, const std::string& why, std::optional<int> code,
              const std::string& stage = "step_script") {
        facts.end = ScriptEnd{"text", true, outcome, why, stage, code, 0};
    }
    Decision decided() { return decide(job, facts, now, policy); }
    /// The decision is the next state of the job, and time goes on.
    Decision go(Millis later = Millis(0)) {
        auto decision = decided();
        job = decision.next;
        facts = {};
        now += later;
        return decision;
    }

    WallTime now = fromEpoch(Millis(1767225600000));
    store::JobRecord job;
    Facts facts;
    Policy policy;
};

}  // namespace gridbridge::core
