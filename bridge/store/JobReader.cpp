#include <utility>

#include "bridge/store/Connection.h"
#include "bridge/store/JobStore.h"
#include "bridge/store/JobTables.h"
#include "bridge/store/Migrations.h"
#include "bridge/store/ProvenKey.h"
#include "bridge/store/RequestTables.h"
#include "bridge/store/RunnerTables.h"
#include "bridge/store/RunnerTokens.h"

namespace gridbridge::store {
namespace {

Connection opened(const std::filesystem::path& folder) {
    const auto file = databaseFile(folder);
    auto connection = Connection::forReading(file, kPatience);
    requireCurrentSchema(connection, file);
    return connection;
}

}  // namespace

struct JobReader::Impl {
    explicit Impl(std::filesystem::path of)
        : folder(std::move(of)), connection(opened(folder)), reads(connection.database()) {}

    /// All statements of `action` see one state of the database, whatever the service writes.
    template <typename Action>
    auto look(Action action) {
        return connection.use([&] {
            SQLite::Transaction view(connection.database());
            return action();
        });
    }

    const std::filesystem::path folder;
    Connection connection;
    JobReads reads;
};

JobReader::JobReader(const std::filesystem::path& folder) try
    : impl_(std::make_unique<Impl>(folder)) {
} catch (const SQLite::Exception& failure) {
    throw storeError(databaseFile(folder), failure);
}
JobReader::~JobReader() = default;

std::vector<JobRecord> JobReader::jobs(const JobFilter& filter) {
    return impl_->look([&] { return impl_->reads.jobs(filter); });
}

std::optional<JobRecord> JobReader::job(JobRow row) {
    return impl_->look([&] { return impl_->reads.job(row); });
}

std::vector<JobRecord> JobReader::byGitlabId(std::int64_t id) {
    return impl_->look([&] { return impl_->reads.byGitlabId(id); });
}

std::vector<SubmissionRecord> JobReader::submissions(JobRow row) {
    return impl_->look([&] { return impl_->reads.submissions(row); });
}

std::vector<Transition> JobReader::transitions(JobRow row) {
    return impl_->look([&] { return impl_->reads.transitions(row); });
}

std::vector<Request> JobReader::requests(JobRow row) {
    return impl_->look([&] { return RequestTables(impl_->connection.database()).ofJob(row); });
}

std::optional<Request> JobReader::request(std::int64_t id) {
    return impl_->look([&] { return RequestTables(impl_->connection.database()).one(id); });
}

std::vector<RunnerRecord> JobReader::runners() {
    return impl_->look([&] { return RunnerTables(impl_->connection.database()).runners(); });
}

std::optional<RunnerToken> JobReader::runnerToken(const std::string& runner,
                                                  const Secret& configured) {
    return impl_->look([&]() -> std::optional<RunnerToken> {
        auto& database = impl_->connection.database();
        if (!RunnerTokens::any(database)) {
            return std::nullopt;
        }
        const auto key = SealingKey::read(impl_->folder / "secret.key");
        return RunnerTokens(database, key).find(runner, configured);
    });
}

std::vector<JobRecord> JobReader::proveKey() {
    return impl_->look([&] {
        auto& database = impl_->connection.database();
        std::vector<JobRecord> jobs;
        if (const auto key = provenKey(impl_->folder, database)) {
            for (const auto row : unopened(database, *key)) {
                jobs.push_back(impl_->reads.job(row).value());
            }
        }
        return jobs;
    });
}

Installation JobReader::installation() {
    const auto found =
        impl_->look([&] { return RunnerTables(impl_->connection.database()).installation(); });
    if (!found) {
        throw StoreError(StoreError::Kind::Other,
                         "the database is not complete yet: start the service once");
    }
    return *found;
}

}  // namespace gridbridge::store
