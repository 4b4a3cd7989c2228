#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "bridge/core/Trace.h"

namespace gridbridge::core {
namespace {

class TraceTest : public ::testing::Test {
protected:
    TraceTest() {
        std::string pattern = ::testing::TempDir() + "trace-XXXXXX";
        folder = ::mkdtemp(pattern.data());
    }
    ~TraceTest() override { std::filesystem::remove_all(folder); }

    std::string whole() {
        return *Trace(folder).read("gb-a-1", 0, static_cast<std::size_t>(job.traceLength));
    }
    void append(const TraceNews& news, std::int64_t limit = 4 << 20) {
        // A new object each time: nothing but the row and the file is remembered.
        ASSERT_TRUE(Trace(folder).append(job, "gb-a-1", news, masker, limit).ok());
    }

    std::filesystem::path folder;
    gitlab::Masker masker{{Secret("hunter2")}};
    store::JobRecord job;
};

TEST_F(TraceTest, LogInAnyPiecesGivesTheSameBytesAsInOne) {
    const std::string raw = "a hunter2 b \xC3\xA9 \xE2\x82\xAC hunter \xFF hunter2";
    const std::string masked = "a [MASKED] b \xC3\xA9 \xE2\x82\xAC hunter \xEF\xBF\xBD [MASKED]";
    std::mt19937 random(11);
    for (int round = 0; round < 200; ++round) {
        job = {};
        std::size_t known = 0;
        while (known < raw.size()) {
            known = std::min(raw.size(), known + 1 + random() % 5);
            const auto from = static_cast<std::size_t>(job.rawOffset);
            append({.raw = std::string_view(raw).substr(from, known - from),
                    .end = known == raw.size()});
        }
        ASSERT_EQ(whole(), masked);
        ASSERT_EQ(job.rawOffset, static_cast<std::int64_t>(raw.size()));
    }
}

TEST_F(TraceTest, ValueThatIsCutByARestartStaysHidden) {
    append({.raw = "see https://h/?private_token=abc"});
    EXPECT_EQ(job.maskMode, "url_value");
    append({.raw = "def&x=1 glpat-12"});
    EXPECT_EQ(job.maskMode, "token_tail");
    append({.raw = "34 end\n", .end = true});

    EXPECT_EQ(whole(), "see https://h/?private_token=[MASKED]&x=1 glpat-[MASKED] end\n");
}

TEST_F(TraceTest, TornTailBeyondTheCommittedLengthIsOverwritten) {
    append({.raw = "committed\n"});
    const auto committed = job;
    append({.raw = "torn and longer\n"});
    job = committed;

    append({.raw = "true\n"});

    EXPECT_EQ(whole(), "committed\ntrue\n");
}

TEST_F(TraceTest, BridgeLinesAreMaskedToo) {
    append({.before = "job hunter2\n", .raw = "x\n", .after = "end hunter2\n"});

    EXPECT_EQ(whole(), "job [MASKED]\nx\nend [MASKED]\n");
}

TEST_F(TraceTest, LimitCutsTheOutputOnceAndKeepsTheLastLine) {
    const auto limit = 20;
    append({.raw = "12345678\xC3\xA9\xC3\xA9 more"}, limit);
    append({.raw = "and more"}, limit);
    append({.end = true}, limit);
    EXPECT_EQ(job.traceState, store::TraceState::Limited);
    job.traceState = store::TraceState::Complete;  // As decide() does with the last line.
    append({.after = "Job succeeded\n"}, limit);

    EXPECT_EQ(whole(), "12345678\xC3\xA9\n\033[33;1mJob's log exceeded limit of " +
                           std::to_string(limit) +
                           " bytes.\nJob execution will continue but no more output will be "
                           "collected.\033[0;m\nJob succeeded\n");
}

TEST_F(TraceTest, BridgeLinesAloneNeverReachTheLimit) {
    append({.before = "Running with gridbridge, which is longer than the limit\n"}, 20);
    append({.after = "Job succeeded\n"}, 20);

    EXPECT_EQ(whole(), "Running with gridbridge, which is longer than the limit\nJob succeeded\n");
}

TEST_F(TraceTest, OnlyTheServiceCanReadIt) {
    append({.raw = "x"});

    const auto mode = std::filesystem::status(Trace(folder).path("gb-a-1")).permissions();
    EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace
}  // namespace gridbridge::core
