#include "bridge/app/StateLock.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace gridbridge::app {

namespace {

constexpr mode_t kLockMode = 0640;

std::string reason(int error) {
    return std::strerror(error);
}

struct flock wholeFile() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

/// The process that keeps us from the lock; nothing when none does.
Result<std::optional<pid_t>> holderOf(const Fd& fd, const std::filesystem::path& file) {
    auto lock = wholeFile();
    if (::fcntl(fd.get(), F_GETLK, &lock) != 0) {
        return permanentError(file.string() + " cannot be tested: " + reason(errno));
    }
    return lock.l_type == F_UNLCK ? std::optional<pid_t>() : std::optional<pid_t>(lock.l_pid);
}

}  // namespace

Result<StateLock> StateLock::take(const std::filesystem::path& stateDir) {
    const auto file = stateDir / "lock";
    Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kLockMode));
    if (!fd) {
        return permanentError(file.string() + " cannot be opened: " + reason(errno) +
                              "; make the state folder writable for the service");
    }
    auto lock = wholeFile();
    if (::fcntl(fd.get(), F_SETLK, &lock) != 0) {
        const int error = errno;
        if (error != EAGAIN && error != EACCES) {
            return permanentError(file.string() + " cannot be locked: " + reason(error));
        }
        const auto other = holderOf(fd, file);
        return transientError("the state folder " + stateDir.string() +
                              " belongs to a running service, pid=" +
                              std::to_string(other.ok() ? other->value_or(0) : 0) +
                              "; stop that one or give this one another state_dir");
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
    return holderOf(fd, file);
}

}  // namespace gridbridge::app
