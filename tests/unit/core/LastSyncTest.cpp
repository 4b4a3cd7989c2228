// A power failure leaves of the database and of the traces what was synced, and no more. Here it
// comes before and after every sync in the life of a job.
#include <iostream>
#include <set>

#include "tests/fakes/SyncedDisk.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using store::State;
using Verb = testing::ScriptedBackend::Verb;

/// Made before the database.
struct Watched {
    testing::SyncedDisk disk;
};

/// A job from its claim to its end, which goes on after the power has failed at a moment: GitLab
/// and the batch system stay as they are then.
class Life : private Watched, public CoreFixture {
public:
    explicit Life(int moment) : moment_(moment) {
        disk.atEachSync([this] { pastMoment(); });
    }
    ~Life() override { disk.atEachSync({}); }

    /// Whether the power failed.
    bool live() {
        row_ = claim(1);
        for (int round = 0; round < 60 && !HasFailure(); ++round) {
            pass(kPoll);
            if (dark_) {
                restart();
            } else if (isKnown() && job(row_).state == State::Done) {
                break;
            } else {
                goOn(round);
            }
        }
        disk.atEachSync({});
        if (isKnown()) {
            check();
        } else {
            // Before its claim was stored nothing may have been done for it.
            EXPECT_EQ(gitlab_.job(1).trace, "");
            EXPECT_TRUE(gitlab_.job(1).reports.empty());
            EXPECT_TRUE(started_.empty());
        }
        return failed_;
    }

private:
    void TestBody() override {}

    void pastMoment() {
        if (moment_-- != 0) {
            return;
        }
        failed_ = dark_ = true;
        disk.leave(folder_.path(), left_.path() / "state");
        disk.leave(folder_.path() / "traces", left_.path() / "traces");
        seen_ = gitlab_.job(1).trace;
        setDark(true);
    }
    /// In the dark nothing happens outside any more.
    void setDark(bool dark) {
        gitlab_.setAway(dark);
        for (const auto verb : {Verb::Probe, Verb::Submit, Verb::Find, Verb::Observe,
                                Verb::ReadLogs, Verb::Cancel, Verb::Collect, Verb::Release}) {
            backend_.fail(verb, dark ? std::optional(transientError("no power")) : std::nullopt);
        }
    }
    void restart() {
        dark_ = false;
        store_.reset();
        for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
            std::filesystem::remove_all(entry.path());
        }
        for (const auto* part : {"state", "traces"}) {
            const auto target =
                part == std::string("state") ? folder_.path() : folder_.path() / part;
            std::filesystem::copy(left_.path() / part, target);
        }
        setDark(false);
        store_ = std::make_unique<store::JobStore>(folder_.path(), clock_, random_, Millis(0));
        CoreFixture::restart();
    }
    bool isKnown() { return !store_->load(std::vector<JobRow>{row_}).empty(); }
    /// The batch system's side of the life.
    void goOn(int round) {
        if (round == 2) {
            testing::Person(database()).execute("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        for (int attempt = 1; attempt <= 3; ++attempt) {
            const auto submission = key(row_, attempt);
            if (!backend_.has(submission)) {
                continue;
            }
            if (started_.insert(submission.value).second) {
                backend_.run(submission);
                backend_.print(submission, "one\n");
            } else if (backend_.job(submission).log == "one\n") {
                backend_.print(submission, "two\n");
            } else {
                backend_.finish(submission);
            }
        }
    }
    void check() {
        const auto atGitLab = gitlab_.job(1);
        EXPECT_EQ(job(row_).state, State::Done);
        EXPECT_EQ(started_.size(), 1U) << "submissions whose script started";
        ASSERT_EQ(atGitLab.reports.size(), 1U);
        EXPECT_TRUE(atGitLab.reports.front().success);
        EXPECT_TRUE(atGitLab.trace.starts_with(seen_)) << "what was sent changed";
        EXPECT_EQ(atGitLab.trace.find('\0'), std::string::npos);
        const auto told = [&](const std::string& text) {
            return atGitLab.trace.find(text) != std::string::npos;
        };
        const bool isWhole = !told("bytes of this log here") || told("only GitLab has them");
        for (const std::string line : {"one\n", "two\n"}) {
            const auto first = atGitLab.trace.find(line);
            EXPECT_TRUE(first != std::string::npos || !isWhole) << line << " is missing";
            EXPECT_EQ(first, atGitLab.trace.rfind(line)) << line << " came twice";
        }
        EXPECT_TRUE(told("Job succeeded"));
    }

    testing::TempDir left_;
    JobRow row_{};
    int moment_;
    bool failed_ = false;
    bool dark_ = false;
    std::string seen_;
    std::set<std::string> started_;
};

TEST(LastSyncTest, JobEndsOnceWithTheDiskAsOfAnySync) {
    int moment = 0;
    for (bool failed = true; failed && !::testing::Test::HasFailure(); ++moment) {
        SCOPED_TRACE("moment " + std::to_string(moment));
        failed = Life(moment).live();
    }
    std::cout << moment - 1 << " power failures" << std::endl;
    EXPECT_GT(moment, 20);
}

}  // namespace
}  // namespace gridbridge::core
