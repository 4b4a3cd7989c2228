// What becomes of jobs of the command backend when OAR, administrators and commands do their worst.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engines/EngineFault.h"
#include "tests/engines/OarHarness.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

class OarFault : public EngineFault<OarHarness> {};

TEST_F(OarFault, AServerThatIsKilledAndComesBackHarmsNoJobAndDoublesNone) {
    const auto job = plan({.output = "all of it", .status = "", .exitCode = 3, .held = true});
    const auto ref = running(job);
    engine.kill("Almighty");

    harness.letEnd(job);
    const auto late = plan({});
    const auto result = trySubmit(late);

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    engine.repair();
    // The node tells of an end again after 30 s, and after 60 s more.
    EXPECT_EQ(ended(ref, 180s).exitCode, 3);
    EXPECT_EQ(harness.starts(job), 1);
    EXPECT_TRUE(trySubmit(late)->accepted);
    EXPECT_EQ(ended({late.key, late.account, {}, {}}).state, BatchState::Ended);
    EXPECT_EQ(harness.starts(late), 1);
}

TEST_F(OarFault, WithoutItsDatabaseNothingIsConcluded) {
    const auto ref = running(plan({.held = true}));
    engine.kill("postgres");

    const auto blind = look(ref);

    ASSERT_FALSE(blind.ok());
    EXPECT_EQ(blind.error().kind, ErrorKind::Transient);
    EXPECT_FALSE(harness.backend().probe(ctx()).ok());
    engine.repair();
    EXPECT_TRUE(is(ref, BatchState::Running));
}

TEST_F(OarFault, ACommandThatIsKilledAfterItHasSubmittedIsNoSecondJob) {
    wrap("oarsub", "oarsub \"$@\" >/dev/null\nexec sleep 600\n");
    const auto job = plan({});

    const auto result = trySubmit(job, 8s);

    unwrap();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(ended({job.key, job.account, {}, {}}).state, BatchState::Ended);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(OarFault, AnAdministratorsHoldReleaseAndRemovalAreSeen) {
    std::vector<BatchJob> blockers;
    for (int i = 0; i < harness.slots(); ++i) {
        blockers.push_back(plan({.held = true}));
        running(blockers.back());
    }
    const auto ref = submit(plan({.status = "", .exitCode = 2}));
    const auto other = submit(plan({}));

    engine.run("inside oarhold " + ref.id.value);
    engine.run("inside oardel " + other.id.value);

    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Held); }));
    EXPECT_TRUE(eventually([&] { return is(other, BatchState::Absent); }));
    engine.run("inside oarresume " + ref.id.value);
    for (const auto& blocker : blockers) {
        harness.letEnd(blocker);
    }
    EXPECT_EQ(ended(ref).exitCode, 2);
}

TEST_F(OarFault, ARunningJobThatAnAdministratorRemovesIsGone) {
    const auto ref = running(plan({.held = true}));

    engine.run("inside oardel " + ref.id.value);

    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Absent); }));
}

TEST_F(OarFault, TheTimeLimitIsTheCause) {
    std::replace(harness.config.submit.begin(), harness.config.submit.end(),
                 std::string("walltime={wall_time}"), std::string("walltime=0:0:2"));
    harness.restart();
    const auto ref = running(plan({.held = true, .ignoresTerm = true}));

    EXPECT_EQ(ended(ref).cause, EndCause::WallTimeLimit);
}

TEST_F(OarFault, ARefusalNamesWhatIsWrong) {
    harness.config.submitOptions = {"-q", "zork"};
    harness.restart();

    const auto result = trySubmit(plan({}));

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Permanent);
    EXPECT_NE(result.error().message.find("queue zork does not exist"), std::string::npos)
        << result.error().message;
}

}  // namespace
}  // namespace gridbridge::testing
