#include "tests/unit/backends/DiracTokensTest.h"

#include <atomic>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>

#include "bridge/base/CrashPoint.h"
namespace gridbridge::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(DiracTokensTest, OneThatHoldsIsGivenWithoutAskingDiracX) {
    write(dirac_.login(), 1185);

    expectKept(access());
    pass(880);
    expectKept(access());

    EXPECT_THAT(dirac_.shown(), SizeIs(0));
}

TEST_F(DiracTokensTest, OneThatEndsSoonIsRefreshedAndStoredAsTheOfficialClientReadsIt) {
    dirac_.setLifetime(1200);
    write(dirac_.login(), 299);

    const auto token = access();

    expectGiven(token);
    const auto stored = readFile(file_);
    EXPECT_THAT(stored, AllOf(HasSubstr("\"access_token\":\"" + token->reveal() + "\""),
                              HasSubstr("\"refresh_token\":\"secret-refresh-2\""),
                              HasSubstr("\"expires_on\":" + std::to_string(now() + 1185))));
    struct ::stat status {};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    restart();
    EXPECT_EQ(access()->reveal(), token->reveal());
    EXPECT_THAT(dirac_.shown(), SizeIs(1));
}

TEST_F(DiracTokensTest, TokensOfOneMinuteNeverFailAPoll) {
    write(dirac_.login(), 10);

    std::string last;
    int changes = 0;
    for (int poll = 0; poll < 60; ++poll, pass(10)) {
        if (poll % 7 == 6) {
            restart();
        }
        const auto token = access();
        expectGiven(token);
        changes += token->reveal() != last ? 1 : 0;
        last = token->reveal();
    }

    EXPECT_THAT(dirac_.shown(), SizeIs(changes));
    EXPECT_EQ(changes, 20) << "each is used for half of its life";
    EXPECT_EQ(dirac_.revocations(), 0);
}

TEST_F(DiracTokensTest, ALongLivedRefreshTokenIsUsedAgainAndAgain) {
    write(dirac_.longLived(), 10);
    for (int i = 0; i < 3; ++i, pass(60)) {
        transport_.prepare(loseAnswer);
        transport_.prepare(loseAnswer);
        transport_.prepare([](const auto& real) { return real(); });
        pass(60);
        expectError(access(), false, "lost");
        pass(11);
        expectError(access(), false, "lost");
        pass(11);
        expectGiven(access());
    }
}

TEST_F(DiracTokensTest, ARefusedTokenIsReplacedOnce) {
    write(dirac_.login(), 1185);

    const auto token = renew("secret-first");

    expectGiven(token);
    EXPECT_EQ(renew("secret-first")->reveal(), token->reveal()) << "another saw the same refusal";
    EXPECT_THAT(dirac_.shown(), SizeIs(1));
}

TEST_F(DiracTokensTest, AnOutageIsSurvivedForAsLongAsTheOldTokenHolds) {
    write(dirac_.login(), 100);
    for (const int status : {503, 500, 502, 429, 504}) {
        transport_.prepare(answering(status, "Internal Server Error"));
        expectKept(access());
        expectKept(access());  // Without asking again at once.
        pass(11);
    }
    transport_.prepare([](const auto&) { return transientError("no connection"); });
    pass(60);
    expectError(access(), false, "no connection");
    expectError(access(), false, "no connection");
    pass(11);

    expectGiven(access());
    EXPECT_THAT(dirac_.shown(), SizeIs(1));
}

TEST_F(DiracTokensTest, ALostAnswerIsAskedForOnceMoreAndThenALoginIsNeeded) {
    write(dirac_.login(), 100);
    transport_.prepare(loseAnswer);
    expectKept(access());
    pass(50);
    expectKept(access());
    EXPECT_THAT(dirac_.shown(), SizeIs(1)) << "the second time is kept for when it must be";
    pass(50);
    expectLoginNeeded(access(), "refuses (401)");
    for (int i = 0; i < 5; ++i, pass(60)) {
        restart();
        expectLoginNeeded(access(), "used up");
    }
    EXPECT_THAT(dirac_.shown(), SizeIs(2));

    write(dirac_.login(), 0);
    expectGiven(access());
}

TEST_F(DiracTokensTest, ALostRequestCostsNothing) {
    write(dirac_.login(), 0);
    transport_.prepare(loseRequest);

    expectError(access(), false, "tried once more");
    restart();
    expectGiven(access());
    EXPECT_EQ(dirac_.revocations(), 0);
}

TEST_F(DiracTokensTest, TwoLostAnswersNeedALogin) {
    write(dirac_.login(), 0);
    transport_.prepare(loseRequest);
    transport_.prepare(answering(200, R"({"access_token": "secr)"));

    expectError(access(), false, "tried once more");
    pass(11);
    expectLoginNeeded(access(), "lost twice");
    pass(11);
    expectLoginNeeded(access(), "used up");
    EXPECT_THAT(dirac_.shown(), SizeIs(0));
}

TEST_F(DiracTokensTest, ARefusalIsAskedForOnlyOnce) {
    write("secret-unknown", 0);

    expectLoginNeeded(access(), "refuses (401)");
    pass(60);
    restart();
    expectLoginNeeded(access(), "used up");
    EXPECT_THAT(dirac_.shown(), SizeIs(1));
}

TEST_F(DiracTokensTest, AnotherServersAnswerUsesNothingUp) {
    write(dirac_.login(), 0);
    const std::string page = "<html>secret sign-in</html>";
    for (const auto& [status, body] :
         std::vector<std::pair<int, std::string>>{{200, page},
                                                  {400, page},
                                                  {401, page},
                                                  {404, R"({"detail":"Not Found"})"},
                                                  {302, ""}}) {
        transport_.prepare(answering(status, body));
        expectError(access(), true, "answered " + std::to_string(status));
        EXPECT_THAT(errors_.back(), HasSubstr("https://dirac.example.org/api/auth/token"));
        pass(11);
    }

    expectGiven(access());
}

TEST_F(DiracTokensTest, AServerThatIsNotTrustedUsesNothingUp) {
    write(dirac_.login(), 0);
    transport_.prepare([](const auto&) {
        auto error = transientError("the certificate is not trusted: tls_ca_file");
        error.misconfigured = true;
        return error;
    });

    expectError(access(), true, "tls_ca_file");
    EXPECT_THAT(readFile(file_), Not(HasSubstr("refreshes_sent")));
}

TEST_F(DiracTokensTest, WithoutARefreshTokenTheTokenIsUsedToItsEnd) {
    write("", 100);

    expectKept(access());
    pass(100);
    expectLoginNeeded(access(), "no refresh token");
}

TEST_F(DiracTokensTest, WhatTheDiskDoesNotTakeIsStoredLater) {
    write(dirac_.login(), 0);
    const auto inTheWay = folder_.path() / ".credentials.json.next";
    transport_.prepare([&](const auto& real) {
        std::filesystem::create_directory(inTheWay);
        return real();
    });

    expectError(access(), false, "cannot be replaced");
    expectError(access(), false, "cannot be replaced");
    std::filesystem::remove(inTheWay);
    expectGiven(access());
    EXPECT_THAT(dirac_.shown(), SizeIs(1));
    restart();
    expectGiven(access());
}

TEST_F(DiracTokensTest, NothingIsAskedThatCannotBeStored) {
    write(dirac_.login(), 0);
    std::filesystem::create_directory(folder_.path() / ".credentials.json.next");
    files_ = 2;

    expectError(access(), false, "cannot be replaced");

    EXPECT_THAT(dirac_.shown(), SizeIs(0));
}

TEST_F(DiracTokensTest, ALockIsAwaitedUntilTheDeadlineOnly) {
    write(dirac_.login(), 0);
    const Fd other(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
    const auto begin = clock_.steadyNow();

    expectError(access(), false, "in the time allowed");

    EXPECT_EQ(clock_.steadyNow() - begin, std::chrono::seconds(30));
    ASSERT_EQ(::flock(other.get(), LOCK_UN), 0);
    expectGiven(access());
}

TEST_F(DiracTokensTest, WhileAnotherRefreshesTheOldOneIsGiven) {
    write(dirac_.login(), 1000);
    DiracTokens other(file_, transport_, clock_);
    expectKept(access());
    pass(900);
    transport_.prepare([&](const auto& real) {
        expectKept(tokens_->access({clock_.steadyNow()}));
        const Fd third(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
        EXPECT_NE(::flock(third.get(), LOCK_SH | LOCK_NB), 0) << "the official client must wait";
        return real();
    });

    expectGiven(other.access(ctx()));
}

TEST_F(DiracTokensTest, AFileThatIsReplacedBeforeItIsLockedIsReadAnew) {
    write(dirac_.login(), 0);
    DiracTokens other(file_, transport_, clock_);
    int opened = 0;
    onCrashPoint([&](std::string_view point) {
        if (point == "credential-opened" && ++opened == 2) {  // To be locked exclusively.
            expectGiven(other.access(ctx()));
        }
    });

    const auto token = access();
    onCrashPoint({});

    expectGiven(token);
    EXPECT_THAT(dirac_.shown(), SizeIs(1));
}

TEST_F(DiracTokensTest, ManyThreadsAndProcessesRefreshOnce) {
    SystemClock clock;
    writeCredential(file_, dirac_.login(), 0);
    DiracTokens one(file_, transport_, clock);
    DiracTokens two(file_, transport_, clock);
    std::atomic<int> given = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 16; ++i) {
            threads.emplace_back([&, i] {
                const CallContext within{clock.steadyNow() + std::chrono::seconds(30)};
                const auto token = (i % 2 == 0 ? one : two).access(within);
                given += token.ok() && dirac_.gave(token->reveal()) ? 1 : 0;
            });
        }
    }

    EXPECT_EQ(given, 16);
    EXPECT_THAT(dirac_.shown(), SizeIs(1));
}

TEST_F(DiracTokensTest, NothingIsBegunAfterTheDeadlineOrAStop) {
    write(dirac_.login(), 0);
    std::stop_source stop;
    stop.request_stop();

    expectError(noted(tokens_->access({clock_.steadyNow()})), false, "in the time allowed");
    expectError(noted(tokens_->access({ctx().deadline, stop.get_token()})), false,
                "in the time allowed");

    EXPECT_THAT(dirac_.shown(), SizeIs(0));
}

}  // namespace
}  // namespace gridbridge::testing
