#pragma once

#include <filesystem>
#include <vector>

#include "bridge/app/Config.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::app {

/// Folders of submissions of `reader`'s installation that no open job owns: of jobs that a restored
/// database does not know, for instance. In the order of the backends; what this account may not
/// list is left out. Throws StoreError.
std::vector<std::filesystem::path> leftovers(const Config& config, store::JobReader& reader);

}  // namespace gridbridge::app
