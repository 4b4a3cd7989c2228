#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "bridge/app/Config.h"
#include "bridge/base/Clock.h"
#include "bridge/folder/AgentFolders.h"

namespace gridbridge::app {

/// The folders of a backend's submissions, whose agents are this same program. `clock` must outlive
/// them. Throws std::runtime_error when the work folder cannot be used.
std::unique_ptr<folder::AgentFolders> foldersOf(const BackendConfig& backend, Clock& clock);

/// `gridbridge agent FOLDER`. Returns the exit code.
int runAgent(const std::filesystem::path& folder, std::ostream& err);

}  // namespace gridbridge::app
