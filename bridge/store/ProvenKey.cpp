#include "bridge/store/ProvenKey.h"

#include "bridge/store/Query.h"
#include "bridge/store/RunnerTokens.h"

namespace gridbridge::store {
namespace {

bool anyJob(SQLite::Database& database) {
    SQLite::Statement select(database, "SELECT 1 FROM job_secret LIMIT 1");
    return Query(select).next();
}

/// A row may have been changed: that the key is another is proven where it opens none.
void prove(SQLite::Database& database, const SealingKey& key) {
    SQLite::Statement select(database, "SELECT job, payload FROM job_secret ORDER BY job");
    Query jobs(select);
    std::string fault;
    while (jobs.next()) {
        const auto row = jobs.row();
        const auto body = key.open(row, jobs.text());
        if (body.ok()) {
            return;
        }
        fault = fault.empty() ? body.error().message : fault;
    }
    if (!fault.empty()) {
        throw StoreError(StoreError::Kind::Corrupt, fault);
    }
}

}  // namespace

std::optional<SealingKey> provenKey(const std::filesystem::path& folder,
                                    SQLite::Database& database) {
    const auto file = folder / "secret.key";
    if (!std::filesystem::exists(std::filesystem::symlink_status(file))) {
        if (anyJob(database) || RunnerTokens::any(database)) {
            throw StoreError(StoreError::Kind::Corrupt,
                             file.string() + " is missing, and the database holds secrets sealed " +
                                 "with it: restore it from a backup");
        }
        return std::nullopt;
    }
    auto key = SealingKey::read(file);
    prove(database, key);
    RunnerTokens(database, key).prove();
    return key;
}

std::vector<JobRow> unopened(SQLite::Database& database, const SealingKey& key) {
    SQLite::Statement select(database,
                             "SELECT job, payload FROM job_secret JOIN job ON job.id = job "
                             "WHERE job.state <> 'done' AND job.reported_at IS NULL ORDER BY job");
    Query jobs(select);
    std::vector<JobRow> rows;
    while (jobs.next()) {
        const auto row = jobs.row();
        if (!key.open(row, jobs.text()).ok()) {
            rows.push_back(row);
        }
    }
    return rows;
}

}  // namespace gridbridge::store
