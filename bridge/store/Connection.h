#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <utility>

#include "bridge/base/Clock.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::store {

/// `<folder>/gridbridge.db`
std::filesystem::path databaseFile(const std::filesystem::path& folder);

/// What a failed call means to its user.
StoreError storeError(const std::filesystem::path& file, const SQLite::Exception& failure);

/// One connection to the database file. Every use of it goes through `use`, which turns SQLite's
/// errors into StoreError. One thread at a time.
class Connection {
public:
    /// Creates the file where there is none, with mode 0640 and without a table. A statement
    /// waits up to `patience` for the locks of others.
    static Connection forWriting(const std::filesystem::path& file, Millis patience);
    /// Needs no write permission.
    static Connection forReading(const std::filesystem::path& file, Millis patience);

    SQLite::Database& database() { return database_; }

    template <typename Action>
    auto use(Action action) -> decltype(action()) {
        try {
            return action();
        } catch (const SQLite::Exception& failure) {
            throw storeError(file_, failure);
        }
    }

private:
    Connection(std::filesystem::path file, SQLite::Database database)
        : file_(std::move(file)), database_(std::move(database)) {}

    std::filesystem::path file_;
    SQLite::Database database_;
};

}  // namespace gridbridge::store
