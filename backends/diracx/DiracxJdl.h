#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "backends/api/Backend.h"

namespace gridbridge {

struct DiracxConfig {
    std::string url = {};                    ///< Of the DiracX, as a browser shows it.
    std::filesystem::path caFile = {};       ///< Trusted besides the system's authorities.
    std::filesystem::path credentials = {};  ///< The credential file of a login.
    std::string jobType = "User";
    double cpuTimeFactor = 1;  ///< CPUTime for each second that a job may run.
    std::vector<std::string> sites = {};
    std::vector<std::string> bannedSites = {};
    std::vector<std::string> tags = {};
    std::string platform = {};  ///< Empty: none, for DiracX refuses jobs that name one.
    bool rerunsAllowed = false;
    bool operator==(const DiracxConfig&) const = default;
};

/// Whether it may stand in a JDL: of a fixed alphabet, and it begins with a letter.
bool isDiracxWord(std::string_view text);

/// The JobGroup of all jobs of the installation whose job this is: the key without its last two
/// numbers.
std::string diracxGroup(const SubmissionKey& key);

/// `sandboxes`: by the names that DiracX gave them. Nothing that a user wrote is in it. Permanent
/// where something in it is not of the fixed alphabet, or too long.
Result<std::string> diracxJdl(const DiracxConfig& config, const BatchJob& job,
                              const std::vector<std::string>& sandboxes, WallTime now);

/// What this job asks for that not every job does: for a refusal, which does not say why. Empty =
/// nothing.
std::string unusualInJdl(const DiracxConfig& config, const BatchJob& job);

}  // namespace gridbridge
