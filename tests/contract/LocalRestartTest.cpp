#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>

#include "bridge/base/Spawn.h"
#include "tests/contract/LocalHarness.h"
#include "tests/fakes/WaitUntil.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

/// Jobs 1 and 2 run and job 3 waits; the service that submitted them was killed with -9. This
/// process is not their parent and knows nothing but the work_dir.
class LocalRestartTest : public ::testing::Test {
protected:
    void SetUp() override {
        startService();
        harness_ = std::make_unique<LocalHarness>(workDir_);
        harness_->stop();
        for (int number : {1, 2, 3}) {
            jobs_.push_back(harness_->job(number, {}));
        }
    }
    void TearDown() override {
        harness_->restart();
        for (const auto& job : jobs_) {
            harness_->letEnd(job);
            EXPECT_TRUE(waitUntil([&] { return observe(job).state == BatchState::Ended; }, 20s));
            EXPECT_TRUE(harness_->backend().release(ctx(), std::vector{refOf(job)}).at(0).ok());
        }
    }
    void startService() {
        int ends[2] = {-1, -1};
        ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        const Fd in(ends[0]);
        Fd out(ends[1]);
        const auto service = spawn({.argv = {LOCAL_SERVICE, workDir_.string()}}, {0, out.get(), 2});
        ASSERT_TRUE(service.ok());
        out.reset();
        char answer[6] = {};
        ASSERT_EQ(::read(in.get(), answer, sizeof answer), 6);
        ASSERT_EQ(::kill(*service, SIGKILL), 0);
        ASSERT_EQ(::waitpid(*service, nullptr, 0), *service);
    }
    static JobRef refOf(const BatchJob& job) { return {job.key, job.account, {}, {}}; }
    CallContext ctx() { return {harness_->clock().steadyNow() + 30s}; }
    Observation observe(const BatchJob& job) {
        return harness_->backend().observe(ctx(), std::vector{refOf(job)}).value().at(0);
    }
    Observation ended(const BatchJob& job) {
        EXPECT_TRUE(waitUntil([&] { return observe(job).state == BatchState::Ended; }, 20s));
        return observe(job);
    }
    std::string log(const BatchJob& job) {
        const std::vector<LogRequest> requests{{refOf(job), 1, 0, 1000}};
        return harness_->backend().readLogs(ctx(), requests).at(0).value().bytes;
    }
    std::vector<FoundJob> findAll() {
        const std::vector<JobRef> refs{refOf(jobs_[0]), refOf(jobs_[1]), refOf(jobs_[2])};
        return harness_->backend().find(ctx(), refs).value();
    }
    LocalRecord recordOf(const BatchJob& job) {
        for (auto& loaded : LocalRecords(workDir_).load()) {
            if (loaded.key == job.key) {
                return loaded.record.value();
            }
        }
        ADD_FAILURE() << "no record of " << job.key.value;
        return {};
    }
    /// What `kill` and a moment's patience do.
    void endProcess(const LocalRecord& record) {
        ASSERT_EQ(::kill(-record.process->pid, SIGKILL), 0);
        ASSERT_TRUE(waitUntil(
            [&] {
                const auto stat = folder::readProcessStat(record.process->pid);
                return !stat || stat->state == 'Z';
            },
            10s));
    }

    TempDir temp_;
    std::filesystem::path workDir_{temp_.path() / "work"};
    std::unique_ptr<LocalHarness> harness_;
    std::vector<BatchJob> jobs_;
};

TEST_F(LocalRestartTest, ANewProcessKnowsAllJobsAndGoesOnWithThem) {
    harness_->restart();

    const auto found = findAll();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[0].id.value, "1");
    EXPECT_EQ(found[2].id.value, "3");
    EXPECT_EQ(observe(jobs_[0]).state, BatchState::Running);
    EXPECT_TRUE(observe(jobs_[0]).started);
    EXPECT_EQ(observe(jobs_[2]).state, BatchState::Pending);
    EXPECT_TRUE(waitUntil([&] { return log(jobs_[0]) == "first"; }, 20s));
    harness_->letEnd(jobs_[0]);
    const auto first = ended(jobs_[0]);
    EXPECT_EQ(first.cause, EndCause::Exited);
    EXPECT_FALSE(first.exitCode.has_value());  // only its parent could know
    EXPECT_EQ(ended(jobs_[2]).exitCode, 3);    // took the free slot, as our child
    EXPECT_EQ(log(jobs_[2]), "third");
    EXPECT_EQ(harness_->starts(jobs_[0]), 1);
}

TEST_F(LocalRestartTest, AnEndedJobOfAnotherProcessIsToldWithoutBeingAsked) {
    harness_->restart();

    harness_->letEnd(jobs_[1]);

    EXPECT_TRUE(waitUntil([&] { return harness_->changes(jobs_[1].key) > 0; }, 20s));
    EXPECT_EQ(observe(jobs_[1]).state, BatchState::Ended);
}

TEST_F(LocalRestartTest, AfterAChangedBootRunningJobsAreLostAndWaitingOnesRun) {
    for (const auto& job : jobs_) {
        if (const auto record = recordOf(job); record.process) {
            endProcess(record);
        }
    }

    harness_->restart("another-boot");

    EXPECT_EQ(findAll().size(), 3U);
    for (const auto& job : {jobs_[0], jobs_[1]}) {
        const auto seen = observe(job);
        EXPECT_EQ(seen.state, BatchState::Ended);
        EXPECT_EQ(seen.cause, EndCause::NodeFailure);
        EXPECT_TRUE(seen.started);
        EXPECT_FALSE(seen.reason.empty());
        EXPECT_EQ(harness_->starts(job), 1);
    }
    EXPECT_EQ(log(jobs_[1]), "second");
    EXPECT_EQ(ended(jobs_[2]).exitCode, 3);
    harness_->restart();
    EXPECT_EQ(observe(jobs_[0]).cause, EndCause::NodeFailure);
}

TEST_F(LocalRestartTest, AJobThatEndedWhileNoServiceRanHasEndedWithAnUnknownCode) {
    endProcess(recordOf(jobs_[0]));

    harness_->restart();

    const auto seen = ended(jobs_[0]);
    EXPECT_EQ(seen.cause, EndCause::Exited);
    EXPECT_TRUE(seen.started);
    EXPECT_FALSE(seen.exitCode.has_value());
    EXPECT_FALSE(seen.signal.has_value());
}

TEST_F(LocalRestartTest, AJobThatWasRecordedButNeverLetGoRunsOnce) {
    auto record = recordOf(jobs_[0]);
    endProcess(record);
    // As after a kill between the record and the word to go on.
    std::filesystem::remove(harness_->file(jobs_[0], "out/started"));
    std::filesystem::remove(harness_->file(jobs_[0], "out/starts"));

    harness_->restart();
    harness_->letEnd(jobs_[0]);

    EXPECT_EQ(ended(jobs_[0]).exitCode, 0);
    EXPECT_EQ(harness_->starts(jobs_[0]), 1);
}

TEST_F(LocalRestartTest, AnotherProcessWithTheNumberIsNeitherWatchedNorKilled) {
    auto record = recordOf(jobs_[0]);
    endProcess(record);
    const auto stranger = spawn({.argv = {"/bin/sleep", "1000"}}, {0, 1, 2});
    ASSERT_TRUE(stranger.ok());
    record.process->pid = *stranger;
    ASSERT_TRUE(LocalRecords(workDir_).update(record).ok());

    harness_->restart();

    EXPECT_EQ(ended(jobs_[0]).state, BatchState::Ended);
    EXPECT_EQ(::kill(*stranger, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(*stranger, &status, 0), *stranger);
    EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_F(LocalRestartTest, AHardCancelGoesOnAfterTheServiceWasKilled) {
    auto record = recordOf(jobs_[0]);
    record.removedAt = harness_->clock().wallNow() - 1h;
    ASSERT_TRUE(LocalRecords(workDir_).update(record).ok());

    harness_->restart();

    EXPECT_EQ(ended(jobs_[0]).cause, EndCause::RemovedByUs);
}

}  // namespace
}  // namespace gridbridge::testing
