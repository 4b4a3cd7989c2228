#include <gtest/gtest.h>

#include <csignal>
#include <pwd.h>
#include <unistd.h>

#include "tests/contract/LocalHarness.h"
#include "tests/fakes/WaitUntil.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

/// What the local backend promises beyond the contract.
class LocalBackendTest : public ::testing::Test {
protected:
    void use(std::unique_ptr<LocalHarness> harness) { harness_ = std::move(harness); }
    void TearDown() override {
        for (const auto& job : submitted_) {
            const std::vector<CancelRequest> requests{{refOf(job), CancelKind::Hard}};
            (void)harness_->backend().cancel(ctx(), requests);
        }
        for (const auto& job : submitted_) {
            EXPECT_TRUE(waitUntil([&] { return release(job).ok(); }, 20s));
        }
    }
    static JobRef refOf(const BatchJob& job) { return {job.key, job.account, {}, {}}; }
    CallContext ctx() { return {harness_->clock().steadyNow() + 30s}; }
    Result<Submission> submit(const BatchJob& job) {
        submitted_.push_back(job);
        return harness_->backend().submit(ctx(), std::vector{job}).at(0);
    }
    BatchJob run(const JobPlan& plan, const std::string& before = {}) {
        auto job = harness_->job(++number_, plan);
        job.inputs.front().content.insert(0, before);
        const auto result = submit(job);
        EXPECT_TRUE(result.ok()) << result.error().message;
        return job;
    }
    Result<void> release(const BatchJob& job) {
        return harness_->backend().release(ctx(), std::vector{refOf(job)}).at(0);
    }
    Observation observe(const BatchJob& job) {
        return harness_->backend().observe(ctx(), std::vector{refOf(job)}).value().at(0);
    }
    Observation ended(const BatchJob& job) {
        EXPECT_TRUE(waitUntil([&] { return observe(job).state == BatchState::Ended; }, 20s));
        return observe(job);
    }
    bool exists(const BatchJob& job, const std::string& name) {
        return std::filesystem::exists(harness_->file(job, name));
    }
    static bool isGone(pid_t pid) {
        const auto stat = folder::readProcessStat(pid);
        return !stat || stat->state == 'Z';
    }

    TempDir temp_;
    std::unique_ptr<LocalHarness> harness_ = std::make_unique<LocalHarness>();
    std::vector<BatchJob> submitted_;
    int number_ = 0;
};

TEST_F(LocalBackendTest, JobsStartInTheOrderTheyWereSubmittedAlsoAfterARestart) {
    use(std::make_unique<LocalHarness>("", "", 1));
    const auto order = temp_.path() / "order";
    const auto blocker = run({.held = true});
    std::vector<BatchJob> jobs;
    for (int i = 0; i < 12; ++i) {
        jobs.push_back(run({}, "echo " + std::to_string(i) + " >>" + order.string() + "\n"));
    }

    harness_->restart();
    harness_->letEnd(blocker);
    ended(jobs.back());

    EXPECT_EQ(readFile(order), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n");
}

TEST_F(LocalBackendTest, NoMoreJobsThanSlotsRunAtATime) {
    std::vector<BatchJob> jobs;
    for (int i = 0; i < 6; ++i) {
        jobs.push_back(run({.held = true}));
    }
    EXPECT_TRUE(waitUntil([&] { return observe(jobs[1]).state == BatchState::Running; }, 20s));

    int running = 0;
    for (const auto& job : jobs) {
        running += observe(job).state == BatchState::Running ? 1 : 0;
    }

    EXPECT_EQ(running, 2);
    EXPECT_EQ(observe(jobs[5]).reason, "waiting for one of 2 slots");
    EXPECT_EQ(observe(jobs[0]).node, "node7");
}

TEST_F(LocalBackendTest, StartAndEndAreToldWithoutBeingAsked) {
    const auto job = run({.held = true});
    EXPECT_TRUE(waitUntil([&] { return harness_->changes(job.key) == 1; }, 20s));
    harness_->letEnd(job);
    EXPECT_TRUE(waitUntil([&] { return harness_->changes(job.key) == 2; }, 20s));

    EXPECT_EQ(observe(job).state, BatchState::Ended);
}

TEST_F(LocalBackendTest, WhatAJobLeavesRunningIsKilledWhenItEnds) {
    const auto job = run({}, "(trap '' TERM HUP; exec sleep 1000) & echo $! >out/child\n");

    EXPECT_EQ(ended(job).exitCode, 0);

    EXPECT_TRUE(isGone(std::stoi(readFile(harness_->file(job, "out/child")))));
}

TEST_F(LocalBackendTest, ADaemonThatAJobLeavesIsKilledWhenItEnds) {
    const auto job = run({},
                         "setsid bash -c 'echo $$ >out/child; exec sleep 1000' &\n"
                         "until [ -s out/child ]; do sleep 0.05; done\n");

    EXPECT_EQ(ended(job).exitCode, 0);

    EXPECT_TRUE(isGone(std::stoi(readFile(harness_->file(job, "out/child")))));
}

TEST_F(LocalBackendTest, AHardCancelReachesEveryProcessOfTheJob) {
    const auto job = run({.held = true, .ignoresTerm = true},
                         "(trap '' TERM; exec sleep 1000) & echo $! >out/child\n");
    EXPECT_TRUE(waitUntil([&] { return exists(job, "out/child"); }, 20s));
    const std::vector<CancelRequest> requests{{refOf(job), CancelKind::Hard}};

    ASSERT_TRUE(harness_->backend().cancel(ctx(), requests).at(0).ok());

    EXPECT_EQ(ended(job).cause, EndCause::RemovedByUs);
    EXPECT_TRUE(isGone(std::stoi(readFile(harness_->file(job, "out/child")))));
}

TEST_F(LocalBackendTest, ADamagedRecordIsUnknownAndHarmsNoOther) {
    const auto bad = run({});
    const auto good = run({.exitCode = 6});
    ended(bad);
    ended(good);
    harness_->stop();
    std::ofstream(harness_->record(bad), std::ios::app) << "\nstate=strange\nend\n";

    harness_->restart();

    EXPECT_EQ(observe(good).exitCode, 6);
    EXPECT_EQ(observe(bad).state, BatchState::Unknown);
    EXPECT_NE(observe(bad).reason.find(bad.key.value), std::string::npos);
    EXPECT_EQ(harness_->backend().find(ctx(), std::vector{refOf(bad)})->size(), 1U);
    EXPECT_FALSE(submit(bad).ok());
    EXPECT_TRUE(release(bad).ok());
    EXPECT_EQ(observe(bad).state, BatchState::Absent);
}

TEST_F(LocalBackendTest, AJobThatCannotBeStartedHasEndedWithTheReason) {
    use(std::make_unique<LocalHarness>("", "", 1));
    const auto blocker = run({.held = true});
    const auto job = run({});
    std::filesystem::remove_all(harness_->file(job, "in"));
    std::filesystem::create_symlink("/tmp", harness_->file(job, "in"));

    harness_->letEnd(blocker);

    const auto seen = ended(job);
    EXPECT_EQ(seen.cause, EndCause::NeverRunnable);
    EXPECT_FALSE(seen.started);
    EXPECT_NE(seen.reason.find(job.key.value + "/in"), std::string::npos) << seen.reason;
}

TEST_F(LocalBackendTest, ACopyThatLostTheMarkerEndsWithItsOwnCode) {
    use(std::make_unique<LocalHarness>("", "", 1));
    const auto blocker = run({.held = true});
    const auto job = run({});
    ASSERT_EQ(harness_->folders().mark({job.key, job.account}).value(), folder::MarkOutcome::Taken);

    harness_->letEnd(blocker);

    EXPECT_EQ(ended(job).exitCode, 71);
    EXPECT_EQ(harness_->starts(job), 0);
}

TEST_F(LocalBackendTest, AJobOfAnotherAccountRunsAsItOrIsRefused) {
    use(std::make_unique<LocalHarness>("", "daemon", 1));
    auto job = harness_->job(1, {});
    job.inputs.front().content.insert(
        0, "id -u; cat /dev/stdin; cat ../../.local/" + job.key.value + "\n");

    const auto result = submit(job);

    if (::geteuid() != 0) {
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().kind, ErrorKind::Transient);
        EXPECT_NE(result.error().message.find("daemon"), std::string::npos);
        return;
    }
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(ended(job).exitCode, 0);
    const std::vector<LogRequest> requests{{refOf(job), 1, 0, 1000}};
    const auto log = harness_->backend().readLogs(ctx(), requests).at(0).value().bytes;
    EXPECT_TRUE(log.starts_with(std::to_string(::getpwnam("daemon")->pw_uid) + "\ncat: ")) << log;
    EXPECT_NE(log.find("Permission denied"), std::string::npos) << log;
}

TEST_F(LocalBackendTest, AnUnwritableMemoryIsFoundByTheProbe) {
    ASSERT_TRUE(harness_->backend().probe(ctx()).ok());
    std::filesystem::remove_all(harness_->workDir() / ".local");

    EXPECT_FALSE(harness_->backend().probe(ctx()).ok());
}

}  // namespace
}  // namespace gridbridge::testing
