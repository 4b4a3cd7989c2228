#include <gtest/gtest.h>

#include "bridge/core/Claimer.h"
#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::State;
using Verb = testing::ScriptedBackend::Verb;
using Call = testing::FakeRunnerApi::Verb;

using testing::LogLines;

class ClaimerTest : public CoreFixture {
protected:
    static constexpr Millis kInterval{3000};
    const std::atomic<Millis> interval_{kInterval};

    /// A core that has come to rest, and a GitLab with more jobs than anybody takes.
    void begin() {
        restart();
        settle();
        for (int id = 1; id <= 20; ++id) {
            gitlab_.offer(body(id));
        }
        makeClaimer();
    }
    void makeClaimer() {
        claimer_.emplace(clock_, *store_, runner(), capacity(), answers(), log_, interval_);
    }
    /// Claims until there is no place; returns how many jobs were claimed.
    std::size_t claimed() {
        const auto before = store_->open().size();
        while (claimer_->step({}) == 0ms) {
        }
        const auto now = store_->open().size();
        settle();
        return now - before;
    }
    std::size_t requests() const { return gitlab_.calls(Call::Claim).size(); }

    /// A claimer that GitLab has given a value to ask with, and whose next questions take `time`.
    void beginHeld(Millis time) {
        restart();
        settle();
        makeClaimer();
        gitlab_.answerClaims(nothing("v1"), 1);
        ASSERT_EQ(claimer_->step({}), kInterval);
        gitlab_.holdClaims([this, time] { clock_.advance(time); });
    }
    static gitlab::ClaimAnswer nothing(const std::string& lastUpdate) {
        return {.outcome = gitlab::ClaimOutcome::NoJob, .lastUpdate = lastUpdate};
    }
    static gitlab::ClaimAnswer cutOff() {
        return {.outcome = gitlab::ClaimOutcome::Retry, .message = "504", .cutOff = true};
    }
    std::vector<std::string> values() const {
        std::vector<std::string> result;
        for (const auto& call : gitlab_.calls(Call::Claim)) {
            result.push_back(call.lastUpdate);
        }
        return result;
    }

    std::optional<Claimer> claimer_;
};

TEST_F(ClaimerTest, HeldQuestionIsAskedAgainAtOnceAndWithTheSameValue) {
    beginHeld(30s);
    gitlab_.answerClaims(nothing(""), 2);

    EXPECT_EQ(claimer_->step({}), 0ms);
    EXPECT_EQ(claimer_->step({}), 0ms);
    gitlab_.answerClaims(nothing("v2"), 1);
    EXPECT_EQ(claimer_->step({}), kInterval);
    claimer_->step({});

    EXPECT_EQ(values(), (std::vector<std::string>{"", "v1", "v1", "v1", "v2"}));
}

TEST_F(ClaimerTest, EmptyAnswerThatWasNotHeldIsNotRepeatedAtOnce) {
    beginHeld(5ms);
    gitlab_.answerClaims(nothing(""), 1);

    EXPECT_EQ(claimer_->step({}), kInterval);
}

TEST_F(ClaimerTest, HeldQuestionThatAProxyGivesUpIsNoOutage) {
    const LogLines lines(log_);
    beginHeld(30s);
    gitlab_.answerClaims(cutOff(), 5);

    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(claimer_->step({}), kInterval);
    }

    EXPECT_EQ(lines.count("claims fail"), 0);
    EXPECT_EQ(lines.count("a proxy gives up questions that GitLab holds"), 1);
}

TEST_F(ClaimerTest, QuestionThatBreaksSoonOrIsNeverAnsweredIsAnOutage) {
    for (const Millis time : {Millis(2s), Millis(120s)}) {
        const LogLines lines(log_);
        beginHeld(time);
        gitlab_.answerClaims(cutOff(), 2);

        EXPECT_EQ(claimer_->step({}), 2 * kInterval);
        EXPECT_EQ(claimer_->step({}), 4 * kInterval);
        EXPECT_EQ(lines.count("claims fail"), 1);
        gitlab_.holdClaims({});
    }
}

TEST_F(ClaimerTest, LastPlaceIsNotKeptFromOtherRunnersByAHeldQuestion) {
    beginHeld(5ms);
    Capacity shared(1, {{"pool", 9}, {"other", 9}}, {{"batch", 9}});
    shared.backendState("batch", 0, true);
    claimer_.emplace(clock_, *store_, runner(), shared, answers(), log_, interval_);
    gitlab_.answerClaims(nothing("v1"), 2);

    claimer_->step({});
    claimer_->step({});

    EXPECT_EQ(values(), (std::vector<std::string>{"", "", ""}));
}

TEST_F(ClaimerTest, StopsAtConcurrentWithoutAskingForMore) {
    concurrent_ = 3;
    begin();

    EXPECT_EQ(claimed(), 3U);
    EXPECT_EQ(claimed(), 0U);
    EXPECT_EQ(requests(), 3U);
}

TEST_F(ClaimerTest, StopsAtTheRunnersLimitUntilAJobIsDone) {
    limit_ = 2;
    begin();
    ASSERT_EQ(claimed(), 2U);
    ASSERT_EQ(claimed(), 0U);

    const auto row = store_->open().front();
    backend_.run(key(row));
    backend_.finish(key(row));
    settle();

    EXPECT_EQ(job(row).state, State::Done);
    EXPECT_EQ(claimed(), 1U);
    EXPECT_EQ(requests(), 3U);
}

TEST_F(ClaimerTest, StopsWhileTooManyJobsWaitInTheBackend) {
    maxPending_ = 2;
    begin();
    ASSERT_EQ(claimed(), 2U);
    ASSERT_EQ(claimed(), 0U);

    backend_.run(key(store_->open().front()));
    pass(kPoll);

    EXPECT_EQ(claimed(), 1U);
    EXPECT_EQ(requests(), 3U);
}

TEST_F(ClaimerTest, StopsWhileTheBackendSaysThatItIsFull) {
    begin();
    backend_.setFull(true);
    limit_ = 1;
    gitlab_.offer(body(21));
    ASSERT_EQ(claimer_->step({}), 0ms);
    settle();

    EXPECT_EQ(claimed(), 0U);

    backend_.setFull(false);
    pass(kPoll);
    EXPECT_GT(claimed(), 0U);
}

TEST_F(ClaimerTest, StopsWhileTheLoadOfTheBackendIsUnknownAndTellsOnce) {
    const LogLines lines(log_);
    begin();
    claimer_->step({});
    settle();
    backend_.fail(Verb::Observe, transientError("controller down"));
    pass(3 * kPoll);

    EXPECT_EQ(claimed(), 0U);
    EXPECT_EQ(lines.count("takes no jobs, they wait error=\"controller down\""), 1);
    backend_.fail(Verb::Observe, transientError("no login"));
    pass(kPoll);
    EXPECT_EQ(lines.count("takes no jobs"), 1) << "once a minute";
    pass(8 * kPoll);
    EXPECT_EQ(lines.count("takes no jobs, they wait error=\"no login\""), 1);
    EXPECT_EQ(lines.count("takes no jobs"), 2);

    backend_.fail(Verb::Observe, std::nullopt);
    pass(kPoll);
    EXPECT_GT(claimed(), 0U);
    EXPECT_EQ(lines.count("takes jobs again"), 1);
}

TEST_F(ClaimerTest, ClaimsNothingBeforeTheBackendHasAnswered) {
    backend_.fail(Verb::Probe, transientError("controller down"));
    begin();
    EXPECT_EQ(claimed(), 0U);

    backend_.fail(Verb::Probe, std::nullopt);
    pass(kPoll);

    EXPECT_GT(claimed(), 0U);
}

TEST_F(ClaimerTest, AsksAgainAfterTheIntervalWhenThereIsNoJob) {
    restart();
    settle();
    makeClaimer();

    EXPECT_EQ(claimer_->step({}), kInterval);
    gitlab_.offer(body(1));
    EXPECT_EQ(claimer_->step({}), 0ms);
    EXPECT_EQ(store_->open().size(), 1U);
}

TEST_F(ClaimerTest, OutageIsToldOnceAndSoIsItsEnd) {
    const LogLines lines(log_);
    restart();
    settle();
    makeClaimer();
    const gitlab::ClaimAnswer unavailable{.outcome = gitlab::ClaimOutcome::Retry, .message = "503"};
    for (int i = 0; i < 5; ++i) {  // A server that answers now and then.
        gitlab_.answerClaims(unavailable, 2);
        for (int call = 0; call < 3; ++call) {
            clock_.advance(claimer_->step({}));
        }
    }
    EXPECT_EQ(lines.count("claims fail"), 1);
    EXPECT_EQ(lines.count("claims work again"), 0);

    for (int call = 0; call < 40; ++call) {
        clock_.advance(claimer_->step({}));
    }

    EXPECT_EQ(lines.count("claims fail"), 1);
    EXPECT_EQ(lines.count("claims work again"), 1);
}

TEST_F(ClaimerTest, ServerSaysWhenToClaimAgain) {
    restart();
    settle();
    makeClaimer();
    gitlab_.answerClaims({.outcome = gitlab::ClaimOutcome::Retry, .retryAfter = 600s}, 1);

    EXPECT_EQ(claimer_->step({}), 600s);
    EXPECT_EQ(claimer_->step({}), kInterval);
}

/// GitLab refuses claims; the runner's row is there as after a start.
class HealthTest : public ClaimerTest {
protected:
    HealthTest() {
        store_->saveRunner({"pool", "https://gitlab.example.org", {}, "s_1", {}, "ok"});
        restart();
        settle();
        makeClaimer();
    }
    void answer(gitlab::ClaimOutcome outcome, int times) {
        gitlab_.answerClaims({.outcome = outcome, .message = "403, the server says: Forbidden"},
                             times);
    }
    void claimFor(Millis howLong) {
        for (const auto end = clock_.steadyNow() + howLong; clock_.steadyNow() < end;) {
            clock_.advance(claimer_->step({}));
        }
    }
    std::string health() { return store_->runners().at(0).health; }

    const LogLines lines_{log_};
};

TEST_F(HealthTest, ThreeRefusalsPauseTheClaimsAndAreToldOnceUntilGitLabTakesThemAgain) {
    answer(gitlab::ClaimOutcome::Forbidden, 5);
    claimFor(1min);
    EXPECT_EQ(requests(), 3U);
    EXPECT_EQ(lines_.count("runner pool claims nothing, https://gitlab.example.org refuses"), 1);
    EXPECT_EQ(health(),
              "claims nothing, GitLab refuses its claims: 403, the server says: Forbidden");

    claimFor(58min);
    EXPECT_EQ(requests(), 3U);
    claimFor(2min);
    EXPECT_EQ(requests(), 4U);
    claimFor(1h);
    EXPECT_EQ(requests(), 5U);
    EXPECT_EQ(lines_.count("claims nothing"), 1);
    EXPECT_EQ(lines_.count("claims jobs again"), 0);

    claimFor(2h);
    EXPECT_GT(requests(), 1000U);
    EXPECT_EQ(lines_.count("runner pool claims jobs again"), 1);
    EXPECT_EQ(health(), "ok");
}

TEST_F(HealthTest, WhatIsNotARefusalDoesNotCount) {
    using gitlab::ClaimOutcome;
    for (const auto between : {ClaimOutcome::NoJob, ClaimOutcome::Conflict}) {
        answer(ClaimOutcome::Forbidden, 2);
        answer(between, 1);
    }
    answer(ClaimOutcome::Retry, 10);
    answer(ClaimOutcome::Refused, 10);
    answer(ClaimOutcome::Forbidden, 2);
    claimFor(1h);

    EXPECT_GT(requests(), 100U);
    EXPECT_EQ(lines_.count("claims nothing"), 0);
    EXPECT_EQ(health(), "ok");
}

TEST_F(HealthTest, TokenGivenAnewEndsThePauseAtOnceAndARefusedOneIsToldAnew) {
    answer(gitlab::ClaimOutcome::Forbidden, 6);
    claimFor(1min);
    runner().identity.renew(Secret("glrt-x"));
    claimFor(1min);
    EXPECT_EQ(requests(), 6U);
    EXPECT_EQ(lines_.count("claims nothing"), 2);

    runner().identity.renew(Secret("glrt-y"));
    claimer_->step({});

    EXPECT_EQ(requests(), 7U);
    EXPECT_EQ(health(), "ok");
}

TEST_F(HealthTest, HealthIsStoredOnceTheDatabaseIsFree) {
    testing::Person person(database());
    answer(gitlab::ClaimOutcome::Forbidden, 3);
    gitlab_.holdClaims([&, asked = 0]() mutable {
        if (++asked == 3) {
            person.execute("BEGIN IMMEDIATE");
        }
    });
    claimFor(1min);
    person.execute("COMMIT");
    EXPECT_EQ(health(), "ok");

    claimer_->step({});

    EXPECT_NE(health(), "ok");
    EXPECT_EQ(requests(), 3U);
}

TEST_F(HealthTest, LastContactIsStoredToTheMinuteAndOnlyWhenGitLabAnswered) {
    const auto contact = [this] { return store_->runners().at(0).lastContact; };
    claimer_->heard({.outcome = gitlab::VerifyOutcome::Unreachable});
    EXPECT_EQ(contact(), std::nullopt);
    claimer_->heard({.outcome = gitlab::VerifyOutcome::Valid, .runnerId = 12});
    EXPECT_EQ(contact(), clock_.wallNow());
    EXPECT_EQ(store_->runners().at(0).gitlabId, 12);

    claimFor(10min);
    EXPECT_GT(*contact() + 2min, clock_.wallNow());
    const auto answeredAt = *contact();
    answer(gitlab::ClaimOutcome::Retry, 1000);
    claimFor(10min);

    EXPECT_LT(*contact(), answeredAt + 2min);
    EXPECT_EQ(store_->runners().at(0).gitlabId, 12);
}

TEST_F(ClaimerTest, PlaceOfARequestWithoutAJobIsGivenBack) {
    concurrent_ = 1;
    restart();
    settle();
    makeClaimer();
    for (int i = 0; i < 5; ++i) {
        claimer_->step({});
    }

    EXPECT_EQ(requests(), 5U);
}

TEST_F(ClaimerTest, NothingIsAskedForWhileSomebodyHoldsTheDatabase) {
    begin();
    const LogLines lines(log_);
    testing::Person person(database());
    person.execute("BEGIN IMMEDIATE");
    for (int i = 0; i < 3; ++i) {
        EXPECT_GE(claimer_->step({}), 1s);
    }
    EXPECT_EQ(requests(), 0U);
    EXPECT_EQ(lines.count("nothing is claimed while nothing can be stored"), 1);

    person.execute("COMMIT");
    claimer_->step({});

    EXPECT_EQ(requests(), 1U);
    EXPECT_EQ(store_->open().size(), 1U);
}

/// A person locks the database while GitLab answers, and goes at the third try to store the job.
class ClaimUnderALock : public ClaimerTest {
protected:
    void lockDuringTheAnswer(const std::function<void()>& afterTheFirstTry) {
        begin();
        gitlab_.holdClaims([&, afterTheFirstTry] {
            person_ = std::make_unique<testing::Person>(database());
            person_->execute("BEGIN IMMEDIATE");
            watch_.beforeNextWrite([&, afterTheFirstTry] {
                ++tries_;
                afterTheFirstTry();
                watch_.beforeNextWrite([&] {
                    ++tries_;
                    watch_.beforeNextWrite([&] {
                        ++tries_;
                        person_->execute("COMMIT");
                    });
                });
            });
        });
    }

    std::unique_ptr<testing::Person> person_;
    int tries_ = 0;
};

TEST_F(ClaimUnderALock, IsStoredOnceItIsGone) {
    lockDuringTheAnswer([] {});

    EXPECT_EQ(claimer_->step({}), 0ms);

    EXPECT_EQ(tries_, 3);
    ASSERT_EQ(store_->open().size(), 1U);
    settle();
    EXPECT_EQ(job(store_->open().front()).gitlabId, 1);
}

TEST_F(ClaimUnderALock, IsStoredThoughTheServiceEndsMeanwhile) {
    std::stop_source end;
    lockDuringTheAnswer([&] { end.request_stop(); });

    claimer_->step(end.get_token());

    EXPECT_EQ(tries_, 3);
    EXPECT_EQ(store_->open().size(), 1U);
}

TEST_F(ClaimUnderALock, IsToldWhenItIsLostForTheServiceEndsAndTheLockStays) {
    begin();
    const LogLines lines(log_);
    testing::Person person(database());
    std::stop_source end;
    gitlab_.holdClaims([&] {
        person.execute("BEGIN IMMEDIATE");
        end.request_stop();
    });
    const auto before = clock_.steadyNow();

    claimer_->step(end.get_token());

    EXPECT_GE(clock_.steadyNow() - before, 60s);
    EXPECT_EQ(lines.count("a claimed job is lost, it could not be stored"), 1);
}

}  // namespace
}  // namespace gridbridge::core
