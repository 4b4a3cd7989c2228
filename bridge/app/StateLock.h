#pragma once

#include <filesystem>
#include <optional>
#include <sys/types.h>
#include <utility>

#include "bridge/base/Fd.h"
#include "bridge/base/Result.h"

namespace gridbridge::app {

/// Keeps a second service out of a state folder for as long as it lives: a lock of fcntl(2) on
/// `<state_dir>/lock`. The kernel frees it however the service ends; a child never has it, not even
/// before its exec as with flock(2). It belongs to the process: whoever opens the file there and
/// closes it again frees it.
class StateLock {
public:
    /// Does not wait. Transient: another service has it, the message names its pid. Permanent:
    /// the file cannot be used.
    static Result<StateLock> take(const std::filesystem::path& stateDir);

    /// The pid of the service that has the lock; nothing when it is free. Not for that service.
    static Result<std::optional<pid_t>> holder(const std::filesystem::path& stateDir);

private:
    explicit StateLock(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

}  // namespace gridbridge::app
