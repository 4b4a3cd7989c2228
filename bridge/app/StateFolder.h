#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace gridbridge::app {

struct StateFolderFault {
    std::string what;  ///< Lower-case start, no full stop.
    std::string cure;
    bool passes = false;  ///< The configuration is well, and a later start may find no fault.
};

/// Why a state folder cannot be used; nothing for a folder that is writable, closed to accounts
/// outside its group and on a local disk.
std::optional<StateFolderFault> stateFolderFault(const std::filesystem::path& folder);

/// Bytes that the service can still write there; nothing when that cannot be told.
std::optional<std::uint64_t> freeSpace(const std::filesystem::path& folder);

/// The name of a file system that several machines share, where SQLite's WAL does not work, by its
/// number in statfs(2); empty for every other.
std::string_view networkFileSystem(std::uint32_t magic);

}  // namespace gridbridge::app
