#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/fakegitlab/State.h"

namespace gridbridge::fakegitlab {

/// The body of a 201 and what it obliges the client to.
struct Payload {
    std::string body = {};
    std::vector<std::string> secrets = {};  ///< Token and masked values of 8 and more bytes.
    std::set<std::string> reportableReasons =
        {};  ///< `features.failure_reasons` and the classic ones.
};

/// Builds the answer to a claim from a job that has just become running: protocol section 3,
/// then the job's merge, nulls, without, rawBody.
/// Throws std::runtime_error when the job's `merge` is not a JSON object.
Payload makePayload(State& state, const JobState& job);

/// Features that the runner must declare for this job; else the server fails it.
std::set<std::string> neededFeatures(const JobSpec& spec);

/// Every failure reason that GitLab 19 knows.
const std::set<std::string>& knownFailureReasons();

}  // namespace gridbridge::fakegitlab
