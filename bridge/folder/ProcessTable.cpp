#include "bridge/folder/ProcessTable.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "bridge/base/Fd.h"

namespace gridbridge::folder {
namespace {

/// A fork bomb is hunted so often; what outlives it is the next caller's.
constexpr int kKillRounds = 10;

/// A program that loads is waited for so long: some tenths of a second.
constexpr int kExecLooks = 10000;

/// As far as the system's longest environment. Nothing when it may not be opened.
std::optional<std::string> readProcFile(const std::string& path) {
    constexpr std::size_t kLongest = std::size_t{8} << 20;
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return std::nullopt;
    }
    std::string text;
    std::array<char, 4096> buffer{};
    ssize_t got = 0;
    while (text.size() < kLongest && (got = ::read(file.get(), buffer.data(), buffer.size())) > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
}

template <typename T>
std::optional<T> number(std::string_view text) {
    T value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

std::vector<pid_t> allProcesses() {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/proc"), &::closedir);
    std::vector<pid_t> pids;
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
        if (const auto pid = number<pid_t>(&entry->d_name[0])) {
            pids.push_back(*pid);
        }
    }
    return pids;
}

bool isDead(const ProcessStat& stat) {
    return stat.state == 'Z' || stat.state == 'X';
}

bool belongsTo(pid_t pid, uid_t owner) {
    struct stat info {};
    return ::stat(("/proc/" + std::to_string(pid)).c_str(), &info) == 0 && info.st_uid == owner;
}

/// Within an exec a process shows no environment for a moment: it is looked at again.
bool wasStartedWith(pid_t pid, std::string_view variable) {
    const auto path = "/proc/" + std::to_string(pid) + "/environ";
    auto environment = readProcFile(path);
    for (int look = 0; look < kExecLooks && environment && environment->empty(); ++look) {
        const auto stat = readProcessStat(pid);
        if (!stat || stat->hasNoEnvironment) {
            return false;
        }
        ::sched_yield();
        environment = readProcFile(path);
    }
    return environment && ('\0' + *environment + '\0').find('\0' + std::string(variable) + '\0') !=
                              std::string::npos;
}

/// A first look, at a third of the cost: whoever it passes is looked at again, strictly.
bool mayBelong(pid_t pid, pid_t session, uid_t owner, std::string_view variable) {
    return ::getsid(pid) == session || (belongsTo(pid, owner) && wasStartedWith(pid, variable));
}

/// Through a handle taken before the last look, so that no other process can be hit.
Result<void> signalMember(pid_t pid, const ProcessStat& seen, int signal) {
    const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!handle && errno != ESRCH) {
        return transientError("cannot signal pid=" + std::to_string(pid) + ": " +
                              std::generic_category().message(errno));
    }
    const auto now = readProcessStat(pid);
    if (!handle || !now || now->startTicks != seen.startTicks) {
        return {};
    }
    if (::syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
        return permanentError("may not signal pid=" + std::to_string(pid) + ": " +
                              std::generic_category().message(errno));
    }
    return {};
}

}  // namespace

std::optional<ProcessStat> parseProcessStat(std::string_view text) {
    // Field 2 is the program's name in parentheses, which may itself hold some and spaces.
    const auto nameEnd = text.rfind(')');
    if (nameEnd == std::string_view::npos) {
        return std::nullopt;
    }
    std::vector<std::string_view> fields;
    auto rest = text.substr(nameEnd + 1);
    while (!rest.empty()) {
        const auto start = rest.find_first_not_of(" \n");
        if (start == std::string_view::npos) {
            break;
        }
        const auto end = rest.find_first_of(" \n", start);
        fields.push_back(rest.substr(start, end - start));
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
    }
    constexpr std::size_t kState = 0;            // field 3
    constexpr std::size_t kSession = 3;          // field 6
    constexpr std::size_t kStartTicks = 19;      // field 22
    constexpr std::size_t kMemory = 20;          // field 23
    constexpr std::size_t kEnvironmentEnd = 48;  // field 51
    if (fields.size() <= kStartTicks || fields[kState].size() != 1) {
        return std::nullopt;
    }
    const auto session = number<pid_t>(fields[kSession]);
    const auto ticks = number<std::uint64_t>(fields[kStartTicks]);
    if (!session || !ticks) {
        return std::nullopt;
    }
    const bool none =
        fields.size() <= kEnvironmentEnd || fields[kMemory] == "0" ||
        (fields[kEnvironmentEnd] != "0" && fields[kEnvironmentEnd] == fields[kEnvironmentEnd - 1]);
    return ProcessStat{fields[kState].front(), *session, *ticks, none};
}

std::optional<ProcessStat> readProcessStat(pid_t pid) {
    const auto text = readProcFile("/proc/" + std::to_string(pid) + "/stat");
    return text ? parseProcessStat(*text) : std::nullopt;
}

std::string currentBootId() {
    auto id = readProcFile("/proc/sys/kernel/random/boot_id").value_or("");
    id.resize(id.find_last_not_of('\n') + 1);
    if (id.empty()) {
        throw std::runtime_error("cannot read /proc/sys/kernel/random/boot_id");
    }
    return id;
}

Result<void> signalProcesses(const ProcessId& leader, uid_t owner, std::string_view variable,
                             int signal) {
    Result<void> outcome;
    for (int round = 0; round < kKillRounds; ++round) {
        const auto first = readProcessStat(leader.pid);
        const bool numberTaken = first && first->startTicks != leader.startTicks;
        bool found = false;
        for (const pid_t pid : allProcesses()) {
            if (!mayBelong(pid, leader.pid, owner, variable)) {
                continue;
            }
            const auto stat = readProcessStat(pid);
            if (!stat || isDead(*stat)) {
                continue;
            }
            const bool inSession = stat->session == leader.pid && !numberTaken;
            if (!(inSession && first) &&
                !(belongsTo(pid, owner) && (inSession || wasStartedWith(pid, variable)))) {
                continue;
            }
            found = true;
            if (auto sent = signalMember(pid, *stat, signal); !sent) {
                outcome = sent;
            }
        }
        if (!found || signal != SIGKILL || !outcome) {
            break;
        }
        ::sched_yield();
    }
    return outcome;
}

ProcessEnd reapProcess(const ProcessId& process) {
    const auto stat = readProcessStat(process.pid);
    siginfo_t info{};
    // A child that was not waited for keeps its number, so it cannot become another meanwhile.
    if (!stat || stat->startTicks != process.startTicks ||
        ::waitid(P_PID, static_cast<id_t>(process.pid), &info, WEXITED | WNOHANG) != 0 ||
        info.si_pid == 0) {
        return {};
    }
    ProcessEnd end;
    (info.si_code == CLD_EXITED ? end.exitCode : end.signal) = info.si_status;
    return end;
}

}  // namespace gridbridge::folder
