#include "bridge/payload/Entry.h"

#include <archive_entry.h>

#include <algorithm>

namespace gridbridge::payload {

namespace {

constexpr std::int64_t kLatest = 0xffffffff;  ///< Of what a zip can say.

}  // namespace

std::optional<Member> memberOf(archive_entry* entry) {
    Member member;
    const auto type = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry) != nullptr || archive_entry_sparse_count(entry) > 0 ||
        (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)) {
        return std::nullopt;
    }
    member.mode = static_cast<unsigned>(archive_entry_perm(entry)) & 0777U;
    // A time beyond what a zip can say would end libarchive, which writes it as a date.
    member.modifiedAt = std::clamp<std::int64_t>(archive_entry_mtime(entry), 0, kLatest);
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

}  // namespace gridbridge::payload
