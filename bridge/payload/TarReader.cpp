#include "bridge/payload/TarReader.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bridge/payload/Entry.h"
#include "bridge/payload/Gunzip.h"
#include "bridge/payload/Utf8.h"
#include "bridge/payload/Utf8Locale.h"

namespace gridbridge::payload {

namespace {

/// For headers between two files: names are short, and nothing else of any length is written there.
constexpr std::int64_t kHeaders = std::int64_t{1} << 20;
constexpr std::size_t kBlock = std::size_t{64} << 10;

using Block = std::array<char, kBlock>;

Error damaged() {
    return permanentError("the artifact archive from the node is damaged");
}

Error hostile(const char* what) {
    return permanentError(std::string("the artifact archive from the node is refused: ") + what);
}

/// Below which nothing can lie.
class NonFolders {
public:
    /// Names come in bytewise order.
    bool areAbove(const std::string& name) {
        // Whatever comes between "a" and what lies below it begins with "a" too ("a.txt"), so that
        // only prefixes of the newest name can still have something below them.
        while (!lengths_.empty() &&
               name.compare(0, lengths_.back(), last_, 0, lengths_.back()) != 0) {
            lengths_.pop_back();
        }
        last_ = name;
        return std::any_of(lengths_.begin(), lengths_.end(), [&](std::size_t length) {
            return length < name.size() && name[length] == '/';
        });
    }
    /// The name that was asked about last is of no folder.
    void add() { lengths_.push_back(last_.size()); }

private:
    std::string last_;
    std::vector<std::size_t> lengths_;  ///< Of prefixes of the last name, rising.
};

}  // namespace

struct TarReader::Impl {
    explicit Impl(Pieces pieces) : tarball(std::move(pieces)) {}

    /// No more than the file that was given last and some headers: libarchive keeps what belongs to
    /// a header in memory, and its size and that of the file need not be what they are said to be.
    Result<std::string_view> read() {
        auto piece = tarball.next();
        if (piece) {
            allowed -= static_cast<std::int64_t>(piece->size());
        }
        return piece && allowed < 0 ? hostile("it holds more than its files") : piece;
    }

    /// Nothing may be thrown through libarchive.
    static la_ssize_t feedNext(archive*, void* data, const void** bytes) noexcept {
        auto& self = *static_cast<Impl*>(data);
        try {
            if (self.first.empty()) {
                auto more = self.read();
                if (!more) {
                    self.error = more.error();
                    return -1;
                }
                self.first = *more;
            }
        } catch (const std::exception& problem) {
            self.error = transientError(problem.what());
            return -1;
        }
        const auto piece = std::exchange(self.first, {});
        *bytes = piece.data();
        return static_cast<la_ssize_t>(piece.size());
    }

    /// False = there is nothing in it.
    Result<bool> open() {
        auto some = read();
        if (!some) {
            return some.error();
        }
        if (some->empty()) {
            return false;
        }
        first = *some;
        archive_read_support_format_tar(reader.get());
        if (archive_read_open(reader.get(), this, nullptr, &feedNext, nullptr) != ARCHIVE_OK) {
            return cause();
        }
        return true;
    }

    Error cause() const { return error ? *error : damaged(); }

    /// Nothing = it is left out.
    Result<std::optional<Member>> take(archive_entry* entry) {
        if (++entries > kMostMembers) {
            return permanentError("the artifacts are more than 1000000 files");
        }
        auto member = memberOf(entry);
        if (!member) {
            return hostile("it holds something other than files, folders and links");
        }
        // Also of what is left out: it costs the time to unpack it.
        if (member->size < 0 || member->size > kMostMemberBytes - bytes) {
            return permanentError("the artifacts are larger than 10 GiB");
        }
        bytes += member->size;
        allowed = member->size + kHeaders;
        return placed(entry, std::move(*member));
    }

    /// With its name, if it has one that may be.
    Result<std::optional<Member>> placed(archive_entry* entry, Member member) {
        const char* path = archive_entry_pathname(entry);
        if (path == nullptr || !isValidUtf8(path) || !isValidUtf8(member.target)) {
            ++unreadable;
            return std::optional<Member>();
        }
        auto name = memberName(path);
        if (!name) {
            return hostile("a name in it leads out of the project folder");
        }
        if (name->empty()) {
            return std::optional<Member>();
        }
        if (*name <= last) {
            return hostile("its names are not in the order in which they were packed");
        }
        if (nonFolders.areAbove(*name)) {
            ++behindLinks;
            last = std::move(*name);
            return std::optional<Member>();
        }
        if (member.kind != Member::Kind::Folder) {
            nonFolders.add();
        }
        last = *name;
        member.name = std::move(*name);
        left = member.size;
        return std::optional<Member>(std::move(member));
    }

    Gunzip tarball;
    std::string_view first;  ///< What is to be given on next; empty = what comes then.
    std::int64_t allowed = kHeaders;
    std::optional<Error> error;
    Reader reader{archive_read_new()};
    bool opened = false;
    std::string last;
    NonFolders nonFolders;
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::int64_t unreadable = 0;
    std::int64_t behindLinks = 0;
    std::int64_t left = 0;
    std::unique_ptr<Block> block = std::make_unique<Block>();
};

TarReader::TarReader(Pieces tarball) : impl_(std::make_unique<Impl>(std::move(tarball))) {}

TarReader::~TarReader() = default;

std::int64_t TarReader::unreadable() const {
    return impl_->unreadable;
}

std::int64_t TarReader::behindLinks() const {
    return impl_->behindLinks;
}

Result<std::optional<Member>> TarReader::next() {
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
    while ((state = archive_read_next_header(impl_->reader.get(), &entry)) != ARCHIVE_EOF) {
        // A warning is about a name that cannot be converted.
        if (state != ARCHIVE_OK && state != ARCHIVE_WARN) {
            return impl_->cause();
        }
        auto member = impl_->take(entry);
        if (!member || *member) {
            return member;
        }
    }
    return std::optional<Member>();
}

Result<void> TarReader::content(const Sink& sink) {
    const Utf8Locale utf8;
    auto& block = *impl_->block;
    while (impl_->left > 0) {
        const auto got = archive_read_data(impl_->reader.get(), block.data(), block.size());
        if (got <= 0 || got > impl_->left) {
            return impl_->cause();
        }
        impl_->left -= got;
        if (!sink({block.data(), static_cast<std::size_t>(got)})) {
            return {};
        }
    }
    return {};
}

}  // namespace gridbridge::payload
