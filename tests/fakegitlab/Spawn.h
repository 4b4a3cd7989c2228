#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace gridbridge::fakegitlab {

struct SpawnResult {
    int exitCode = -1;  ///< -1 = killed by a signal.
    std::string output = {};
};

/// Runs `argv[0]` (looked up in PATH) without a shell, with exactly `environment` plus PATH,
/// feeds it `input`, returns its standard output. Blocks until it has ended.
/// Throws std::runtime_error when it cannot be started.
SpawnResult spawn(const std::vector<std::string>& argv,
                  const std::map<std::string, std::string>& environment,
                  const std::string& input = {});

}  // namespace gridbridge::fakegitlab
