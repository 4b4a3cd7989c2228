#pragma once

#include <map>
#include <set>
#include <string>

#include "bridge/app/Config.h"

namespace gridbridge::app {

/// How this installation is known to GitLab: what the database adds to the configuration.
struct Contact {
    std::string systemId = {};                   ///< Empty before the first start of the service.
    std::map<std::string, Secret> renewed = {};  ///< Tokens that took the place of configured ones.
    std::set<std::string> unanswered = {};  ///< Runners whose token's renewal had no answer yet.
    std::set<std::string> drained = {};     ///< Runners that an operator drains.
    std::map<std::string, std::string> ill = {};  ///< Why a runner claims nothing, as last stored.

    /// Reads beside a running service. Throws StoreError.
    static Contact read(const Config& config);

    /// `runner` with the token that is in use.
    RunnerConfig current(RunnerConfig runner) const;
};

}  // namespace gridbridge::app
