#include <gmock/gmock.h>
#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <set>
#include <sys/resource.h>
#include <thread>

#include "bridge/store/Connection.h"
#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

using ::testing::SizeIs;

class JobStoreLockTest : public StoreFixture {
protected:
    /// Kind of the error of `action`; fails the test when there is none.
    template <typename Action>
    StoreError::Kind kindOf(Action action) {
        try {
            action();
        } catch (const StoreError& error) {
            return error.kind;
        }
        ADD_FAILURE() << "no error";
        return StoreError::Kind::Other;
    }
    /// Runs `call` while a person holds an exclusive lock; sees that it waits, not fails.
    template <typename Call>
    auto whileLocked(Call call) {
        auto person = this->person();
        person.exec("BEGIN EXCLUSIVE");
        auto answer = std::async(std::launch::async, call);
        EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
        person.exec("ROLLBACK");
        return answer.get();
    }
};

TEST_F(JobStoreLockTest, FourThreadsReceiveWhileTheOwnerCommits) {
    constexpr int kThreads = 4;
    constexpr int kJobs = 25;
    std::vector<std::future<std::vector<JobRow>>> receivers;
    for (int thread = 0; thread < kThreads; ++thread) {
        receivers.push_back(std::async(std::launch::async, [this, thread] {
            std::vector<JobRow> rows;
            for (int i = 0; i < kJobs; ++i) {
                rows.push_back(receive(std::to_string(thread) + "/" + std::to_string(i)));
            }
            return rows;
        }));
    }
    std::size_t claimed = 0;
    while (claimed < std::size_t{kThreads} * kJobs) {
        std::vector<Change> changes;
        for (auto& job : store_->load(store_->due(clock_.wallNow()))) {
            job.state = State::Claimed;
            job.dueAt.reset();
            changes.push_back({State::Received, job, "decoded"});
        }
        for (const bool stored : store_->commit(changes)) {
            ASSERT_TRUE(stored);
        }
        claimed += changes.size();
    }

    std::set<JobRow> distinct;
    for (int thread = 0; thread < kThreads; ++thread) {
        const auto rows = receivers[static_cast<std::size_t>(thread)].get();
        for (std::size_t i = 0; i < rows.size(); ++i) {
            EXPECT_EQ(store_->payload(rows[i]).value().reveal(),
                      std::to_string(thread) + "/" + std::to_string(i));
        }
        distinct.insert(rows.begin(), rows.end());
    }
    EXPECT_THAT(distinct, SizeIs(kThreads * kJobs));
    EXPECT_EQ(store_->open().size(), distinct.size());
}

TEST_F(JobStoreLockTest, APersonsLockForAMomentDelaysACommitAndNothingElse) {
    auto job = loaded(receive());
    job.state = State::Claimed;
    const std::vector<Change> changes{{State::Received, job, "decoded"}};

    const auto stored = whileLocked([&] { return store_->commit(changes); });

    EXPECT_EQ(stored, std::vector<bool>{true});
    EXPECT_EQ(loaded(job.row).state, State::Claimed);
}

TEST_F(JobStoreLockTest, APersonsLockForAMomentDelaysAClaimAndNothingElse) {
    const auto row = whileLocked([&] { return receive("body"); });

    EXPECT_EQ(store_->payload(row).value().reveal(), "body");
}

TEST_F(JobStoreLockTest, APersonsLockForAMomentDelaysTheStart) {
    const auto row = receive("body");
    store_.reset();

    whileLocked([&] { reopen(); });

    EXPECT_EQ(store_->payload(row).value().reveal(), "body");
}

TEST_F(JobStoreLockTest, ALockBeyondAllPatienceIsBusyAndTheSameCallWorksAfterwards) {
    reopen(std::chrono::milliseconds(20));
    auto job = loaded(receive());
    job.state = State::Claimed;
    const std::vector<Change> changes{{State::Received, job, "decoded"}};
    auto person = this->person();
    person.exec("BEGIN EXCLUSIVE");

    EXPECT_EQ(kindOf([&] { store_->commit(changes); }), StoreError::Kind::Busy);
    EXPECT_EQ(kindOf([&] { receive(); }), StoreError::Kind::Busy);
    EXPECT_EQ(kindOf([&] { store_->saveRunner({"pool", kServer}); }), StoreError::Kind::Busy);
    EXPECT_EQ(loaded(job.row).state, State::Received) << "reading goes on";

    person.exec("ROLLBACK");
    EXPECT_EQ(store_->commit(changes), std::vector<bool>{true});
    receive();
    EXPECT_THAT(store_->open(), SizeIs(2));
}

TEST_F(JobStoreLockTest, AReaderThatStaysInItsTransactionStopsNoWriter) {
    reopen(std::chrono::milliseconds(20));
    const auto row = receive();
    auto person = this->person();
    person.exec("BEGIN");
    EXPECT_EQ(person.execAndGet("SELECT count(*) FROM job").getInt(), 1);

    receive();
    EXPECT_TRUE(move(row, State::Claimed));

    EXPECT_EQ(person.execAndGet("SELECT count(*) FROM job").getInt(), 1) << "it sees its moment";
}

TEST_F(JobStoreLockTest, AReaderSeesWholeCommitsWhileTheServiceWrites) {
    auto job = fullRecord(receive(), *store_);
    job.rawOffset = job.submission.run = 0;
    ASSERT_TRUE(commit(job));
    std::atomic<bool> stop = false;
    auto looks = std::async(std::launch::async, [&] {
        JobReader reader(folder());
        std::set<std::int64_t> seen;
        while (!stop) {
            const auto jobs = reader.jobs({});
            EXPECT_EQ(jobs.at(0).rawOffset, jobs.at(0).submission.run);
            seen.insert(jobs.at(0).rawOffset);
            if (seen.size() >= 20) {
                break;
            }
        }
        return seen.size();
    });
    while (looks.wait_for(std::chrono::seconds(0)) != std::future_status::ready &&
           job.rawOffset < 100'000) {
        ++job.rawOffset;
        ++job.submission.run;
        const std::vector<Change> changes{{job.state, job, ""}};
        ASSERT_EQ(store_->commit(changes), std::vector<bool>{true});
    }
    stop = true;

    EXPECT_GE(looks.get(), 20U) << "different moments were seen";
}

/// Files cannot grow beyond `bytes` while it lives: as with an exhausted quota.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        handler_ = std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }

private:
    rlimit before_{};
    void (*handler_)(int) = nullptr;
};

TEST_F(JobStoreLockTest, AClaimThatCannotBeWrittenWholeIsRefusedWholeAndMayBeRepeated) {
    const auto row = receive("first");
    {
        const auto size = std::filesystem::file_size(file().string() + "-wal");
        const FileSizeLimit limit(size + 10'000);
        EXPECT_EQ(kindOf([&] { receive(std::string(200'000, 'x')); }), StoreError::Kind::Io);
        EXPECT_EQ(loaded(row).state, State::Received) << "reading goes on";
    }

    EXPECT_THAT(store_->open(), SizeIs(1));
    EXPECT_EQ(store_->payload(receive("second")).value().reveal(), "second");
    EXPECT_TRUE(move(row, State::Claimed));
    reopen();
    EXPECT_THAT(store_->open(), SizeIs(2));
    EXPECT_EQ(store_->payload(row).value().reveal(), "first");
}

TEST(StoreErrorTest, AFullDiskIsToldFromABrokenOneAndTheSentenceSaysTheCure) {
    const auto errorOf = [](int code) {
        return storeError("/x/gridbridge.db", SQLite::Exception("no luck", code));
    };

    EXPECT_EQ(errorOf(SQLITE_FULL).kind, StoreError::Kind::Full);
    EXPECT_EQ(errorOf(SQLITE_IOERR).kind, StoreError::Kind::Io);
    EXPECT_STREQ(errorOf(SQLITE_FULL).what(),
                 "/x/gridbridge.db: its disk is full; make room there");
}

}  // namespace
}  // namespace gridbridge::store
