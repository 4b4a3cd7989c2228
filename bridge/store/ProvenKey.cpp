#include "bridge/store/ProvenKey.h"

#include "bridge/store/Query.h"
#include "bridge/store/RunnerTokens.h"

namespace gridbridge::store {

std::optional<SealingKey> provenKey(const std::filesystem::path& folder,
                                    SQLite::Database& database) {
    const auto file = folder / "secret.key";
    SQLite::Statement select(database, "SELECT job, payload FROM job_secret LIMIT 1");
    Query job(select);
    const bool sealedJob = job.next();
    if (!std::filesystem::exists(std::filesystem::symlink_status(file))) {
        if (sealedJob || RunnerTokens::any(database)) {
            throw StoreError(StoreError::Kind::Corrupt,
                             file.string() + " is missing, and the database holds secrets sealed " +
                                 "with it: restore it from a backup");
        }
        return std::nullopt;
    }
    auto key = SealingKey::read(file);
    if (sealedJob) {
        const auto row = job.row();
        key.open(row, job.text());
    }
    RunnerTokens(database, key).prove();
    return key;
}

}  // namespace gridbridge::store
