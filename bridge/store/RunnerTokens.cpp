#include "bridge/store/RunnerTokens.h"

#include "bridge/store/Query.h"

namespace gridbridge::store {
namespace {

std::string aboutToken(const std::string& runner) {
    return "token of the runner " + runner;
}
std::string aboutConfigured(const std::string& runner) {
    return "configured token of the runner " + runner;
}

Secret opened(const SealingKey& key, const std::string& what, const std::string& sealed) {
    auto secret = key.open(what, sealed);
    if (!secret) {
        throw StoreError(StoreError::Kind::Corrupt, secret.error().message);
    }
    return *std::move(secret);
}

}  // namespace

std::optional<RunnerToken> RunnerTokens::find(const std::string& runner, const Secret& configured) {
    SQLite::Statement select(database_,
                             "SELECT configured, token, obtained_at, asked_at FROM runner_token "
                             "WHERE runner = ?");
    Query query(select);
    query.with(Required{runner});
    if (!query.next()) {
        return std::nullopt;
    }
    if (opened(key_, aboutConfigured(runner), query.text()) != configured) {
        return std::nullopt;
    }
    RunnerToken found;
    found.token = opened(key_, aboutToken(runner), query.text());
    found.obtainedAt = query.time();
    found.askedAt = query.maybeTime();
    return found;
}

void RunnerTokens::save(const std::string& runner, const Secret& configured,
                        const RunnerToken& token) {
    SQLite::Statement upsert(
        database_,
        "INSERT INTO runner_token (runner, configured, token, obtained_at, asked_at) "
        "VALUES (?,?,?,?,?) ON CONFLICT (runner) DO UPDATE SET configured = excluded.configured, "
        "token = excluded.token, obtained_at = excluded.obtained_at, asked_at = excluded.asked_at");
    const auto sealedConfigured = key_.seal(aboutConfigured(runner), configured);
    const auto sealedToken = key_.seal(aboutToken(runner), token.token);
    Query(upsert)
        .with(Required{runner}, Blob{sealedConfigured}, Blob{sealedToken}, token.obtainedAt,
              token.askedAt)
        .run();
}

void RunnerTokens::prove() {
    SQLite::Statement select(database_, "SELECT runner, configured FROM runner_token LIMIT 1");
    Query query(select);
    if (query.next()) {
        const auto runner = query.text();
        opened(key_, aboutConfigured(runner), query.text());
    }
}

bool RunnerTokens::any(SQLite::Database& database) {
    SQLite::Statement select(database, "SELECT 1 FROM runner_token LIMIT 1");
    return Query(select).next();
}

}  // namespace gridbridge::store
