#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "bridge/store/Connection.h"

namespace gridbridge::store {

/// One file of schema/migrations; versions count from 1 without a gap.
struct Migration {
    int version;
    const char* sql;
};

/// Those of this program, embedded when it was built.
std::span<const Migration> migrations();

/// Brings the database to the last of `steps`, each in one transaction together with
/// `user_version`. Throws StoreError of kind Newer when it is beyond them.
void migrate(Connection& connection, const std::filesystem::path& file,
             std::span<const Migration> steps);

/// Throws StoreError unless the database has exactly this program's version.
void requireCurrentSchema(Connection& connection, const std::filesystem::path& file);

}  // namespace gridbridge::store
