#include "bridge/folder/FolderFiles.h"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace gridbridge::folder {
namespace {

constexpr std::uint64_t kRoomToBegin = std::uint64_t{1} << 20U;
constexpr std::uint64_t kNoEscape = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

Fd open2(int dir, const std::string& path, int flags, mode_t mode, std::uint64_t resolve) {
    open_how how{};
    // The kernel refuses O_NONBLOCK where nothing is opened.
    const int waiting = (flags & O_PATH) != 0 ? 0 : O_NONBLOCK;
    how.flags = static_cast<unsigned>(flags | waiting | O_NOFOLLOW | O_CLOEXEC);
    how.mode = mode;
    how.resolve = resolve;
    return Fd(static_cast<int>(::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof(how))));
}

}  // namespace

Result<void> checkFileName(const std::string& name) {
    static constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (name.empty() || name.size() > 128 || name == "." || name == ".." ||
        name.find_first_not_of(kAllowed) != std::string::npos) {
        return permanentError("a file of a submission must be named with A-Z a-z 0-9 . _ - only");
    }
    return {};
}

Fd openBeneath(int dir, const std::string& path, int flags, mode_t mode) {
    return open2(dir, path, flags, mode, kNoEscape);
}

Fd openFolder(int dir, const std::string& path) {
    return open2(dir, path, O_RDONLY | O_DIRECTORY, 0, kNoEscape | RESOLVE_NO_XDEV);
}

Error fileError(const std::string& label, int code) {
    switch (code) {
        case ELOOP:
            return permanentError(label + " is, or lies behind, a link");
        case ENXIO:
            return permanentError(label + " is not a regular file");
        case EEXIST:
        case ENOTDIR:
        case EISDIR:
        case EACCES:
        case EPERM:
        case EXDEV:
        case ENAMETOOLONG:
        case ENOENT:
            return permanentError(label + ": " + std::generic_category().message(code));
        default:
            return transientError(label + ": " + std::generic_category().message(code));
    }
}

Result<void> checkFile(const Fd& file, uid_t owner, const std::string& label) {
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) {
        return fileError(label, errno);
    }
    if (!S_ISREG(info.st_mode)) {
        return permanentError(label + " is not a regular file");
    }
    if (info.st_uid != owner) {
        return permanentError(label + " belongs to another account");
    }
    if (info.st_nlink != 1) {
        return permanentError(label + " has a second name");
    }
    return {};
}

Result<Fd> openForReading(int dir, const std::string& path, uid_t owner, const std::string& label) {
    auto file = openBeneath(dir, path, O_RDONLY);
    if (!file) {
        if (errno == ENOENT) {
            return Fd();
        }
        return fileError(label, errno);
    }
    if (auto checked = checkFile(file, owner, label); !checked) {
        return checked.error();
    }
    return file;
}

Fd createFile(int dir, const std::string& name) {
    return openBeneath(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
}

Result<void> checkRoom(const std::filesystem::path& folder, std::uint64_t bytes) {
    struct statvfs disk {};
    if (::statvfs(folder.c_str(), &disk) != 0) {
        return {};
    }
    if ((disk.f_flag & ST_RDONLY) != 0) {
        return transientError("the disk of " + folder.string() +
                              " is read-only: mount it for writing");
    }
    if (std::uint64_t{disk.f_bavail} * disk.f_frsize < bytes + kRoomToBegin) {
        return transientError("the disk of " + folder.string() +
                              " has no room for a job: make some");
    }
    return {};
}

Result<void> checkWritable(const std::filesystem::path& folder) {
    if (auto room = checkRoom(folder, 0); !room) {
        return room;
    }
    // What the mount does not tell: an export that its server keeps read-only, a quota, a bad disk.
    const auto name = (folder / ".probe").string();
    const Fd probe(
        ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    const bool written = probe && writeAll(probe, "probe\n") && ::fsync(probe.get()) == 0;
    const int code = errno;
    ::unlink(name.c_str());
    if (!written) {
        return transientError(folder.string() +
                              " cannot be written: " + std::generic_category().message(code) +
                              ": see to its disk, its mount and its quota");
    }
    return {};
}

bool writeAll(const Fd& file, std::string_view content) {
    while (!content.empty()) {
        const ssize_t written = ::write(file.get(), content.data(), content.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return false;
        }
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

Result<Fd> makeFolder(int dir, const std::string& name, const std::string& label) {
    if (::mkdirat(dir, name.c_str(), 0700) != 0 && errno != EEXIST) {
        return fileError(label, errno);
    }
    auto made = openFolder(dir, name);
    struct stat info {};
    if (!made || ::fstat(made.get(), &info) != 0) {
        return fileError(label, errno);
    }
    if (info.st_uid != ::geteuid()) {
        return permanentError(label + " belongs to another account");
    }
    return made;
}

}  // namespace gridbridge::folder
