#include "bridge/core/Access.h"

#include <algorithm>

#include "bridge/payload/Glob.h"

namespace gridbridge::core {

namespace {

std::string lowered(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return result;
}

bool anyFits(const std::vector<std::string>& patterns, const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return fits(pattern, name); });
}

}  // namespace

bool fits(const std::string& pattern, const std::string& name) {
    const auto glob = payload::Glob::parse(lowered(pattern));
    return glob && glob->matches(lowered(name));
}

std::string Access::refusal(const std::string& project, const std::string& user) const {
    // What GitLab does not say cannot be judged, and is refused where there is something to judge.
    if (project.empty() && !(allowedProjects.empty() && bannedProjects.empty())) {
        return "this runner takes jobs by their project, and GitLab does not name it";
    }
    if (user.empty() && !bannedUsers.empty()) {
        return "this runner takes jobs by their user, and GitLab does not name the user";
    }
    if (anyFits(bannedProjects, project)) {
        return "the project " + project + " is banned from this runner";
    }
    if (anyFits(bannedUsers, user)) {
        return "the user " + user + " is banned from this runner";
    }
    if (!allowedProjects.empty() && !anyFits(allowedProjects, project)) {
        return "this runner takes no jobs of the project " + project;
    }
    return "";
}

bool Access::isPattern(std::string_view text) {
    return !text.empty() && payload::Glob::parse(lowered(text));
}

}  // namespace gridbridge::core
