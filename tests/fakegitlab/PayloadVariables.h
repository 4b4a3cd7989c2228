#pragma once

#include <vector>

#include "tests/fakegitlab/State.h"

namespace gridbridge::fakegitlab {

/// The variables a server sends for a job, in its order; the job's own come last.
std::vector<Variable> payloadVariables(const State& state, const JobState& job);

/// `http://gitlab-ci-token:<token>@host/group/project.git`
std::string repositoryUrl(const State& state, const JobState& job);

}  // namespace gridbridge::fakegitlab
