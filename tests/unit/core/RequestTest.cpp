// What operators ask for with cancel, drain and resume.
#include <gmock/gmock.h>
#include <spdlog/sinks/ringbuffer_sink.h>

#include "bridge/core/Claimer.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::RequestKind;
using store::RequestState;
using store::State;
using ::testing::HasSubstr;
using Verb = testing::ScriptedBackend::Verb;
using Call = testing::FakeRunnerApi::Verb;

class RequestTest : public CoreFixture {
protected:
    std::int64_t cancel(JobRow row) {
        return store::addRequest(
            folder_.path(), {.kind = RequestKind::Cancel, .job = row, .askedAt = clock_.wallNow()});
    }
    void ask(RequestKind kind, const std::string& runner = "") {
        last_ = store::addRequest(folder_.path(),
                                  {.kind = kind, .runner = runner, .askedAt = clock_.wallNow()});
        pass(1s);
    }
    store::Request settled(std::int64_t id) {
        return store::JobReader(folder_.path()).request(id).value();
    }
    bool claims() {
        Claimer claimer(clock_, *store_, runner(), capacity(), answers(), log_, interval_);
        gitlab_.offer(body(next_++));
        const auto before = gitlab_.calls(Call::Claim).size();
        claimer.step({});
        settle();
        return gitlab_.calls(Call::Claim).size() > before;
    }

    std::int64_t last_ = 0;
    std::int64_t next_ = 100;
    const std::atomic<Millis> interval_{3s};
};

TEST_F(RequestTest, StopsAJobThatWaitsAndSaysSoInItsLog) {
    const auto row = claim(1);
    settle();
    ASSERT_EQ(job(row).state, State::Queued);

    const auto request = cancel(row);
    pass(kPoll * 2);

    EXPECT_EQ(backend_.job(key(row)).cancels.front(), CancelKind::Hard);
    EXPECT_EQ(gitlab_.job(1).reports.at(0).failureReason, "runner_system_failure")
        << "the server lists no runner_interrupted";
    EXPECT_THAT(gitlab_.job(1).trace,
                HasSubstr("ERROR: Job failed (system failure): an operator stopped the job"));
    EXPECT_EQ(settled(request).state, RequestState::Done);
    EXPECT_EQ(settled(request).result, "the job is being stopped");
}

TEST_F(RequestTest, AsksARunningScriptToStopAndWaitsForItsEnd) {
    const auto row = running(1);

    cancel(row);
    pass(1s);

    EXPECT_EQ(job(row).state, State::Running);
    EXPECT_EQ(backend_.job(key(row)).cancels.front(), CancelKind::Soft);
    EXPECT_EQ(job(row).stopCause, "an operator stopped the job");
}

TEST_F(RequestTest, AScriptThatEndedByItselfKeepsItsVerdict) {
    const auto row = running(1);
    cancel(row);
    pass(1s);

    backend_.finish(key(row), 3);
    pass(kPoll);

    EXPECT_EQ(job(row).failureReason, "script_failure");
    EXPECT_EQ(job(row).exitCode, 3);
}

TEST_F(RequestTest, IsTakenUpByTheNextServiceWhereNoneRan) {
    const auto row = running(1);
    const auto request = cancel(row);

    restart();
    pass(1s);

    EXPECT_EQ(settled(request).state, RequestState::Done);
    EXPECT_EQ(backend_.job(key(row)).cancels.front(), CancelKind::Soft);
}

TEST_F(RequestTest, WhatCannotBeStoppedAnyMoreIsRefusedWithTheReason) {
    const auto row = running(1);
    backend_.finish(key(row));
    pass(kPoll);
    ASSERT_EQ(job(row).state, State::Done);

    const auto request = cancel(row);
    pass(1s);

    EXPECT_EQ(settled(request).state, RequestState::Refused);
    EXPECT_EQ(settled(request).result, "the job had ended already");
    EXPECT_TRUE(store_->openRequests().empty());
}

TEST_F(RequestTest, AJobThatGitLabHasCanceledStaysCanceled) {
    const auto row = running(1);
    auto canceling = GitLab::done();
    canceling.status = gitlab::JobStatus::Canceling;
    gitlab_.answerNext(Call::KeepAlive, canceling);
    pass(30s);
    ASSERT_EQ(job(row).cancel, store::Cancel::Soft);

    const auto request = cancel(row);
    pass(1s);

    EXPECT_EQ(settled(request).result, "the job is being stopped, as GitLab has asked for already");
    EXPECT_EQ(job(row).stopCause, "");
}

TEST_F(RequestTest, ADrainedRunnerClaimsNothingAlsoAfterARestartUntilItIsResumed) {
    store_->saveRunner({.name = "pool", .serverUrl = "https://gitlab.example.org"});
    settle();
    ASSERT_TRUE(claims());

    ask(RequestKind::Drain, "pool");
    EXPECT_EQ(settled(last_).result, "claims nothing any more: pool");
    EXPECT_FALSE(claims());

    store_->saveRunner({.name = "pool", .serverUrl = "https://gitlab.example.org"});
    restart();
    settle();
    EXPECT_FALSE(claims());
    EXPECT_TRUE(store_->runners().at(0).draining);

    ask(RequestKind::Resume);
    EXPECT_EQ(settled(last_).result, "claims jobs again: pool");
    EXPECT_TRUE(claims());
}

TEST_F(RequestTest, AnUnknownRunnerCannotBeDrained) {
    ask(RequestKind::Drain, "loop");

    EXPECT_EQ(settled(last_).state, RequestState::Refused);
    EXPECT_EQ(settled(last_).result, "there is no runner loop in the configuration");
}

TEST_F(RequestTest, ADrainedRunnerStaysInContactWithGitLab) {
    settle();
    capacity().drain("pool", true);
    Claimer claimer(clock_, *store_, runner(), capacity(), answers(), log_, interval_);

    SteadyTime last = clock_.steadyNow();
    for (const auto end = last + 24h; clock_.steadyNow() < end; clock_.advance(1min)) {
        claimer.step({});
    }

    const auto calls = gitlab_.calls(Call::Verify);
    EXPECT_GE(calls.size(), 24U);
    EXPECT_LE(calls.size(), 36U);
    for (const auto& call : calls) {
        EXPECT_LE(call.at - last, 1h);
        last = call.at;
    }
    EXPECT_TRUE(gitlab_.calls(Call::Claim).empty());
}

TEST_F(RequestTest, AJobThatMayNotRunHereFailsBeforeAnythingIsSubmitted) {
    runner().access.allowedProjects = {"astro/*"};
    const auto row = claim(1);
    pass(1s);

    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(job(row).failureReason, "runner_configuration_error");
    EXPECT_THAT(gitlab_.job(1).trace, HasSubstr("Job failed (system failure): this runner takes "
                                                "no jobs of the project g/p"));
    EXPECT_EQ(calls(Verb::Submit), 0U);
}

TEST_F(RequestTest, ABanStopsJobsThatWaitAndLetsRunningOnesGoOn) {
    const auto runs = running(1);
    const auto waits = claim(2);
    settle();
    ASSERT_EQ(job(waits).state, State::Queued);

    runner().access.bannedProjects = {"g/p"};
    reconciler().accessChanged();
    pass(kPoll);

    EXPECT_EQ(job(waits).failureReason, "runner_configuration_error");
    EXPECT_EQ(job(waits).stopCause, "the project g/p is banned from this runner");
    EXPECT_EQ(gitlab_.job(2).reports.size(), 1U);
    EXPECT_EQ(job(runs).state, State::Running);
    EXPECT_TRUE(backend_.job(key(runs)).cancels.empty());
}

TEST_F(RequestTest, JobsThatWaitedLongAtGitLabRaiseOneAlarmAnHour) {
    const auto errors = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(16);
    log_.sinks().push_back(errors);
    const auto claimAfter = [&](std::int64_t id, int seconds) {
        auto text = body(id);
        const std::string name = R"("job_info":{)";
        text.insert(text.find(name) + name.size(),
                    R"("time_in_queue_seconds":)" + std::to_string(seconds) + ",");
        const auto row =
            store_->receive("pool", "https://gitlab.example.org", "batch", Secret(text));
        answers().post({row, 0, [](Facts&, Live&) {}});
        settle();
    };
    const auto alarms = [&] {
        const auto lines = errors->last_formatted();
        return std::count_if(lines.begin(), lines.end(), [](const auto& line) {
            return line.find("jobs wait long at GitLab") != std::string::npos;
        });
    };

    claimAfter(1, 12 * 3600);
    EXPECT_EQ(alarms(), 0);
    claimAfter(2, 13 * 3600);
    claimAfter(3, 13 * 3600);
    EXPECT_EQ(alarms(), 1);
    pass(1h);
    claimAfter(4, 13 * 3600);
    EXPECT_EQ(alarms(), 2);
}

}  // namespace
}  // namespace gridbridge::core
