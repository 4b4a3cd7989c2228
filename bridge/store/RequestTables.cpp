#include "bridge/store/RequestTables.h"

#include "bridge/store/Connection.h"
#include "bridge/store/Migrations.h"
#include "bridge/store/Query.h"

namespace gridbridge::store {
namespace {

const std::string kSelect =
    "SELECT id, command, job, runner, asked_at, state, settled_at, result FROM request ";

std::vector<Request> all(Query& query) {
    std::vector<Request> found;
    while (query.next()) {
        auto& request = found.emplace_back();
        request.id = query.integer();
        request.kind =
            named({RequestKind::Cancel, RequestKind::Drain, RequestKind::Resume}, query.text());
        if (const auto job = query.maybeInteger()) {
            request.job = JobRow{*job};
        }
        request.runner = query.text();
        request.askedAt = query.time();
        request.state =
            named({RequestState::Open, RequestState::Done, RequestState::Refused}, query.text());
        request.settledAt = query.maybeTime();
        request.result = query.text();
    }
    return found;
}

}  // namespace

std::string_view nameOf(RequestKind kind) {
    switch (kind) {
        case RequestKind::Cancel:
            return "cancel";
        case RequestKind::Drain:
            return "drain";
        case RequestKind::Resume:
            return "resume";
    }
    return "";
}

std::string_view nameOf(RequestState state) {
    switch (state) {
        case RequestState::Open:
            return "open";
        case RequestState::Done:
            return "done";
        case RequestState::Refused:
            return "refused";
    }
    return "";
}

RequestTables::RequestTables(SQLite::Database& database)
    : database_(database), open_(database, kSelect + "WHERE state = 'open' ORDER BY id") {}

std::int64_t RequestTables::add(const Request& request) {
    SQLite::Statement insert(
        database_,
        "INSERT INTO request (command, job, runner, asked_at, state) VALUES (?,?,?,?,?)");
    Query(insert)
        .with(nameOf(request.kind), request.job, request.runner, request.askedAt,
              nameOf(RequestState::Open))
        .run();
    return database_.getLastInsertRowid();
}

std::vector<Request> RequestTables::open() {
    Query query(open_);
    return all(query);
}

std::vector<Request> RequestTables::ofJob(JobRow job) {
    SQLite::Statement select(database_, kSelect + "WHERE job = ? ORDER BY id");
    Query query(select);
    return all(query.with(job));
}

std::optional<Request> RequestTables::one(std::int64_t id) {
    SQLite::Statement select(database_, kSelect + "WHERE id = ?");
    Query query(select);
    auto found = all(query.with(id));
    return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

void RequestTables::erase(WallTime limit) {
    SQLite::Statement erase(database_, "DELETE FROM request WHERE settled_at < ?");
    Query(erase).with(limit).run();
}

void RequestTables::settle(const Settlement& settlement, WallTime now) {
    SQLite::Statement update(
        database_, "UPDATE request SET state = ?, settled_at = ?, result = ? WHERE id = ?");
    Query(update).with(nameOf(settlement.state), now, settlement.result, settlement.request).run();
    SQLite::Statement drain(database_, "UPDATE runner SET draining = ? WHERE name = ?");
    for (const auto& runner : settlement.runners) {
        Query(drain).with(settlement.draining ? 1 : 0, Required{runner}).run();
    }
}

std::int64_t addRequest(const std::filesystem::path& folder, const Request& request) {
    const auto file = databaseFile(folder);
    // Refuses what is missing or not of this program, before it is opened for writing.
    {
        auto reader = Connection::forReading(file, kPatience);
        requireCurrentSchema(reader, file);
    }
    auto connection = Connection::forWriting(file, kPatience);
    return connection.use([&] { return RequestTables(connection.database()).add(request); });
}

}  // namespace gridbridge::store
