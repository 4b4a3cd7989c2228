#include "bridge/app/Addition.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace gridbridge::app {

namespace {

using std::filesystem::path;

Error failed(const path& file, const std::string& what) {
    return permanentError(file.string() + " " + what + ": " + std::strerror(errno));
}

bool syncFolder(const path& folder) {
    const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd.valid() && ::fsync(fd.get()) == 0;
}

bool writeAll(int fd, const std::string& text) {
    for (std::size_t done = 0; done < text.size();) {
        const auto wrote = ::write(fd, text.data() + done, text.size() - done);
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        done += static_cast<std::size_t>(std::max<ssize_t>(wrote, 0));
    }
    return ::fsync(fd) == 0;
}

}  // namespace

path additionFile(const path& config, const std::string& name) {
    return config.parent_path() / "config.d" / (name + ".toml");
}

Result<Addition> Addition::begin(path file) {
    const auto folder = file.parent_path();
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
        return failed(folder, "cannot be made");
    }
    std::string pattern = (folder / ("." + file.filename().string() + ".XXXXXX")).string();
    Fd fd(::mkostemp(pattern.data(), O_CLOEXEC));
    if (!fd.valid()) {
        return failed(folder, "cannot be written");
    }
    return Addition(std::move(file), std::move(pattern), std::move(fd));
}

Addition::Addition(Addition&& other) noexcept
    : file_(std::move(other.file_)),
      unfinished_(std::exchange(other.unfinished_, {})),
      fd_(std::move(other.fd_)) {}

Addition::~Addition() {
    if (!unfinished_.empty()) {
        ::unlink(unfinished_.c_str());
    }
}

Result<void> Addition::publish(const std::string& text) {
    // A link, unlike a rename, fails when the name is taken.
    if (::fchmod(fd_.get(), 0600) != 0 || !writeAll(fd_.get(), text) ||
        ::link(unfinished_.c_str(), file_.c_str()) != 0) {
        return failed(file_, "cannot be written");
    }
    if (!syncFolder(file_.parent_path())) {
        return failed(file_.parent_path(), "cannot be written");
    }
    return {};
}

Result<void> removeAddition(const path& file) {
    if (::unlink(file.c_str()) != 0 || !syncFolder(file.parent_path())) {
        return failed(file, "cannot be removed");
    }
    return {};
}

}  // namespace gridbridge::app
