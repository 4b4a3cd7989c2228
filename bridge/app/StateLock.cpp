#include "bridge/app/StateLock.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace gridbridge::app {

namespace {

constexpr mode_t kLockMode = 0640;

std::string reason(int error) {
    return std::strerror(error);
}

pid_t pidIn(int fd) {
    std::array<char, 16> text{};
    const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
    pid_t pid = 0;
    if (size > 0) {
        std::from_chars(text.data(), text.data() + size, pid);
    }
    return pid;
}

/// Zero, or the errno.
int lock(int fd, int operation) {
    while (::flock(fd, operation | LOCK_NB) != 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

}  // namespace

Result<StateLock> StateLock::take(const std::filesystem::path& stateDir) {
    const auto file = stateDir / "lock";
    Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kLockMode));
    if (!fd) {
        return permanentError(file.string() + " cannot be opened: " + reason(errno) +
                              "; make the state folder writable for the service");
    }
    const int error = lock(fd.get(), LOCK_EX);
    if (error == EWOULDBLOCK) {
        return transientError(
            "the state folder " + stateDir.string() + " belongs to a running service, pid=" +
            std::to_string(pidIn(fd.get())) + "; stop that one or give this one another state_dir");
    }
    if (error != 0) {
        return permanentError(file.string() + " cannot be locked: " + reason(error));
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
        return permanentError(file.string() + " cannot be written: " + reason(errno));
    }
    return StateLock(std::move(fd));
}

Result<std::optional<pid_t>> StateLock::holder(const std::filesystem::path& stateDir) {
    const auto file = stateDir / "lock";
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno == ENOENT) {
        return std::optional<pid_t>();
    }
    if (!fd) {
        return permanentError(file.string() + " cannot be opened: " + reason(errno));
    }
    const int error = lock(fd.get(), LOCK_SH);
    if (error == EWOULDBLOCK) {
        return std::optional<pid_t>(pidIn(fd.get()));
    }
    if (error != 0) {
        return permanentError(file.string() + " cannot be tested: " + reason(error));
    }
    return std::optional<pid_t>();
}

Result<void> checkStateFolder(const std::filesystem::path& stateDir) {
    const std::string name = "the state folder " + stateDir.string();
    struct stat status {};
    if (::stat(stateDir.c_str(), &status) != 0) {
        return permanentError(name + " cannot be used: " + reason(errno) +
                              "; create it with: install -d -m 700 " + stateDir.string());
    }
    if (!S_ISDIR(status.st_mode)) {
        return permanentError(name + " is not a folder; name another in state_dir");
    }
    if ((status.st_mode & S_IRWXO) != 0) {
        return permanentError(name + " is open to every account; run chmod 700 " +
                              stateDir.string());
    }
    if (::faccessat(AT_FDCWD, stateDir.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return permanentError(name + " is not writable: " + reason(errno) +
                              "; give it to the account of the service");
    }
    struct statfs disk {};
    if (::statfs(stateDir.c_str(), &disk) != 0) {
        return permanentError(name + " cannot be examined: " + reason(errno));
    }
    const auto network = networkFileSystem(static_cast<std::uint32_t>(disk.f_type));
    if (!network.empty()) {
        return permanentError(name + " is on the network file system " + std::string(network) +
                              ", where SQLite's journal does not work; move it to a local disk");
    }
    return {};
}

std::string_view networkFileSystem(std::uint32_t magic) {
    constexpr std::array<std::pair<std::uint32_t, std::string_view>, 11> kKnown{{
        {0x6969, "NFS"},
        {0x517b, "SMB"},
        {0xfe534d42, "SMB2"},
        {0xff534d42, "CIFS"},
        {0x5346414f, "AFS"},
        {0x6b414653, "AFS"},
        {0x0bd00bd0, "Lustre"},
        {0x00c36400, "Ceph"},
        {0x47504653, "GPFS"},
        {0x19830326, "BeeGFS"},
        {0x7461636f, "OCFS2"},
    }};
    for (const auto& [number, name] : kKnown) {
        if (number == magic) {
            return name;
        }
    }
    return {};
}

}  // namespace gridbridge::app
