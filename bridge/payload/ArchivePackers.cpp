#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <sys/stat.h>
#include <utility>

#include "bridge/payload/Packer.h"
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

bool setZip(archive* writer) {
    return archive_write_set_format_zip(writer) == ARCHIVE_OK;
}

bool setTar(archive* writer) {
    return archive_write_set_format_gnutar(writer) == ARCHIVE_OK &&
           archive_write_add_filter_gzip(writer) == ARCHIVE_OK &&
           archive_write_set_options(writer, "gzip:compression-level=1,gzip:!timestamp") ==
               ARCHIVE_OK;
}

class ArchivePacker final : public Packer {
public:
    ArchivePacker(bool (*setForm)(archive*), Sink sink) : sink_(std::move(sink)) {
        // Without the second the last block would be filled with zeros.
        good_ = setForm(writer_.get()) &&
                archive_write_set_bytes_in_last_block(writer_.get(), 1) == ARCHIVE_OK &&
                archive_write_open(writer_.get(), this, nullptr, &pass, nullptr) == ARCHIVE_OK;
    }
    ~ArchivePacker() override {
        // libarchive ends what is not finished when it frees it.
        taken_ = false;
    }

    bool begin(const Member& member) override {
        const Utf8Locale utf8;
        const auto header = headerOf(member);
        good_ = good_ && archive_write_header(writer_.get(), header.get()) == ARCHIVE_OK;
        return good_ && taken_;
    }
    bool write(std::string_view bytes) override {
        good_ = good_ && archive_write_data(writer_.get(), bytes.data(), bytes.size()) ==
                             static_cast<la_ssize_t>(bytes.size());
        return good_ && taken_;
    }
    bool finish() override {
        good_ = good_ && archive_write_close(writer_.get()) == ARCHIVE_OK;
        return good_ && taken_;
    }
    bool broken() const override { return !good_; }

private:
    /// Nothing may be thrown through libarchive, and it is never told that nobody takes what it
    /// gives: it would not free what it compresses with.
    static la_ssize_t pass(archive*, void* data, const void* bytes, std::size_t size) noexcept {
        auto& self = *static_cast<ArchivePacker*>(data);
        try {
            self.taken_ = self.taken_ && self.sink_({static_cast<const char*>(bytes), size});
        } catch (const std::exception&) {
            self.taken_ = false;
        }
        return static_cast<la_ssize_t>(size);
    }

    Sink sink_;
    bool taken_ = true;
    bool good_ = true;
    Writer writer_{archive_write_new()};
};

}  // namespace

std::unique_ptr<Packer> zipPacker(Sink sink) {
    return std::make_unique<ArchivePacker>(&setZip, std::move(sink));
}

std::unique_ptr<Packer> tarPacker(Sink sink) {
    return std::make_unique<ArchivePacker>(&setTar, std::move(sink));
}

}  // namespace gridbridge::payload
