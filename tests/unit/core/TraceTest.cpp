#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <regex>
#include <sstream>

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

TEST_F(TraceTest, TimestampedLogHasATimeAndAStreamBeforeEveryLine) {
    const auto at = fromEpoch(std::chrono::milliseconds(1777622950123));
    append({.before = "Running\n", .timestamps = true, .at = at});
    append({.raw = "one\n\ntw", .timestamps = true, .at = at});
    append({.raw = "o hunter2", .timestamps = true, .at = at});
    append({.raw = "hunter2", .end = true, .after = "end\n", .timestamps = true, .at = at});

    const std::string t = "2026-05-01T08:09:10.123000Z ";
    EXPECT_EQ(whole(), t + "00O Running\n" + t + "01O one\n" + t + "01O \n" + t + "01O tw\n" + t +
                           "01O+o \n" + t + "01O+[MASKED]\n" + t + "00O+end\n");
}

TEST_F(TraceTest, FormatOfTheFirstLineHoldsForTheWholeTrace) {
    append({.before = "Running\n"});
    append({.raw = "one\n", .timestamps = true});
    EXPECT_EQ(whole(), "Running\none\n");

    job = {};
    std::filesystem::remove(Trace(folder).path("gb-a-1"));
    append({.before = "Running\n", .timestamps = true});
    append({.raw = "one\n"});
    EXPECT_EQ(whole().substr(whole().find('\n') + 1), "1970-01-01T00:00:00.000000Z 01O one\n");
}

TEST_F(TraceTest, FormatOfATraceWhoseFirstBytesAreLostIsTheOneOfItsJob) {
    const std::string stamp = "1970-01-01T00:00:00.000000Z 01O ";
    const auto lose = [this](std::size_t kept, bool hole) {
        const auto path = Trace(folder).path("gb-a-1");
        const auto size = std::filesystem::file_size(path);
        std::filesystem::resize_file(path, kept);
        if (hole) {
            std::filesystem::resize_file(path, size);
        }
    };
    for (const bool hole : {false, true}) {
        for (const std::size_t kept : std::vector<std::size_t>{0, 1, 10, 28}) {
            for (const bool stamps : {true, false}) {
                job = {};
                std::filesystem::remove(Trace(folder).path("gb-a-1"));
                append({.before = "2000-01-01T is how a line without a stamp may begin\n",
                        .timestamps = stamps});
                lose(kept, hole);
                const auto length = static_cast<std::size_t>(job.traceLength);

                append({.raw = "later\nlast\n", .timestamps = stamps});

                const auto wanted = stamps ? stamp + "last\n" : "later\nlast\n";
                EXPECT_EQ(whole().find(wanted) != std::string::npos, true)
                    << kept << " bytes kept, hole: " << hole << ", " << whole().substr(length);
                EXPECT_EQ(whole().find(stamp) != std::string::npos, stamps) << kept;
            }
        }
    }
}

TEST_F(TraceTest, FormatOfATraceThatGoesOnBehindATornStampIsTheOneOfItsJob) {
    for (const bool stamps : {true, false}) {
        job = {};
        std::filesystem::remove(Trace(folder).path("gb-a-1"));
        append({.before = "2000-01-01T is how a line without a stamp may begin\n",
                .timestamps = stamps});
        std::filesystem::resize_file(Trace(folder).path("gb-a-1"), 10);
        job.traceLost = job.traceLength - 10;
        job.traceLength = 10;

        append({.before = "\nlost\n", .timestamps = stamps});
        append({.raw = "later\nlast\n", .timestamps = stamps});

        const std::string stamp = stamps ? "1970-01-01T00:00:00.000000Z 01O " : "";
        EXPECT_TRUE(whole().ends_with(stamp + "later\n" + stamp + "last\n")) << whole();
    }
}

TEST_F(TraceTest, LimitCountsTimestampsToo) {
    const std::int64_t limit = 1000;
    append({.before = "Running\n", .timestamps = true}, limit);
    std::string raw;
    for (int i = 0; i < 100; ++i) {
        raw += "line\n";
    }
    append({.raw = raw, .timestamps = true}, limit);
    append({.end = true, .after = "end\n", .timestamps = true}, limit);

    EXPECT_EQ(job.traceState, store::TraceState::Limited);
    EXPECT_LE(job.traceLength, limit);
    EXPECT_GE(job.traceLength, limit / 2);
    std::istringstream lines(whole());
    for (std::string each; std::getline(lines, each);) {
        EXPECT_TRUE(std::regex_search(
            each, std::regex(R"(^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [0-9a-f]{2}[OE][ +])")))
            << each;
    }
    EXPECT_NE(whole().find("00O+end\n") == std::string::npos,
              whole().find("00O end\n") == std::string::npos);
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
