#pragma once

#include <cstdint>
#include <string>
#include <sys/stat.h>
#include <vector>
#include <zlib.h>

namespace gridbridge::payload {

/// Adds a number of that many bytes as a zip has them.
inline void put(std::string& text, std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) {
        text += static_cast<char>(number >> static_cast<unsigned>(8 * i));
    }
}

/// What a zip says of a file, true or not. Its bytes are stored as they are.
struct ZipEntry {
    ZipEntry(std::string itsName, std::string itsBytes, unsigned itsMode = S_IFREG | 0644U)
        : name(std::move(itsName)),
          bytes(std::move(itsBytes)),
          mode(itsMode),
          crc(crc32(0, reinterpret_cast<const Bytef*>(bytes.data()),
                    static_cast<uInt>(bytes.size()))),
          packed(bytes.size()),
          size(bytes.size()) {}

    std::string name;
    std::string bytes;
    unsigned mode;
    std::uint64_t crc;
    std::uint64_t packed;
    std::uint64_t size;  ///< Unpacked.
    unsigned flags = 0;
    unsigned method = 0;
    unsigned system = 3;  ///< Unix; 0 = MS-DOS.
};

/// What the header of a file and its entry in the directory have in common.
inline std::string zipFields(const ZipEntry& entry) {
    std::string text;
    put(text, 20, 2);
    put(text, entry.flags, 2);
    put(text, entry.method, 2);
    put(text, 0x5ec1'6c00, 4);  // 2027-06-01 13:32
    put(text, entry.crc, 4);
    put(text, entry.packed, 4);
    put(text, entry.size, 4);
    put(text, entry.name.size(), 2);
    return text;
}

inline std::string zipHeader(const ZipEntry& entry) {
    std::string text = "PK\x03\x04" + zipFields(entry);
    put(text, 0, 2);
    return text + entry.name;
}

inline std::string zipDirectoryEntry(const ZipEntry& entry, std::size_t at) {
    std::string text = "PK\x01\x02";
    put(text, (entry.system << 8U) | 20U, 2);
    text += zipFields(entry);
    put(text, 0, 8);  // Extra, comment, disk, internal.
    put(text, std::uint64_t{entry.mode} << 16U, 4);
    put(text, at, 4);
    return text + entry.name;
}

inline std::string zipEnd(std::size_t entries, std::size_t length, std::size_t at) {
    std::string text = "PK\x05\x06";
    put(text, 0, 4);
    put(text, entries, 2);
    put(text, entries, 2);
    put(text, length, 4);
    put(text, at, 4);
    put(text, 0, 2);
    return text;
}

inline std::string zipOf(const std::vector<ZipEntry>& entries) {
    std::string files;
    std::string directory;
    for (const auto& entry : entries) {
        directory += zipDirectoryEntry(entry, files.size());
        files += zipHeader(entry) + entry.bytes;
    }
    return files + directory + zipEnd(entries.size(), directory.size(), files.size());
}

}  // namespace gridbridge::payload
