#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <sys/types.h>

namespace gridbridge::testing {

/// What a power failure would leave: only what this process has given to fsync or fdatasync, as
/// it was at that moment. Its source replaces the two calls in the program it is linked into, so
/// that SQLite's are seen as well; while there is one, the true disk is not waited for. One at a
/// time; safe for concurrent use.
class SyncedDisk {
public:
    SyncedDisk();
    ~SyncedDisk();
    SyncedDisk(const SyncedDisk&) = delete;
    SyncedDisk& operator=(const SyncedDisk&) = delete;

    /// Puts into the folder `copy` the files of `folder` whose content was synced, and whose entry
    /// was by a sync of the folder itself; folders in it so, too, but empty.
    void leave(const std::filesystem::path& folder, const std::filesystem::path& copy) const;
    /// `action` runs before and after each sync, on its thread: between two of them nothing
    /// reaches the disk.
    void atEachSync(std::function<void()> action);
    /// Called by the two calls.
    void note(int fd);

    /// Called by the two calls, too.
    static void tell();

private:
    std::function<void()> action_;
    std::map<ino_t, std::string> contents_;
    std::map<ino_t, std::map<std::string, ino_t>> entries_;
};

}  // namespace gridbridge::testing
