#pragma once

#include <filesystem>

#include "bridge/base/Result.h"

namespace gridbridge::folder {

/// What `gridbridge agent` does: serves the submissions in `folder`, as the account that this
/// process runs as, to whoever writes requests to `in`, until that ends. Processes it started go
/// on. Permanent: the folder cannot be used, or a request makes no sense.
Result<void> serveFolders(const std::filesystem::path& folder, int in, int out);

}  // namespace gridbridge::folder
