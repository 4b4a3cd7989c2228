#pragma once

#include "bridge/base/Clock.h"
#include "bridge/core/Trace.h"
#include "bridge/core/World.h"

namespace gridbridge::core {

/// Talks to GitLab about jobs, over the control lane: heartbeats, new trace bytes, final reports.
/// Decides nothing about jobs. Owner thread only; its calls answer through `Answers`.
class Conversation {
public:
    static constexpr Millis kRunningBeat{30000};
    static constexpr Millis kWaitingBeat{60000};
    static constexpr Millis kLongestBeat{300000};
    static constexpr std::size_t kPatchBytes = 1U << 20U;

    Conversation(const Clock& clock, World& world, Answers& answers, const Trace& trace)
        : clock_(clock), world_(world), answers_(answers), trace_(trace) {}

    /// Sends what is due for the job, if anything: new bytes, or a heartbeat. Returns when it
    /// must be asked again at the latest. `openJobs` stretches heartbeats.
    SteadyTime talk(JobRow row, Live& live, std::size_t openJobs);

    /// Sends the rest of the trace and the final report; answers with a ReportFact.
    void report(JobRow row, Live& live, const gitlab::FinalReport& report, bool checked);

private:
    void beat(JobRow row, Live& live);
    void patch(JobRow row, Live& live);
    gitlab::RunnerApi& api(const Live& live) const { return world_.runners.at(live.runner)->api; }

    const Clock& clock_;
    World& world_;
    Answers& answers_;
    const Trace& trace_;
};

}  // namespace gridbridge::core
