#include "bridge/app/Leftovers.h"

#include <algorithm>
#include <set>
#include <string>

namespace gridbridge::app {
namespace {

/// Folders in `folder` whose names begin with `prefix`.
std::set<std::filesystem::path> foldersIn(const std::filesystem::path& folder,
                                          const std::string& prefix) {
    std::set<std::filesystem::path> found;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
        if (entry->path().filename().string().starts_with(prefix)) {
            found.insert(entry->path());
        }
    }
    return found;
}

}  // namespace

std::vector<std::filesystem::path> leftovers(const Config& config, store::JobReader& reader) {
    const auto prefix = "gb-" + reader.installation().id + "-";
    std::vector<std::filesystem::path> found;
    for (const BackendConfig& backend : config.backends) {
        const auto add = [&](const std::filesystem::path& folder) {
            const auto there = foldersIn(folder, prefix);
            found.insert(found.end(), there.begin(), there.end());
        };
        add(backend.workDir);
        // Each is an account's, perhaps of one whose jobs run here no longer.
        for (const auto& folder : foldersIn(backend.workDir, "")) {
            add(folder);
        }
    }
    // Only now, so that the folder of a job that begins meanwhile has an owner; of one that ended
    // meanwhile it is gone.
    std::set<std::string> owned;
    for (const store::JobRecord& job : reader.jobs({})) {
        owned.insert(job.submission.key.value);
    }
    std::erase_if(found, [&](const auto& path) {
        std::error_code error;
        return owned.contains(path.filename()) || !std::filesystem::exists(path, error);
    });
    return found;
}

}  // namespace gridbridge::app
