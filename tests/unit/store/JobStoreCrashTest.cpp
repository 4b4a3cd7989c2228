#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>

#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

using ::testing::SizeIs;

constexpr std::size_t kHeader = 32;        ///< sqlite.org/fileformat2.html, section 4.1
constexpr std::size_t kFrame = 24 + 4096;  ///< frame header and one page
constexpr std::size_t kTornEvery = 997;    ///< bytes; a prime, so that cuts fall everywhere

/// The files as they are on disk while the store is open: what a power failure leaves.
struct Disk {
    std::string database;
    std::string wal;
    std::string key;

    static Disk of(const std::filesystem::path& folder) {
        return {contentOf(folder / "gridbridge.db"), contentOf(folder / "gridbridge.db-wal"),
                contentOf(folder / "secret.key")};
    }
    void writeCut(const std::filesystem::path& folder, std::size_t length) const {
        std::filesystem::remove(folder / "gridbridge.db-shm");
        write(folder / "gridbridge.db", database);
        write(folder / "gridbridge.db-wal", wal.substr(0, length));
        write(folder / "secret.key", key);
        std::filesystem::permissions(folder / "secret.key", std::filesystem::perms::owner_read);
    }
    std::vector<std::size_t> cuts() const {
        std::vector<std::size_t> all{0, 1, kHeader - 1, wal.size()};
        for (auto end = kHeader; end <= wal.size(); end += kFrame) {
            all.insert(all.end(), {end, end + 1, end + 24, end + kFrame - 1});
        }
        for (std::size_t torn = kTornEvery; torn < wal.size(); torn += kTornEvery) {
            all.push_back(torn);
        }
        std::sort(all.begin(), all.end());
        all.erase(std::upper_bound(all.begin(), all.end(), wal.size()), all.end());
        return all;
    }
};

class JobStoreCrashTest : public StoreFixture {
protected:
    static constexpr const char* kBody = "the very body";

    std::vector<JobRecord> everything(const std::filesystem::path& in) {
        return JobReader(in).jobs({.all = true});
    }
    /// What must hold in every database that opens.
    void expectSound(JobStore& store, const std::filesystem::path& in) {
        JobReader reader(in);
        for (const auto& job : reader.jobs({.all = true})) {
            const auto history = reader.transitions(job.row);
            ASSERT_FALSE(history.empty());
            EXPECT_EQ(history.back().to, nameOf(job.state));
            EXPECT_EQ(store.payload(job.row).ok(), job.state != State::Done);
            if (job.state != State::Done) {
                EXPECT_EQ(store.payload(job.row).value().reveal(), kBody);
            }
            EXPECT_EQ(job.submission.attempt > 0, job.state >= State::Submitting);
        }
    }
};

TEST_F(JobStoreCrashTest, EveryPrefixOfTheLogOpensAsOneOfTheCommittedStates) {
    reopen();  // the tables are in the database file now; the log holds only what follows
    std::vector<std::vector<JobRecord>> committed{everything(folder())};
    const auto remember = [&] { committed.push_back(everything(folder())); };
    const auto a = receive(kBody);
    remember();
    const auto b = receive(kBody);
    remember();
    auto jobA = loaded(a);
    jobA.state = State::Submitting;
    jobA.submission.attempt = 1;
    jobA.submission.key = submissionKey(store_->installation(), a, 1);
    auto jobB = loaded(b);
    jobB.state = State::Claimed;
    store_->commit(
        std::vector<Change>{{State::Received, jobA, "both"}, {State::Received, jobB, "both"}});
    remember();
    jobA.state = State::Done;
    ASSERT_TRUE(commit(jobA, "settled", true));
    remember();
    const auto disk = Disk::of(folder());
    store_.reset();

    const TemporaryFolder other;
    std::size_t reached = 0;
    for (const auto cut : disk.cuts()) {
        if (reached == committed.size() - 1 && cut != disk.wal.size()) {
            continue;  // from here on the log holds only what older transactions left in it
        }
        SCOPED_TRACE("cut at byte " + std::to_string(cut));
        disk.writeCut(other.path(), cut);
        JobStore store(other.path(), clock_, random_);
        const auto found = everything(other.path());
        const auto match = std::find(committed.begin() + static_cast<std::ptrdiff_t>(reached),
                                     committed.end(), found);
        ASSERT_NE(match, committed.end()) << "not a committed state, or an older one than before";
        reached = static_cast<std::size_t>(match - committed.begin());
        expectSound(store, other.path());
        store.receive("pool", kServer, "condor", Secret(kBody));
        expectSound(store, other.path());
    }
    EXPECT_EQ(reached, committed.size() - 1) << "the whole log holds everything";
}

TEST_F(JobStoreCrashTest, EveryPrefixOfTheLogOfAFirstStartOpens) {
    const auto row = receive(kBody);
    const auto disk = Disk::of(folder());
    ASSERT_EQ(row, JobRow{1});
    store_.reset();

    const TemporaryFolder other;
    std::size_t jobs = 0;
    for (const auto cut : disk.cuts()) {
        SCOPED_TRACE("cut at byte " + std::to_string(cut));
        disk.writeCut(other.path(), cut);
        JobStore store(other.path(), clock_, random_);
        EXPECT_EQ(store.installation().id.size(), 8U);
        jobs = store.open().size();
        expectSound(store, other.path());
        store.receive("pool", kServer, "condor", Secret(kBody));
        expectSound(store, other.path());
    }
    EXPECT_EQ(jobs, 1U) << "the whole log holds the job";
}

/// Kills a copy of this process at `point` in the middle of receive(). The copy starts this test
/// from its beginning and finds the folder in the environment.
class CrashPointTest : public ::testing::TestWithParam<const char*> {
protected:
    static constexpr const char* kFolder = "GRIDBRIDGE_TEST_FOLDER";

    void SetUp() override {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
        const char* given = std::getenv(kFolder);
        path_ = given == nullptr ? own_.path() : std::filesystem::path(given);
        ::setenv(kFolder, path_.c_str(), 1);
        ::setenv("GRIDBRIDGE_CRASH_POINT", GetParam(), 1);
    }
    void TearDown() override {
        ::unsetenv(kFolder);
        ::unsetenv("GRIDBRIDGE_CRASH_POINT");
    }
    void receive() {
        JobStore(path_, clock_, random_).receive("pool", "https://x", "condor", Secret("body"));
    }

    TemporaryFolder own_;
    std::filesystem::path path_;
    testing::FakeClock clock_;
    Random random_{1};
};

TEST_P(CrashPointTest, OnlyAKillBeforeTheCommitLosesTheClaim) {
    EXPECT_EXIT(receive(), ::testing::ExitedWithCode(137), "");

    JobStore store(path_, clock_, random_);
    const auto open = store.open();
    if (std::string(GetParam()) == "received-uncommitted") {
        EXPECT_THAT(open, SizeIs(0));
    } else {
        ASSERT_THAT(open, SizeIs(1));
        EXPECT_EQ(store.payload(open[0]).value().reveal(), "body");
    }
}

INSTANTIATE_TEST_SUITE_P(Receive, CrashPointTest,
                         ::testing::Values("received-uncommitted", "received"));

}  // namespace
}  // namespace gridbridge::store
