#include "bridge/payload/ClonePath.h"

#include <algorithm>
#include <vector>

namespace gridbridge::payload {

namespace {

/// Of what file systems take, less the `.tmp` of the folder beside it and what is in front of it.
constexpr std::size_t kLongestName = 250;
constexpr std::size_t kLongestPath = 1024;

/// Empty when it leads out, or to the start itself.
std::string normalised(std::string_view path) {
    std::vector<std::string_view> names;
    while (!path.empty()) {
        const auto end = std::min(path.find('/'), path.size());
        const auto name = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        if (name == "..") {
            if (names.empty()) {
                return {};
            }
            names.pop_back();
        } else if (!name.empty() && name != ".") {
            names.push_back(name);
        }
    }
    std::string result;
    for (const auto& name : names) {
        result += (result.empty() ? "" : "/") + std::string(name);
    }
    return result;
}

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
    const auto path = value.starts_with(builds) ? normalised(value.substr(builds.size())) : "";
    if (path.empty() || path.find('$') != std::string::npos) {
        return permanentError(
            "the GIT_CLONE_PATH has to be within $CI_BUILDS_DIR, e.g. $CI_BUILDS_DIR/name");
    }
    if (isTooLong(path)) {
        return permanentError("the GIT_CLONE_PATH is too long");
    }
    return path;
}

}  // namespace gridbridge::payload
