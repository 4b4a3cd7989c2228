#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "backends/api/SchedulerCommands.h"
#include "bridge/folder/Account.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using testing::TempDir;

/// Programs of a scheduler that exists in one folder only.
class SchedulerCommandsTest : public ::testing::Test {
protected:
    void program(const std::string& name, const std::string& script) {
        const auto file = temp_.path() / name;
        std::ofstream(file) << "#!/bin/sh\n" << script;
        std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    }
    Result<Finished> run(const SchedulerCommand& command, Millis time = 30s) {
        return commands_.run(command, {clock_.steadyNow() + time});
    }

    TempDir temp_;
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
    SchedulerCommands commands_{
        {temp_.path().string(), {"SITE_CONF=/etc/site.conf"}}, runner_, clock_};
};

TEST_F(SchedulerCommandsTest, ACommandSeesNothingOfTheServicesOwnEnvironment) {
    ASSERT_EQ(::setenv("SQUEUE_FORMAT", "%i", 1), 0);
    ASSERT_EQ(::setenv("LC_ALL", "de_DE", 1), 0);
    program("site-queue", "env | grep -v '^_=\\|^PWD=\\|^SHLVL=' | sed 's/^PATH=.*/PATH=/'; cat");

    const auto said = run({.argv = {"site-queue"}, .variables = {"SITE_TIME=%s"}});

    ASSERT_TRUE(said.ok()) << said.error().message;
    std::vector<std::string> lines;
    std::istringstream text(said->out);
    for (std::string line; std::getline(text, line);) {
        lines.push_back(line);
    }
    std::sort(lines.begin(), lines.end());
    const auto own = folder::findAccount("").value();
    EXPECT_EQ(lines, (std::vector<std::string>{
                         "HOME=" + own.home, "LANG=C.UTF-8", "LOGNAME=" + own.name,
                         "PATH=", "SITE_CONF=/etc/site.conf", "SITE_TIME=%s", "USER=" + own.name}));
}

TEST_F(SchedulerCommandsTest, WhatACommandSaysComesBackWithItsExitCode) {
    program("site-submit", "echo \"$1\"; echo trouble >&2; exit 7");

    const auto said = run({.argv = {"site-submit", "a b'\"$HOME`id`"}});

    ASSERT_TRUE(said.ok());
    EXPECT_EQ(said->out, "a b'\"$HOME`id`\n");
    EXPECT_EQ(said->err, "trouble\n");
    EXPECT_EQ(said->exitCode, 7);
}

TEST_F(SchedulerCommandsTest, ACommandThatIsNotInstalledIsAFaultOfTheConfiguration) {
    const auto said = run({.argv = {"gb-no-such-command"}});

    ASSERT_FALSE(said.ok());
    EXPECT_EQ(said.error().kind, ErrorKind::Permanent);
    EXPECT_NE(said.error().message.find("cannot run gb-no-such-command"), std::string::npos);
}

TEST_F(SchedulerCommandsTest, AnExitCodeOfTheCommandItselfIsNotTakenForItsAbsence) {
    program("site-odd", "echo odd >&2; exit 127");

    const auto said = run({.argv = {"site-odd"}});

    ASSERT_TRUE(said.ok());
    EXPECT_EQ(said->exitCode, 127);
}

TEST_F(SchedulerCommandsTest, AnAccountThatIsNotThereIsNamed) {
    const auto said = run({.account = "gb-no-such-account", .argv = {"true"}});

    ASSERT_FALSE(said.ok());
    EXPECT_EQ(said.error().kind, ErrorKind::Permanent);
    EXPECT_NE(said.error().message.find("gb-no-such-account"), std::string::npos);
}

TEST_F(SchedulerCommandsTest, AHangingCommandIsStoppedAtItsDeadlineAndItsEffectUnknown) {
    program("site-hang", "sleep 600");
    const auto before = clock_.steadyNow();

    const auto said = run({.argv = {"site-hang"}}, 200ms);

    ASSERT_FALSE(said.ok());
    EXPECT_EQ(said.error().kind, ErrorKind::Uncertain);
    EXPECT_LT(clock_.steadyNow() - before, 20s);
}

TEST_F(SchedulerCommandsTest, AnEndlessAnswerIsCutOff) {
    program("site-flood", "while :; do echo flood; done");

    const auto said = run({.argv = {"site-flood"}, .maxOutput = 1000});

    ASSERT_FALSE(said.ok());
    EXPECT_EQ(said.error().kind, ErrorKind::Uncertain);
}

TEST_F(SchedulerCommandsTest, TheLastLineIsWhatTheCommandMeant) {
    EXPECT_EQ(lastLineOf("first\n\x1b[31mlast\n \n"), "?[31mlast");
    EXPECT_EQ(lastLineOf(""), "");
    EXPECT_EQ(lastLineOf(std::string(1000, 'x')).size(), 300U);
}

/// Counts, and takes no time.
class CountingRunner final : public ProcessRunner {
public:
    Result<Finished> run(const Command&, const CallContext&, std::size_t) override {
        ++count;
        return Finished{.exitCode = 0, .signal = {}, .out = {}, .err = {}};
    }
    int count = 0;
};

TEST(SchedulerCommandsRate, NoMoreCommandsRunInAMinuteThanAllowed) {
    FakeClock clock;
    CountingRunner runner;
    SchedulerCommands commands({.mostPerMinute = 30}, runner, clock);
    const auto begin = clock.steadyNow();
    std::vector<SteadyTime> times;
    for (int i = 0; i < 90; ++i) {
        ASSERT_TRUE(commands.run({.argv = {"true"}}, {begin + 1h}).ok());
        times.push_back(clock.steadyNow());
    }

    for (std::size_t i = 30; i < times.size(); ++i) {
        EXPECT_GT(times[i] - times[i - 30], 60s);
    }
    EXPECT_LT(clock.steadyNow() - begin, 200s);
}

TEST(SchedulerCommandsRate, NoCommandWaitsForOthersOfTheSameMinute) {
    FakeClock clock;
    CountingRunner runner;
    SchedulerCommands commands({.mostPerMinute = 30}, runner, clock);
    for (int i = 0; i < 90; ++i) {
        const auto before = clock.steadyNow();
        ASSERT_TRUE(commands.run({.argv = {"true"}}, {before + 1h}).ok());
        EXPECT_LT(clock.steadyNow() - before, 3s) << i;
    }
}

TEST(SchedulerCommandsRate, WhoseTurnWouldComeTooLateDoesNotWait) {
    FakeClock clock;
    CountingRunner runner;
    SchedulerCommands commands({.mostPerMinute = 1}, runner, clock);
    ASSERT_TRUE(commands.run({.argv = {"true"}}, {clock.steadyNow() + 30s}).ok());

    const auto late = commands.run({.argv = {"true"}}, {clock.steadyNow() + 30s});

    ASSERT_FALSE(late.ok());
    EXPECT_EQ(late.error().kind, ErrorKind::Transient);
    EXPECT_EQ(runner.count, 1);
}

}  // namespace
}  // namespace gridbridge
