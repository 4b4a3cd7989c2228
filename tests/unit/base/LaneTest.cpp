#include <gtest/gtest.h>

#include <latch>
#include <stdexcept>

#include "bridge/base/Lane.h"

namespace gridbridge {
namespace {

TEST(LaneTest, RunsTasksInTheOrderTheyWerePosted) {
    std::string order;
    std::latch done(3);
    Lane lane("order", 1, [](const std::string&) {});

    for (const char name : {'a', 'b', 'c'}) {
        lane.post([&order, &done, name](std::stop_token) {
            order += name;
            done.count_down();
        });
    }
    done.wait();

    EXPECT_EQ(order, "abc");
}

TEST(LaneTest, ReportsAnEscapedExceptionAndGoesOn) {
    std::string defect;
    std::latch done(1);
    Lane lane("defect", 1, [&defect](const std::string& text) { defect = text; });

    lane.post([](std::stop_token) { throw std::runtime_error("broken task"); });
    lane.post([&done](std::stop_token) { done.count_down(); });
    done.wait();

    EXPECT_EQ(defect, "broken task");
}

TEST(LaneTest, DestructionAsksTheRunningTaskToStopAndDropsTheOthers) {
    bool second = false;
    std::latch started(1);
    {
        Lane lane("stop", 1, [](const std::string&) {});
        lane.post([&started](std::stop_token stop) {
            started.count_down();
            Queue<int>().pop(stop);
        });
        lane.post([&second](std::stop_token) { second = true; });
        started.wait();
    }

    EXPECT_FALSE(second);
}

}  // namespace
}  // namespace gridbridge
