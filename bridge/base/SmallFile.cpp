#include "bridge/base/SmallFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/base/Fd.h"

namespace gridbridge {

Result<SmallFile> readSmallFile(const std::filesystem::path& file, std::size_t limit) {
    const auto failed = [](int error) {
        return permanentError(std::string("cannot be read: ") + std::strerror(error));
    };
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
        return failed(errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return permanentError("is not a file");
    }
    SmallFile content{std::string(limit + 1, '\0'), status.st_mode};
    std::size_t size = 0;
    while (size <= limit) {
        const ssize_t got = ::read(fd.get(), content.text.data() + size, limit + 1 - size);
        if (got < 0) {
            return failed(errno);
        }
        if (got == 0) {
            break;
        }
        size += static_cast<std::size_t>(got);
    }
    if (size > limit) {
        return permanentError("is larger than " + std::to_string(limit) + " bytes");
    }
    content.text.resize(size);
    return content;
}

}  // namespace gridbridge
