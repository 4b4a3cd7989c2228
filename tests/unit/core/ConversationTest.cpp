#include <gtest/gtest.h>

#include <numeric>

#include "bridge/core/Conversation.h"
#include "bridge/gitlab/Crc32.h"
#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using gitlab::CallOutcome;
using gitlab::JobAnswer;
using store::Outcome;
using store::State;
using Verb = testing::ScriptedBackend::Verb;
using Call = testing::FakeRunnerApi::Verb;

class ConversationTest : public CoreFixture {
protected:
    /// Seconds between one contact about the job and the next, from `since` on.
    std::vector<std::int64_t> gaps(std::int64_t id, SteadyTime since) const {
        auto times = contacts(id, since);
        std::adjacent_difference(times.begin(), times.end(), times.begin());
        return times.empty() ? times : std::vector(times.begin() + 1, times.end());
    }
    std::vector<std::int64_t> contacts(std::int64_t id, SteadyTime since) const {
        std::vector<GitLab::Call> about;
        for (const auto& call : gitlab_.calls()) {
            if (call.job == id && call.at >= since) {
                about.push_back(call);
            }
        }
        return seconds(about);
    }
    void kill(JobRow row) {
        backend_.finish(key(row), 137);
        pass(kPoll * 3);
    }
};

TEST_F(ConversationTest, RunningJobHasAHeartbeatEveryThirtySeconds) {
    running(1);
    pass(30s);
    const auto since = clock_.steadyNow();

    pass(150s);

    EXPECT_EQ(gaps(1, since), (std::vector<std::int64_t>(5, 30)));
}

TEST_F(ConversationTest, WaitingJobHasAHeartbeatEveryMinute) {
    claim(1);
    pass(60s);
    const auto since = clock_.steadyNow();

    pass(300s);

    EXPECT_EQ(gaps(1, since), (std::vector<std::int64_t>(5, 60)));
}

TEST_F(ConversationTest, ClaimIsAcknowledgedBeforeAnyLogIsSent) {
    running(1);
    pass(10s);

    const auto calls = gitlab_.calls();
    ASSERT_FALSE(gitlab_.calls(Call::Trace).empty());
    EXPECT_EQ(calls.front().verb, Call::KeepAlive);
}

TEST_F(ConversationTest, HeartbeatsAreStretchedToTheNumberOfOpenJobsOfTheirServer) {
    Lane lane("unused", 1, [](const std::string&) {});
    World world{{}, {}, lane, lane, lane, "", "", ""};
    for (const std::string name : {"here", "there"}) {
        world.runners[name] = std::unique_ptr<RunnerEntry>(
            new RunnerEntry{name, "https://" + name, gitlab_, Identity({}), "batch", name, ""});
    }
    const Trace trace(folder_.path() / "traces");
    Conversation conversation(clock_, world, answers(), trace, log_);
    Live live;
    live.runner = "here";
    live.credentials = {1, Secret("token-1")};
    live.lastContact = clock_.steadyNow();
    live.waiting = false;
    live.greeted = true;
    Live elsewhere = live;
    elsewhere.runner = "there";
    const auto open = [&](int jobs) {
        for (int i = 0; i < jobs; ++i) {
            conversation.opened(elsewhere);
        }
        return conversation.talk(JobRow{1}, elsewhere) - live.lastContact;
    };

    EXPECT_EQ(open(1000), 30s);
    EXPECT_EQ(open(4000), 100s);
    EXPECT_EQ(open(45000), 5min);
    EXPECT_EQ(conversation.talk(JobRow{1}, live) - live.lastContact, 30s);
}

TEST_F(ConversationTest, AfterARestartHeartbeatsAreSpread) {
    constexpr std::int64_t kJobs = 300;
    for (std::int64_t id = 1; id <= kJobs; ++id) {
        store_->receive("pool", "https://gitlab.example.org", "batch", Secret(body(id)));
    }
    restart();
    pass(1min);
    restart();
    const auto since = clock_.steadyNow();
    const auto before = static_cast<std::ptrdiff_t>(gitlab_.calls(Call::KeepAlive).size());
    pass(20s);

    auto beats = gitlab_.calls(Call::KeepAlive);
    beats.erase(beats.begin(), beats.begin() + before);
    ASSERT_EQ(beats.size(), static_cast<std::size_t>(kJobs)) << "one each";
    for (std::size_t i = 0; i < beats.size(); ++i) {
        EXPECT_EQ(beats[i].job, static_cast<std::int64_t>(i) + 1) << "oldest claim first";
        if (i >= 55) {
            EXPECT_GT(beats[i].at - beats[i - 55].at, 1s);
        }
    }
    EXPECT_LE(beats.back().at - since, 7s);
}

TEST_F(ConversationTest, AfterAnOutageHeartbeatsComeFirstThenLogsThenReports) {
    std::vector<JobRow> rows;
    for (std::int64_t id = 1; id <= 6; ++id) {
        rows.push_back(running(id));
        pass(2s);
    }
    gitlab_.setAway(true);
    const auto lost = clock_.steadyNow();
    backend_.finish(key(rows[0]));
    backend_.print(key(rows[1]), "a line\n");
    pass(20min);
    const auto tried = gitlab_.calls();
    EXPECT_LE(std::count_if(tried.begin(), tried.end(),
                            [&](const auto& call) { return call.at >= lost; }),
              100)
        << "one call at a time asks whether it is back";
    gitlab_.setAway(false);
    const auto back = clock_.steadyNow();
    const auto before = gitlab_.calls().size();
    pass(25s);

    std::map<std::int64_t, SteadyTime> contact;
    for (std::size_t i = 0; i < before; ++i) {
        if (tried[i].answer.outcome == CallOutcome::Done) {
            contact[tried[i].job] = tried[i].at;
        }
    }
    auto said = gitlab_.calls();
    said.erase(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(before));
    ASSERT_GE(said.size(), 8U);
    std::set<std::int64_t> greeted;
    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(said[i].verb, Call::KeepAlive);
        greeted.insert(said[i].job);
        if (i > 1) {  // The first one asked whether it is back.
            EXPECT_LE(contact[said[i - 1].job], contact[said[i].job]);
        }
    }
    EXPECT_EQ(greeted.size(), 6U);
    EXPECT_EQ(said[6].verb, Call::Trace);
    EXPECT_EQ(said[6].job, 1);
    const auto report = std::find_if(said.begin(), said.end(),
                                     [](const auto& call) { return call.verb == Call::Finish; });
    const auto log = std::find_if(said.begin(), said.end(), [](const auto& call) {
        return call.verb == Call::Trace && call.job == 2;
    });
    EXPECT_LT(log - said.begin(), report - said.begin());
    EXPECT_EQ(job(rows[0]).state, State::Done);
    EXPECT_LE(said[6].at - back, 16s);
}

TEST_F(ConversationTest, LogThatGitLabLostIsSentAgainFromWhereItSays) {
    const auto row = running(1);
    backend_.print(key(row), "first line\n");
    pass(kPoll);
    gitlab_.truncateTrace(1, 5);
    backend_.print(key(row), "second line\n");

    pass(kPoll);

    EXPECT_EQ(gitlab_.job(1).trace, traceOf(row));
    const auto sent = gitlab_.calls(Call::Trace, 1);
    EXPECT_EQ(sent.back().offset, 5);
    EXPECT_EQ(sent.at(sent.size() - 2).answer.outcome, CallOutcome::Mismatch);
}

TEST_F(ConversationTest, LogLongerThanEverSentIsNotContinued) {
    const auto row = running(1);
    pass(kPoll);
    JobAnswer longer;
    longer.outcome = CallOutcome::Mismatch;
    longer.serverSize = 1'000'000;
    gitlab_.answerNext(Call::Trace, longer, 100000);
    backend_.print(key(row), "a line\n");
    const auto before = gitlab_.calls(Call::Trace).size();

    pass(60s);

    EXPECT_LE(gitlab_.calls(Call::Trace).size(), before + 20);
    EXPECT_EQ(job(row).state, State::Running);
}

TEST_F(ConversationTest, ServerThatContradictsItselfAboutTheSizeIsNotAskedInALoop) {
    const auto row = running(1);
    pass(kPoll);
    const auto sent = static_cast<std::int64_t>(gitlab_.job(1).trace.size());
    JobAnswer same;
    same.outcome = CallOutcome::Mismatch;
    same.serverSize = sent;
    gitlab_.answerNext(Call::Trace, same, 100000);
    backend_.print(key(row), "a line\n");
    const auto before = gitlab_.calls(Call::Trace).size();

    pass(60s);
    backend_.finish(key(row));
    pass(60s);

    EXPECT_LE(gitlab_.calls(Call::Trace).size(), before + 20);
    EXPECT_EQ(gitlab_.job(1).reports.size(), 1U);
}

TEST_F(ConversationTest, LogThatCannotBeReadHereIsToldAsThatAndDelaysNoHeartbeat) {
    const auto row = running(1);
    gitlab_.answerNext(Call::Trace, {});
    backend_.print(key(row), "a line\n");
    clock_.advance(kPoll);
    step();
    finishCalls();
    step();
    finishCalls();
    step();
    const auto trace =
        folder_.path() / "traces" / (store::jobKey(store_->installation(), row) + ".log");
    const auto away = trace.string() + ".away";
    // A file that was removed is one that has nothing in it; this one cannot be opened.
    const auto hide = [&] {
        std::filesystem::rename(trace, away);
        std::filesystem::create_symlink(trace, trace);
    };
    hide();
    const testing::LogLines lines(log_);
    pass(30s);
    const auto since = clock_.steadyNow();

    pass(150s);

    EXPECT_EQ(gaps(1, since), (std::vector<std::int64_t>(4, 30)));
    EXPECT_EQ(lines.count("a trace cannot be read, trying again"), 1) << lines.all();
    EXPECT_EQ(lines.count("GitLab does not take"), 0) << lines.all();
    gitlab_.setAway(true);
    std::filesystem::rename(away, trace);
    backend_.finish(key(row));
    settle();
    hide();
    gitlab_.setAway(false);
    pass(90s);
    EXPECT_EQ(job(row).state, State::Reporting) << "the log comes before the report";
    EXPECT_TRUE(gitlab_.job(1).reports.empty());

    std::filesystem::rename(away, trace);
    pass(90s);

    EXPECT_EQ(gitlab_.job(1).trace, traceOf(row));
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_TRUE(gitlab_.job(1).reports.front().traceEnd);
    EXPECT_EQ(lines.count("a trace cannot be read, trying again"), 1) << lines.all();
}

TEST_F(ConversationTest, ReportFollowsTheWholeTrace) {
    const auto row = running(1);
    pass(kPoll);
    std::string text;
    while (text.size() < 3'000'000) {
        text += "line " + std::to_string(text.size()) + "\n";
    }
    backend_.print(key(row), text);
    backend_.finish(key(row));

    pass(30s);

    const auto trace = gitlab_.job(1).trace;
    EXPECT_EQ(trace, traceOf(row));
    EXPECT_NE(trace.find(text), std::string::npos);
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    const auto end = gitlab_.job(1).reports.front().traceEnd;
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->bytes, static_cast<std::int64_t>(trace.size()));
    EXPECT_EQ(end->crc32, gitlab::crc32(0, trace));
    EXPECT_EQ(gitlab_.calls().back().verb, Call::Finish);
    for (const auto& call : gitlab_.calls(Call::Trace)) {
        EXPECT_LE(call.bytes, 1U << 20U);
    }
}

TEST_F(ConversationTest, ReportIsSentAgainAfterNetworkErrorsWithPausesAndHeartbeats) {
    const auto row = running(1);
    gitlab_.answerNext(Call::Finish, JobAnswer{}, 12);
    backend_.finish(key(row), 5);
    settle();
    const auto since = clock_.steadyNow();

    pass(15min);

    EXPECT_EQ(gitlab_.calls(Call::Finish, 1).size(), 13U);
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(gitlab_.job(1).reports.front().exitCode, 5);
    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_GE(gitlab_.calls(Call::KeepAlive, 1).size(), 9U);
    for (const auto gap : gaps(1, since)) {
        EXPECT_LE(gap, 61);
    }
}

TEST_F(ConversationTest, DeferredReportIsRepeatedWhenTheServerSays) {
    const auto row = running(1);
    JobAnswer deferred;
    deferred.outcome = CallOutcome::Deferred;
    deferred.retryAfter = 7s;
    gitlab_.answerNext(Call::Finish, deferred, 2);
    backend_.finish(key(row));

    pass(30s);

    const auto times = seconds(gitlab_.calls(Call::Finish, 1));
    ASSERT_EQ(times.size(), 3U);
    EXPECT_EQ(times[1] - times[0], 7);
    EXPECT_EQ(times[2] - times[1], 7);
    EXPECT_EQ(job(row).state, State::Done);
}

TEST_F(ConversationTest, JobThatGitLabTookAwayIsKilledAndNothingMoreIsSent) {
    const auto row = running(1);
    pass(30s);
    gitlab_.endJob(1, "canceled");

    pass(30s);

    EXPECT_EQ(backend_.job(key(row)).cancels.front(), CancelKind::Hard);
    EXPECT_EQ(job(row).outcome, Outcome::Dropped);
    const auto calls = gitlab_.calls().size();
    backend_.print(key(row), "last words\n");
    kill(row);
    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(gitlab_.calls().size(), calls);
    EXPECT_TRUE(gitlab_.job(1).reports.empty());
}

TEST_F(ConversationTest, JobTakenAwayWhileItsReportWaitsIsNotReported) {
    const auto row = running(1);
    settle();
    gitlab_.endJob(1, "canceled");
    gitlab_.gate(Call::KeepAlive).close();
    clock_.advance(30s);
    step();
    gitlab_.gate(Call::KeepAlive).awaitSomebody();
    backend_.finish(key(row));
    for (int i = 0; i < 100 && !HasFatalFailure() && job(row).state != State::Reporting; ++i) {
        step();
        finishBatchCalls();
    }
    ASSERT_EQ(job(row).state, State::Reporting);
    const auto before = gitlab_.calls().size();
    gitlab_.gate(Call::KeepAlive).open();

    pass(30s);

    EXPECT_EQ(gitlab_.calls().size(), before + 1);  // The heartbeat that was on its way.
    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).outcome, Outcome::Dropped);
}

TEST_F(ConversationTest, ReportWhoseAnswerWasLostIsSettledByTheNextHeartbeat) {
    const auto row = running(1);
    gitlab_.loseAnswers(1);
    backend_.finish(key(row));
    settle();
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    ASSERT_EQ(job(row).state, State::Reporting);
    gitlab_.answerNext(Call::Finish, JobAnswer{}, 100);

    pass(5min);

    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).outcome, Outcome::Success);
}

TEST_F(ConversationTest, CancelInGitLabReachesTheWrapperAndIsReportedOnce) {
    const auto row = running(1);
    pass(10s);
    auto canceling = GitLab::done();
    canceling.status = gitlab::JobStatus::Canceling;
    gitlab_.answerNext(Call::KeepAlive, canceling);

    pass(30s);
    ASSERT_FALSE(backend_.job(key(row)).cancels.empty());
    EXPECT_EQ(backend_.job(key(row)).cancels.front(), CancelKind::Soft);
    kill(row);

    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_EQ(gitlab_.job(1).reports.front().failureReason, "unknown_failure");
    EXPECT_EQ(job(row).outcome, Outcome::Canceled);
}

TEST_F(ConversationTest, ServerSaysHowOftenItWantsLog) {
    const auto row = running(1);
    auto slower = GitLab::done();
    slower.updateInterval = 20s;
    gitlab_.answerNext(Call::KeepAlive, slower, 1);
    pass(30s);
    const auto before = gitlab_.calls(Call::Trace).size();

    for (int i = 0; i < 12; ++i) {
        backend_.print(key(row), "a line\n");
        pass(kPoll);
    }

    EXPECT_GE(gitlab_.calls(Call::Trace).size(), before + 5);
    EXPECT_LE(gitlab_.calls(Call::Trace).size(), before + 7);
}

}  // namespace
}  // namespace gridbridge::core
