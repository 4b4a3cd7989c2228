#include <gmock/gmock.h>

#include <chrono>

#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

/// The SQL blocks of schema/README.md.
std::vector<std::string> queriesOf(const std::string& text) {
    std::vector<std::string> queries;
    const std::string open = "```sql\n";
    for (auto at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
        at += open.size();
        queries.push_back(text.substr(at, text.find("```", at) - at));
    }
    return queries;
}

/// A database as it looks in the middle of a day.
class SchemaTest : public StoreFixture {
protected:
    SchemaTest() {
        store_->saveRunner({"pool", kServer, {}, "s_1", {}, "ok"});
        store_->saveContact("pool", clock_.wallNow(), 12);
        auto failed = decoded(1001);
        failed.state = State::Done;
        failed.outcome = Outcome::Failed;
        failed.failureReason = "runner_system_failure";
        submit(failed, 1, "node_failure");
        clock_.advance(minutes(10));
        submit(failed, 2, "exited");
        auto running = decoded(1002);
        running.state = State::Running;
        submit(running, 1, "");
        auto queued = decoded(1003);
        queued.state = State::Queued;
        EXPECT_TRUE(commit(queued));
        receive("{}");
    }

    JobRecord decoded(std::int64_t id) {
        auto job = loaded(receive("{\"token\":\"planted\"}"));
        job.gitlabId = id;
        job.project = "physics/sim";
        job.name = "build";
        job.user = "ann";
        job.timeoutSeconds = 3600;
        job.deadline = job.claimedAt + seconds(3600);
        job.state = State::Claimed;
        EXPECT_TRUE(commit(job, "decoded"));
        return job;
    }
    void submit(JobRecord job, int attempt, const std::string& cause) {
        job.submission = {};
        job.submission.attempt = attempt;
        job.submission.key = submissionKey(store_->installation(), job.row, attempt);
        job.submission.id = {"4711"};
        job.submission.submittedAt = clock_.wallNow();
        job.submission.startedAt = clock_.wallNow() + minutes(attempt);
        job.submission.node = "node7";
        job.submission.cause = cause;
        job.endedAt = clock_.wallNow() + minutes(5);
        EXPECT_TRUE(commit(job, "attempt " + std::to_string(attempt)));
    }
    SQLite::Database reader() const { return {file().string(), SQLite::OPEN_READONLY}; }
    std::string text(const std::string& sql) {
        auto database = reader();
        SQLite::Statement statement(database, sql);
        std::string all;
        while (statement.executeStep()) {
            for (int i = 0; i < statement.getColumnCount(); ++i) {
                all += statement.getColumn(i).getString() + "|";
            }
        }
        return all;
    }

    const std::string readme_ = contentOf(GRIDBRIDGE_SCHEMA_README);
};

TEST_F(SchemaTest, EveryQueryOfTheReadmeGivesRows) {
    const auto queries = queriesOf(readme_);
    ASSERT_EQ(queries.size(), 10U);
    auto database = reader();
    for (const auto& query : queries) {
        SCOPED_TRACE(query);
        SQLite::Statement statement(database, query);
        EXPECT_TRUE(statement.executeStep());
    }
}

TEST_F(SchemaTest, TheReadmeExplainsEveryTableAndColumnAndNamesEveryView) {
    auto database = reader();
    SQLite::Statement objects(database,
                              "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view')"
                              " AND name NOT LIKE 'sqlite%'");
    int seen = 0;
    while (objects.executeStep()) {
        const auto name = objects.getColumn(1).getString();
        ++seen;
        if (objects.getColumn(0).getString() == "view") {
            EXPECT_THAT(readme_, HasSubstr("\n- `" + name + "`: "));
            continue;
        }
        const auto begin = readme_.find("\n## Table `" + name + "`\n");
        ASSERT_NE(begin, std::string::npos) << name;
        const auto section = readme_.substr(begin, readme_.find("\n## ", begin + 1) - begin);
        SQLite::Statement columns(database, "SELECT name FROM pragma_table_info(?)");
        columns.bind(1, name);
        while (columns.executeStep()) {
            EXPECT_THAT(section, HasSubstr("`" + columns.getColumn(0).getString() + "`"))
                << name << " has a column that the README does not explain";
        }
    }
    EXPECT_EQ(seen, 8 + 4);
}

TEST_F(SchemaTest, TablesTakeNoValueOfAnotherTypeAndNoUnknownState) {
    auto person = this->person();
    person.exec("UPDATE job SET state = 'queued' WHERE id = 1");
    EXPECT_THROW(person.exec("UPDATE job SET state = 'qeued' WHERE id = 1"), SQLite::Exception);
    EXPECT_THROW(person.exec("UPDATE job SET due_at = 'tomorrow' WHERE id = 1"), SQLite::Exception);
    SQLite::Statement loose(person,
                            "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND "
                            "NOT strict AND name NOT LIKE 'sqlite%'");
    ASSERT_TRUE(loose.executeStep());
    EXPECT_EQ(loose.getColumn(0).getInt(), 0);
}

TEST_F(SchemaTest, OverviewShowsTheLastSubmissionAndReadableTimes) {
    EXPECT_EQ(text("SELECT job, gitlab_job, state, outcome, attempt, claimed, submitted, started, "
                   "deadline FROM job_overview WHERE gitlab_job = 1001"),
              "gb-" + store_->installation().id +
                  "-1|1001|done|failed|2|2026-01-01 00:00:00|2026-01-01 00:10:00||"
                  "2026-01-01 01:00:00|");
    EXPECT_EQ(text("SELECT count(*) FROM job_overview"), "4|") << "one row per job";
}

TEST_F(SchemaTest, OpenJobsFailuresAndLoadShowWhatTheyAreNamedAfter) {
    EXPECT_EQ(text("SELECT state, since FROM open_jobs"),
              "running|2026-01-01 00:10:00|queued|2026-01-01 00:10:00|"
              "received|2026-01-01 00:10:00|");
    EXPECT_EQ(text("SELECT gitlab_job, failure_reason, last_cause, node, batch_cause, ended "
                   "FROM recent_failures"),
              "1001|runner_system_failure|attempt 2|node7|exited|2026-01-01 00:15:00|");
    EXPECT_EQ(text("SELECT * FROM backend_load"), "condor|pool|3|1|1|1|0|2026-01-01 00:10:00|");
}

TEST_F(SchemaTest, ViewsDoNotTouchTheSecrets) {
    EXPECT_THAT(text("SELECT sql FROM sqlite_schema WHERE type = 'view'"),
                AllOf(HasSubstr("job_overview"), Not(HasSubstr("job_secret"))));
}

TEST_F(SchemaTest, ViewsOfOpenJobsReadNoFinishedOnes) {
    const auto plan = [&](const std::string& sql) { return text("EXPLAIN QUERY PLAN " + sql); };

    EXPECT_THAT(plan("SELECT * FROM open_jobs"), Not(HasSubstr("SCAN job|")));
    EXPECT_THAT(plan("SELECT * FROM backend_load"), Not(HasSubstr("SCAN job|")));
    EXPECT_THAT(plan("SELECT * FROM recent_failures"), HasSubstr("job_failed"));
    EXPECT_THAT(plan("SELECT * FROM job_overview WHERE gitlab_job = 1"), HasSubstr("SEARCH job "));
    EXPECT_THAT(plan("SELECT * FROM job"), HasSubstr("SCAN job|")) << "a scan would be seen";
}

}  // namespace
}  // namespace gridbridge::store
