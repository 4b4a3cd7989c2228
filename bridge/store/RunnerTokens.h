#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>

#include "bridge/store/JobStore.h"
#include "bridge/store/SealingKey.h"

namespace gridbridge::store {

/// Table `runner_token` over one connection, which must outlive it, as must the key. Throws
/// SQLite::Exception and StoreError. One thread at a time.
class RunnerTokens {
public:
    RunnerTokens(SQLite::Database& database, const SealingKey& key)
        : database_(database), key_(key) {}

    /// Nothing where none was saved, or where another token is configured now.
    std::optional<RunnerToken> find(const std::string& runner, const Secret& configured);
    void save(const std::string& runner, const Secret& configured, const RunnerToken& token);

    /// Opens one of them, where there are any. Throws StoreError when the key does not.
    void prove();

    /// Whether anything is sealed here.
    static bool any(SQLite::Database& database);

private:
    SQLite::Database& database_;
    const SealingKey& key_;
};

}  // namespace gridbridge::store
