#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "bridge/app/TraceFollower.h"
#include "tests/fakes/FakeClock.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;

class TraceFollower : public ::testing::Test {
protected:
    void append(const std::string& text) {
        std::ofstream(file_, std::ios::app | std::ios::binary) << text;
    }
    Result<void> follow(const std::function<TraceExtent()>& look) {
        return followTrace(file_, look, clock_, out_);
    }

    ConfigFolder folder_;
    std::filesystem::path file_ = folder_.path() / "job.log";
    gridbridge::testing::FakeClock clock_;
    std::ostringstream out_;
};

TEST_F(TraceFollower, PrintsTheWholeTrace) {
    const std::string trace = std::string(200'000, 'x') + std::string("\0\xff\n", 3);
    append(trace);
    EXPECT_TRUE(follow([&] { return TraceExtent{std::ssize(trace), true}; }).ok());
    EXPECT_TRUE(out_.str() == trace);
}

TEST_F(TraceFollower, PrintsNothingThatIsNotCommitted) {
    append("committed\ntorn ta");
    EXPECT_TRUE(follow([] { return TraceExtent{10, true}; }).ok());
    EXPECT_EQ(out_.str(), "committed\n");
}

TEST_F(TraceFollower, GoesOnUntilTheJobIsDone) {
    const SteadyTime start = clock_.steadyNow();
    int looks = 0;
    EXPECT_TRUE(follow([&]() -> TraceExtent {
                    ++looks;
                    if (looks == 1) {
                        return {0, false};
                    }
                    append("line " + std::to_string(looks) + "\n");
                    return {7 * (looks - 1), looks == 4};
                }).ok());
    EXPECT_EQ(out_.str(), "line 2\nline 3\nline 4\n");
    EXPECT_EQ(clock_.steadyNow() - start, std::chrono::seconds(3));
}

TEST_F(TraceFollower, AJobWithoutALineHasAnEmptyTrace) {
    EXPECT_TRUE(follow([] { return TraceExtent{0, true}; }).ok());
    EXPECT_EQ(out_.str(), "");
}

TEST_F(TraceFollower, AFileThatIsGoneIsAnError) {
    const auto followed = follow([] { return TraceExtent{5, true}; });
    ASSERT_FALSE(followed.ok());
    EXPECT_EQ(followed.error().message,
              "the log " + file_.string() + " cannot be read: No such file or directory");
}

TEST_F(TraceFollower, AFileShorterThanPromisedEndsWithItsBytes) {
    append("abc");
    EXPECT_TRUE(follow([] { return TraceExtent{100, true}; }).ok());
    EXPECT_EQ(out_.str(), "abc");
}

}  // namespace
}  // namespace gridbridge::app
