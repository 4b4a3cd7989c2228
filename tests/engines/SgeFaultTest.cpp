// What becomes of jobs of the command backend when daemons, administrators and commands do their
// worst.
#include <gtest/gtest.h>

#include "tests/engines/EngineFault.h"
#include "tests/engines/SgeHarness.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

class SgeFault : public EngineFault<SgeHarness> {
protected:
    /// One of Grid Engine's commands, as its administrator.
    Finished sge(const std::string& command) {
        std::string all;
        for (const auto& setting : engine.settings()) {
            all += setting + " ";
        }
        return engine.run(all + command);
    }
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
    harness.told.clear();

    const auto first = look(ref);
    const auto absent = look({{"gb-never-1-1"}, "nobody", {"1"}, {}});

    EXPECT_TRUE(!first.ok() || first->state == BatchState::Running);
    EXPECT_TRUE(!absent.ok() || absent->state == BatchState::Unknown);
    EXPECT_EQ(harness.told.size(), 1U);
    unwrap();
    EXPECT_TRUE(is(ref, BatchState::Running));
}

}  // namespace
}  // namespace gridbridge::testing
