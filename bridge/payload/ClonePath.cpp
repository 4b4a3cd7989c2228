#include "bridge/payload/ClonePath.h"

#include "bridge/payload/Paths.h"

namespace gridbridge::payload {

namespace {

/// Of what file systems take, less the `.tmp` of the folder beside it and what is in front of it.
constexpr std::size_t kLongestName = 250;
constexpr std::size_t kLongestPath = 1024;

bool isTooLong(std::string_view path) {
    std::size_t begin = 0;
    for (auto end = path.find('/'); end != std::string_view::npos; end = path.find('/', begin)) {
        if (end - begin > kLongestName) {
            return true;
        }
        begin = end + 1;
    }
    return path.size() - begin > kLongestName || path.size() > kLongestPath;
}

}  // namespace

Result<std::string> clonePath(const Variables& variables) {
    const auto value = variables.setting("GIT_CLONE_PATH");
    if (value.empty()) {
        return std::string();
    }
    // Only the node knows where the folder of builds is: any other path leads elsewhere.
    const auto builds = "$" + std::string(kBuildsDir) + "/";
    const auto path = value.starts_with(builds) ? cleanedPath(value.substr(builds.size()))
                                                : std::optional<std::string>();
    if (!path || *path == "." || path->find('$') != std::string::npos) {
        return permanentError(
            "the GIT_CLONE_PATH has to be within $CI_BUILDS_DIR, e.g. $CI_BUILDS_DIR/name");
    }
    if (isTooLong(*path)) {
        return permanentError("the GIT_CLONE_PATH is too long");
    }
    return *path;
}

}  // namespace gridbridge::payload
