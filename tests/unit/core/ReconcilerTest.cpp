#include <gtest/gtest.h>

#include <filesystem>

#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::Outcome;
using store::State;
using Verb = testing::ScriptedBackend::Verb;
using Call = testing::FakeRunnerApi::Verb;

std::ptrdiff_t threads() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

class ReconcilerTest : public CoreFixture {};

TEST_F(ReconcilerTest, ClaimedJobRunsAndIsReportedOnce) {
    const auto row = running(1);
    backend_.print(key(row), "hello\n");
    backend_.finish(key(row));

    pass(kPoll);

    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).outcome, Outcome::Success);
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_TRUE(gitlab_.job(1).reports.front().success);
    EXPECT_EQ(gitlab_.job(1).trace, traceOf(row));
    EXPECT_NE(traceOf(row).find("hello\n"), std::string::npos);
    EXPECT_FALSE(backend_.has(key(row)));
}

TEST_F(ReconcilerTest, PollOfManyJobsIsOneQueryAndOneCommitWithoutAThreadMore) {
    std::vector<JobRow> rows{running(1)};
    const auto threadsOfOne = threads();
    for (int id = 2; id <= 300; ++id) {
        rows.push_back(claim(id));
    }
    settle();
    for (std::size_t i = 1; i < rows.size(); ++i) {
        backend_.run(key(rows[i]));
    }
    pass(kPoll);
    for (const auto row : rows) {
        ASSERT_EQ(job(row).state, State::Running);
        backend_.print(key(row), "a line\n");
    }
    EXPECT_EQ(threads(), threadsOfOne);
    const auto observed = calls(Verb::Observe);
    const auto read = calls(Verb::ReadLogs);

    clock_.advance(kPoll);
    step();
    finishCalls();
    const int committed = watch_.commits();
    step();

    EXPECT_EQ(calls(Verb::Observe), observed + 1);
    EXPECT_EQ(backend_.calls(Verb::Observe).back(), 300U);
    EXPECT_EQ(calls(Verb::ReadLogs), read + 1);
    EXPECT_EQ(watch_.commits(), committed + 1);
    for (const auto row : rows) {
        EXPECT_EQ(job(row).rawOffset, 7);
    }
    EXPECT_EQ(threads(), threadsOfOne);
}

TEST_F(ReconcilerTest, PollThatBringsNothingNewCommitsNothing) {
    running(1);
    running(2);
    settle();
    const auto observed = calls(Verb::Observe);
    const int committed = watch_.commits();

    pass(kPoll * 3);

    EXPECT_EQ(calls(Verb::Observe), observed + 3);
    EXPECT_EQ(watch_.commits(), committed);
}

TEST_F(ReconcilerTest, QueryHoldsNoMoreJobsThanTheBackendTakes) {
    backend_.abilities.maxBatch = 20;
    restart();
    std::vector<JobRow> rows;
    for (int id = 1; id <= 50; ++id) {
        rows.push_back(claim(id));
    }
    settle();
    for (const auto row : rows) {
        backend_.run(key(row));
    }
    const auto before = calls(Verb::Observe);
    const auto readBefore = calls(Verb::ReadLogs);

    clock_.advance(kPoll);
    step();
    finishCalls();

    const auto all = backend_.calls(Verb::Observe);
    EXPECT_EQ(std::vector(all.begin() + static_cast<std::ptrdiff_t>(before), all.end()),
              (std::vector<std::size_t>{20, 20, 10}));
    const auto reads = backend_.calls(Verb::ReadLogs);
    EXPECT_EQ(std::vector(reads.begin() + static_cast<std::ptrdiff_t>(readBefore), reads.end()),
              (std::vector<std::size_t>{20, 20, 10}));
    for (const auto items : backend_.calls(Verb::Submit)) {
        EXPECT_LE(items, 20U);
    }
}

TEST_F(ReconcilerTest, LogsOfJobsThatWaitAreNotAskedFor) {
    const auto waits = claim(1);
    const auto runs = running(2);
    settle();
    const auto before = calls(Verb::ReadLogs);

    pass(kPoll);

    EXPECT_EQ(job(waits).state, State::Queued);
    EXPECT_EQ(job(runs).state, State::Running);
    const auto reads = backend_.calls(Verb::ReadLogs);
    EXPECT_EQ(std::vector(reads.begin() + static_cast<std::ptrdiff_t>(before), reads.end()),
              (std::vector<std::size_t>{1}));
}

TEST_F(ReconcilerTest, CallsThatHangInTheBackendDelayNoHeartbeat) {
    const auto runs = running(1);
    clock_.advance(30s);
    settle();
    const auto before = gitlab_.calls(Call::KeepAlive, 1).size();
    backend_.gate(Verb::Observe).close();
    backend_.gate(Verb::Submit).close();
    const auto waits = claim(2);
    clock_.advance(kPoll);
    for (int i = 0; i < 5; ++i) {
        step();
        finishControlCalls();
    }
    backend_.gate(Verb::Observe).awaitSomebody();
    backend_.gate(Verb::Submit).awaitSomebody();
    const auto hangsSince = clock_.steadyNow();

    for (int second = 0; second < 60; ++second) {
        clock_.advance(1s);
        step();
        finishControlCalls();
        step();
    }

    std::vector<std::int64_t> beats;
    for (const auto& call : gitlab_.calls(Call::KeepAlive, 1)) {
        beats.push_back((call.at - start_) / 1s);
    }
    beats.erase(beats.begin(), beats.begin() + static_cast<std::ptrdiff_t>(before) - 1);
    ASSERT_EQ(beats.size(), 3U) << ::testing::PrintToString(beats);
    EXPECT_EQ(beats[1] - beats[0], 30);
    EXPECT_EQ(beats[2] - beats[1], 30);
    const auto waitingBeats = gitlab_.calls(Call::KeepAlive, 2);
    ASSERT_EQ(waitingBeats.size(), 2U);
    EXPECT_EQ((waitingBeats[1].at - waitingBeats[0].at) / 1s, 60);
    EXPECT_GE(clock_.steadyNow() - hangsSince, 60s);

    backend_.gate(Verb::Observe).open();
    backend_.gate(Verb::Submit).open();
    settle();
    EXPECT_EQ(job(waits).state, State::Queued);
    EXPECT_EQ(job(runs).state, State::Running);
}

TEST_F(ReconcilerTest, EndThatTheBackendAnnouncesIsReportedWithoutAPoll) {
    const auto row = running(1);
    settle();
    const auto before = clock_.steadyNow();
    const auto observed = calls(Verb::Observe);
    settle();
    ASSERT_EQ(calls(Verb::Observe), observed);  // Without a word nobody looks.

    backend_.finish(key(row));
    settle();

    EXPECT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_LT(clock_.steadyNow() - before, 50ms);
}

TEST_F(ReconcilerTest, EndIsReportedAtOnceThoughNothingCanBeFreed) {
    const auto row = running(1);
    settle();
    backend_.fail(Verb::Release, transientError("down"));
    const auto before = clock_.steadyNow();

    backend_.finish(key(row));
    settle();

    EXPECT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(job(row).state, State::Reporting);
    EXPECT_LT(clock_.steadyNow() - before, 50ms);
}

TEST_F(ReconcilerTest, LabelOfABatchJobHoldsNoWordForTheBatchSystem) {
    auto named = body(1);
    named.replace(named.find(R"("name":"unit")"), 13, R"("name":"a\n--wrap=x,:")");
    named.replace(named.find("\"g/p\""), 5, "\"g/ $(p)\"");
    const auto row = store_->receive("pool", "https://gitlab.example.org", "batch", Secret(named));
    capacity().take("pool", "batch");
    answers().post({row, 0, [](Facts&, Live&) {}});

    settle();

    EXPECT_EQ(backend_.job(key(row)).label, "g____p_:a_--wrap_x__:");
}

TEST_F(ReconcilerTest, EndAnnouncedDuringALookIsLookedAtOnceMore) {
    const auto row = running(1);
    settle();
    backend_.gate(Verb::ReadLogs).close();
    clock_.advance(kPoll);
    step();
    backend_.gate(Verb::ReadLogs).awaitSomebody();
    const auto observed = calls(Verb::Observe);
    backend_.changed(key(row));
    step();
    ASSERT_EQ(calls(Verb::Observe), observed);
    backend_.gate(Verb::ReadLogs).open();

    settle();

    EXPECT_EQ(calls(Verb::Observe), observed + 1);
}

TEST_F(ReconcilerTest, WordAboutAKeyThatIsNotOursHarmsNothing) {
    const auto row = running(1);
    settle();
    const auto observed = calls(Verb::Observe);

    for (const char* foreign : {"", "-", "x", "gb-a-b-c", "gb-other-99-1", "gb-x-1-"}) {
        backend_.changed({foreign});
    }
    settle();

    EXPECT_EQ(calls(Verb::Observe), observed);
    EXPECT_EQ(job(row).state, State::Running);
}

TEST_F(ReconcilerTest, NothingIsSubmittedBeforeTheIntentIsStored) {
    backend_.setFull(true);
    const auto row = claim(1);
    settle();
    ASSERT_EQ(job(row).state, State::Claimed);
    backend_.setFull(false);
    const auto submits = calls(Verb::Submit);
    const auto beats = gitlab_.calls(Call::KeepAlive, 1).size();
    testing::Person person(database());
    person.execute("BEGIN IMMEDIATE");

    pass(70s);

    EXPECT_EQ(calls(Verb::Submit), submits);
    EXPECT_EQ(job(row).state, State::Claimed);
    EXPECT_GT(gitlab_.calls(Call::KeepAlive, 1).size(), beats);
    person.execute("COMMIT");
    pass(2s);
    EXPECT_EQ(calls(Verb::Submit), submits + 1);
    EXPECT_EQ(job(row).state, State::Queued);
}

TEST_F(ReconcilerTest, WhatWasLearntWhileTheDatabaseIsLockedIsNotLost) {
    const auto row = running(1);
    settle();
    testing::Person person(database());
    person.execute("BEGIN IMMEDIATE");
    backend_.print(key(row), "last words\n");
    backend_.finish(key(row), 3);

    pass(5s);

    EXPECT_EQ(calls(Verb::Collect), 0U);
    EXPECT_EQ(gitlab_.job(1).reports.size(), 0U);
    EXPECT_EQ(gitlab_.job(1).trace.find("last words"), std::string::npos);
    person.execute("COMMIT");
    pass(5s);
    EXPECT_EQ(calls(Verb::Collect), 1U);
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(gitlab_.job(1).reports.front().exitCode, 3);
    EXPECT_EQ(gitlab_.job(1).trace, traceOf(row));
    EXPECT_NE(traceOf(row).find("last words"), std::string::npos);
}

TEST_F(ReconcilerTest, WhatAJobPrintedIsSentOnceTheLockIsGoneThoughItPrintsNothingMore) {
    const auto row = running(1);
    settle();
    testing::Person person(database());
    person.execute("BEGIN IMMEDIATE");
    backend_.print(key(row), "a line before hours of silence\n");
    pass(5 * kPoll);
    ASSERT_EQ(gitlab_.job(1).trace.find("silence"), std::string::npos);

    person.execute("COMMIT");
    pass(5 * kPoll);

    EXPECT_NE(gitlab_.job(1).trace.find("a line before hours of silence"), std::string::npos);
    EXPECT_EQ(gitlab_.job(1).trace, traceOf(row));
}

TEST_F(ReconcilerTest, WhileOneJobIsNotAcceptedNoOtherIsClaimedThoughJobsRunThere) {
    const auto isOpen = [&] {
        const bool open = capacity().take("pool", "batch") != Capacity::Place::None;
        if (open) {
            capacity().giveBack("pool", "batch");
        }
        return open;
    };
    running(1);
    settle();
    ASSERT_TRUE(isOpen());
    backend_.fail(Verb::Submit, transientError("no room"));
    const auto row = claim(2);

    for (int second = 0; second < 60; ++second) {
        pass(1s);
        ASSERT_FALSE(isOpen()) << second;
    }

    EXPECT_EQ(job(row).state, State::Claimed);
    backend_.fail(Verb::Submit, std::nullopt);
    pass(120s);
    EXPECT_EQ(job(row).state, State::Queued);
    EXPECT_TRUE(isOpen());
}

TEST_F(ReconcilerTest, AJobThatIsGoneBeforeItWasAcceptedStopsNoClaimForEver) {
    running(1);
    backend_.fail(Verb::Submit, transientError("no room"));
    const auto row = claim(2);
    settle();
    ASSERT_EQ(job(row).state, State::Claimed);
    gitlab_.endJob(2, "canceled");

    pass(120s);

    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_NE(capacity().take("pool", "batch"), Capacity::Place::None);
}

TEST_F(ReconcilerTest, LockedDatabaseIsTriedOnceASecond) {
    testing::Person person(database());
    claim(1);
    person.execute("BEGIN IMMEDIATE");

    settle();

    EXPECT_GE(step() - clock_.steadyNow(), 900ms);
}

TEST_F(ReconcilerTest, ChangeLostToAnotherWriterIsDroppedAlone) {
    backend_.setFull(true);
    const auto lost = claim(1);
    const auto kept = claim(2);
    settle();
    ASSERT_EQ(job(lost).state, State::Claimed);
    ASSERT_EQ(job(kept).state, State::Claimed);
    const auto submits = calls(Verb::Submit);
    backend_.setFull(false);
    testing::Person person(database());
    bool interfered = false;
    clock_.advance(kPoll);
    watch_.beforeNextWrite([&] {
        interfered = true;
        person.execute("UPDATE job SET state = 'collecting', due_at = NULL WHERE id = " +
                       std::to_string(static_cast<std::int64_t>(lost)));
    });

    settle();

    EXPECT_TRUE(interfered);
    EXPECT_EQ(job(lost).state, State::Collecting);
    EXPECT_FALSE(backend_.has(key(lost)));
    EXPECT_EQ(job(kept).state, State::Queued);
    EXPECT_EQ(calls(Verb::Submit), submits + 1);
    EXPECT_EQ(backend_.calls(Verb::Submit).back(), 1U);
}

TEST_F(ReconcilerTest, JobThatGitLabGivesTwiceRunsOnce) {
    const testing::LogLines lines(log_);
    const auto first = claim(1);
    settle();
    const auto second = claim(1);

    settle();

    EXPECT_EQ(job(first).state, State::Queued);
    EXPECT_EQ(job(second).state, State::Done);
    EXPECT_EQ(job(second).outcome, Outcome::Dropped);
    EXPECT_EQ(lines.count("GitLab gave the same job twice"), 2) << "the error, and the cause";
    EXPECT_EQ(lines.count("cannot be read"), 0) << lines.all();
    EXPECT_FALSE(backend_.has(key(second)));
}

TEST_F(ReconcilerTest, SubmissionThatIsNeverThereIsRepeatedWithPauses) {
    backend_.fail(Verb::Submit, uncertainError("nobody knows"));
    const auto row = claim(1);

    pass(60s);

    EXPECT_GE(job(row).submission.attempt, 3);
    EXPECT_LE(job(row).submission.attempt, 6);
    const auto trace = traceOf(row);
    EXPECT_NE(trace.find("nobody knows"), std::string::npos) << trace;
    EXPECT_EQ(trace.find("nobody knows"), trace.rfind("nobody knows")) << "told once";
}

TEST_F(ReconcilerTest, AnAttemptThatNeverStartedIsFreedBeforeTheNextAlsoAfterARestart) {
    backend_.fail(Verb::Submit, uncertainError("nobody knows"));
    backend_.fail(Verb::Release, transientError("down"));
    const auto row = claim(1);
    pass(kPoll * 6);
    backend_.fail(Verb::Submit, std::nullopt);
    restart();
    pass(kPoll * 6);
    ASSERT_EQ(job(row).submission.attempt, 1);
    backend_.fail(Verb::Release, std::nullopt);

    pass(kPoll * 12);

    EXPECT_EQ(job(row).submission.attempt, 2);
    EXPECT_EQ(job(row).state, State::Queued);
}

TEST_F(ReconcilerTest, AJobThatIsDueAndWaitsForACallDoesNotKeepTheCoreBusy) {
    const auto row = running(1);
    backend_.gate(Verb::Collect).close();
    backend_.finish(key(row));
    for (int i = 0; i < 10 && job(row).state != store::State::Collecting; ++i) {
        step();
        if (job(row).state != store::State::Collecting) {
            finishCalls();
        }
    }
    backend_.gate(Verb::Collect).awaitSomebody();
    clock_.advance(kPoll * 2);
    for (int i = 0; i < 3; ++i) {
        step();
        finishControlCalls();
    }

    EXPECT_GE(step(), clock_.steadyNow() + 1s);
    backend_.gate(Verb::Collect).open();
}

}  // namespace
}  // namespace gridbridge::core
