#include "backends/diracx/DiracCredentialFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "bridge/base/CrashPoint.h"

namespace gridbridge {

namespace {

constexpr std::size_t kLongest = std::size_t{64} << 10U;

/// Transient, so that no job fails for it.
Error misconfigured(std::string message) {
    auto error = transientError(std::move(message));
    error.misconfigured = true;
    return error;
}

/// Why the file must not be used; empty = it may.
std::string flaw(const struct ::stat& status) {
    if (!S_ISREG(status.st_mode)) {
        return "is not a regular file";
    }
    if (status.st_uid != ::geteuid()) {
        return "belongs to another account: it must be this service's own";
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return "is open to other accounts: chmod 600 it, and log in anew if they are not trusted";
    }
    return {};
}

/// At most one byte more than a credential file may have.
std::string contentOf(int fd) {
    std::string content(kLongest + 1, '\0');
    std::size_t length = 0;
    for (;;) {
        const auto got = ::pread(fd, content.data() + length, content.size() - length,
                                 static_cast<off_t>(length));
        if (got <= 0) {
            break;
        }
        length += static_cast<std::size_t>(got);
    }
    content.resize(length);
    return content;
}

bool isAt(const std::filesystem::path& file, int fd) {
    struct ::stat named {};
    struct ::stat opened {};
    return ::lstat(file.c_str(), &named) == 0 && ::fstat(fd, &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

/// In one piece: a kill between two would leave half of it.
bool writeWhole(int fd, std::string_view content) {
    const auto written = ::write(fd, content.data(), content.size());
    if (written >= 0 && static_cast<std::size_t>(written) < content.size()) {
        errno = ENOSPC;
    }
    return written >= 0 && static_cast<std::size_t>(written) == content.size();
}

}  // namespace

DiracCredentialFile::DiracCredentialFile(std::filesystem::path file, std::string login)
    : file_(std::move(file)),
      next_(file_.parent_path() / ("." + file_.filename().string() + ".next")),
      login_(std::move(login)) {}

Error DiracCredentialFile::loginNeeded(const std::string& why) const {
    return misconfigured("the credential file " + file_.string() + " " + why +
                         ": log in, as the service's account: " + login_);
}

Error DiracCredentialFile::failed(const std::string& what) const {
    const bool refused = errno == EACCES || errno == EPERM || errno == EROFS;
    const auto text = "the credential file " + file_.string() + " cannot be " + what + ": " +
                      std::strerror(errno);
    return refused ? misconfigured(text) : transientError(text);
}

Result<std::optional<DiracCredentialFile::Opened>> DiracCredentialFile::open(Lock lock) const {
    auto opened = openAt(file_, lock);
    if (opened.ok() && *opened && lock == Lock::Exclusive) {
        auto result = std::move(opened).value();
        finish(*result);
        return result;
    }
    return opened;
}

Result<std::optional<DiracCredentialFile::Opened>> DiracCredentialFile::openAt(
    const std::filesystem::path& file, Lock lock) const {
    const bool exclusive = lock == Lock::Exclusive;
    // NFS gives an exclusive lock only to who may write.
    Fd fd(::open(file.c_str(),
                 (exclusive ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!fd) {
        return errno == ENOENT ? loginNeeded("does not exist")
               : errno == ELOOP
                   ? misconfigured("the credential file " + file.string() +
                                   " is a link: name the file itself, which is replaced")
                   : failed("opened");
    }
    struct ::stat status {};
    if (::fstat(fd.get(), &status) != 0) {
        return failed("read");
    }
    if (const auto why = flaw(status); !why.empty()) {
        return misconfigured("the credential file " + file.string() + " " + why);
    }
    crashPoint("credential-opened");
    if (::flock(fd.get(), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? Result<std::optional<Opened>>(std::nullopt)
                                    : failed("locked");
    }
    if (!isAt(file, fd.get())) {
        return std::optional<Opened>();
    }
    const auto content = contentOf(fd.get());
    auto credential = content.size() > kLongest ? std::nullopt : DiracCredential::parse(content);
    if (!credential) {
        return loginNeeded("holds no access token and its end");
    }
    return std::optional(Opened{std::move(fd), *std::move(credential)});
}

/// What stands beside a file whose refresh was begun, and says less than that, is newer: each
/// replacement begins with its removal.
void DiracCredentialFile::finish(Opened& opened) const {
    if (opened.credential.refreshesSent == 0) {
        return;
    }
    auto next = openAt(next_, Lock::Exclusive);
    if (next.ok() && *next && (*next)->credential.refreshesSent < opened.credential.refreshesSent &&
        ::rename(next_.c_str(), file_.c_str()) == 0) {
        opened = *std::move(next).value();
    }
}

Result<void> DiracCredentialFile::replace(Opened& opened, const DiracCredential& next) const {
    ::unlink(next_.c_str());
    Fd fd(::open(next_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) {
        return failed("replaced");
    }
    crashPoint("credential-created");
    // Locked before it has its name, so that nobody comes in between.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !writeWhole(fd.get(), next.text().reveal()) ||
        ::fsync(fd.get()) != 0) {
        const auto error = failed("replaced");
        ::unlink(next_.c_str());
        return error;
    }
    crashPoint("credential-written");
    if (::rename(next_.c_str(), file_.c_str()) != 0) {
        return failed("replaced");
    }
    crashPoint("credential-replaced");
    opened = {std::move(fd), next};
    const Fd folder(::open(file_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return folder && ::fsync(folder.get()) == 0 ? Result<void>() : failed("replaced");
}

}  // namespace gridbridge
