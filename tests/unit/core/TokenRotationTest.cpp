#include <gmock/gmock.h>

#include "bridge/core/TokenRotation.h"
#include "tests/fakes/FakeTokenApi.h"
#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using gitlab::TokenOutcome;
using gitlab::VerifyOutcome;
using std::chrono::hours;
using std::chrono::minutes;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// The service is killed here.
struct Killed {};

class TokenRotationTest : public CoreFixture {
protected:
    /// A service starts whose configuration has `configured`; GitLab says when its token ends.
    void begin(std::optional<WallTime> end, const std::string& configured = "glrt-x") {
        gitlab_.answerVerify({VerifyOutcome::Valid, 1, "", end});
        startWith(configured);
        rotation_->step({});
    }
    void startWith(const std::string& configured) {
        restart();
        runner().identity.renew(Secret(configured));
        rotation_.emplace(clock_, *store_, runner(), tokens_, log_, Secret(configured));
    }
    void stepAfter(Millis pause) {
        clock_.advance(pause);
        rotation_->step({});
    }
    void refuse() { gitlab_.answerVerify({VerifyOutcome::Invalid, 0, "403 Forbidden"}); }
    std::size_t verifications() const { return gitlab_.calls(GitLab::Verb::Verify).size(); }
    std::string token() { return runner().identity.get().token.reveal(); }
    std::string stored(const std::string& configured = "glrt-x") {
        const auto found = store_->runnerToken("pool", Secret(configured));
        return found ? found->token.reveal() : "";
    }
    WallTime in(Millis time) const { return clock_.wallNow() + time; }

    testing::FakeTokenApi tokens_{clock_};
    testing::LogLines lines_{log_};
    std::optional<TokenRotation> rotation_;
};

TEST_F(TokenRotationTest, TokenWithoutAnEndIsLeftAlone) {
    begin(std::nullopt);
    stepAfter(hours(100000));

    EXPECT_THAT(tokens_.resets, IsEmpty());
    EXPECT_EQ(verifications(), 1U);
    EXPECT_EQ(stored(), "");
}

TEST_F(TokenRotationTest, RenewedAtThreeQuartersOfEachLife) {
    begin(in(hours(100)));
    stepAfter(hours(75) - 1s);
    EXPECT_THAT(tokens_.resets, IsEmpty());
    stepAfter(1s);
    EXPECT_THAT(tokens_.resets, ElementsAre("glrt-x"));
    EXPECT_EQ(token(), "glrt-new-1");
    EXPECT_EQ(stored(), "glrt-new-1");

    stepAfter(hours(75) - 1s);
    EXPECT_EQ(tokens_.resets.size(), 1U);
    stepAfter(1s);
    EXPECT_THAT(tokens_.resets, ElementsAre("glrt-x", "glrt-new-1"));
    EXPECT_EQ(token(), "glrt-new-2");
    EXPECT_EQ(lines_.count("glrt-"), 0) << "a token was logged";
}

TEST_F(TokenRotationTest, LifeIsCountedOverRestarts) {
    const auto end = in(hours(100));
    begin(end);
    clock_.advance(hours(50));
    begin(end);
    stepAfter(hours(25) - 1s);
    EXPECT_THAT(tokens_.resets, IsEmpty());
    stepAfter(1s);
    EXPECT_EQ(tokens_.resets.size(), 1U);
}

TEST_F(TokenRotationTest, ServiceThatWasAwayAtTheTimeRenewsAtItsStart) {
    const auto end = in(hours(100));
    begin(end);
    clock_.advance(hours(99));
    begin(end);
    stepAfter(Millis(0));
    EXPECT_EQ(token(), "glrt-new-1");
}

TEST_F(TokenRotationTest, NewTokenIsStoredBeforeItIsUsedHoweverLongTheDatabaseIsLocked) {
    begin(in(hours(100)));
    testing::Person person(database());
    int writes = 0;
    const auto next = [&](std::function<void()> then) {
        watch_.beforeNextWrite([&, then] {
            ++writes;
            EXPECT_EQ(token(), "glrt-x") << "used before it was stored";
            then();
        });
    };
    next([&] {  // The intent.
        next([&] {
            person.execute("BEGIN IMMEDIATE");
            next([&] { person.execute("COMMIT"); });
        });
    });

    stepAfter(hours(75));

    EXPECT_EQ(writes, 3);
    EXPECT_EQ(tokens_.resets.size(), 1U);
    EXPECT_EQ(token(), "glrt-new-1");
    EXPECT_EQ(stored(), "glrt-new-1");
}

TEST_F(TokenRotationTest, NothingIsAskedForWhatCouldNotBeStored) {
    begin(in(hours(100)));
    testing::Person person(database());
    person.execute("BEGIN IMMEDIATE");
    stepAfter(hours(75));
    EXPECT_THAT(tokens_.resets, IsEmpty());

    person.execute("COMMIT");
    stepAfter(minutes(1));
    stepAfter(minutes(1));
    EXPECT_EQ(token(), "glrt-new-1");
}

TEST_F(TokenRotationTest, ServerThatIsBusyIsAskedAgainEveryMinute) {
    begin(in(hours(100)));
    tokens_.answers.assign(3, {.outcome = TokenOutcome::Retry});
    stepAfter(hours(75));
    for (int i = 0; i < 100 && token() == "glrt-x"; ++i) {
        stepAfter(10s);
    }

    EXPECT_EQ(tokens_.resets.size(), 4U);
    EXPECT_EQ(token(), "glrt-new-4");
}

TEST_F(TokenRotationTest, LostAnswerOfARenewalThatDidNotHappenIsFoundOut) {
    begin(in(hours(100)));
    tokens_.answers.push_back({.outcome = TokenOutcome::Uncertain});
    stepAfter(hours(75));
    EXPECT_EQ(token(), "glrt-x");
    EXPECT_EQ(verifications(), 2U) << "whether the old token still lives";

    stepAfter(minutes(1));
    EXPECT_EQ(token(), "glrt-new-2");
    EXPECT_EQ(stored(), "glrt-new-2");
    EXPECT_EQ(lines_.count("was lost"), 0);
}

TEST_F(TokenRotationTest, LostAnswerOfARenewalThatHappenedIsAnAlarmThatNamesTheCure) {
    begin(in(hours(100)));
    tokens_.answers.push_back({.outcome = TokenOutcome::Uncertain});
    refuse();
    stepAfter(hours(75));
    EXPECT_EQ(lines_.count("reset the runner's token in GitLab and write the new one"), 1);
    stepAfter(minutes(59));
    EXPECT_EQ(lines_.count("was lost"), 1);
    stepAfter(minutes(1));
    EXPECT_EQ(lines_.count("was lost"), 2);
    EXPECT_EQ(tokens_.resets.size(), 1U) << "a dead token cannot be renewed";

    begin(std::nullopt, "glrt-y");
    EXPECT_EQ(token(), "glrt-y");
    EXPECT_EQ(lines_.count("was lost"), 2) << "the configured token is another one";
}

TEST_F(TokenRotationTest, KillBeforeTheCallLosesNothing) {
    const auto end = in(hours(100));
    begin(end);
    tokens_.beforeAnswer = [] { throw Killed{}; };
    EXPECT_THROW(stepAfter(hours(75)), Killed);
    tokens_.beforeAnswer = nullptr;

    begin(end);
    EXPECT_EQ(token(), "glrt-x");
    stepAfter(Millis(0));
    EXPECT_EQ(token(), "glrt-new-2");
    EXPECT_EQ(lines_.count("was lost"), 0);
}

TEST_F(TokenRotationTest, KillWhileTheAnswerWasUnderWayIsAnAlarmAfterTheRestart) {
    begin(in(hours(100)));
    tokens_.beforeAnswer = [] { throw Killed{}; };
    EXPECT_THROW(stepAfter(hours(75)), Killed);

    refuse();
    startWith("glrt-x");
    rotation_->step({});
    EXPECT_EQ(lines_.count("was lost"), 1);
}

TEST_F(TokenRotationTest, RenewedTokenIsUsedFromTheFirstCallAfterARestart) {
    begin(in(hours(100)));
    stepAfter(hours(75));
    startWith("glrt-x");
    EXPECT_EQ(token(), "glrt-new-1");
}

TEST_F(TokenRotationTest, TokenThatAnAdministratorConfiguresWins) {
    begin(in(hours(100)));
    stepAfter(hours(75));
    begin(in(hours(100)), "glrt-y");
    EXPECT_EQ(token(), "glrt-y");
    EXPECT_EQ(stored("glrt-x"), "");
    stepAfter(hours(74));
    EXPECT_EQ(tokens_.resets.size(), 1U) << "its life begins anew";
    stepAfter(hours(1));
    EXPECT_EQ(stored("glrt-y"), "glrt-new-2");
}

TEST_F(TokenRotationTest, EndThatGitLabCouldNotTellIsAskedForAgain) {
    gitlab_.answerVerify({VerifyOutcome::Unreachable, 0, "connection refused"});
    startWith("glrt-x");
    rotation_->step({});
    stepAfter(59s);
    EXPECT_EQ(verifications(), 1U);
    gitlab_.answerVerify({VerifyOutcome::Valid, 1, "", in(hours(1))});
    stepAfter(1s);
    EXPECT_EQ(verifications(), 2U);
    stepAfter(minutes(45));
    EXPECT_EQ(token(), "glrt-new-1");
}

TEST_F(TokenRotationTest, RefusalIsLoggedAndTheOldTokenGoesOn) {
    begin(in(hours(100)));
    tokens_.answers.push_back({.outcome = TokenOutcome::Refused, .message = "422 no"});
    stepAfter(hours(75));
    EXPECT_EQ(lines_.count("could not be renewed error=\"422 no\""), 1);
    EXPECT_EQ(token(), "glrt-x");
    stepAfter(minutes(59));
    EXPECT_EQ(tokens_.resets.size(), 1U);
    stepAfter(minutes(1));
    EXPECT_EQ(token(), "glrt-new-2");
}

TEST_F(TokenRotationTest, ConfiguredTokenThatIsReadAgainIsInUseAtOnce) {
    begin(in(hours(100)));
    stepAfter(hours(75));
    ASSERT_EQ(token(), "glrt-new-1");
    gitlab_.answerVerify({VerifyOutcome::Valid, 1, "", in(hours(10))});

    rotation_->configure(Secret("glrt-by-hand"));
    rotation_->step({});
    EXPECT_EQ(token(), "glrt-by-hand");
    EXPECT_EQ(verifications(), 2U);
    stepAfter(hours(8));
    EXPECT_THAT(tokens_.resets, ElementsAre("glrt-x", "glrt-by-hand"));
    EXPECT_EQ(stored("glrt-by-hand"), "glrt-new-2");

    rotation_->configure(Secret("glrt-by-hand"));
    rotation_->step({});
    EXPECT_EQ(token(), "glrt-new-2") << "the same configuration, read once more";
}

}  // namespace
}  // namespace gridbridge::core
