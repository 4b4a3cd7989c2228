#include "bridge/folder/RemoveTree.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/base/Fd.h"
#include "bridge/folder/FolderFiles.h"

namespace gridbridge::folder {
namespace {

/// Entries that one call tries to remove.
constexpr int kMostAtOnce = 1000;

/// Lets us into a folder whose owner took all permissions away from it. A link is no folder.
bool openUp(int dir, const std::string& name) {
    const auto handle = openBeneath(dir, name, O_PATH | O_DIRECTORY);
    // A handle without access cannot be changed by fchmod, only by its name in /proc.
    return handle && ::chmod(("/proc/self/fd/" + std::to_string(handle.get())).c_str(), 0700) == 0;
}

Fd enter(int dir, const std::string& name) {
    auto folder = openFolder(dir, name);
    if (!folder && errno == EACCES && openUp(dir, name)) {
        folder = openFolder(dir, name);
    }
    if (folder) {
        // To empty it needs write permission; where it is not ours the removal itself will tell.
        ::fchmod(folder.get(), 0700);
    }
    return folder;
}

/// Until `visit` returns false. False with errno when the folder cannot be read.
bool forEachEntry(int dir, const std::function<bool(const std::string&)>& visit) {
    const int copy = ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy),
                                                     &::closedir);
    if (!stream) {
        return false;
    }
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string name = &entry->d_name[0];
        if (name != "." && name != ".." && !visit(name)) {
            break;
        }
    }
    return true;
}

/// Empties a folder by moving every folder found inside another up into it, so that the tree
/// gets flat while it is being removed.
class Remover {
public:
    explicit Remover(int top) : top_(top) {}

    /// 0; EAGAIN: there is more; or the errno of what could not be removed.
    int operator()() {
        for (;;) {
            bool any = false;
            bool progress = false;
            int problem = 0;
            const bool readable = forEachEntry(top_, [&](const std::string& name) {
                any = true;
                const int code = removeEntry(name);
                progress = progress || code == 0 || code == EAGAIN;
                problem = code == 0 ? problem : code;
                return --left_ > 0;
            });
            if (!readable) {
                return errno;
            }
            if (!any) {
                return 0;
            }
            if (!progress) {
                return problem;
            }
            if (left_ <= 0) {
                return EAGAIN;
            }
        }
    }

private:
    /// As operator().
    int removeEntry(const std::string& name) {
        if (::unlinkat(top_, name.c_str(), 0) == 0 || errno == ENOENT) {
            return 0;
        }
        if (errno != EISDIR) {
            return errno;
        }
        const auto folder = enter(top_, name);
        if (!folder) {
            return errno;
        }
        int problem = 0;
        bool progress = false;
        const bool readable = forEachEntry(folder.get(), [&](const std::string& inner) {
            if (::unlinkat(folder.get(), inner.c_str(), 0) == 0 ||
                (errno == EISDIR && moveUp(folder.get(), inner))) {
                progress = true;
            } else {
                problem = errno;
            }
            return --left_ > 0;
        });
        if (!readable) {
            return errno;
        }
        if (problem != 0 || left_ <= 0) {
            return progress ? EAGAIN : problem;
        }
        return ::unlinkat(top_, name.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
    }

    bool moveUp(int from, const std::string& name) {
        for (int tries = 0; tries < 1000; ++tries) {
            const std::string free = ".removing-" + std::to_string(++counter_);
            if (::renameat2(from, name.c_str(), top_, free.c_str(), RENAME_NOREPLACE) == 0) {
                return true;
            }
            // To move a folder elsewhere one must be allowed to write into it.
            if (errno == EACCES ? !openUp(from, name) : errno != EEXIST) {
                return false;
            }
        }
        return false;
    }

    int top_;
    int left_ = kMostAtOnce;
    std::uint64_t counter_ = 0;
};

}  // namespace

Result<bool> removeSome(int dir, const std::string& name, const std::string& label) {
    const auto top = enter(dir, name);
    if (!top) {
        if (errno == ENOENT) {
            return true;
        }
        return fileError("cannot remove " + label, errno);
    }
    const int problem = Remover(top.get())();
    if (problem == EAGAIN) {
        return false;
    }
    if (problem != 0) {
        return fileError("cannot remove all of " + label, problem);
    }
    if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return fileError("cannot remove " + label, errno);
    }
    return true;
}

}  // namespace gridbridge::folder
