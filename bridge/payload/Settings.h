#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bridge/gitlab/JobDescription.h"
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
    std::vector<std::string> submodulePaths = {};  ///< Pathspecs; empty = all.
    std::vector<std::string> submoduleUpdateFlags = {};
    int submoduleDepth = 0;  ///< 0 = whole history.
    bool submoduleForceHttps = false;
    std::string sshHost = {};  ///< Of GitLab's SSH addresses; empty = as in its web address.
    std::string sshPort = {};
    bool lfs = true;  ///< Files of Git LFS are fetched.
    int getSourcesAttempts = 1;
    int restoreCacheAttempts = 1;
    std::chrono::minutes cacheTimeout{10};  ///< To read or to write one.
    int artifactDownloadAttempts = 1;
    bool afterScriptIgnoresErrors = true;
    std::chrono::seconds scriptTimeout{0};  ///< 0 = as long as the job.
    std::chrono::seconds afterScriptTimeout{300};
};

/// Never fails: what cannot be understood adds GitLab's line (without `WARNING: `) to `warnings`
/// and leaves the default.
Settings readSettings(const Variables& variables, const gitlab::JobDescription& job,
                      std::vector<std::string>& warnings);

}  // namespace gridbridge::payload
