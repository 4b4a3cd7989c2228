#include <gmock/gmock.h>

#include <chrono>
#include <set>
#include <sys/stat.h>

#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class JobStoreTest : public StoreFixture {};

TEST_F(JobStoreTest, KeepsItsInstallationOverRestarts) {
    const auto first = store_->installation();
    clock_.advance(seconds(5));

    reopen();

    EXPECT_EQ(first.id.size(), 8U);
    EXPECT_EQ(first.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"),
              std::string::npos);
    EXPECT_EQ(store_->installation().id, first.id);
    EXPECT_EQ(store_->installation().createdAt, first.createdAt);
    EXPECT_EQ(first.createdAt, clock_.wallNow() - seconds(5));
    EXPECT_EQ(submissionKey(first, JobRow{12}, 3).value, "gb-" + first.id + "-12-3");
}

TEST_F(JobStoreTest, AReceivedJobIsThereAfterARestartWithTheVeryBytesOfItsBody) {
    const std::string body("{\"id\":\0 7, \"token\":\"\xff\"}", 23);
    const auto row = receive(body);
    const auto claimed = clock_.wallNow();

    reopen();

    const auto job = loaded(row);
    EXPECT_EQ(job.state, State::Received);
    EXPECT_EQ(job.runner, "pool");
    EXPECT_EQ(job.serverUrl, kServer);
    EXPECT_EQ(job.backend, "condor");
    EXPECT_EQ(job.claimedAt, claimed);
    EXPECT_EQ(job.gitlabId, std::nullopt);
    EXPECT_EQ(store_->payload(row).value().reveal(), body);
}

TEST_F(JobStoreTest, GivesBackEveryFieldAsItWasStored) {
    const auto row = receive();
    const auto full = fullRecord(row, *store_);

    ASSERT_TRUE(commit(full));
    reopen();

    EXPECT_EQ(loaded(row), full);
}

TEST_F(JobStoreTest, AbsentFieldsStayAbsent) {
    const auto row = receive();
    ASSERT_TRUE(commit(fullRecord(row, *store_)));
    JobRecord bare;
    bare.row = row;
    bare.state = State::Done;

    ASSERT_TRUE(commit(bare));

    auto expected = bare;
    expected.submission = fullRecord(row, *store_).submission;
    EXPECT_EQ(loaded(row), expected) << "attempt 0 leaves the stored attempts alone";
}

TEST_F(JobStoreTest, ASecondAttemptIsAddedAndTheFirstStays) {
    const auto row = receive();
    auto job = fullRecord(row, *store_);
    ASSERT_TRUE(commit(job));
    const auto first = job.submission;
    job.submission = {};
    job.submission.attempt = 2;
    job.submission.key = submissionKey(store_->installation(), row, 2);

    ASSERT_TRUE(commit(job));

    EXPECT_EQ(loaded(row).submission, job.submission);
    EXPECT_THAT(JobReader(folder()).submissions(row), ElementsAre(first, job.submission));
}

TEST_F(JobStoreTest, LoadsInTheOrderAskedForAndLeavesOutUnknownRows) {
    const auto a = receive();
    const auto b = receive();
    const std::vector<JobRow> rows{b, JobRow{999}, a};

    const auto jobs = store_->load(rows);

    ASSERT_THAT(jobs, SizeIs(2));
    EXPECT_EQ(jobs[0].row, b);
    EXPECT_EQ(jobs[1].row, a);
}

TEST_F(JobStoreTest, AFailedCompareDropsThatChangeAlone) {
    const auto a = receive("a");
    const auto b = receive("b");
    const auto c = receive("c");
    ASSERT_TRUE(move(b, State::Claimed));
    const auto before = loaded(b);
    std::vector<Change> changes;
    for (const auto row : {a, b, c}) {
        auto to = fullRecord(row, *store_);
        to.gitlabId = static_cast<std::int64_t>(row);
        changes.push_back({State::Received, to, "all at once", true});
    }

    const auto stored = store_->commit(changes);

    EXPECT_THAT(stored, ElementsAre(true, false, true));
    EXPECT_EQ(loaded(a), changes[0].to);
    EXPECT_EQ(loaded(b), before);
    EXPECT_EQ(loaded(c), changes[2].to);
    JobReader reader(folder());
    EXPECT_THAT(reader.submissions(b), IsEmpty());
    EXPECT_EQ(reader.transitions(b).back().to, "claimed");
    EXPECT_TRUE(store_->payload(b).ok()) << "its secrets are not forgotten either";
    EXPECT_FALSE(store_->payload(a).ok());
}

TEST_F(JobStoreTest, AJobGitLabGaveTwiceIsRefusedAloneAndTheFirstStays) {
    const auto a = receive();
    const auto b = receive();
    const auto c = receive();
    std::vector<Change> changes;
    for (const auto row : {a, b, c}) {
        auto to = loaded(row);
        to.state = State::Claimed;
        to.gitlabId = row == c ? 43 : 42;
        changes.push_back({State::Received, to, "decoded"});
    }

    const auto stored = store_->commit(changes);

    EXPECT_THAT(stored, ElementsAre(true, false, true));
    EXPECT_EQ(loaded(b).state, State::Received);
    EXPECT_THAT(JobReader(folder()).byGitlabId(42), SizeIs(1));
}

TEST_F(JobStoreTest, TwoServersMayUseTheSameJobId) {
    const auto a = receive();
    const auto b = store_->receive("other", "https://other.example.org", "condor", Secret("{}"));
    auto jobA = loaded(a);
    auto jobB = loaded(b);
    jobA.gitlabId = jobB.gitlabId = 42;

    EXPECT_TRUE(commit(jobA));
    EXPECT_TRUE(commit(jobB));

    EXPECT_THAT(JobReader(folder()).byGitlabId(42), SizeIs(2));
}

TEST_F(JobStoreTest, EveryChangeOfStateLeavesItsTimeAndCause) {
    const auto start = clock_.wallNow();
    const auto row = receive();
    auto job = loaded(row);
    clock_.advance(seconds(1));
    job.state = State::Claimed;
    ASSERT_TRUE(commit(job, ""));
    clock_.advance(seconds(1));
    ASSERT_TRUE(commit(job, ""));
    ASSERT_TRUE(commit(job, "waits: the backend is full"));

    const auto history = JobReader(folder()).transitions(row);

    ASSERT_THAT(history, SizeIs(3)) << "without a new state and without a cause there is no row";
    EXPECT_EQ(history[0].at, start);
    EXPECT_EQ(history[0].from, "");
    EXPECT_EQ(history[0].to, "received");
    EXPECT_EQ(history[1].at, start + seconds(1));
    EXPECT_EQ(history[1].from, "received");
    EXPECT_EQ(history[1].to, "claimed");
    EXPECT_EQ(history[2].at, start + seconds(2));
    EXPECT_EQ(history[2].from, "claimed");
    EXPECT_EQ(history[2].to, "claimed");
    EXPECT_EQ(history[2].cause, "waits: the backend is full");
}

TEST_F(JobStoreTest, ForgottenSecretsAreGone) {
    const auto row = receive("body");
    auto job = loaded(row);
    job.state = State::Done;

    ASSERT_TRUE(commit(job, "settled", true));

    EXPECT_FALSE(store_->payload(row).ok());
    EXPECT_FALSE(store_->payload(JobRow{999}).ok());
    auto person = this->person();
    EXPECT_EQ(person.execAndGet("SELECT count(*) FROM job_secret").getInt(), 0);
}

TEST_F(JobStoreTest, DueAreTheOpenJobsWhoseTimeHasComeAndAllReceivedOnes) {
    const auto now = clock_.wallNow();
    const auto received = receive();
    const auto notYetDecoded = receive();
    const auto due = receive();
    const auto later = receive();
    const auto sleeping = receive();
    const auto done = receive();
    const auto set = [&](JobRow row, State state, std::optional<WallTime> at) {
        auto job = loaded(row);
        job.state = state;
        job.dueAt = at;
        ASSERT_TRUE(commit(job));
    };
    set(notYetDecoded, State::Received, now + seconds(60));
    set(due, State::Running, now + seconds(5));
    set(later, State::Running, now + seconds(6));
    set(sleeping, State::Queued, std::nullopt);
    set(done, State::Done, now);

    EXPECT_THAT(store_->due(now + seconds(5)), ElementsAre(received, due, notYetDecoded));
    EXPECT_THAT(store_->open(), ElementsAre(received, notYetDecoded, due, later, sleeping));
}

TEST_F(JobStoreTest, NextDueIsTheEarliestTimeOfAnOpenJob) {
    EXPECT_EQ(store_->nextDue(), std::nullopt);
    const auto now = clock_.wallNow();
    const auto row = receive();
    const auto other = receive();
    EXPECT_EQ(store_->nextDue(), now) << "a new job is due at once, also after a restart";
    auto job = loaded(row);
    job.state = State::Claimed;
    job.dueAt = now + seconds(9);
    ASSERT_TRUE(commit(job));
    job.row = other;
    job.dueAt = now + seconds(7);
    ASSERT_TRUE(commit(job));
    EXPECT_EQ(store_->nextDue(), now + seconds(7));
    job.state = State::Done;
    ASSERT_TRUE(commit(job));
    EXPECT_EQ(store_->nextDue(), now + seconds(9));
    ASSERT_TRUE(move(row, State::Done));
    EXPECT_EQ(store_->nextDue(), std::nullopt);
}

TEST_F(JobStoreTest, LoadsCountOpenJobsByRunnerBackendAndState) {
    receive();
    receive();
    receive("{}", "slurm");
    ASSERT_TRUE(move(receive(), State::Running));
    ASSERT_TRUE(move(receive(), State::Done));

    std::set<std::tuple<std::string, std::string, State, std::int64_t>> found;
    for (const auto& load : store_->loads()) {
        found.emplace(load.runner, load.backend, load.state, load.jobs);
    }

    EXPECT_EQ(found, (std::set<std::tuple<std::string, std::string, State, std::int64_t>>{
                         {"pool", "condor", State::Received, 2},
                         {"pool", "slurm", State::Received, 1},
                         {"pool", "condor", State::Running, 1}}));
}

TEST_F(JobStoreTest, RunnersAreSavedWholeByName) {
    RunnerRecord runner{.name = "pool", .serverUrl = kServer, .systemId = "s_1", .health = "ok"};
    store_->saveRunner({"a", kServer});
    store_->saveRunner(runner);
    store_->saveContact("pool", clock_.wallNow(), 12);
    store_->saveContact("pool", clock_.wallNow() + std::chrono::minutes(1), {});
    store_->saveRunner(runner);
    store_->saveHealth("pool", "claims nothing");

    reopen();
    const auto runners = store_->runners();

    ASSERT_THAT(runners, SizeIs(2));
    EXPECT_EQ(runners[0].name, "a");
    EXPECT_EQ(runners[0].gitlabId, std::nullopt);
    EXPECT_EQ(runners[1].name, "pool");
    EXPECT_EQ(runners[1].serverUrl, kServer);
    EXPECT_EQ(runners[1].gitlabId, 12);
    EXPECT_EQ(runners[1].systemId, "s_1");
    EXPECT_EQ(runners[1].lastContact, clock_.wallNow() + std::chrono::minutes(1));
    EXPECT_EQ(runners[1].health, "claims nothing");
    EXPECT_EQ(runners[0].health, "");
    runner.serverUrl = "https://elsewhere.example.org";
    store_->saveRunner(runner);
    EXPECT_EQ(store_->runners()[1].gitlabId, std::nullopt);
    EXPECT_EQ(store_->runners()[1].lastContact, std::nullopt);
}

TEST_F(JobStoreTest, ARowNumberIsNeverUsedAgain) {
    receive();
    const auto last = receive();
    store_.reset();
    {
        auto person = this->person();
        person.exec("PRAGMA foreign_keys = ON; DELETE FROM job");
        EXPECT_EQ(person.execAndGet("SELECT count(*) FROM job_secret").getInt(), 0);
    }

    reopen();

    EXPECT_GT(receive(), last) << "its keys name folders and batch jobs that may still exist";
}

class FileModeTest : public ::testing::TestWithParam<mode_t> {};

TEST_P(FileModeTest, TheDatabaseIsForTheGroupAndTheKeyForTheServiceAloneWhateverTheUmask) {
    const mode_t before = ::umask(GetParam());
    const TemporaryFolder folder;
    const testing::FakeClock clock;
    Random random(1);
    const JobStore store(folder.path(), clock, random);
    ::umask(before);

    const auto modeOf = [&](const char* name) {
        struct stat found {};
        EXPECT_EQ(::stat((folder.path() / name).c_str(), &found), 0) << name;
        return found.st_mode & 07777U;
    };
    EXPECT_EQ(modeOf("gridbridge.db"), 0640U);
    EXPECT_EQ(modeOf("gridbridge.db-wal"), 0640U);
    EXPECT_EQ(modeOf("gridbridge.db-shm"), 0640U);
    EXPECT_EQ(modeOf("secret.key"), 0600U);
}

INSTANTIATE_TEST_SUITE_P(Umasks, FileModeTest, ::testing::Values(0, 022, 077));

TEST(JobStoreOpenTest, AFolderThatIsNotThereIsOneSentenceThatNamesTheFile) {
    const testing::FakeClock clock;
    Random random(1);
    try {
        const JobStore store("/nonexistent/folder", clock, random);
        FAIL() << "opened";
    } catch (const StoreError& error) {
        EXPECT_EQ(error.kind, StoreError::Kind::Io);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("/nonexistent/folder/gridbridge.db: "));
    }
}

TEST_F(JobStoreTest, AFileThatIsNoDatabaseIsCalledDamagedAndLeftAsItIs) {
    store_.reset();
    const std::string text =
        "this is not a database, but somebody's text " + std::string(5000, 'x');
    write(file(), text);
    std::filesystem::remove(file().string() + "-wal");
    std::filesystem::remove(file().string() + "-shm");

    try {
        reopen();
        FAIL() << "opened";
    } catch (const StoreError& error) {
        EXPECT_EQ(error.kind, StoreError::Kind::Corrupt) << error.what();
    }
    EXPECT_EQ(contentOf(file()), text);
}

}  // namespace
}  // namespace gridbridge::store
