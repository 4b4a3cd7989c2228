// A log that is shorter than it should be: cut by its job, or not all here yet.
#include "tests/unit/core/CoreFixture.h"
#include "tests/unit/core/DecisionFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::State;

using CutLogDecision = DecisionFixture;

TEST_F(CutLogDecision, NoByteIsMissedBeforeTheRestOfTheLogWasRead) {
    in(State::Running);
    job.submission.statusAt = now - 10min;  // The service was away.
    ends("success", "", 0);
    facts.end->logBytes = 100;
    go();
    EXPECT_EQ(job.state, State::Running);

    ends("success", "", 0);
    facts.end->logBytes = 100;
    facts.log = LogFact{"12345", false};
    EXPECT_TRUE(go().effects.has(Effect::Look));
    EXPECT_EQ(job.state, State::Running);

    job.rawOffset = 5;
    ends("success", "", 0);
    facts.end->logBytes = 100;
    facts.log = LogFact{"67890", true};
    go();
    EXPECT_EQ(job.state, State::Collecting);
}

TEST_F(CutLogDecision, LogThatBecameShorterThanWhatWasReadSaysSo) {
    in(State::Running);
    job.rawOffset = 10;
    ends("success", "", 0);
    facts.end->logBytes = 4;
    facts.log = LogFact{};

    const auto decision = go();

    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_NE(decision.after.find("WARNING: the job cut its own log"), std::string::npos)
        << decision.after;
}

TEST_F(CutLogDecision, LogThatWasCutIsLeftWithOneLineAndTheVerdictIsWaitedFor) {
    in(State::Running);
    job.rawOffset = 10;
    facts.log = LogFact{.bytes = "", .cut = true};
    const auto told = go().before;
    EXPECT_EQ(job.state, State::Running);
    EXPECT_EQ(job.traceState, store::TraceState::Limited);
    EXPECT_NE(told.find("WARNING: the job cut its own log after 10 bytes"), std::string::npos)
        << told;

    for (const std::int64_t bytes : {4, 500}) {
        job.state = State::Running;
        ends("failed", "", 3);
        facts.end->logBytes = bytes;
        facts.log = LogFact{};
        const auto decision = go();
        EXPECT_EQ(job.state, State::Collecting) << bytes;
        EXPECT_EQ(decision.before + decision.after, "") << bytes;
    }
}

TEST_F(CutLogDecision, LogThatWasCutAtTheEndIsToldOnce) {
    in(State::Running);
    job.rawOffset = 10;
    ends("failed", "", 3);
    facts.end->logBytes = 4;
    facts.log = LogFact{.bytes = "", .cut = true};

    const auto decision = go();

    EXPECT_EQ(job.state, State::Collecting);
    EXPECT_NE(decision.before.find("cut its own log"), std::string::npos);
    EXPECT_EQ(decision.after, "");
}

class CutLogTest : public CoreFixture {};

TEST_F(CutLogTest, LogThatWasOnceShorterIsNeverReadOnAlsoAfterARestart) {
    const auto row = running(1);
    backend_.print(key(row), "first line\n");
    pass(kPoll);
    backend_.replaceLog(key(row), "short\n");
    pass(kPoll);
    const auto commits = watch_.commits();
    pass(kPoll * 3);
    EXPECT_EQ(watch_.commits(), commits) << "it is told and stored once";
    backend_.replaceLog(key(row), "another and longer\n" + std::string(1000, 'x') + "\n");
    pass(kPoll);

    restart();
    pass(kPoll);
    backend_.finish(key(row), 3);
    pass(kPoll);

    const auto trace = gitlab_.job(1).trace;
    EXPECT_EQ(trace, traceOf(row));
    EXPECT_NE(trace.find("first line\n\033[0;33mWARNING: the job cut its own log after 11 bytes"),
              std::string::npos)
        << trace;
    EXPECT_EQ(trace.find("cut its own log"), trace.rfind("cut its own log"));
    EXPECT_EQ(trace.find("xx"), std::string::npos);
    EXPECT_EQ(gitlab_.job(1).reports.at(0).exitCode, 3);
}

TEST_F(CutLogTest, LogThatWasShorterWhileTheDatabaseWasLockedIsNotReadOn) {
    const auto row = running(1);
    backend_.print(key(row), "first line\n");
    pass(kPoll);
    testing::Person person(database());
    person.execute("BEGIN IMMEDIATE");
    backend_.replaceLog(key(row), "short\n");
    pass(kPoll);
    backend_.replaceLog(key(row), "another and longer\n");
    pass(kPoll);
    person.execute("COMMIT");

    pass(kPoll);

    EXPECT_NE(traceOf(row).find("cut its own log"), std::string::npos);
    EXPECT_EQ(traceOf(row).find("longer"), std::string::npos) << traceOf(row);
}

}  // namespace
}  // namespace gridbridge::core
