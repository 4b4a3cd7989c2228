#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::store {

/// Tables `installation` and `runner` over one connection, which must outlive it.
/// Throws SQLite::Exception. One thread at a time.
class RunnerTables {
public:
    explicit RunnerTables(SQLite::Database& database) : database_(database) {}

    /// Makes the row where there is none yet.
    void ensureInstallation(const std::string& id, int schemaVersion, WallTime now);
    /// Nothing in a database whose first start was cut short.
    std::optional<Installation> installation();
    std::optional<Boot> boot();
    void save(const Boot& boot);

    /// As JobStore::saveRunner; requests alone change `draining`.
    void save(const RunnerRecord& runner);
    void save(const std::string& runner, const std::string& health);
    void saveContact(const std::string& runner, WallTime at, std::optional<std::int64_t> gitlabId);
    /// By name.
    std::vector<RunnerRecord> runners();

private:
    SQLite::Database& database_;
};

}  // namespace gridbridge::store
