#include <gmock/gmock.h>

#include "bridge/core/Housekeeper.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;

class HousekeeperTest : public CoreFixture {
protected:
    static constexpr Millis kRetention{90 * 24h};

    JobRow ended(std::int64_t id) {
        const auto row = running(id);
        backend_.finish(key(row));
        pass(kPoll);
        EXPECT_EQ(job(row).state, store::State::Done);
        return row;
    }
    std::size_t rows() { return store::JobReader(folder_.path()).jobs({.all = true}).size(); }
    bool hasTrace(JobRow row) const {
        return std::filesystem::exists(trace_.path(store::jobKey(store_->installation(), row)));
    }

    Trace trace_{folder_.path() / "traces"};
};

TEST_F(HousekeeperTest, DeletesRowsAndTracesOfJobsThatEndedLongAgoAndNothingElse) {
    const auto old = ended(1);
    const auto open = running(2);
    clock_.advance(1min);
    const auto young = ended(3);
    ASSERT_TRUE(hasTrace(old));
    clock_.advance(kRetention - 30s);
    Housekeeper housekeeper(clock_, *store_, trace_, log_, kRetention);

    housekeeper.step();

    EXPECT_EQ(rows(), 2U);
    EXPECT_FALSE(hasTrace(old));
    EXPECT_TRUE(hasTrace(open));
    EXPECT_TRUE(hasTrace(young));
    EXPECT_TRUE(store::JobReader(folder_.path()).transitions(old).empty());
    EXPECT_FALSE(store::JobReader(folder_.path()).transitions(young).empty());
}

TEST_F(HousekeeperTest, LooksOnceAnHourAndTakesAChangedRetentionThen) {
    const auto row = ended(1);
    Housekeeper housekeeper(clock_, *store_, trace_, log_, kRetention);
    clock_.advance(2h);
    const auto next = housekeeper.step();
    EXPECT_EQ(next, clock_.steadyNow() + 1h);

    housekeeper.keepFor(1h);
    EXPECT_EQ(housekeeper.step(), next);
    EXPECT_EQ(rows(), 1U);
    clock_.advance(1h);
    housekeeper.step();
    EXPECT_EQ(rows(), 0U);
    EXPECT_FALSE(hasTrace(row));
}

TEST_F(HousekeeperTest, GivesTheRoomBackToTheFileSystem) {
    const std::string big(1'000'000, 'x');
    std::vector<store::Change> changes;
    for (int i = 0; i < 20; ++i) {
        const auto row =
            store_->receive("pool", "https://gitlab.example.org", "batch", Secret("{}"));
        auto record = job(row);
        record.state = store::State::Done;
        record.name = big;
        changes.push_back({store::State::Received, record, "test", true});
    }
    store_->commit(changes);
    const auto size = [&] {
        store_ = nullptr;  // What stands in the log of the database moves into it.
        store_ = std::make_unique<store::JobStore>(folder_.path(), clock_, random_, Millis(0));
        testing::Person(database()).execute("PRAGMA wal_checkpoint(TRUNCATE)");
        return std::filesystem::file_size(database());
    };
    ASSERT_GT(size(), 20'000'000U);
    clock_.advance(kRetention + 1h);

    Housekeeper(clock_, *store_, trace_, log_, kRetention).step();

    EXPECT_LT(size(), 1'000'000U);
}

}  // namespace
}  // namespace gridbridge::core
