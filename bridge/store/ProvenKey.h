#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "bridge/store/SealingKey.h"

namespace gridbridge::store {

/// `secret.key` of a state folder, once it has opened one secret of each kind that the database
/// holds; nothing where there is neither a key nor a secret. Throws StoreError and
/// SQLite::Exception.
std::optional<SealingKey> provenKey(const std::filesystem::path& folder,
                                    SQLite::Database& database);

/// Open jobs that GitLab is still to be told of, and whose description `key` does not open.
std::vector<JobRow> unopened(SQLite::Database& database, const SealingKey& key);

}  // namespace gridbridge::store
