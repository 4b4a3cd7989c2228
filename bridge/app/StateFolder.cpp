#include "bridge/app/StateFolder.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

namespace gridbridge::app {

namespace {

/// What another account left there: a service that somebody once started by hand. Empty = nothing.
std::string unwritableIn(const std::filesystem::path& folder) {
    for (const char* name : {"gridbridge.db", "gridbridge.db-wal", "gridbridge.db-shm",
                             "secret.key", "lock", "traces", "uploads"}) {
        const auto file = folder / name;
        if (::faccessat(AT_FDCWD, file.c_str(), R_OK | W_OK, AT_EACCESS) != 0 && errno == EACCES) {
            return file.string();
        }
    }
    return {};
}

}  // namespace

std::optional<std::uint64_t> freeSpace(const std::filesystem::path& folder) {
    std::error_code error;
    const auto space = std::filesystem::space(folder, error);
    return error ? std::nullopt : std::optional<std::uint64_t>(space.available);
}

std::optional<StateFolderFault> stateFolderFault(const std::filesystem::path& folder) {
    const std::string name = folder.string();
    const auto failed = [&](const std::string& what) {
        return name + " " + what + ": " + std::strerror(errno);
    };
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) {
        return StateFolderFault{failed("cannot be used"),
                                "create it with: install -d -m 700 " + name};
    }
    if (!S_ISDIR(status.st_mode)) {
        return StateFolderFault{name + " is not a folder", "name another"};
    }
    if ((status.st_mode & S_IRWXO) != 0) {
        return StateFolderFault{name + " is open to every account", "run chmod 700 " + name};
    }
    if (::faccessat(AT_FDCWD, folder.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        if (errno == EROFS) {
            return StateFolderFault{failed("is not writable"), "mount its disk for writing", true};
        }
        return StateFolderFault{failed("is not writable"), "give it to the account of the service"};
    }
    if (const auto file = unwritableIn(folder); !file.empty()) {
        return StateFolderFault{file + " is not writable: " + std::strerror(EACCES),
                                "give it to the account of the service"};
    }
    struct statfs disk {};
    if (::statfs(folder.c_str(), &disk) != 0) {
        return StateFolderFault{failed("cannot be examined"), "name another"};
    }
    const auto network = networkFileSystem(static_cast<std::uint32_t>(disk.f_type));
    if (!network.empty()) {
        return StateFolderFault{name + " is on the network file system " + std::string(network) +
                                    ", where SQLite's journal does not work",
                                "name a folder on a local disk"};
    }
    return std::nullopt;
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
