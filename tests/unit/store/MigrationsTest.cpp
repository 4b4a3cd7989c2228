#include <gmock/gmock.h>

#include "bridge/store/Migrations.h"
#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

using ::testing::HasSubstr;

class MigrationsTest : public StoreFixture {
protected:
    static int number(SQLite::Database& database, const char* sql) {
        return database.execAndGet(sql).getInt();
    }
    Connection connection() { return Connection::forWriting(file(), kPatience); }
};

TEST_F(MigrationsTest, ANewDatabaseHasTheLastVersionInBothPlaces) {
    auto person = this->person();
    const int last = migrations().back().version;
    EXPECT_EQ(number(person, "PRAGMA user_version"), last);
    EXPECT_EQ(number(person, "SELECT schema_version FROM installation"), last);
}

TEST_F(MigrationsTest, AnOlderDatabaseKeepsItsRowsAndGetsTheMissingSteps) {
    const auto row = receive("body");
    store_.reset();
    auto steps = std::vector<Migration>(migrations().begin(), migrations().end());
    const int next = steps.back().version + 1;
    steps.push_back({next, "CREATE TABLE extra (a TEXT) STRICT; INSERT INTO extra VALUES ('x')"});
    auto older = connection();

    migrate(older, file(), steps);
    migrate(older, file(), steps);

    EXPECT_EQ(number(older.database(), "PRAGMA user_version"), next);
    EXPECT_EQ(number(older.database(), "SELECT schema_version FROM installation"), next);
    EXPECT_EQ(number(older.database(), "SELECT count(*) FROM extra"), 1) << "applied once";
    EXPECT_EQ(number(older.database(), "SELECT id FROM job"), static_cast<int>(row));
}

TEST_F(MigrationsTest, AStepThatFailsHalfWayLeavesNothingAndTheStepsBeforeItStay) {
    auto steps = std::vector<Migration>(migrations().begin(), migrations().end());
    const int last = steps.back().version;
    steps.push_back({last + 1, "CREATE TABLE good (a TEXT) STRICT"});
    steps.push_back(
        {last + 2, "CREATE TABLE half (a TEXT) STRICT; INSERT INTO nowhere VALUES (1)"});
    auto older = connection();

    EXPECT_THROW(migrate(older, file(), steps), StoreError);

    EXPECT_EQ(number(older.database(), "PRAGMA user_version"), last + 1);
    EXPECT_TRUE(older.database().tableExists("good"));
    EXPECT_FALSE(older.database().tableExists("half"));
}

TEST_F(MigrationsTest, ANewerDatabaseIsRefusedInOneSentenceAndNotTouched) {
    const auto row = receive("body");
    store_.reset();
    person().exec("PRAGMA user_version = 999");
    const auto refusal = [&](const std::function<void()>& open) -> std::string {
        try {
            open();
        } catch (const StoreError& error) {
            EXPECT_EQ(error.kind, StoreError::Kind::Newer);
            return error.what();
        }
        return "opened";
    };

    EXPECT_THAT(refusal([&] { reopen(); }),
                AllOf(HasSubstr(file().string()), HasSubstr("newer gridbridge (schema 999,")));
    EXPECT_THAT(refusal([&] { JobReader reader(folder()); }), HasSubstr("newer gridbridge"));

    auto person = this->person();
    EXPECT_EQ(number(person, "PRAGMA user_version"), 999);
    person.exec("PRAGMA user_version = " + std::to_string(migrations().back().version));
    reopen();
    EXPECT_EQ(store_->payload(row).value().reveal(), "body");
}

TEST_F(MigrationsTest, AReaderOfAnOlderDatabaseSaysToStartTheServiceOnce) {
    store_.reset();
    person().exec("PRAGMA user_version = 0");
    try {
        JobReader reader(folder());
        FAIL() << "opened";
    } catch (const StoreError& error) {
        EXPECT_THAT(error.what(), HasSubstr("start the service once"));
    }
}

TEST_F(MigrationsTest, VersionsCountFromOneWithoutAGap) {
    int expected = 0;
    for (const auto& step : migrations()) {
        EXPECT_EQ(step.version, ++expected);
    }
    EXPECT_GT(expected, 0);
}

}  // namespace
}  // namespace gridbridge::store
