#include "backends/local/LocalRecords.h"

#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace gridbridge {
namespace {

/// A record is far shorter; more is read only to see that a file is none.
constexpr std::size_t kReadLimit = 8192;

std::string describe(int code) {
    return std::generic_category().message(code);
}

/// Permanent: people have to repair it. All else may pass.
Error recordError(const std::string& what) {
    const int code = errno;
    const bool permanent = code == EACCES || code == EPERM || code == EROFS || code == ENOENT;
    return {permanent ? ErrorKind::Permanent : ErrorKind::Transient,
            "the local backend cannot write " + what + ": " + describe(code)};
}

std::string readAll(int dir, const std::string& name) {
    const Fd file(::openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    std::string text(kReadLimit, '\0');
    std::size_t filled = 0;
    while (file && filled < text.size()) {
        const ssize_t got = ::read(file.get(), text.data() + filled, text.size() - filled);
        if (got <= 0) {
            break;
        }
        filled += static_cast<std::size_t>(got);
    }
    text.resize(filled);
    return text;
}

bool writeAll(const Fd& file, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(file.get(), text.data(), text.size());
        if (written < 0) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace

LocalRecords::LocalRecords(const std::filesystem::path& workDir) {
    const auto path = (workDir / ".local").string();
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        throw std::runtime_error("cannot make " + path + ": " + describe(errno));
    }
    dir_ = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!dir_ || ::fstat(dir_.get(), &info) != 0) {
        throw std::runtime_error("cannot open " + path + ": " + describe(errno));
    }
    if (info.st_uid != ::geteuid() || (info.st_mode & 077) != 0) {
        throw std::runtime_error(path + " must belong to the service's account, with mode 0700");
    }
}

std::vector<LocalRecords::Loaded> LocalRecords::load() {
    const int copy = ::openat(dir_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy),
                                                     &::closedir);
    if (!stream) {
        throw std::runtime_error("cannot list the local backend's records: " + describe(errno));
    }
    std::vector<Loaded> all;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string name = &entry->d_name[0];
        if (name.starts_with(".new-")) {
            ::unlinkat(dir_.get(), name.c_str(), 0);
        } else if (!name.starts_with('.')) {
            const SubmissionKey key{name};
            all.push_back({key, parseRecord(key, readAll(dir_.get(), name))});
        }
    }
    return all;
}

Result<void> LocalRecords::writeFile(const std::string& name, const std::string& content) {
    const Fd file(::openat(dir_.get(), name.c_str(),
                           O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file || !writeAll(file, content) || ::fsync(file.get()) != 0) {
        return recordError(name);
    }
    return {};
}

Result<void> LocalRecords::write(const LocalRecord& record) {
    const auto temporary = ".new-" + record.key.value;
    if (auto written = writeFile(temporary, formatRecord(record)); !written) {
        return written;
    }
    if (::renameat(dir_.get(), temporary.c_str(), dir_.get(), record.key.value.c_str()) != 0) {
        return recordError(record.key.value);
    }
    return {};
}

Result<void> LocalRecords::sync() {
    if (::fsync(dir_.get()) != 0) {
        return uncertainError("the local backend's records may not be on disk: " + describe(errno));
    }
    return {};
}

Result<void> LocalRecords::save(const LocalRecord& record) {
    auto written = write(record);
    return written ? sync() : written;
}

Result<void> LocalRecords::remove(const SubmissionKey& key) {
    if (::unlinkat(dir_.get(), key.value.c_str(), 0) != 0 && errno != ENOENT) {
        return recordError(key.value);
    }
    return {};
}

Result<void> LocalRecords::probe() {
    auto written = writeFile(".new-probe", "probe\n");
    ::unlinkat(dir_.get(), ".new-probe", 0);
    return written;
}

}  // namespace gridbridge
