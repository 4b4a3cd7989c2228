// What killed jobs leave in the scratch folder of a node: scripts that really run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <unistd.h>

#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using std::filesystem::path;

void write(const path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

/// A folder as a job leaves it that is killed with all that watches over it.
path abandoned(const path& scratch, const std::string& name, std::chrono::seconds sinceEnd) {
    const auto until = std::chrono::system_clock::now() - sinceEnd;
    const auto folder = scratch / name;
    write(folder / "until", std::to_string(std::chrono::system_clock::to_time_t(until)) + "\n");
    write(folder / "builds/closed/file", "");
    std::filesystem::permissions(folder / "builds/closed", std::filesystem::perms(0555));
    return folder;
}

TEST(ScratchTest, FoldersOfJobsThatWereToEndAWeekAgoAreRemovedAndNoOthers) {
    using std::chrono::hours;
    ScriptRun run(jobWith({"cat \"${GB_CTL%/*}/until\""}));
    const auto gone = abandoned(run.scratch(), "gb.AAAAAAAA", hours(7 * 24 + 1));
    std::vector<path> kept{abandoned(run.scratch(), "gb.BBBBBBBB", hours(7 * 24 - 1)),
                           abandoned(run.scratch(), "gb.CCCCCCCC", -hours(24)),
                           abandoned(run.scratch(), "other", hours(8 * 24))};
    for (const std::string odd : {"", "-5", "x", "9999999999999999999", "08"}) {
        kept.push_back(run.scratch() / ("gb.odd.000" + std::to_string(kept.size())));
        write(kept.back() / "until", odd + "\n");
    }
    const auto outside = abandoned(run.folder().parent_path(), "gb.elsewhere", hours(8 * 24));
    kept.push_back(outside);
    kept.push_back(run.scratch() / "gb.EEEEEEEE");
    std::filesystem::create_directory_symlink(outside, kept.back());
    if (::geteuid() == 0) {
        kept.push_back(abandoned(run.scratch(), "gb.FFFFFFFF", hours(8 * 24)));
        ASSERT_EQ(::chown(kept.back().c_str(), 1, 1), 0);
    }

    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.text();
    const auto deadline = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    const auto said = run.text().find("/until\"\n");
    ASSERT_NE(said, std::string::npos) << run.text();
    EXPECT_NEAR(std::stod(run.text().substr(said + 8)), static_cast<double>(deadline + 3600), 60);
    EXPECT_FALSE(std::filesystem::exists(gone));
    for (const auto& folder : kept) {
        EXPECT_TRUE(std::filesystem::exists(folder)) << folder;
    }
}

TEST(ScratchTest, NodeWhoseClockSaysThatTheJobIsOverRemovesNothing) {
    auto context = contextNow();
    context.deadline -= std::chrono::hours(2);
    ScriptRun run(jobWith({"true"}), context);
    const auto kept = abandoned(run.scratch(), "gb.AAAAAAAA", std::chrono::hours(8 * 24));
    run.run();
    EXPECT_EQ(run.status().why, "job_timeout");
    EXPECT_TRUE(std::filesystem::exists(kept));
}

}  // namespace
}  // namespace gridbridge::payload
