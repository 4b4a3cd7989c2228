#include "backends/local/LocalRecords.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "bridge/folder/FolderFiles.h"

namespace gridbridge {
namespace {

/// The longest record, twice: its last part holds the last complete one and a torn one.
constexpr std::int64_t kTail = 16384;
/// The inputs' size is the first line.
constexpr std::string_view kHeader = "inputs ";
/// A record starts and ends with its own lines, whatever a torn one before it left.
constexpr std::string_view kBegin = "\nstate=";
constexpr std::string_view kEnd = "\nend\n";

std::string describe(int code) {
    return std::generic_category().message(code);
}

/// Permanent: people have to repair it. All else may pass.
Error recordError(const std::string& key) {
    const int code = errno;
    const bool permanent = code == EACCES || code == EPERM || code == EROFS || code == ENOENT;
    return {permanent ? ErrorKind::Permanent : ErrorKind::Transient,
            "the local backend cannot access its record of " + key + ": " + describe(code)};
}

std::string block(const LocalRecord& record) {
    return "\n" + formatRecord(record) + "end\n";
}

/// Shorter where the file ends.
std::string readAt(const Fd& file, std::int64_t offset, std::size_t size) {
    std::string text(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
        const ssize_t got = ::pread(file.get(), text.data() + filled, size - filled,
                                    offset + static_cast<std::int64_t>(filled));
        if (got <= 0) {
            break;
        }
        filled += static_cast<std::size_t>(got);
    }
    text.resize(filled);
    return text;
}

struct Span {
    std::int64_t begin = 0;
    std::int64_t end = 0;
};

/// Where in the file the inputs are; nothing when its beginning is not ours.
std::optional<Span> inputSpan(const Fd& file, std::int64_t fileSize) {
    const auto text = readAt(file, 0, 32);
    const auto line = std::string_view(text).substr(0, text.find('\n'));
    if (!line.starts_with(kHeader) || line.size() == text.size()) {
        return std::nullopt;
    }
    const auto digits = line.substr(kHeader.size());
    std::int64_t size = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    const auto begin = static_cast<std::int64_t>(line.size()) + 1;
    if (code != std::errc() || end != digits.data() + digits.size() || size < 0 ||
        size > fileSize - begin) {
        return std::nullopt;
    }
    return Span{begin, begin + size};
}

Fd openFile(int dir, const std::string& name, int flags) {
    return Fd(::openat(dir, name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

std::int64_t sizeOf(const Fd& file) {
    struct stat info {};
    return ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
}

}  // namespace

LocalRecords::LocalRecords(const std::filesystem::path& workDir) : workDir_(workDir) {
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
        if (name.starts_with('.')) {
            continue;
        }
        if (auto record = loadOne({name})) {
            all.push_back({{name}, std::move(*record)});
        } else {
            ::unlinkat(dir_.get(), name.c_str(), 0);
        }
    }
    return all;
}

std::optional<Result<LocalRecord>> LocalRecords::loadOne(const SubmissionKey& key) {
    const auto file = openFile(dir_.get(), key.value, O_RDONLY);
    if (!file) {
        return permanentError("the local backend's record of " + key.value +
                              " cannot be read: " + describe(errno));
    }
    const auto size = sizeOf(file);
    const auto inputs = inputSpan(file, size);
    if (!inputs) {
        return std::nullopt;
    }
    // Nothing in the inputs is taken for a record, whatever it looks like.
    const auto from = std::max(inputs->end, size - kTail);
    const auto tail = readAt(file, from, static_cast<std::size_t>(size - from));
    const auto end = tail.rfind(kEnd);
    const auto begin = end == std::string::npos ? end : tail.rfind(kBegin, end);
    if (begin == std::string::npos) {
        return std::nullopt;
    }
    return parseRecord(key, std::string_view(tail).substr(begin + 1, end - begin));
}

Result<void> LocalRecords::createFile(const std::string& name, const std::string& content) {
    const Fd file(::openat(dir_.get(), name.c_str(),
                           O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file || !folder::writeAll(file, content) || ::fsync(file.get()) != 0) {
        auto error = recordError(name);
        ::unlinkat(dir_.get(), name.c_str(), 0);
        return error;
    }
    return {};
}

Result<void> LocalRecords::create(const LocalRecord& record,
                                  std::span<const folder::StagedFile> inputs) {
    const auto blob = formatInputs(inputs);
    return createFile(record.key.value, std::string(kHeader) + std::to_string(blob.size()) + "\n" +
                                            blob + block(record));
}

Result<void> LocalRecords::sync() {
    if (::fsync(dir_.get()) != 0) {
        return uncertainError("the local backend's records may not be on disk: " + describe(errno));
    }
    return {};
}

Result<std::vector<folder::StagedFile>> LocalRecords::inputs(const SubmissionKey& key) {
    const auto file = openFile(dir_.get(), key.value, O_RDONLY);
    if (!file) {
        return recordError(key.value);
    }
    const auto span = inputSpan(file, sizeOf(file));
    if (!span) {
        return permanentError("the local backend's record of " + key.value + " is damaged");
    }
    return parseInputs(
        key, readAt(file, span->begin, static_cast<std::size_t>(span->end - span->begin)));
}

Result<void> LocalRecords::update(const LocalRecord& record) {
    const auto file = openFile(dir_.get(), record.key.value, O_WRONLY | O_APPEND);
    if (!file || !folder::writeAll(file, block(record))) {
        return recordError(record.key.value);
    }
    if (::fdatasync(file.get()) != 0) {
        return uncertainError("the local backend's record of " + record.key.value +
                              " may not be on disk: " + describe(errno));
    }
    return {};
}

Result<void> LocalRecords::remove(const SubmissionKey& key) {
    if (::unlinkat(dir_.get(), key.value.c_str(), 0) != 0 && errno != ENOENT) {
        return recordError(key.value);
    }
    return {};
}

Result<void> LocalRecords::probe() {
    if (auto room = folder::checkRoom(workDir_, 0); !room) {
        return room;
    }
    // A job is taken by writing its record.
    return folder::checkWritable(workDir_ / ".local");
}

}  // namespace gridbridge
