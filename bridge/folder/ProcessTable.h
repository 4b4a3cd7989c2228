#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "bridge/base/Result.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge::folder {

/// What /proc/<pid>/stat says about a process (man 5 proc).
struct ProcessStat {
    char state = '?';               ///< Z and X: dead, not yet reaped.
    pid_t session = 0;              ///< Pid of the process that leads, or led, its session.
    std::uint64_t startTicks = 0;   ///< Clock ticks from boot to its start.
    bool hasNoEnvironment = false;  ///< It was given none, is dead, or of the kernel.
    bool operator==(const ProcessStat&) const = default;
};

/// Strict; nothing when `text` is no such line. The program's name in it may hold anything.
std::optional<ProcessStat> parseProcessStat(std::string_view text);

/// Nothing when there is no such process.
std::optional<ProcessStat> readProcessStat(pid_t pid);

/// Identifies this boot of the machine. Throws std::runtime_error when the kernel does not tell.
std::string currentBootId();

/// Sends `signal` to every process of the session that `leader`, started in this boot, leads or
/// led, and to every process of `owner` that was started with `variable` (NAME=value) in its
/// environment: a daemon leaves its session, but not its environment. While the leader is there,
/// alive or not reaped, its session is beyond doubt; once it is gone only processes of `owner` are
/// taken. A number that belongs to another process by now is left alone. With SIGKILL, processes
/// started meanwhile are sought again.
Result<void> signalProcesses(const ProcessId& leader, uid_t owner, std::string_view variable,
                             int signal);

/// How a process of this boot has ended, if it was our child; then it is forgotten.
ProcessEnd reapProcess(const ProcessId& process);

}  // namespace gridbridge::folder
