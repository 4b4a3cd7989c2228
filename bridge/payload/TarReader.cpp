#include "bridge/payload/TarReader.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <unistd.h>

#include "bridge/payload/Utf8.h"
#include "bridge/payload/Utf8Locale.h"

namespace gridbridge::payload {

namespace {

/// GitLab refuses archives of more entries (its index grows too large).
constexpr std::int64_t kMostEntries = 500'000;
constexpr std::int64_t kMostBytes = std::int64_t{10} << 30;
constexpr std::size_t kLongestPath = 4096;
constexpr std::size_t kBlock = std::size_t{64} << 10;

using Block = std::array<char, kBlock>;

struct ReadFree {
    void operator()(archive* a) const { archive_read_free(a); }
};
using Reader = std::unique_ptr<archive, ReadFree>;

/// The name as it goes into the zip; empty = the folder itself; nothing = it may not lead there.
std::optional<std::string> safeName(std::string_view path) {
    while (path.starts_with("./")) {
        path.remove_prefix(2);
    }
    while (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    if (path.empty() || path == ".") {
        return std::string();
    }
    if (path.size() > kLongestPath) {
        return std::nullopt;
    }
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find('/', at), path.size());
        const auto part = path.substr(at, end - at);
        if (part.empty() || part == "." || part == "..") {
            return std::nullopt;
        }
        at = end + 1;
    }
    return std::string(path);
}

std::optional<Member> memberOf(archive_entry* entry) {
    Member member;
    const auto type = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry) != nullptr ||
        (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)) {
        return std::nullopt;
    }
    member.mode = static_cast<unsigned>(archive_entry_perm(entry)) & 0777U;
    member.modifiedAt = archive_entry_mtime(entry);
    if (type == AE_IFDIR) {
        member.kind = Member::Kind::Folder;
    } else if (type == AE_IFLNK) {
        member.kind = Member::Kind::Link;
        member.mode = 0777;
        const char* target = archive_entry_symlink(entry);
        member.target = target == nullptr ? "" : target;
    } else {
        member.size = archive_entry_size(entry);
    }
    return member;
}

bool writeAll(int file, const char* bytes, std::size_t size, std::int64_t offset) {
    while (size > 0) {
        const auto written = pwrite(file, bytes, size, offset);
        if (written <= 0) {
            return false;
        }
        bytes += written;
        size -= static_cast<std::size_t>(written);
        offset += written;
    }
    return true;
}

Error damaged() {
    return permanentError("the artifact archive from the node is damaged");
}

Error hostile(const char* what) {
    return permanentError(std::string("the artifact archive from the node is refused: ") + what);
}

class TarReader {
public:
    TarReader(int spool, const std::function<bool(const std::string&)>& wanted,
              std::int64_t& unreadable)
        : spool_(spool), wanted_(wanted), unreadable_(unreadable) {}

    Result<Members> read(const Pieces& tarball) {
        Feed feed{tarball, {}, {}};
        auto members = readFrom(feed);
        return feed.error ? Result<Members>(*feed.error) : std::move(members);
    }

private:
    /// What libarchive reads from.
    struct Feed {
        const Pieces& next;
        std::string piece;
        std::optional<Error> error;
    };
    static la_ssize_t feedNext(archive*, void* data, const void** bytes) {
        auto& feed = *static_cast<Feed*>(data);
        auto piece = feed.next();
        if (!piece) {
            feed.error = piece.error();
            return -1;
        }
        feed.piece = std::move(piece).value();
        *bytes = feed.piece.data();
        return static_cast<la_ssize_t>(feed.piece.size());
    }

    Result<Members> readFrom(Feed& feed) {
        archive_read_support_filter_gzip(archive_.get());
        archive_read_support_format_tar(archive_.get());
        if (archive_read_open(archive_.get(), &feed, nullptr, &feedNext, nullptr) != ARCHIVE_OK) {
            return damaged();
        }
        archive_entry* entry = nullptr;
        int state = ARCHIVE_OK;
        while ((state = archive_read_next_header(archive_.get(), &entry)) != ARCHIVE_EOF) {
            // A warning is about a name that cannot be converted.
            if (state != ARCHIVE_OK && state != ARCHIVE_WARN) {
                return damaged();
            }
            if (auto done = take(entry); !done) {
                return done.error();
            }
        }
        return std::move(members_);
    }

    Result<void> take(archive_entry* entry) {
        if (++entries_ > kMostEntries) {
            return permanentError("the artifacts are more than 500000 files");
        }
        auto member = memberOf(entry);
        if (!member) {
            return hostile("it holds something other than files, folders and links");
        }
        // Also of what is left out: it costs the time to unpack it.
        if (member->size < 0 || member->size > kMostBytes - bytes_) {
            return permanentError("the artifacts are larger than 10 GiB");
        }
        bytes_ += member->size;
        const char* path = archive_entry_pathname(entry);
        if (path == nullptr || !isValidUtf8(path) || !isValidUtf8(member->target)) {
            ++unreadable_;
            return {};
        }
        const auto name = safeName(path);
        if (!name) {
            return hostile("a name in it leads out of the project folder");
        }
        if (name->empty() || !wanted_(*name)) {
            return {};
        }
        member->offset = spooled_;
        if (auto copied = copy(member->size); !copied) {
            return copied;
        }
        members_[*name] = std::move(*member);
        return {};
    }

    Result<void> copy(std::int64_t size) {
        while (size > 0) {
            const auto got = archive_read_data(archive_.get(), block_->data(), block_->size());
            if (got <= 0 || got > size) {
                return damaged();
            }
            if (!writeAll(spool_, block_->data(), static_cast<std::size_t>(got), spooled_)) {
                return transientError("the artifacts do not fit on the disk of the service");
            }
            spooled_ += got;
            size -= got;
        }
        return {};
    }

    Reader archive_{archive_read_new()};
    std::unique_ptr<Block> block_ = std::make_unique<Block>();
    int spool_;
    const std::function<bool(const std::string&)>& wanted_;
    std::int64_t& unreadable_;
    Members members_;
    std::int64_t entries_ = 0;
    std::int64_t bytes_ = 0;
    std::int64_t spooled_ = 0;
};

/// Whoever unpacks "a" as a link and then "a/b" writes where the link leads.
bool hasFileInNoFolder(const Members& members) {
    return std::any_of(members.begin(), members.end(), [&](const auto& item) {
        for (auto slash = item.first.rfind('/'); slash != std::string::npos && slash > 0;
             slash = item.first.rfind('/', slash - 1)) {
            const auto above = members.find(item.first.substr(0, slash));
            if (above != members.end() && above->second.kind != Member::Kind::Folder) {
                return true;
            }
        }
        return false;
    });
}

}  // namespace

Result<Members> readTarball(const Pieces& tarball, int spool,
                            const std::function<bool(const std::string&)>& wanted,
                            std::int64_t& unreadable) {
    const Utf8Locale utf8;
    auto members = TarReader(spool, wanted, unreadable).read(tarball);
    if (members && hasFileInNoFolder(*members)) {
        return hostile("a file in it lies below something that is no folder");
    }
    return members;
}

}  // namespace gridbridge::payload
