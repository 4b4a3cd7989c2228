#pragma once

#include <filesystem>

#include "bridge/folder/AgentFolders.h"

namespace gridbridge::testing {

/// The agent of the tests, FOLDER_AGENT, in a place where every account can run it.
inline folder::AgentSetup agentIn(const std::filesystem::path& folder) {
    const auto program = folder / "folder_agent";
    if (!std::filesystem::exists(program)) {
        std::filesystem::create_directories(folder);
        std::filesystem::copy_file(FOLDER_AGENT, program);
        std::filesystem::permissions(program, std::filesystem::perms(0755));
    }
    return {{program.string()}};
}

}  // namespace gridbridge::testing
