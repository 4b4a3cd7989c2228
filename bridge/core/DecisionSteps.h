#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bridge/core/Decision.h"

namespace gridbridge::core {

/// The section of the log until the script starts.
inline constexpr std::string_view kPrepare = "prepare_executor";

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
    /// It should have ended by itself long since.
    bool isOverdue() const {
        return decision.next.deadline && now >= *decision.next.deadline + policy.overtime;
    }
    /// Of the job's timeout; its wall time may end it before.
    WallTime fullDeadline() const;
    /// What has not started by then is taken back.
    WallTime lastStart() const;
};

/// Whether a status file says that the job's time was over: then nothing more was done.
bool isLate(std::string_view why);
/// In GitLab, or by ourselves.
Ending canceled(const store::JobRecord& job);
/// Of a job whose last time to start is over.
Ending neverStarted(const Step& step);
/// The submission's cause where the start marker was ours: none of its copies began the script.
inline constexpr const char* kNeverStarted = "never_started";
/// Whether it ended so that only the start marker tells whether the script has started.
bool saysNothingOfTheScript(const store::SubmissionRecord& submission);
/// Its batch job is lost before the script may have started, and another may be submitted: takes
/// the start marker first. None where it stays with what has happened.
std::optional<Decision> submitAgain(Step& step);
/// The submission's cause where what it left, its status file too, could not be fetched.
inline constexpr const char* kNotFetched = "not_fetched";
/// Its batch job is over: the log is complete.
Decision collect(Step& step, const std::string& cause);
/// Not there, twice a grace apart: the first look is the stored one. Looks that failed say nothing.
bool provenAbsent(const Step& step);
/// With filesByCollect: what comes before the log can be read. None where nothing stands before.
std::optional<Decision> beforeFiles(Step& step);
/// The verdict of the status file, else of the scheduler (job-execution 11.2).
Ending verdict(const Step& step);

/// Queued and running: cancel, deadline, lost, held, log, end.
Decision watched(Step& step);
/// Report and release, in any order, then done.
Decision reporting(Step& step);

}  // namespace gridbridge::core
