#pragma once

#include <string>

#include "backends/api/Backend.h"
#include "bridge/store/JobRecord.h"

namespace gridbridge::core {

/// What a job's log says of its batch job (design 3.7): whole lines, empty where there is nothing
/// to say. Pure.

/// Where and why it waits: once for as long as that is the same. `before`: as last seen.
std::string waitingLine(const std::string& backendName, const store::SubmissionRecord& before,
                        const Observation& seen);
/// Names each run since `before`: its script may start once more, be that sooner than anybody
/// looks.
std::string runLine(const store::SubmissionRecord& before, const Observation& seen);
/// Of a job with `startedAt`.
std::string startedLine(const store::JobRecord& job);
/// What the batch system did to the job, and what it took. `job` has its outcome.
std::string lastWords(const store::JobRecord& job, WallTime now);
/// Its node failed, or the batch system lost it.
std::string submittedAgainLine(const store::SubmissionRecord& submission);

/// Their names in the database; None is the empty text.
std::string nameOf(BatchState state);
std::string nameOf(EndCause cause);

}  // namespace gridbridge::core
