#include <gtest/gtest.h>

#include <vector>

#include "bridge/core/Server.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;

class ServerTest : public ::testing::Test {
protected:
    static constexpr SteadyTime kStart{1h};

    /// What has its turn now, as `B1` for a heartbeat of job 1.
    std::vector<std::string> turns() {
        std::vector<std::string> all;
        while (const auto call = server_.next(now_)) {
            const char* letters = "BPR";
            all.push_back(letters[static_cast<int>(call->turn)] +
                          std::to_string(static_cast<std::int64_t>(call->row)));
        }
        return all;
    }
    void beat(std::int64_t row, SteadyTime contact) { server_.wantBeat(JobRow{row}, contact); }
    void goAway() {
        for (int i = 0; i < Server::kAway; ++i) {
            server_.failed(now_);
        }
    }

    Server server_;
    SteadyTime now_ = kStart;
};

using Turns = std::vector<std::string>;

TEST_F(ServerTest, ManyHeartbeatsGoOutOldestContactFirstAndFiftyASecond) {
    for (int row = 1; row <= 1000; ++row) {
        beat(row, kStart - std::chrono::seconds(row));
    }
    Turns all;
    for (const auto end = now_ + 10s; now_ < end; now_ = server_.nextAt()) {
        const auto some = turns();
        EXPECT_LE(some.size(), static_cast<std::size_t>(Server::kBeatsAtOnce));
        all.insert(all.end(), some.begin(), some.end());
    }

    EXPECT_NEAR(static_cast<double>(all.size()), 500, 10);
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i], "B" + std::to_string(1000 - i));
    }
}

TEST_F(ServerTest, HeartbeatsDoNotPileUpBehindCallsThatHang) {
    server_.underWay = Server::kMostUnderWay;
    beat(1, kStart);
    EXPECT_EQ(turns(), Turns{});
    EXPECT_EQ(server_.nextAt(), SteadyTime::max());

    server_.underWay = 0;
    EXPECT_EQ(turns(), Turns{"B1"});
}

TEST_F(ServerTest, NothingWaitsForAServerThatAnswers) {
    EXPECT_FALSE(server_.makesWait());
    server_.failed(now_);
    server_.failed(now_);
    EXPECT_FALSE(server_.makesWait()) << "two failures may be the trouble of two jobs";
    beat(1, kStart);
    EXPECT_FALSE(server_.makesWait());
}

TEST_F(ServerTest, ServerThatIsAwayIsAskedByOneCallAtATime) {
    for (int row = 1; row <= 100; ++row) {
        beat(row, kStart);
        server_.wantPatch(JobRow{row});
    }
    goAway();
    EXPECT_TRUE(server_.makesWait());
    int calls = 0;
    for (const auto end = now_ + 10min; now_ < end; now_ = server_.nextAt()) {
        calls += static_cast<int>(turns().size());
        server_.failed(now_);
    }

    EXPECT_GE(calls, 40);
    EXPECT_LE(calls, 50);
}

TEST_F(ServerTest, WhenItIsBackHeartbeatsComeFirstThenLogsThenReports) {
    goAway();
    server_.wantReport(JobRow{7});
    server_.wantPatch(JobRow{8});
    for (int row = 1; row <= 6; ++row) {
        beat(row, kStart - std::chrono::seconds(row));
    }
    now_ += 1min;
    EXPECT_EQ(turns(), Turns{"B6"});
    EXPECT_TRUE(server_.answered(now_));
    EXPECT_TRUE(server_.makesWait());

    auto all = turns();
    while (server_.nextAt() != SteadyTime::max()) {
        now_ = server_.nextAt();
        const auto more = turns();
        all.insert(all.end(), more.begin(), more.end());
    }

    EXPECT_EQ(all, (Turns{"B5", "B4", "B3", "B2", "B1", "P8", "R7"}));
    EXPECT_FALSE(server_.makesWait());
    beat(9, now_);
    EXPECT_FALSE(server_.makesWait()) << "a heartbeat of every day holds nothing up";
    EXPECT_FALSE(server_.answered(now_)) << "an outage ends once";
}

TEST_F(ServerTest, WithoutAHeartbeatThatIsDueALogOrAReportAsks) {
    goAway();
    server_.wantReport(JobRow{1});
    server_.wantPatch(JobRow{2});
    now_ = server_.nextAt();
    EXPECT_EQ(turns(), Turns{"P2"});
    server_.failed(now_);
    now_ = server_.nextAt();
    EXPECT_EQ(turns(), Turns{"R1"});
}

}  // namespace
}  // namespace gridbridge::core
