#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

#include "bridge/base/Result.h"

namespace gridbridge {

/// A program to run. Nothing of the service's own environment reaches it.
struct Command {
    std::vector<std::string> argv;              ///< argv[0] is an absolute path; no shell.
    std::vector<std::string> environment = {};  ///< NAME=value, all there is.
    std::string workDir = "/";                  ///< Absolute.
};

/// What becomes the program's descriptors 0, 1 and 2. Borrowed.
struct SpawnFiles {
    int in = -1;
    int out = -1;
    int err = -1;
};

/// Starts `command` in its own session, with default signal handling, nothing blocked and no
/// other descriptor. The caller reaps the process. Permanent: the program cannot be executed;
/// Transient: the machine lacks something just now. Safe for concurrent use.
Result<pid_t> spawn(const Command& command, const SpawnFiles& files);

}  // namespace gridbridge
