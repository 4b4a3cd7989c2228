#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "bridge/base/Process.h"
#include "tests/fakes/TempDir.h"
#include "tests/fakes/WaitUntil.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using testing::readFile;
using testing::TempDir;
using testing::waitUntil;

class ProcessTest : public ::testing::Test {
protected:
    Result<Finished> run(const std::string& script, std::size_t maxOutput = 1 << 20) {
        return runner_.run(shell(script), context(30s), maxOutput);
    }
    static Command shell(const std::string& script) {
        return {.argv = {"/bin/sh", "-c", script}, .environment = {"PATH=/usr/bin:/bin"}};
    }
    CallContext context(std::chrono::milliseconds time, std::stop_token stop = {}) {
        return {clock_.steadyNow() + time, std::move(stop)};
    }

    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
};

TEST_F(ProcessTest, GivesBothOutputsAndTheExitCode) {
    const auto result = run("printf 'a\\0b'; echo trouble >&2; exit 3");

    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->out, std::string("a\0b", 3));
    EXPECT_EQ(result->err, "trouble\n");
    EXPECT_EQ(result->exitCode, 3);
    EXPECT_FALSE(result->signal.has_value());
}

TEST_F(ProcessTest, TellsTheSignalThatEndedTheProgram) {
    const auto result = run("kill -KILL $$");

    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->signal, SIGKILL);
    EXPECT_FALSE(result->exitCode.has_value());
}

TEST_F(ProcessTest, ArgumentsReachTheProgramUnchangedWithoutAShell) {
    const std::string nasty = "a b'\"$HOME`id`\n*;\\";

    const auto result = runner_.run({.argv = {"/usr/bin/printf", "%s", nasty}}, context(30s), 1000);

    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->out, nasty);
}

TEST_F(ProcessTest, TheProgramSeesOnlyTheGivenEnvironmentFolderAndEmptyInput) {
    ASSERT_EQ(::setenv("GB_OF_THE_SERVICE", "leak", 1), 0);

    const auto environment =
        runner_.run({.argv = {"/usr/bin/env"}, .environment = {"ONLY=this"}}, context(30s), 1000);
    const auto folder = runner_.run({.argv = {"/bin/pwd"}, .workDir = "/usr"}, context(30s), 1000);
    const auto input = runner_.run({.argv = {"/bin/cat"}}, context(30s), 1000);

    ASSERT_TRUE(environment.ok() && folder.ok() && input.ok());
    EXPECT_EQ(environment->out, "ONLY=this\n");
    EXPECT_EQ(folder->out, "/usr\n");
    EXPECT_EQ(input->out, "");
    EXPECT_EQ(input->exitCode, 0);
}

TEST_F(ProcessTest, TheProgramStartsWithDefaultSignalsEvenWhereTheServiceBlocksThem) {
    sigset_t pipeSignal;
    ::sigemptyset(&pipeSignal);
    ::sigaddset(&pipeSignal, SIGPIPE);
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &pipeSignal, nullptr), 0);

    const auto result = run("grep SigBlk /proc/self/status");
    ::pthread_sigmask(SIG_UNBLOCK, &pipeSignal, nullptr);

    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->out, "SigBlk:\t0000000000000000\n");
}

TEST_F(ProcessTest, TheProgramInheritsNoOtherDescriptor) {
    const int leaked = ::dup(0);

    const auto result = run("for n in 0 1 2 " + std::to_string(leaked) +
                            "; do [ -e /proc/$$/fd/$n ] && echo $n; done");
    ::close(leaked);

    ASSERT_TRUE(result.ok());
    ASSERT_GT(leaked, 2);
    EXPECT_EQ(result->out, "0\n1\n2\n");
}

TEST_F(ProcessTest, AProgramThatCannotBeExecutedIsAPermanentErrorWithItsName) {
    const auto result = runner_.run({.argv = {"/no/such/program"}}, context(30s), 1000);

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Permanent);
    EXPECT_NE(result.error().message.find("/no/such/program"), std::string::npos);
}

TEST_F(ProcessTest, AtTheDeadlineAProgramThatIgnoresTheRequestIsKilledAndItsEffectUncertain) {
    const TempDir dir;
    const auto pidFile = dir.path() / "pid";
    const auto script =
        "trap '' TERM; echo $$ >" + pidFile.string() + "; while :; do sleep 1; done";

    const auto result = runner_.run(shell(script), context(300ms), 1000);

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_NE(result.error().message.find("in time"), std::string::npos);
    EXPECT_EQ(::kill(std::stoi(readFile(pidFile)), 0), -1);
}

TEST_F(ProcessTest, AStopRequestEndsTheProgramAtOnce) {
    const TempDir dir;
    const auto marker = dir.path() / "started";
    std::stop_source stop;
    std::jthread stopper([&] {
        EXPECT_TRUE(waitUntil([&] { return std::filesystem::exists(marker); }, 10s));
        stop.request_stop();
    });

    const auto result = runner_.run(shell(": >" + marker.string() + "; exec sleep 1000"),
                                    context(60s, stop.get_token()), 1000);

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_NE(result.error().message.find("service stops"), std::string::npos);
}

TEST_F(ProcessTest, WithoutTimeLeftNothingIsStarted) {
    const TempDir dir;
    const auto marker = dir.path() / "started";
    std::stop_source stop;
    stop.request_stop();

    const auto late = runner_.run(shell(": >" + marker.string()), context(-1ms), 1000);
    const auto stopped =
        runner_.run(shell(": >" + marker.string()), context(30s, stop.get_token()), 1000);

    ASSERT_FALSE(late.ok());
    EXPECT_EQ(late.error().kind, ErrorKind::Transient);
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().kind, ErrorKind::Transient);
    EXPECT_FALSE(std::filesystem::exists(marker));
}

TEST_F(ProcessTest, EndlessOutputStopsTheProgram) {
    const auto result = run("exec yes", 100000);

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_NE(result.error().message.find("more than 100000 bytes"), std::string::npos);
}

TEST_F(ProcessTest, OutputOfExactlyTheLimitIsFineAndOneByteMoreIsNot) {
    const auto exact = run("printf 12345", 5);
    const auto longer = run("printf 123456", 5);

    ASSERT_TRUE(exact.ok());
    EXPECT_EQ(exact->out, "12345");
    EXPECT_FALSE(longer.ok());
}

TEST_F(ProcessTest, ALeftoverInTheBackgroundDelaysNothingAndIsKilled) {
    const auto started = clock_.steadyNow();

    const auto result = run("sleep 1000 & echo $!");

    ASSERT_TRUE(result.ok());
    EXPECT_LT(clock_.steadyNow() - started, 20s);
    const int leftover = std::stoi(result->out);
    EXPECT_TRUE(waitUntil(
        [leftover] {
            const auto stat = readFile("/proc/" + std::to_string(leftover) + "/stat");
            return stat.empty() || stat.find(") Z ") != std::string::npos;
        },
        10s));
}

}  // namespace
}  // namespace gridbridge
