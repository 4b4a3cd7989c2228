#include "bridge/store/RunnerTables.h"

#include "bridge/store/Query.h"

namespace gridbridge::store {

void RunnerTables::ensureInstallation(const std::string& id, int schemaVersion, WallTime now) {
    SQLite::Statement insert(database_,
                             "INSERT INTO installation (only_row, id, schema_version, created_at) "
                             "VALUES (1, ?, ?, ?) ON CONFLICT (only_row) DO NOTHING");
    Query(insert).with(id, schemaVersion, now).run();
}

std::optional<Installation> RunnerTables::installation() {
    SQLite::Statement select(database_, "SELECT id, created_at FROM installation");
    Query query(select);
    if (!query.next()) {
        return std::nullopt;
    }
    Installation found;
    found.id = query.text();
    found.createdAt = query.time();
    return found;
}

std::optional<Boot> RunnerTables::boot() {
    SQLite::Statement select(
        database_, "SELECT boot_id, booted_at FROM installation WHERE boot_id IS NOT NULL");
    Query query(select);
    if (!query.next()) {
        return std::nullopt;
    }
    Boot found;
    found.id = query.text();
    found.at = query.time();
    return found;
}

void RunnerTables::save(const Boot& boot) {
    SQLite::Statement update(database_, "UPDATE installation SET boot_id = ?, booted_at = ?");
    Query(update).with(boot.id, boot.at).run();
}

void RunnerTables::save(const RunnerRecord& runner) {
    SQLite::Statement upsert(
        database_,
        "INSERT INTO runner (name, server_url, system_id, health) VALUES (?,?,?,?) "
        "ON CONFLICT (name) DO UPDATE SET server_url = excluded.server_url, "
        "system_id = excluded.system_id, health = excluded.health, "
        "gitlab_id = iif(server_url = excluded.server_url, gitlab_id, NULL), "
        "last_contact_at = iif(server_url = excluded.server_url, last_contact_at, NULL)");
    Query(upsert)
        .with(Required{runner.name}, Required{runner.serverUrl}, runner.systemId, runner.health)
        .run();
}

void RunnerTables::saveContact(const std::string& runner, WallTime at,
                               std::optional<std::int64_t> gitlabId) {
    SQLite::Statement update(database_,
                             "UPDATE runner SET last_contact_at = ?, gitlab_id = "
                             "coalesce(?, gitlab_id) WHERE name = ?");
    Query(update).with(at, gitlabId, Required{runner}).run();
}

void RunnerTables::save(const std::string& runner, const std::string& health) {
    SQLite::Statement update(database_, "UPDATE runner SET health = ? WHERE name = ?");
    Query(update).with(health, Required{runner}).run();
}

std::vector<RunnerRecord> RunnerTables::runners() {
    SQLite::Statement select(database_,
                             "SELECT name, server_url, gitlab_id, system_id, last_contact_at, "
                             "health, draining FROM runner ORDER BY name");
    Query query(select);
    std::vector<RunnerRecord> found;
    while (query.next()) {
        auto& runner = found.emplace_back();
        runner.name = query.text();
        runner.serverUrl = query.text();
        runner.gitlabId = query.maybeInteger();
        runner.systemId = query.text();
        runner.lastContact = query.maybeTime();
        runner.health = query.text();
        runner.draining = query.number() != 0;
    }
    return found;
}

}  // namespace gridbridge::store
