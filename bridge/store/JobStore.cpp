#include "bridge/store/JobStore.h"

#include <mutex>
#include <utility>

#include "bridge/base/CrashPoint.h"
#include "bridge/base/Random.h"
#include "bridge/store/Connection.h"
#include "bridge/store/JobTables.h"
#include "bridge/store/Migrations.h"
#include "bridge/store/ProvenKey.h"
#include "bridge/store/RequestTables.h"
#include "bridge/store/RunnerTables.h"
#include "bridge/store/RunnerTokens.h"
#include "bridge/store/SealingKey.h"

namespace gridbridge::store {
namespace {

constexpr std::size_t kInstallationLength = 8;

/// Databases of the first release could only grow; those made since then are so from the start.
void makeShrinkable(SQLite::Database& database) {
    constexpr int kIncremental = 2;
    if (database.execAndGet("PRAGMA auto_vacuum").getInt() != kIncremental) {
        database.exec("PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
    }
}

Connection migrated(const std::filesystem::path& folder, Millis patience) {
    const auto file = databaseFile(folder);
    auto connection = Connection::forWriting(file, patience);
    migrate(connection, file, migrations());
    connection.use([&] { makeShrinkable(connection.database()); });
    return connection;
}

Installation ensuredInstallation(Connection& connection, const Clock& clock, Random& random) {
    return connection.use([&] {
        RunnerTables tables(connection.database());
        tables.ensureInstallation(random.name(kInstallationLength), migrations().back().version,
                                  clock.wallNow());
        return tables.installation().value();
    });
}

/// A lost key is not replaced while something is sealed with it: the jobs could not be ended.
SealingKey ensuredKey(const std::filesystem::path& folder, SQLite::Database& database) {
    auto key = provenKey(folder, database);
    return key ? *std::move(key) : SealingKey::create(folder / "secret.key");
}

}  // namespace

struct JobStore::Impl {
    Impl(const std::filesystem::path& folder, const Clock& time, Random& random, Millis patience)
        : clock(time),
          owner(migrated(folder, patience)),
          receiver(Connection::forWriting(databaseFile(folder), patience)),
          installation(ensuredInstallation(owner, time, random)),
          reads(owner.database()),
          writes(owner.database()),
          runners(owner.database()),
          requests(owner.database()),
          received(receiver.database()),
          key(ensuredKey(folder, owner.database())),
          tokens(receiver.database(), key) {}

    void apply(const Change& change, WallTime now) {
        const auto& to = change.to;
        if (to.submission.attempt > 0) {
            writes.save(to.row, to.submission);
        }
        if (change.from != to.state || !change.cause.empty()) {
            writes.note(to.row, now, change.from, to.state, change.cause);
        }
        if (change.forgetSecrets) {
            writes.deleteSecret(to.row);
        }
    }

    const Clock& clock;
    Connection owner;
    Connection receiver;
    const Installation installation;
    JobReads reads;
    JobWrites writes;
    RunnerTables runners;
    RequestTables requests;
    JobWrites received;
    const SealingKey key;
    RunnerTokens tokens;
    /// SQLite would let our own two writers wait for each other by sleeping; this wakes at once.
    std::mutex writing;
};

JobStore::JobStore(const std::filesystem::path& folder, const Clock& clock, Random& random,
                   Millis patience) try
    : impl_(std::make_unique<Impl>(folder, clock, random, patience)) {
} catch (const SQLite::Exception& failure) {
    throw storeError(databaseFile(folder), failure);
}
JobStore::~JobStore() = default;

const Installation& JobStore::installation() const {
    return impl_->installation;
}

JobRow JobStore::receive(const std::string& runner, const std::string& serverUrl,
                         const std::string& backend, const Secret& body) {
    const std::lock_guard lock(impl_->writing);
    return impl_->receiver.use([&] {
        SQLite::Transaction transaction(impl_->receiver.database(),
                                        SQLite::TransactionBehavior::IMMEDIATE);
        const WallTime now = impl_->clock.wallNow();
        const JobRow row = impl_->received.insert(runner, serverUrl, backend, now);
        impl_->received.insertSecret(row, impl_->key.seal(row, body));
        impl_->received.note(row, now, std::nullopt, State::Received, "GitLab handed the job out");
        crashPoint("received-uncommitted");
        transaction.commit();
        crashPoint("received");
        return row;
    });
}

void JobStore::checkLock() {
    const std::lock_guard lock(impl_->writing);
    impl_->receiver.use([&] {
        const SQLite::Transaction transaction(impl_->receiver.database(),
                                              SQLite::TransactionBehavior::IMMEDIATE);
    });
}

std::vector<JobRow> JobStore::due(WallTime now) {
    return impl_->owner.use([&] { return impl_->reads.due(now); });
}

std::optional<WallTime> JobStore::nextDue() {
    return impl_->owner.use([&] { return impl_->reads.nextDue(); });
}

std::vector<JobRecord> JobStore::load(std::span<const JobRow> rows) {
    return impl_->owner.use([&] {
        // One transaction, so that SQLite takes its read lock once and not per row.
        SQLite::Transaction view(impl_->owner.database());
        std::vector<JobRecord> records;
        records.reserve(rows.size());
        for (const auto row : rows) {
            if (auto record = impl_->reads.job(row)) {
                records.push_back(std::move(*record));
            }
        }
        return records;
    });
}

std::vector<JobRow> JobStore::open() {
    return impl_->owner.use([&] { return impl_->reads.open(); });
}

std::vector<Load> JobStore::loads() {
    return impl_->owner.use([&] { return impl_->reads.loads(); });
}

std::vector<Request> JobStore::openRequests() {
    return impl_->owner.use([&] { return impl_->requests.open(); });
}

std::vector<bool> JobStore::commit(std::span<const Change> changes,
                                   std::span<const Settlement> settlements) {
    if (changes.empty() && settlements.empty()) {
        return {};
    }
    const std::lock_guard lock(impl_->writing);
    return impl_->owner.use([&] {
        SQLite::Transaction transaction(impl_->owner.database(),
                                        SQLite::TransactionBehavior::IMMEDIATE);
        const WallTime now = impl_->clock.wallNow();
        std::vector<bool> stored;
        stored.reserve(changes.size());
        for (const auto& change : changes) {
            stored.push_back(impl_->writes.update(change.to, change.from));
            if (stored.back()) {
                impl_->apply(change, now);
            }
        }
        for (const auto& settlement : settlements) {
            impl_->requests.settle(settlement, now);
        }
        transaction.commit();
        return stored;
    });
}

void JobStore::shiftTimes(Millis by, JobRow last, const Boot& boot) {
    const std::lock_guard lock(impl_->writing);
    impl_->owner.use([&] {
        SQLite::Transaction transaction(impl_->owner.database(),
                                        SQLite::TransactionBehavior::IMMEDIATE);
        impl_->writes.shiftTimes(by, last, impl_->clock.wallNow());
        impl_->runners.save(boot);
        transaction.commit();
    });
}

std::optional<Boot> JobStore::boot() {
    return impl_->owner.use([&] { return impl_->runners.boot(); });
}

void JobStore::save(const Boot& boot) {
    const std::lock_guard lock(impl_->writing);
    impl_->owner.use([&] { impl_->runners.save(boot); });
}

Result<Secret> JobStore::payload(JobRow row) {
    const auto sealed = impl_->owner.use([&] { return impl_->writes.secret(row); });
    return sealed ? impl_->key.open(row, *sealed)
                  : permanentError("the stored description of the job is missing");
}

std::vector<JobRow> JobStore::endedBefore(WallTime limit, std::size_t most) {
    return impl_->owner.use([&] { return impl_->reads.endedBefore(limit, most); });
}

void JobStore::erase(std::span<const JobRow> rows, WallTime limit) {
    const std::lock_guard lock(impl_->writing);
    impl_->owner.use([&] {
        SQLite::Transaction transaction(impl_->owner.database(),
                                        SQLite::TransactionBehavior::IMMEDIATE);
        for (const auto row : rows) {
            impl_->writes.erase(row);
        }
        impl_->requests.erase(limit);
        transaction.commit();
        impl_->owner.database().exec("PRAGMA incremental_vacuum");
    });
}

std::optional<RunnerToken> JobStore::runnerToken(const std::string& runner,
                                                 const Secret& configured) {
    const std::lock_guard lock(impl_->writing);
    return impl_->receiver.use([&] { return impl_->tokens.find(runner, configured); });
}

void JobStore::saveRunnerToken(const std::string& runner, const Secret& configured,
                               const RunnerToken& token) {
    const std::lock_guard lock(impl_->writing);
    impl_->receiver.use([&] {
        SQLite::Transaction transaction(impl_->receiver.database(),
                                        SQLite::TransactionBehavior::IMMEDIATE);
        impl_->tokens.save(runner, configured, token);
        transaction.commit();
    });
}

void JobStore::saveRunner(const RunnerRecord& runner) {
    const std::lock_guard lock(impl_->writing);
    impl_->owner.use([&] { impl_->runners.save(runner); });
}

void JobStore::saveHealth(const std::string& runner, const std::string& health) {
    const std::lock_guard lock(impl_->writing);
    impl_->receiver.use([&] { RunnerTables(impl_->receiver.database()).save(runner, health); });
}

void JobStore::saveContact(const std::string& runner, WallTime at,
                           std::optional<std::int64_t> gitlabId) {
    const std::lock_guard lock(impl_->writing);
    impl_->receiver.use(
        [&] { RunnerTables(impl_->receiver.database()).saveContact(runner, at, gitlabId); });
}

std::vector<RunnerRecord> JobStore::runners() {
    return impl_->owner.use([&] { return impl_->runners.runners(); });
}

std::string jobKey(const Installation& installation, JobRow row) {
    return "gb-" + installation.id + "-" + std::to_string(static_cast<std::int64_t>(row));
}

SubmissionKey submissionKey(const Installation& installation, JobRow row, int attempt) {
    return {jobKey(installation, row) + "-" + std::to_string(attempt)};
}

}  // namespace gridbridge::store
