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

/// One pass removes at least a level of depth; a process that fills the tree while it is being
/// removed must not hold us for ever.
constexpr int kMaxPasses = 100'000;

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

/// False with errno when the folder cannot be read.
bool forEachEntry(int dir, const std::function<void(const std::string&)>& visit) {
    const int copy = ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy),
                                                     &::closedir);
    if (!stream) {
        return false;
    }
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string name = &entry->d_name[0];
        if (name != "." && name != "..") {
            visit(name);
        }
    }
    return true;
}

/// Empties a folder by moving every folder found inside another up into it, so that the tree
/// gets flat while it is being removed.
class Remover {
public:
    explicit Remover(int top) : top_(top) {}

    /// 0, or the errno of what could not be removed.
    int operator()() {
        for (int pass = 0; pass < kMaxPasses; ++pass) {
            bool any = false;
            bool progress = false;
            int problem = 0;
            const bool readable = forEachEntry(top_, [&](const std::string& name) {
                any = true;
                if (removeEntry(name)) {
                    progress = true;
                } else {
                    problem = errno;
                }
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
        }
        return ENOTEMPTY;
    }

private:
    bool removeEntry(const std::string& name) {
        if (::unlinkat(top_, name.c_str(), 0) == 0 || errno == ENOENT) {
            return true;
        }
        if (errno != EISDIR) {
            return false;
        }
        const auto folder = enter(top_, name);
        if (!folder) {
            return false;
        }
        int problem = 0;
        const bool readable = forEachEntry(folder.get(), [&](const std::string& inner) {
            if (::unlinkat(folder.get(), inner.c_str(), 0) != 0 &&
                (errno != EISDIR || !moveUp(folder.get(), inner))) {
                problem = errno;
            }
        });
        if (readable && problem != 0) {
            errno = problem;
            return false;
        }
        return readable && ::unlinkat(top_, name.c_str(), AT_REMOVEDIR) == 0;
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
    std::uint64_t counter_ = 0;
};

}  // namespace

Result<void> removeTree(int dir, const std::string& name, const std::string& label) {
    const auto top = enter(dir, name);
    if (!top) {
        if (errno == ENOENT) {
            return {};
        }
        return fileError("cannot remove " + label, errno);
    }
    if (const int problem = Remover(top.get())(); problem != 0) {
        return fileError("cannot remove all of " + label, problem);
    }
    if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return fileError("cannot remove " + label, errno);
    }
    return {};
}

}  // namespace gridbridge::folder
