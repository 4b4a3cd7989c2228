// What becomes of jobs when DIRAC and its pilots do their worst, whatever way leads there.
#include <gmock/gmock.h>

#include "tests/engines/DiracFaultFixture.h"
#ifdef DIRACCLI_SH
#include "tests/engines/DiracCliHarness.h"
#else
#include "tests/engines/DiracxHarness.h"
#endif

namespace gridbridge::testing {
namespace {

using ::testing::HasSubstr;
#ifdef DIRACCLI_SH
using DiracHarnessHere = DiracCliHarness;
#else
using DiracHarnessHere = DiracxHarness;
#endif

class DiracFault : public DiracFaultFixture<DiracHarnessHere> {};

TEST_F(DiracFault, ASubmissionWithoutAnAnswerIsUncertainAndAdopted) {
    const auto job = plan({.output = "once"});
    engine.fault("api-lost --name '" + std::string(DiracHarnessHere::kSubmitCall) + "'");

    const auto lost = trySubmit(job);

    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(lost.error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(found(job), 1U);
    const auto ref = submit(job);
    EXPECT_EQ(ended(ref).cause, EndCause::Exited);
    EXPECT_TRUE(eventually([&] { return isDone(ref); }));
    EXPECT_EQ(log(ref).bytes, "once");
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(DiracFault, AJobThatGoesBackAfterItsScriptStartedIsKilled) {
    const auto job = plan({.held = true});
    faultAt(job, "reschedule --after 3");
    const auto ref = submit(job);
    EXPECT_TRUE(eventually([&] { return harness.starts(job) == 1; }));
    faultAt(job, "never-match");  // Else it may be on a node again before anybody knows.

    const auto seen = ended(ref);

    EXPECT_EQ(seen.cause, EndCause::NodeFailure);
    EXPECT_THAT(seen.reason, HasSubstr("it is not to start twice"));
    EXPECT_TRUE(seen.started);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(DiracFault, AnOutputThatIsLateIsWaitedForAndOneThatIsLostNotForgotten) {
    const auto late = plan({.output = "late", .exitCode = 3});
    const auto lost = plan({});
    faultAt(late, "late-output --seconds 2");
    faultAt(lost, "lose-output");
    const auto lateRef = submit(late);
    const auto lostRef = submit(lost);

    EXPECT_EQ(ended(lateRef).cause, EndCause::Exited);
    EXPECT_TRUE(eventually([&] { return isDone(lateRef); }));
    EXPECT_EQ(log(lateRef).bytes, "late");
    EXPECT_EQ(look(lateRef)->exitCode, 3);
    ended(lostRef);
    EXPECT_EQ(collect(lostRef).value(), CollectOutcome::NotYet);
}

TEST_F(DiracFault, WhoEndedAJobIsTold) {
    const auto killed = plan({.held = true});
    const auto dead = plan({.held = true});
    faultAt(killed, "operator-kill --after 0.2");
    faultAt(dead, "pilot-dies --after 0.2 --seconds 1");
    const auto killedRef = submit(killed);
    const auto deadRef = submit(dead);

    EXPECT_EQ(ended(killedRef).cause, EndCause::RemovedByOther);
    const auto seen = ended(deadRef);
    EXPECT_EQ(seen.cause, EndCause::NodeFailure);
    EXPECT_THAT(seen.reason, HasSubstr("pilot not running"));
    EXPECT_TRUE(isDone(deadRef));
}

TEST_F(DiracFault, AJobThatDiracHasPurgedIsAbsent) {
    const auto job = plan({});
    faultAt(job, "purge --seconds 1");
    const auto ref = submit(job);

    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Absent); }));
    EXPECT_FALSE(collect(ref).ok());
    EXPECT_EQ(found(job), 0U);
}

TEST_F(DiracFault, AnOutputThatLeadsElsewhereIsRefused) {
    const auto job = plan({});
    faultAt(job, "hostile-output --text parent");
    const auto ref = submit(job);
    ended(ref);

    const auto outcome = collect(ref);

    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    EXPECT_EQ(*outcome, CollectOutcome::Done);
    ASSERT_FALSE(harness.told.empty());
    EXPECT_THAT(harness.told.back(), HasSubstr(job.key.value));
    EXPECT_THAT(readFile(harness.file(job, "out/batch.log")), HasSubstr("is refused"));
    EXPECT_FALSE(std::filesystem::exists(harness.file(job, "").parent_path() / "hostile"));
}

}  // namespace
}  // namespace gridbridge::testing
