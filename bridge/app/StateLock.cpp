#include "bridge/app/StateLock.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
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

}  // namespace gridbridge::app
