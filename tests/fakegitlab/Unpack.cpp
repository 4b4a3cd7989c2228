#include "tests/fakegitlab/Unpack.h"

#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <clocale>
#include <locale.h>
#include <memory>

namespace gridbridge::fakegitlab {

namespace {

using Reader = std::unique_ptr<archive, decltype(&archive_read_free)>;

/// Names of archives are UTF-8, whatever the locale of the process.
class Utf8Locale {
public:
    Utf8Locale() : mine_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(uselocale(mine_)) {}
    ~Utf8Locale() {
        uselocale(before_);
        freelocale(mine_);
    }
    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;

private:
    locale_t mine_;
    locale_t before_;
};

/// The content of the entry that comes; nullopt = it is damaged.
std::optional<std::string> contentOf(archive* reader) {
    std::string result;
    std::array<char, 65536> block{};
    for (;;) {
        const auto got = archive_read_data(reader, block.data(), block.size());
        if (got < 0) {
            return std::nullopt;
        }
        if (got == 0) {
            return result;
        }
        result.append(block.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace

std::optional<std::string> gunzipped(const std::string& bytes) {
    const Reader reader(archive_read_new(), archive_read_free);
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_format_raw(reader.get());
    archive_read_support_format_empty(reader.get());
    archive_entry* entry = nullptr;
    if (!bytes.starts_with("\x1f\x8b") ||
        archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
        return std::nullopt;
    }
    const int next = archive_read_next_header(reader.get(), &entry);
    if (next == ARCHIVE_EOF) {
        return std::string();
    }
    return next == ARCHIVE_OK ? contentOf(reader.get()) : std::nullopt;
}

std::optional<std::map<std::string, std::string>> unzipped(const std::string& bytes) {
    const Utf8Locale utf8;
    const Reader reader(archive_read_new(), archive_read_free);
    archive_read_support_format_zip_seekable(reader.get());
    if (archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
        return std::nullopt;
    }
    std::map<std::string, std::string> result;
    archive_entry* entry = nullptr;
    int next = ARCHIVE_OK;
    while ((next = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
        if (archive_entry_filetype(entry) != AE_IFREG) {
            continue;
        }
        const char* name = archive_entry_pathname(entry);
        auto content = contentOf(reader.get());
        if (name == nullptr || !content) {
            return std::nullopt;
        }
        result[name] = std::move(*content);
    }
    return next == ARCHIVE_EOF ? std::optional(std::move(result)) : std::nullopt;
}

}  // namespace gridbridge::fakegitlab
