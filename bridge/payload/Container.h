#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Result.h"
#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/ContainerCommands.h"
#include "bridge/payload/Stages.h"
#include "bridge/payload/Variables.h"

namespace gridbridge::payload {

/// What a job in an image has beside one without.
struct Container {
    std::string image = {};      ///< Its name; empty = the job runs without.
    std::string functions = {};  ///< Of the wrapper: the script's stages start in the image.
    std::optional<Stage> pull = {};
    std::string logins = {};  ///< The file kLoginsFile for the pull; empty = none.
};

/// In `in/`, for the runtime's user alone; gone when the script begins.
inline constexpr std::string_view kLoginsFile = "logins.json";

/// Nothing for a job without an image, or where there are no commands. `allowed` are patterns of
/// images, see Glob; none = all. Permanent error = the image's name or entrypoint cannot be used,
/// or it is not allowed; one line for the job's log.
Result<Container> containerOf(const gitlab::JobDescription& job, const ContainerCommands& commands,
                              const std::vector<std::string>& allowed, const Variables& variables);

}  // namespace gridbridge::payload
