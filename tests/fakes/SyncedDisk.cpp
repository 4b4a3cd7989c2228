#include "tests/fakes/SyncedDisk.h"

#include <fstream>
#include <mutex>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {
namespace {

std::mutex mutex;
SyncedDisk* watching = nullptr;

struct stat statOf(const std::filesystem::path& path) {
    struct stat info {};
    ::lstat(path.c_str(), &info);
    return info;
}

int synced(long call, int fd) {
    SyncedDisk::tell();
    {
        const std::lock_guard lock(mutex);
        if (watching == nullptr) {
            return static_cast<int>(::syscall(call, fd));
        }
        watching->note(fd);
    }
    SyncedDisk::tell();
    return 0;
}

}  // namespace

SyncedDisk::SyncedDisk() {
    const std::lock_guard lock(mutex);
    watching = this;
}

SyncedDisk::~SyncedDisk() {
    const std::lock_guard lock(mutex);
    watching = nullptr;
}

void SyncedDisk::atEachSync(std::function<void()> action) {
    const std::lock_guard lock(mutex);
    action_ = std::move(action);
}

void SyncedDisk::tell() {
    std::unique_lock lock(mutex);
    const auto action = watching != nullptr ? watching->action_ : nullptr;
    lock.unlock();
    if (action) {
        action();
    }
}

void SyncedDisk::note(int fd) {
    const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd));
    const auto info = statOf(path);
    if (!S_ISDIR(info.st_mode)) {
        contents_[info.st_ino] = readFile(path);
        return;
    }
    auto& names = entries_[info.st_ino];
    names.clear();
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
        names[entry.path().filename()] = statOf(entry.path()).st_ino;
    }
}

void SyncedDisk::leave(const std::filesystem::path& folder,
                       const std::filesystem::path& copy) const {
    using std::filesystem::perms;
    const std::lock_guard lock(mutex);
    std::filesystem::create_directory(copy);
    std::filesystem::permissions(copy, perms::owner_all);
    const auto names = entries_.find(statOf(folder).st_ino);
    if (names == entries_.end()) {
        return;
    }
    for (const auto& [name, inode] : names->second) {
        if (entries_.count(inode) > 0) {
            std::filesystem::create_directory(copy / name);
        }
        if (const auto content = contents_.find(inode); content != contents_.end()) {
            std::ofstream(copy / name, std::ios::binary) << content->second;
            std::filesystem::permissions(copy / name, perms::owner_read | perms::owner_write);
        }
    }
}

}  // namespace gridbridge::testing

extern "C" int fsync(int fd) {
    return gridbridge::testing::synced(SYS_fsync, fd);
}
extern "C" int fdatasync(int fd) {
    return gridbridge::testing::synced(SYS_fdatasync, fd);
}
