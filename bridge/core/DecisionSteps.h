#pragma once

#include <optional>
#include <string>

#include "bridge/core/Decision.h"

namespace gridbridge::core {

/// How a job ends, and what its log says of it.
struct Ending {
    store::Outcome outcome = store::Outcome::Failed;
    std::string reason;
    std::optional<int> exitCode;
    std::string lastLine;  ///< Without `ERROR: `; empty for success.
    std::string cause;     ///< For the transition.
};

/// One decision in the making.
struct Step {
    const store::JobRecord& job;
    const Facts& facts;
    WallTime now;
    const Policy& policy;
    Decision decision;

    Decision& to(store::State state, const std::string& cause);
    /// Looks again after `howLong` at the latest, and not later than the deadline.
    Decision& wait(Millis howLong);
    /// Completes the trace and begins to report.
    Decision& finish(const Ending& ending);
    Millis backoff() const;
    /// Whether what failed, or was interrupted by a restart, is tried again now.
    bool due() const;
    bool pastDeadline() const { return job.deadline && now >= *job.deadline; }
};

/// In GitLab, or by ourselves.
Ending canceled(const store::JobRecord& job);
Ending neverStarted(const store::JobRecord& job);
/// The verdict of the status file, else of the scheduler (job-execution 11.2).
Ending verdict(const Step& step);

/// Queued and running: cancel, deadline, lost, held, log, end.
Decision watched(Step& step);
/// Report and release, in any order, then done.
Decision reporting(Step& step);

}  // namespace gridbridge::core
