// What becomes of jobs of the command backend when daemons, administrators and commands do their
// worst.
#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "tests/engines/SgeHarness.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

class SgeFault : public ::testing::Test {
protected:
    void TearDown() override {
        engine.repair();
        for (const auto& ref : refs_) {
            const std::vector<CancelRequest> requests{{ref, CancelKind::Hard}};
            static_cast<void>(harness.backend().cancel(ctx(), requests));
            EXPECT_TRUE(eventually([&] {
                return harness.backend().release(ctx(), std::vector{ref}).at(0).ok();
            })) << ref.key.value;
        }
    }

    CallContext ctx(Millis time = 40s) { return {harness.clock().steadyNow() + time}; }
    BatchJob plan(const JobPlan& what) { return harness.job(++number_, what); }
    Result<Submission> trySubmit(const BatchJob& job, Millis time = 40s) {
        refs_.push_back({job.key, job.account, {}, {}});
        return harness.backend().submit(ctx(time), std::vector{job}).at(0);
    }
    JobRef submit(const BatchJob& job) {
        auto result = trySubmit(job);
        EXPECT_TRUE(result.ok() && result->accepted) << (result.ok() ? "" : result.error().message);
        if (result.ok() && result->accepted) {
            refs_.back().id = result->accepted->id;
        }
        return refs_.back();
    }
    Result<Observation> look(const JobRef& ref) {
        auto seen = harness.backend().observe(ctx(), std::vector{ref});
        return seen.ok() ? Result<Observation>(seen->at(0)) : seen.error();
    }
    bool is(const JobRef& ref, BatchState state) {
        const auto seen = look(ref);
        return seen.ok() && seen->state == state;
    }
    bool eventually(const std::function<bool()>& condition, Millis time = 60s) {
        const auto end = harness.clock().steadyNow() + time;
        while (!condition()) {
            if (harness.clock().steadyNow() >= end) {
                return false;
            }
            harness.pass();
        }
        return true;
    }
    JobRef running(const BatchJob& job) {
        const auto ref = submit(job);
        EXPECT_TRUE(eventually([&] {
            const auto seen = look(ref);
            return seen.ok() && seen->started;
        }));
        return ref;
    }
    Observation ended(const JobRef& ref) {
        EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Ended); }));
        const auto seen = look(ref);
        return seen.ok() ? *seen : Observation{};
    }
    /// In front of Grid Engine's own program of that name.
    void wrap(const std::string& program, const std::string& script) {
        std::filesystem::create_directories(bin_.path());
        std::filesystem::permissions(bin_.path(), std::filesystem::perms(0755));
        const auto file = bin_.path() / program;
        std::ofstream(file) << "#!/bin/sh\nPATH=/usr/local/bin:/usr/bin:/bin\n" << script;
        std::filesystem::permissions(file, std::filesystem::perms(0755));
        harness.config.binDir = bin_.path().string();
        harness.restart();
    }
    void unwrap() {
        harness.config.binDir.clear();
        harness.restart();
    }
    /// One of Grid Engine's commands, as its administrator.
    Finished sge(const std::string& command) {
        std::string all;
        for (const auto& setting : engine.settings()) {
            all += setting + " ";
        }
        return engine.run(all + command);
    }

    SgeEngine& engine = SgeEngine::get();
    SgeHarness harness;

private:
    TempDir bin_;
    int number_ = 0;
    std::vector<JobRef> refs_;
};

TEST_F(SgeFault, AMasterThatIsKilledAndComesBackHarmsNoJob) {
    const auto job = plan({.output = "all of it", .status = "", .exitCode = 3, .held = true});
    const auto ref = running(job);
    engine.kill("qmaster");
    engine.kill("execd");

    const auto blind = look(ref);
    harness.letEnd(job);
    const auto refused = trySubmit(plan({}));

    ASSERT_FALSE(blind.ok());
    EXPECT_EQ(blind.error().kind, ErrorKind::Transient);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Transient);
    EXPECT_FALSE(harness.backend().probe(ctx()).ok());
    engine.repair();
    EXPECT_EQ(ended(ref).exitCode, 3);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(SgeFault, ACommandThatIsKilledAfterItHasSubmittedIsNoSecondJob) {
    wrap("qsub", "qsub \"$@\" >/dev/null\nexec sleep 600\n");
    const auto job = plan({});

    const auto result = trySubmit(job, 5s);

    unwrap();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(ended({job.key, job.account, {}, {}}).state, BatchState::Ended);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(SgeFault, AnAdministratorsHoldReleaseAndRemovalAreSeen) {
    std::vector<BatchJob> blockers;
    for (int i = 0; i < harness.slots(); ++i) {
        blockers.push_back(plan({.held = true}));
        running(blockers.back());
    }
    const auto ref = submit(plan({.status = "", .exitCode = 2}));
    const auto other = submit(plan({}));

    sge("qhold " + ref.id.value + "; " + "true");
    sge("qdel " + other.id.value);

    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Held); }));
    EXPECT_TRUE(eventually([&] { return is(other, BatchState::Absent); }));
    sge("qrls " + ref.id.value);
    for (const auto& blocker : blockers) {
        harness.letEnd(blocker);
    }
    EXPECT_EQ(ended(ref).exitCode, 2);
}

TEST_F(SgeFault, AJobThatIsKilledLeavesItsSignal) {
    const auto ref = running(plan({.held = true}));
    sge("qdel " + ref.id.value);

    const auto end = ended(ref);

    EXPECT_EQ(end.cause, EndCause::Exited);
    EXPECT_EQ(end.signal, 9);
}

TEST_F(SgeFault, TheTimeLimitIsTheCause) {
    harness.config.submitOptions = {"-l", "h_rt=2"};
    harness.restart();
    const auto ref = running(plan({.held = true, .ignoresTerm = true}));

    EXPECT_EQ(ended(ref).cause, EndCause::WallTimeLimit);
}

TEST_F(SgeFault, AJobThatCannotBeStartedIsOverAndGoesWithItsRelease) {
    harness.config.submitOptions = {"-wd", "/nowhere"};
    harness.restart();
    const auto ref = submit(plan({}));

    const auto end = ended(ref);

    EXPECT_EQ(end.cause, EndCause::NeverRunnable);
    EXPECT_FALSE(end.started);
    EXPECT_EQ(end.reason, "Eqw");
    EXPECT_TRUE(harness.backend().release(ctx(), std::vector{ref}).at(0).ok());
    EXPECT_TRUE(eventually([&] {
        return sge("qstat -u '*'").out.find(" " + ref.id.value + " ") == std::string::npos;
    }));
}

TEST_F(SgeFault, ARefusalNamesWhatIsWrong) {
    harness.config.submitOptions = {"-q", "zork"};
    harness.restart();

    const auto result = trySubmit(plan({}));

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Permanent);
    EXPECT_NE(result.error().message.find("unknown queue \"zork\""), std::string::npos)
        << result.error().message;
}

TEST_F(SgeFault, AnAnswerThatCannotBeReadIsToldOnceAndConcludesNothing) {
    const auto ref = running(plan({.held = true}));
    wrap("qstat", "qstat \"$@\" | head -c -5\necho; echo 'Wartung bis morgen'\n");

    const auto first = look(ref);
    const auto absent = look({{"gb-never-1-1"}, "nobody", {"1"}, {}});

    EXPECT_TRUE(!first.ok() || first->state == BatchState::Running);
    EXPECT_TRUE(!absent.ok() || absent->state == BatchState::Unknown);
    EXPECT_LE(harness.told.size(), 1U);
    unwrap();
    EXPECT_TRUE(is(ref, BatchState::Running));
}

}  // namespace
}  // namespace gridbridge::testing
