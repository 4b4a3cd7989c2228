#include "bridge/payload/ZipWriter.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <sys/stat.h>
#include <utility>

#include "bridge/payload/Utf8Locale.h"

namespace gridbridge::payload {

namespace {

struct WriteFree {
    void operator()(archive* a) const { archive_write_free(a); }
};
struct EntryFree {
    void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using Writer = std::unique_ptr<archive, WriteFree>;
using Entry = std::unique_ptr<archive_entry, EntryFree>;

Entry headerOf(const Member& member) {
    Entry entry(archive_entry_new());
    const bool folder = member.kind == Member::Kind::Folder;
    archive_entry_set_pathname(entry.get(), (folder ? member.name + "/" : member.name).c_str());
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

}  // namespace

struct ZipWriter::Impl {
    explicit Impl(Sink to) : sink(std::move(to)) {
        // Without the second the last block would be filled with zeros.
        good = archive_write_set_format_zip(writer.get()) == ARCHIVE_OK &&
               archive_write_set_bytes_in_last_block(writer.get(), 1) == ARCHIVE_OK &&
               archive_write_open(writer.get(), this, nullptr, &pass, nullptr) == ARCHIVE_OK;
    }
    static la_ssize_t pass(archive*, void* data, const void* bytes, std::size_t size) {
        auto& self = *static_cast<Impl*>(data);
        // When libarchive frees what is not finished it writes the rest.
        self.taken = self.taken && self.sink({static_cast<const char*>(bytes), size});
        return self.taken ? static_cast<la_ssize_t>(size) : -1;
    }

    Sink sink;
    bool taken = true;
    bool good = true;
    Writer writer{archive_write_new()};
};

ZipWriter::ZipWriter(Sink sink) : impl_(std::make_unique<Impl>(std::move(sink))) {}

ZipWriter::~ZipWriter() {
    impl_->taken = false;
}

bool ZipWriter::begin(const Member& member) {
    const Utf8Locale utf8;
    const auto header = headerOf(member);
    impl_->good =
        impl_->good && archive_write_header(impl_->writer.get(), header.get()) == ARCHIVE_OK;
    return impl_->good;
}

bool ZipWriter::write(std::string_view bytes) {
    impl_->good =
        impl_->good && archive_write_data(impl_->writer.get(), bytes.data(), bytes.size()) ==
                           static_cast<la_ssize_t>(bytes.size());
    return impl_->good;
}

bool ZipWriter::finish() {
    impl_->good = impl_->good && archive_write_close(impl_->writer.get()) == ARCHIVE_OK;
    return impl_->good;
}

bool ZipWriter::broken() const {
    return !impl_->good && impl_->taken;
}

}  // namespace gridbridge::payload
