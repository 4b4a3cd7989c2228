#pragma once

#include <filesystem>
#include <optional>

#include "bridge/base/Result.h"
#include "bridge/folder/Account.h"

namespace gridbridge::folder {

/// Whether the account can read the file or list the folder. The kernel says so to a short-lived
/// child of that account, so groups and access lists count. Blocks for at most 10 seconds.
Result<bool> canRead(const Account& account, const std::filesystem::path& path);

/// The first folder on the absolute way to `folder`, itself included, that the account cannot
/// enter; nothing = it can reach `folder`. Blocks for at most 10 seconds per folder.
Result<std::optional<std::filesystem::path>> firstClosed(const Account& account,
                                                         const std::filesystem::path& folder);

}  // namespace gridbridge::folder
