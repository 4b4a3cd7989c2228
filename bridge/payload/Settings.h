#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bridge/payload/Variables.h"

namespace gridbridge::payload {

enum class GitStrategy { Clone, Fetch, None, Empty };
enum class SubmoduleStrategy { None, Normal, Recursive, Unknown };

/// Variables that steer the runner (job-execution 1.3, 1.5, 2.6).
struct Settings {
    bool debugTrace = false;
    bool timestamps = false;  ///< FF_TIMESTAMPS
    GitStrategy gitStrategy = GitStrategy::Fetch;
    bool gitCheckout = true;
    std::vector<std::string> gitCleanFlags = {"-ffdx"};  ///< Empty = no clean.
    std::vector<std::string> gitFetchFlags = {"--prune", "--quiet"};
    SubmoduleStrategy submodules = SubmoduleStrategy::None;
    int getSourcesAttempts = 1;
    bool afterScriptIgnoresErrors = true;
    std::chrono::seconds scriptTimeout{0};  ///< 0 = as long as the job.
    std::chrono::seconds afterScriptTimeout{300};
};

/// Never fails: what cannot be understood adds GitLab's line (without `WARNING: `) to `warnings`
/// and leaves the default.
Settings readSettings(const Variables& variables, bool allowGitFetch,
                      std::chrono::seconds jobTimeout, std::vector<std::string>& warnings);

}  // namespace gridbridge::payload
