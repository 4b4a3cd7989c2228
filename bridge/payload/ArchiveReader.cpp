#include "bridge/payload/ArchiveReader.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "bridge/payload/Entry.h"
#include "bridge/payload/Gunzip.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/Utf8Locale.h"

namespace gridbridge::payload {

namespace {

constexpr std::size_t kLongestTarget = 4095;
/// For headers between two files: names are short, and nothing else of any length is written there.
constexpr std::int64_t kHeaders = std::int64_t{1} << 20;
/// Of a zip; GitLab takes none with a longer one.
constexpr std::int64_t kMostDirectory = std::int64_t{100} << 20;
/// What is in a zip is packed by deflate, which makes nothing smaller than to 1:1032.
constexpr std::int64_t kMostRatio = 1100;
constexpr std::size_t kBlock = std::size_t{64} << 10;

using Block = std::array<char, kBlock>;

Error damaged() {
    return permanentError("their archive is damaged or cut short");
}

Error tooMany() {
    return permanentError("they are more than " + std::to_string(kMostMembers) +
                          " files and folders");
}

Error about(const char* what, std::string_view name) {
    return permanentError(std::string(what) + ": " + oneLine(name));
}

/// The bytes of the archive as they lie in the file.
class File {
public:
    explicit File(int fd) : fd_(fd) {
        struct stat state {};
        size_ = ::fstat(fd, &state) == 0 ? static_cast<std::int64_t>(state.st_size) : 0;
    }

    std::int64_t size() const { return size_; }

    /// What stands at `at`, as much as fits; nothing at the end.
    Result<std::string_view> read(std::int64_t at) {
        ssize_t got = 0;
        do {
            got = ::pread(fd_, block_.data(), block_.size(), static_cast<off_t>(at));
        } while (got < 0 && errno == EINTR);
        return got < 0 ? Result<std::string_view>(transientError(std::strerror(errno)))
                       : std::string_view(block_.data(), static_cast<std::size_t>(got));
    }

private:
    int fd_;
    std::int64_t size_ = 0;
    Block block_{};
};

/// What libarchive reads, and the reason why it gets no more.
class Input {
public:
    Input() = default;
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;
    virtual ~Input() = default;

    /// Opens it for reading with this as what it reads.
    bool open(archive* reader) {
        return prepare(reader) == ARCHIVE_OK &&
               archive_read_set_read_callback(reader, &passRead) == ARCHIVE_OK &&
               archive_read_set_callback_data(reader, this) == ARCHIVE_OK &&
               archive_read_open1(reader) == ARCHIVE_OK;
    }
    /// `member` is what the reader stands at.
    virtual Result<void> begin(const Member& member, archive* reader) = 0;
    /// The reader has found the end.
    virtual Result<void> finish() { return {}; }
    /// libarchive goes on after some failures, with what it happens to stand at.
    bool failed() const { return error_.has_value(); }
    Error cause() const { return error_ ? *error_ : damaged(); }

protected:
    virtual int prepare(archive* reader) = 0;
    /// Empty = the end.
    virtual Result<std::string_view> read() = 0;
    void refuse(Error error) { error_ = std::move(error); }

private:
    /// Nothing may be thrown through libarchive.
    static la_ssize_t passRead(archive*, void* data, const void** bytes) noexcept {
        auto& self = *static_cast<Input*>(data);
        try {
            const auto piece = self.read();
            if (piece) {
                *bytes = piece->data();
                return static_cast<la_ssize_t>(piece->size());
            }
            self.error_ = piece.error();
        } catch (const std::exception& problem) {
            self.error_ = transientError(problem.what());
        }
        return -1;
    }

    std::optional<Error> error_;
};

/// A zip. Modes and links stand only in the directory at its end, which libarchive reads first.
class ZipInput final : public Input {
public:
    explicit ZipInput(File& file) : file_(file) {}

    Result<void> begin(const Member& member, archive* reader) override {
        if (std::exchange(directory_, false)) {
            reached_ = at_;
        }
        // libarchive knows more ways to pack, some of which want memory by the gigabyte.
        const std::string_view form = archive_format_name(reader);
        if (!form.ends_with("(deflation)") && !form.ends_with("(uncompressed)")) {
            return about("something in them is packed by neither deflate nor store", member.name);
        }
        return {};
    }

protected:
    int prepare(archive* reader) override {
        archive_read_support_format_zip_seekable(reader);
        return archive_read_set_seek_callback(reader, &passSeek);
    }

    Result<std::string_view> read() override {
        auto piece = file_.read(at_);
        if (!piece) {
            return piece;
        }
        at_ += static_cast<std::int64_t>(piece->size());
        if (!directory_) {
            reached_ = std::max(reached_, at_);
            return piece;
        }
        // libarchive keeps all of the directory, whatever its number of entries is said to be.
        // Those on the border of two pieces are not seen: they are few.
        directoryBytes_ += static_cast<std::int64_t>(piece->size());
        constexpr std::string_view kEntry = "PK\x01\x02";
        for (auto found = piece->find(kEntry); found != std::string_view::npos;
             found = piece->find(kEntry, found + kEntry.size())) {
            ++directoryEntries_;
        }
        if (directoryBytes_ > kMostDirectory + kHeaders || directoryEntries_ > kMostMembers) {
            return tooMany();
        }
        return piece;
    }

private:
    /// Entries are read in the order in which they lie in the file: none is gone back to, unless
    /// several share their bytes, so that a small file would unpack to any size.
    static la_int64_t passSeek(archive*, void* data, la_int64_t offset, int whence) noexcept {
        auto& self = static_cast<ZipInput&>(*static_cast<Input*>(data));
        const auto from = whence == SEEK_SET   ? 0
                          : whence == SEEK_CUR ? self.at_
                                               : self.file_.size();
        if (offset < -from || offset > self.file_.size() - from) {
            return ARCHIVE_FATAL;
        }
        if (!self.directory_ && from + offset < self.reached_) {
            self.refuse(permanentError("files in their archive lie one upon the other"));
            return ARCHIVE_FATAL;
        }
        // The end is looked at before the directory, which is then read in one go.
        self.directoryBytes_ = self.directoryEntries_ = 0;
        return self.at_ = from + offset;
    }

    File& file_;
    std::int64_t at_ = 0;
    bool directory_ = true;     ///< Is being read; what comes later are the entries.
    std::int64_t reached_ = 0;  ///< Up to where entries were read.
    std::int64_t directoryBytes_ = 0;
    std::int64_t directoryEntries_ = 0;
};

/// What the tar itself is packed by zstd in.
class Unzstd {
public:
    explicit Unzstd(Pieces packed) : packed_(std::move(packed)) {}

    /// As Gunzip::next().
    Result<std::string_view> next() {
        if (!std::exchange(opened_, true) && !open()) {
            return cause();
        }
        const auto got = archive_read_data(reader_.get(), block_.data(), block_.size());
        if (got < 0) {
            return cause();
        }
        return std::string_view(block_.data(), static_cast<std::size_t>(got));
    }

private:
    bool open() {
        archive_entry* entry = nullptr;
        return archive_read_support_filter_zstd(reader_.get()) == ARCHIVE_OK &&
               archive_read_support_format_raw(reader_.get()) == ARCHIVE_OK &&
               archive_read_open(reader_.get(), this, nullptr, &pass, nullptr) == ARCHIVE_OK &&
               archive_read_next_header(reader_.get(), &entry) == ARCHIVE_OK;
    }
    Error cause() const { return error_ ? *error_ : damaged(); }

    static la_ssize_t pass(archive*, void* data, const void** bytes) noexcept {
        auto& self = *static_cast<Unzstd*>(data);
        try {
            auto piece = self.packed_();
            if (piece) {
                self.piece_ = std::move(piece).value();
                *bytes = self.piece_.data();
                return static_cast<la_ssize_t>(self.piece_.size());
            }
            self.error_ = piece.error();
        } catch (const std::exception& problem) {
            self.error_ = transientError(problem.what());
        }
        return -1;
    }

    Pieces packed_;
    std::string piece_;
    std::optional<Error> error_;
    Reader reader_{archive_read_new()};
    bool opened_ = false;
    Block block_{};
};

class TarInput final : public Input {
public:
    using Unpacked = std::function<Result<std::string_view>()>;
    explicit TarInput(Unpacked unpacked) : unpacked_(std::move(unpacked)) {}

    Result<void> begin(const Member& member, archive*) override {
        allowed_ = member.size + kHeaders;
        return {};
    }

    /// What stands behind the tar must be whole too: only there are the checksums.
    Result<void> finish() override {
        allowed_ = kHeaders;
        for (;;) {
            const auto piece = read();
            if (!piece) {
                return piece.error();
            }
            if (piece->empty()) {
                return {};
            }
        }
    }

protected:
    int prepare(archive* reader) override { return archive_read_support_format_tar(reader); }

    /// libarchive keeps what belongs to a header in memory, whatever its size.
    Result<std::string_view> read() override {
        auto piece = unpacked_();
        if (!piece) {
            return piece.error().kind == ErrorKind::Permanent ? damaged() : piece.error();
        }
        allowed_ -= static_cast<std::int64_t>(piece->size());
        return allowed_ < 0 ? Result<std::string_view>(
                                  permanentError("their archive holds more than its files"))
                            : piece;
    }

private:
    Unpacked unpacked_;
    std::int64_t allowed_ = kHeaders;
};

}  // namespace

struct ArchiveReader::Impl {
    explicit Impl(int fd) : file(fd) {}

    /// False = there is nothing in it.
    Result<bool> open() {
        const auto start = file.read(0);
        if (!start) {
            return start.error();
        }
        // libarchive does not know an empty zip.
        constexpr std::size_t kEmptyZip = 22;
        if (start->starts_with("PK\x05\x06") && start->size() == kEmptyZip) {
            return false;
        }
        const Pieces pieces = [this, at = std::int64_t{0}]() mutable -> Result<std::string> {
            const auto piece = file.read(at);
            if (!piece) {
                return piece.error();
            }
            at += static_cast<std::int64_t>(piece->size());
            return std::string(*piece);
        };
        if (start->starts_with("\x1f\x8b")) {
            const auto gunzip = std::make_shared<Gunzip>(pieces);
            input = std::make_unique<TarInput>([gunzip] { return gunzip->next(); });
        } else if (start->starts_with("\x28\xb5\x2f\xfd")) {
            const auto unzstd = std::make_shared<Unzstd>(pieces);
            input = std::make_unique<TarInput>([unzstd] { return unzstd->next(); });
        } else {
            input = std::make_unique<ZipInput>(file);
        }
        return input->open(reader.get()) ? Result<bool>(true) : input->cause();
    }

    Result<Member> take(archive_entry* entry) {
        const char* path = archive_entry_pathname(entry);
        if (path == nullptr) {
            return permanentError("a name in their archive cannot be read");
        }
        if (archive_entry_is_encrypted(entry) != 0) {
            return about("something in them is encrypted", path);
        }
        auto member = memberOf(entry);
        if (!member) {
            return about("they hold something other than files, folders and links", path);
        }
        auto name = memberName(path);
        if (!name) {
            return about("a name in them leads out of the project folder", path);
        }
        if (member->kind == Member::Kind::Link &&
            (member->target.empty() || member->target.size() > kLongestTarget)) {
            return about("a link in them leads to no name", path);
        }
        member->name = std::move(*name);
        return counted(std::move(*member));
    }

    Result<Member> counted(Member member) {
        if (++entries > kMostMembers) {
            return tooMany();
        }
        if (member.size < 0 || member.size > kMostMemberBytes - bytes) {
            return permanentError("they are larger than 10 GiB");
        }
        bytes += member.size;
        if ((bytes - kHeaders) / kMostRatio > file.size()) {
            return permanentError("their archive unpacks to more than its size can hold");
        }
        if (auto good = input->begin(member, reader.get()); !good) {
            return good.error();
        }
        left = member.size;
        return member;
    }

    File file;
    std::unique_ptr<Input> input;
    Reader reader{archive_read_new()};
    bool opened = false;
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::int64_t left = 0;
    Block block{};
};

ArchiveReader::ArchiveReader(int file) : impl_(std::make_unique<Impl>(file)) {}

ArchiveReader::~ArchiveReader() = default;

Result<std::optional<Member>> ArchiveReader::next() {
    const Utf8Locale utf8;
    if (!std::exchange(impl_->opened, true)) {
        auto some = impl_->open();
        if (!some) {
            return some.error();
        }
        if (!*some) {
            return std::optional<Member>();
        }
    }
    archive_entry* entry = nullptr;
    int state = ARCHIVE_OK;
    while ((state = archive_read_next_header(impl_->reader.get(), &entry)) == ARCHIVE_OK) {
        if (impl_->input->failed()) {
            return impl_->input->cause();
        }
        auto member = impl_->take(entry);
        if (!member) {
            return member.error();
        }
        if (!member->name.empty()) {
            return std::optional<Member>(std::move(member).value());
        }
    }
    if (state != ARCHIVE_EOF) {
        // A warning is about a directory that says other than what it lists.
        return impl_->input->cause();
    }
    if (auto whole = impl_->input->finish(); !whole) {
        return whole.error();
    }
    return std::optional<Member>();
}

Result<void> ArchiveReader::content(const Sink& sink) {
    const Utf8Locale utf8;
    auto& block = impl_->block;
    for (;;) {
        const auto got = archive_read_data(impl_->reader.get(), block.data(), block.size());
        if (got == 0 && impl_->left == 0) {
            return {};
        }
        if (got <= 0 || got > impl_->left) {
            return impl_->input->cause();
        }
        impl_->left -= got;
        if (!sink({block.data(), static_cast<std::size_t>(got)})) {
            return {};
        }
    }
}

}  // namespace gridbridge::payload
