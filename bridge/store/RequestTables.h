#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <vector>

#include "bridge/store/Request.h"

namespace gridbridge::store {

/// Table `request` over one connection, which must outlive it. Throws SQLite::Exception. One
/// thread at a time.
class RequestTables {
public:
    explicit RequestTables(SQLite::Database& database);

    std::int64_t add(const Request& request);
    /// Those that nobody has seen to, oldest first.
    std::vector<Request> open();
    std::vector<Request> ofJob(JobRow job);
    std::optional<Request> one(std::int64_t id);
    /// Those settled before `limit`.
    void erase(WallTime limit);
    void settle(const Settlement& settlement, WallTime now);

private:
    SQLite::Database& database_;
    SQLite::Statement open_;
};

}  // namespace gridbridge::store
