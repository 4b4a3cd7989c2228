#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "tests/unit/folder/FolderFixture.h"

namespace gridbridge::folder {
namespace {

using namespace std::chrono_literals;
using testing::readFile;
using testing::waitUntil;

class StartedProcessTest : public FolderFixture {
protected:
    void SetUp() override { stageEmpty(ref()); }
    std::string batchLog(const FolderRef& folder) { return readFile(out(folder, "batch.log")); }
    /// A leader with a child that ignores SIGTERM, both running: the child's pid in out/child.
    ProcessId startFamily() {
        const auto process =
            startScript(ref(),
                        "(trap '' TERM; echo $BASHPID >out/part; "
                        "mv out/part out/child; while :; do sleep 1; done) & wait");
        EXPECT_TRUE(process.ok());
        EXPECT_TRUE(waitUntil([&] { return std::filesystem::exists(out(ref(), "child")); }, 20s));
        return *process;
    }
    pid_t child() { return std::stoi(readFile(out(ref(), "child"))); }
};

INSTANTIATE_TEST_SUITE_P(Of, StartedProcessTest, ::testing::ValuesIn(everybody()), nameOf);

TEST_P(StartedProcessTest, RunsTheWordsAsTheyAreWithOutputsInTheBatchLog) {
    const std::string nasty = "a b'\"$HOME`id`\n*\\";
    const std::vector<std::string> argv{"bash", "-c", "printf %s \"$1\"; echo err >&2", "x", nasty};

    const auto process = folders_.start(ref(), argv, [](const ProcessId&) { return true; });

    ASSERT_TRUE(process.ok());
    EXPECT_EQ(waitFor(*process), 0);
    EXPECT_EQ(batchLog(ref()), nasty + "err\n");
    EXPECT_EQ(modeOf(out(ref(), "batch.log")), 0600U);
}

TEST_P(StartedProcessTest, TheEnvironmentInputAndSessionAreItsOwn) {
    ASSERT_EQ(::setenv("GB_OF_THE_SERVICE", "leak", 1), 0);

    const auto process = startScript(ref(),
                                     "exec 2>&1; tr '\\0' '\\n' </proc/$$/environ | cut -d= -f1 | "
                                     "sort | tr '\\n' ' '; wc -c; ps -o sid= -p $$; pwd");

    ASSERT_TRUE(process.ok());
    EXPECT_EQ(waitFor(*process), 0);
    std::istringstream seen(batchLog(ref()));
    std::string names;
    std::getline(seen, names, '0');  // the size of its input
    EXPECT_EQ(names, "GB_FOLDER HOME LANG LOGNAME PATH USER ");
    pid_t session = 0;
    std::string folder;
    seen >> session >> folder;
    EXPECT_EQ(session, process->pid);
    EXPECT_EQ(folder, folders_.path(ref()).string());
}

TEST_P(StartedProcessTest, NothingRunsBeforeItIsRecorded) {
    bool ranEarly = false;

    const auto process = startScript(ref(), ": >out/ran", [&](const ProcessId& id) {
        // The gate is certainly waiting once the shell sleeps in its read.
        EXPECT_TRUE(waitUntil([&] { return readProcessStat(id.pid)->state == 'S'; }, 10s));
        ranEarly = std::filesystem::exists(out(ref(), "ran"));
        return true;
    });

    ASSERT_TRUE(process.ok());
    EXPECT_EQ(waitFor(*process), 0);
    EXPECT_FALSE(ranEarly);
    EXPECT_TRUE(std::filesystem::exists(out(ref(), "ran")));
}

TEST_P(StartedProcessTest, WithoutARecordNothingRunsAtAll) {
    ProcessId shown;

    const auto process = startScript(ref(), ": >out/ran", [&](const ProcessId& id) {
        shown = id;
        return false;
    });

    ASSERT_FALSE(process.ok());
    EXPECT_EQ(process.error().kind, ErrorKind::Transient);
    EXPECT_FALSE(readProcessStat(shown.pid).has_value());
    EXPECT_FALSE(std::filesystem::exists(out(ref(), "ran")));
}

TEST_P(StartedProcessTest, WhenTheServiceDiesBeforeTheRecordNothingRuns) {
    const auto note = temp_.path() / "pid";
    const pid_t service = ::fork();
    if (service == 0) {
        const std::vector<std::string> argv{"bash", "-c", ": >out/ran"};
        AgentFolders folders(work_, agent(), clock_);
        (void)folders.start(ref(), argv, [&](const ProcessId& id) -> bool {
            write(note, std::to_string(id.pid));
            ::_exit(137);
        });
        ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(service, &status, 0), service);
    ASSERT_EQ(WEXITSTATUS(status), 137);

    EXPECT_TRUE(waitUntil([&] { return isGone(std::stoi(readFile(note))); }, 10s));
    EXPECT_FALSE(std::filesystem::exists(out(ref(), "ran")));
}

TEST_P(StartedProcessTest, TheIdentityIsThatOfTheRunningProcess) {
    const auto process = startScript(ref(), "exec sleep 1000");

    ASSERT_TRUE(process.ok());
    EXPECT_EQ(readProcessStat(process->pid)->startTicks, process->startTicks);
    EXPECT_EQ(readProcessStat(process->pid)->session, process->pid);
    EXPECT_EQ(process->bootId, currentBootId());
    ASSERT_TRUE(folders_.signal(ref(), *process, SIGKILL).ok());
    EXPECT_EQ(waitFor(*process), 1000 + SIGKILL);
}

TEST_P(StartedProcessTest, ASignalReachesTheWholeSession) {
    const auto process = startFamily();

    ASSERT_TRUE(folders_.signal(ref(), process, SIGTERM).ok());
    EXPECT_EQ(waitFor(process), 1000 + SIGTERM);
    EXPECT_FALSE(isGone(child()));

    // The leader is gone and reaped: its child still is of its session.
    ASSERT_TRUE(folders_.signal(ref(), process, SIGKILL).ok());
    EXPECT_TRUE(waitUntil([&] { return isGone(child()); }, 10s));
    EXPECT_TRUE(folders_.signal(ref(), process, SIGKILL).ok());
}

TEST_P(StartedProcessTest, ASignalReachesADaemonThatLeftTheSession) {
    const auto process = startScript(
        ref(),
        "setsid bash -c 'echo $$ >out/part; mv out/part out/child; exec sleep 1000' & wait $!");
    ASSERT_TRUE(process.ok());
    EXPECT_TRUE(waitUntil([&] { return std::filesystem::exists(out(ref(), "child")); }, 20s));
    EXPECT_NE(readProcessStat(child())->session, process->pid);

    ASSERT_TRUE(folders_.signal(ref(), *process, SIGKILL).ok());

    EXPECT_TRUE(waitUntil([&] { return isGone(child()); }, 10s));
    waitFor(*process);
}

TEST_P(StartedProcessTest, ADaemonIsFoundEvenBetweenTwoPrograms) {
    for (int daemon = 0; daemon < 200; ++daemon) {
        std::filesystem::remove(out(ref(), "child"));
        const auto process = startScript(
            ref(),
            "echo 'exec sh \"$0\"' >out/again; "
            "setsid bash -c 'echo $$ >out/part; mv out/part out/child; exec sh out/again' & wait");
        ASSERT_TRUE(process.ok());
        ASSERT_TRUE(waitUntil([&] { return std::filesystem::exists(out(ref(), "child")); }, 20s));

        ASSERT_TRUE(folders_.signal(ref(), *process, SIGKILL).ok());

        ASSERT_TRUE(waitUntil([&] { return isGone(child()); }, 10s)) << "after " << daemon;
        waitFor(*process);
    }
}

TEST_P(StartedProcessTest, AProcessThatOnlyHasTheNumberIsLeftAlone) {
    const auto process = startFamily();
    auto later = process;
    later.startTicks += 1;
    auto otherBoot = process;
    otherBoot.bootId = "of another boot";

    EXPECT_TRUE(folders_.signal(ref("gb-test-9-1"), later, SIGKILL).ok());
    EXPECT_TRUE(folders_.signal(ref(), otherBoot, SIGKILL).ok());

    EXPECT_FALSE(isGone(process.pid));
    EXPECT_FALSE(isGone(child()));
    ASSERT_TRUE(folders_.signal(ref(), process, SIGKILL).ok());
    waitFor(process);
}

TEST_P(StartedProcessTest, TheProcessHasTheAccountsIdentityAndNoOther) {
    const auto process = startScript(ref(),
                                     "exec >&2; id -u; id -g; id -G; grep -E "
                                     "'Cap(Inh|Amb)' /proc/$$/status | cut -f 2");

    ASSERT_TRUE(process.ok()) << process.error().message;
    waitFor(*process);
    const auto uid = std::to_string(account().uid);
    const auto gid = std::to_string(account().gid);
    const auto log = batchLog(ref());
    EXPECT_TRUE(log.starts_with(uid + "\n" + gid + "\n")) << log;
    EXPECT_TRUE(log.ends_with("\n0000000000000000\n0000000000000000\n")) << log;
}

TEST_P(StartedProcessTest, AFolderThatIsNotThereIsAnErrorAndStartsNothing) {
    const auto process = startScript(ref("gb-test-3-1"), "true");

    ASSERT_FALSE(process.ok());
    EXPECT_EQ(process.error().kind, ErrorKind::Permanent);
    EXPECT_NE(process.error().message.find("gb-test-3-1"), std::string::npos);
}

}  // namespace
}  // namespace gridbridge::folder
