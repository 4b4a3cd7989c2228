#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gridbridge::core {

/// Whether a pattern is that of a whole `group/project` or user name: `*` stands for part of one
/// name, `**` for several names. Capitals do not matter, as in GitLab.
bool fits(const std::string& pattern, const std::string& name);

/// Whose jobs a runner takes. Elements are patterns, see fits().
struct Access {
    std::vector<std::string> allowedProjects = {};  ///< Empty = all.
    std::vector<std::string> bannedProjects = {};
    std::vector<std::string> bannedUsers = {};

    /// Why the job is refused, one line for its log; empty = it may run.
    std::string refusal(const std::string& project, const std::string& user) const;
    static bool isPattern(std::string_view text);
    bool operator==(const Access&) const = default;
};

}  // namespace gridbridge::core
