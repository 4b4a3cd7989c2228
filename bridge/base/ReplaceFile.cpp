#include "bridge/base/ReplaceFile.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>

#include "bridge/base/Fd.h"

namespace gridbridge {

namespace {

bool writeAll(int fd, std::string_view content) {
    while (!content.empty()) {
        const auto written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno != EINTR) {
            return false;
        }
        content.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace

Result<void> replaceFile(const std::filesystem::path& file, std::string_view content) {
    const auto failed = [&file] {
        return permanentError(file.string() + " cannot be written: " + std::strerror(errno));
    };
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    std::string unfinished = (folder / ("." + file.filename().string() + ".XXXXXX")).string();
    const Fd fd(::mkostemp(unfinished.data(), O_CLOEXEC));  // 0600, and nobody else's.
    if (!fd) {
        return failed();
    }
    if (!writeAll(fd.get(), content) || ::fsync(fd.get()) != 0 ||
        ::rename(unfinished.c_str(), file.c_str()) != 0) {
        const auto error = failed();
        ::unlink(unfinished.c_str());
        return error;
    }
    const Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory && ::fsync(directory.get()) == 0 ? Result<void>() : failed();
}

}  // namespace gridbridge
