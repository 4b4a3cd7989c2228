#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "bridge/base/Fd.h"
#include "bridge/base/Result.h"

namespace gridbridge::folder {

/// Permanent unless `name` is a plain file name of A-Z a-z 0-9 . _ - as submissions use them.
Result<void> checkFileName(const std::string& name);

/// Opens `path` below `dir`: through no link, not out of `dir`, without waiting for another side.
/// Invalid, with errno, when that fails (Linux 5.6 and newer: openat2).
Fd openBeneath(int dir, const std::string& path, int flags, mode_t mode = 0);

/// As openBeneath, a folder, on the same file system as `dir`.
Fd openFolder(int dir, const std::string& path);

/// `errno` as an error about the file that `label` names: Transient when it may pass.
Error fileError(const std::string& label, int code);

/// Refuses all but a regular file of `owner` with one name: Permanent.
Result<void> checkFile(const Fd& file, uid_t owner, const std::string& label);

/// An existing file for reading, checked; invalid when it is absent.
Result<Fd> openForReading(int dir, const std::string& path, uid_t owner, const std::string& label);

/// Makes `name` in `dir`, which must not exist, 0600. errno tells why the result is invalid.
Fd createFile(int dir, const std::string& name);

/// Transient where the disk of `folder` is read-only, or has no room for `bytes` more and for what
/// a job writes before its own files (marker, log, status file).
Result<void> checkRoom(const std::filesystem::path& folder, std::uint64_t bytes);

/// The same, and whether a file can be written there. The sentence names the cure.
Result<void> checkWritable(const std::filesystem::path& folder);

/// Writes all of it. False with errno.
bool writeAll(const Fd& file, std::string_view content);

/// `name` in `dir` as a folder, made 0700 when it is absent. Permanent when something else is
/// there, or when it is not ours.
Result<Fd> makeFolder(int dir, const std::string& name, const std::string& label);

}  // namespace gridbridge::folder
