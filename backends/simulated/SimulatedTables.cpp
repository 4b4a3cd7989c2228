#include "backends/simulated/SimulatedTables.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <stdexcept>

namespace gridbridge {

namespace {

constexpr int kPatienceMs = 5000;

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS job (
  place INTEGER NOT NULL,
  key TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  id INTEGER NOT NULL,
  submitted_at INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  state INTEGER NOT NULL,
  run INTEGER NOT NULL,
  ready_at INTEGER NOT NULL,
  started_at INTEGER,
  script_at INTEGER,
  ended_at INTEGER,
  printed INTEGER,
  removed INTEGER NOT NULL,
  exit_code INTEGER,
  signal INTEGER,
  verdict INTEGER,
  node_failed INTEGER NOT NULL DEFAULT 0,
  late_at INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS call (verb TEXT PRIMARY KEY, made INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fault (name TEXT PRIMARY KEY, strikes INTEGER NOT NULL) STRICT;
)";

constexpr const char* kSave = R"(
INSERT INTO job (place, key, account, id, submitted_at, deadline, state, run, ready_at, started_at,
  script_at, ended_at, printed, removed, exit_code, signal, verdict, node_failed,
  late_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET state = excluded.state, run = excluded.run,
  ready_at = excluded.ready_at, started_at = excluded.started_at, script_at = excluded.script_at,
  ended_at = excluded.ended_at, printed = excluded.printed, removed = excluded.removed,
  exit_code = excluded.exit_code, signal = excluded.signal, verdict = excluded.verdict,
  node_failed = excluded.node_failed, late_at = excluded.late_at
)";

/// Binds values from left to right.
class Row {
public:
    explicit Row(SQLite::Statement& statement) : statement_(statement) {}
    Row& with(std::int64_t value) {
        statement_.bind(++at_, value);
        return *this;
    }
    Row& with(const std::string& value) {
        statement_.bind(++at_, value);
        return *this;
    }
    Row& with(WallTime time) { return with(std::int64_t{sinceEpoch(time).count()}); }
    template <typename T>
    Row& with(const std::optional<T>& value) {
        if (value) {
            return with(*value);
        }
        statement_.bind(++at_);
        return *this;
    }

private:
    SQLite::Statement& statement_;
    int at_ = 0;
};

std::optional<std::int64_t> maybe(const SQLite::Column& column) {
    return column.isNull() ? std::nullopt : std::optional(column.getInt64());
}
std::optional<WallTime> maybeTime(const SQLite::Column& column) {
    return column.isNull() ? std::nullopt : std::optional(fromEpoch(Millis(column.getInt64())));
}
std::optional<int> maybeNumber(const SQLite::Column& column) {
    return column.isNull() ? std::nullopt : std::optional(column.getInt());
}

SimulatedJob jobIn(SQLite::Statement& row) {
    SimulatedJob job;
    int at = 0;
    job.place = row.getColumn(at++).getInt64();
    job.key = {row.getColumn(at++).getString()};
    job.account = row.getColumn(at++).getString();
    job.id = row.getColumn(at++).getInt64();
    job.submittedAt = fromEpoch(Millis(row.getColumn(at++).getInt64()));
    job.deadline = fromEpoch(Millis(row.getColumn(at++).getInt64()));
    job.state = static_cast<SimulatedState>(row.getColumn(at++).getInt());
    job.run = row.getColumn(at++).getInt();
    job.readyAt = fromEpoch(Millis(row.getColumn(at++).getInt64()));
    job.startedAt = maybeTime(row.getColumn(at++));
    job.scriptAt = maybeTime(row.getColumn(at++));
    job.endedAt = maybeTime(row.getColumn(at++));
    job.printed = maybe(row.getColumn(at++));
    job.removed = row.getColumn(at++).getInt() != 0;
    job.exitCode = maybeNumber(row.getColumn(at++));
    job.signal = maybeNumber(row.getColumn(at++));
    if (const auto verdict = maybeNumber(row.getColumn(at++))) {
        job.verdict = static_cast<SimulatedEnd>(*verdict);
    }
    job.nodeFailed = row.getColumn(at++).getInt() != 0;
    job.lateAt = maybeTime(row.getColumn(at++));
    return job;
}

}  // namespace

struct SimulatedTables::Impl {
    explicit Impl(const std::filesystem::path& file)
        : database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kPatienceMs) {
        database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
        database.exec(kSchema);
        // A file that an older release made.
        SQLite::Statement known(database,
                                "SELECT 1 FROM pragma_table_info('job') WHERE name = 'late_at'");
        if (!known.executeStep()) {
            database.exec(
                "ALTER TABLE job ADD COLUMN node_failed INTEGER NOT NULL DEFAULT 0; "
                "ALTER TABLE job ADD COLUMN late_at INTEGER;");
        }
    }

    Jobs load() {
        Jobs jobs;
        SQLite::Statement rows(database, "SELECT * FROM job");
        while (rows.executeStep()) {
            auto job = jobIn(rows);
            jobs.emplace(job.key, std::move(job));
        }
        return jobs;
    }

    void save(const SimulatedJob& job) {
        SQLite::Statement statement(database, kSave);
        Row row(statement);
        row.with(job.place).with(job.key.value).with(job.account).with(job.id);
        row.with(job.submittedAt).with(job.deadline).with(static_cast<std::int64_t>(job.state));
        row.with(std::int64_t{job.run}).with(job.readyAt).with(job.startedAt).with(job.scriptAt);
        row.with(job.endedAt).with(job.printed).with(std::int64_t{job.removed ? 1 : 0});
        const auto wide = [](std::optional<int> value) {
            return value ? std::optional<std::int64_t>(*value) : std::nullopt;
        };
        row.with(wide(job.exitCode)).with(wide(job.signal));
        row.with(job.verdict ? std::optional(static_cast<std::int64_t>(*job.verdict))
                             : std::nullopt);
        row.with(std::int64_t{job.nodeFailed ? 1 : 0}).with(job.lateAt);
        statement.exec();
    }

    void erase(const SubmissionKey& key) {
        SQLite::Statement statement(database, "DELETE FROM job WHERE key = ?");
        statement.bind(1, key.value);
        statement.exec();
    }

    SQLite::Database database;
};

SimulatedTables::SimulatedTables(const std::filesystem::path& workDir) {
    const auto file = workDir / "simulated.db";
    try {
        impl_ = std::make_unique<Impl>(file);
    } catch (const SQLite::Exception& failure) {
        throw std::runtime_error(file.string() + ": " + failure.what());
    }
}
SimulatedTables::~SimulatedTables() = default;

void SimulatedTables::change(const std::function<void(Jobs&)>& action) {
    SQLite::Transaction transaction(impl_->database, SQLite::TransactionBehavior::IMMEDIATE);
    const Jobs before = impl_->load();
    Jobs jobs = before;
    action(jobs);
    for (const auto& [key, job] : before) {
        if (jobs.count(key) == 0) {
            impl_->erase(key);
        }
    }
    for (const auto& [key, job] : jobs) {
        const auto old = before.find(key);
        if (old == before.end() || !(old->second == job)) {
            impl_->save(job);
        }
    }
    transaction.commit();
}

std::int64_t SimulatedTables::nextCall(const std::string& verb) {
    SQLite::Statement add(impl_->database,
                          "INSERT INTO call VALUES (?, 1) "
                          "ON CONFLICT (verb) DO UPDATE SET made = made + 1 RETURNING made");
    add.bind(1, verb);
    add.executeStep();
    return add.getColumn(0).getInt64() - 1;
}

void SimulatedTables::count(SimulatedFault fault, int strikes) {
    if (strikes == 0) {
        return;
    }
    SQLite::Statement add(impl_->database,
                          "INSERT INTO fault VALUES (?1, ?2) "
                          "ON CONFLICT (name) DO UPDATE SET strikes = strikes + ?2");
    add.bind(1, std::string(nameOf(fault)));
    add.bind(2, strikes);
    add.exec();
}

std::map<std::string, std::int64_t> SimulatedTables::strikes() {
    std::map<std::string, std::int64_t> counts;
    SQLite::Statement rows(impl_->database, "SELECT name, strikes FROM fault");
    while (rows.executeStep()) {
        counts[rows.getColumn(0).getString()] = rows.getColumn(1).getInt64();
    }
    return counts;
}

}  // namespace gridbridge
