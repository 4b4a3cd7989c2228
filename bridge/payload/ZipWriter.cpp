#include "bridge/payload/ZipWriter.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/payload/Utf8Locale.h"

namespace gridbridge::payload {

namespace {

constexpr std::size_t kBlock = std::size_t{64} << 10;

using Block = std::array<char, kBlock>;

struct WriteFree {
    void operator()(archive* a) const { archive_write_free(a); }
};
struct EntryFree {
    void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using Writer = std::unique_ptr<archive, WriteFree>;
using Entry = std::unique_ptr<archive_entry, EntryFree>;

Entry headerOf(const std::string& name, const Member& member) {
    Entry entry(archive_entry_new());
    const bool folder = member.kind == Member::Kind::Folder;
    archive_entry_set_pathname(entry.get(), (folder ? name + "/" : name).c_str());
    archive_entry_set_filetype(entry.get(), folder                              ? AE_IFDIR
                                            : member.kind == Member::Kind::Link ? AE_IFLNK
                                                                                : AE_IFREG);
    archive_entry_set_perm(entry.get(), static_cast<mode_t>(member.mode));
    archive_entry_set_mtime(entry.get(), member.modifiedAt, 0);
    archive_entry_set_size(entry.get(), member.size);
    if (member.kind == Member::Kind::Link) {
        archive_entry_set_symlink(entry.get(), member.target.c_str());
    }
    return entry;
}

bool writeContent(archive* out, const Member& member, int spool, Block& block) {
    auto offset = member.offset;
    auto left = member.size;
    while (left > 0) {
        const auto want = std::min<std::int64_t>(left, kBlock);
        const auto got = pread(spool, block.data(), static_cast<std::size_t>(want), offset);
        if (got <= 0 || archive_write_data(out, block.data(), static_cast<std::size_t>(got)) !=
                            static_cast<la_ssize_t>(got)) {
            return false;
        }
        offset += got;
        left -= got;
    }
    return true;
}

}  // namespace

Result<void> writeZip(const Members& members, int spool, int zip) {
    const Utf8Locale utf8;
    const Writer out(archive_write_new());
    const auto block = std::make_unique<Block>();
    bool good = archive_write_set_format_zip(out.get()) == ARCHIVE_OK &&
                archive_write_open_fd(out.get(), zip) == ARCHIVE_OK;
    for (auto item = members.begin(); good && item != members.end(); ++item) {
        const auto header = headerOf(item->first, item->second);
        good = archive_write_header(out.get(), header.get()) == ARCHIVE_OK &&
               writeContent(out.get(), item->second, spool, *block);
    }
    good = good && archive_write_close(out.get()) == ARCHIVE_OK;
    if (!good) {
        return transientError("the artifacts cannot be packed on the disk of the service");
    }
    return {};
}

}  // namespace gridbridge::payload
