#include "bridge/core/RunAs.h"

#include <algorithm>

#include "bridge/core/Access.h"

namespace gridbridge::core {

Result<std::string> RunAs::of(const std::string& project) const {
    if (project.empty() && !projects.empty()) {
        return permanentError(
            "the account that a job runs as is chosen by its project, and GitLab does not name it");
    }
    const auto found = std::find_if(projects.begin(), projects.end(),
                                    [&](const auto& each) { return fits(each.first, project); });
    return found == projects.end() ? usual : found->second;
}

std::vector<std::string> RunAs::all() const {
    std::vector<std::string> accounts{usual};
    for (const auto& [pattern, account] : projects) {
        if (std::find(accounts.begin(), accounts.end(), account) == accounts.end()) {
            accounts.push_back(account);
        }
    }
    return accounts;
}

}  // namespace gridbridge::core
