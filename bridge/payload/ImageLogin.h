#pragma once

#include <string>

#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/Variables.h"

namespace gridbridge::payload {

/// The file with which `podman pull --authfile` and the like log in for `image`, a name with its
/// host, of what the job has for registries (job-execution 8.3), and nothing else of it; empty =
/// nothing fits. A secret.
std::string imageLogin(const gitlab::JobDescription& job, const std::string& image,
                       const Variables& variables);

}  // namespace gridbridge::payload
