#include "bridge/store/Migrations.h"

#include <array>
#include <string>

namespace gridbridge::store {
namespace {

constexpr Migration kMigrations[] = {
#include "Migrations.inc"
};

int versionOf(SQLite::Database& database) {
    return database.execAndGet("PRAGMA user_version").getInt();
}

void refuseNewer(int version, int known, const std::filesystem::path& file) {
    if (version > known) {
        throw StoreError(StoreError::Kind::Newer,
                         file.string() + " was written by a newer gridbridge (schema " +
                             std::to_string(version) + ", this program knows " +
                             std::to_string(known) + "): install that version again");
    }
}

}  // namespace

std::span<const Migration> migrations() {
    return kMigrations;
}

void migrate(Connection& connection, const std::filesystem::path& file,
             std::span<const Migration> steps) {
    connection.use([&] {
        auto& database = connection.database();
        refuseNewer(versionOf(database), steps.empty() ? 0 : steps.back().version, file);
        for (const auto& step : steps) {
            SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
            if (versionOf(database) >= step.version) {
                continue;
            }
            database.exec(step.sql);
            const std::string version = std::to_string(step.version);
            database.exec("UPDATE installation SET schema_version = " + version);
            database.exec("PRAGMA user_version = " + version);
            transaction.commit();
        }
    });
}

void requireCurrentSchema(Connection& connection, const std::filesystem::path& file) {
    const int version = connection.use([&] { return versionOf(connection.database()); });
    const int known = migrations().back().version;
    refuseNewer(version, known, file);
    if (version < known) {
        throw StoreError(StoreError::Kind::Other,
                         file.string() + " has the older schema " + std::to_string(version) +
                             ": start the service once, it brings it to schema " +
                             std::to_string(known));
    }
}

}  // namespace gridbridge::store
