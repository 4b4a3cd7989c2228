// What an agent that dies, hangs or lies does, and what it must not do to others.
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "tests/unit/folder/FolderFixture.h"

namespace gridbridge::folder {
namespace {

using namespace std::chrono_literals;
using testing::readFile;
using testing::waitUntil;

class AgentFoldersTest : public ::testing::Test {
protected:
    /// Folders whose agents are `script`, a shell's; it finds the account's folder in $1 and the
    /// program of a good agent in $AGENT.
    AgentFolders& use(const std::string& script, Millis limit = 20s) {
        const auto agent = testing::agentIn(temp_.path() / "bin").program.front();
        folders_ = std::make_unique<AgentFolders>(
            temp_.path() / "work",
            AgentSetup{{"/bin/sh", "-c",
                        "AGENT=" + agent + "; echo $$ >>" + pids_.string() + "; " + script, "sh"},
                       limit},
            clock_);
        return *folders_;
    }
    AgentFolders& useGood(Millis limit = 20s) { return use("exec $AGENT $1", limit); }

    FolderRef ref() const { return {.key = {"gb-test-1-1"}, .account = account_}; }
    static FolderRef own() { return {.key = {"gb-test-2-1"}, .account = {}}; }
    Result<void> stage(const FolderRef& folder) {
        return folders_->stage(folder, std::vector<StagedFile>{{"job.sh", "echo geheim"}});
    }
    /// Of all agents that were started, in order.
    std::vector<pid_t> agents() const {
        std::istringstream in(readFile(pids_));
        return {std::istream_iterator<pid_t>(in), {}};
    }
    static bool isGone(pid_t pid) {
        const auto stat = readProcessStat(pid);
        return !stat || stat->state == 'Z';
    }
    /// Prints a frame of these bytes, given to printf(1).
    static std::string frame(const std::string& size, const std::string& bytes) {
        return "printf '" + size + bytes + "'; ";
    }
    static std::string greeting() { return frame("\\022\\000\\000\\000", "gridbridge agent 2"); }

    testing::TempDir temp_;
    std::filesystem::path pids_ = temp_.path() / "pids";
    SystemClock clock_;
    std::string account_ = findAccount("").value().name;
    std::unique_ptr<AgentFolders> folders_;
};

TEST_F(AgentFoldersTest, ThereIsOneAgentAndTheServicesOwnFoldersNeedNone) {
    useGood();
    ASSERT_TRUE(stage(own()).ok());
    EXPECT_TRUE(agents().empty());

    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(stage(ref()).ok());
    }

    EXPECT_EQ(agents().size(), 1U);
}

TEST_F(AgentFoldersTest, OneThatDiedIsReplacedWithoutAnError) {
    useGood();
    ASSERT_TRUE(stage(ref()).ok());
    ASSERT_EQ(::kill(agents().at(0), SIGKILL), 0);
    EXPECT_TRUE(waitUntil([&] { return isGone(agents().at(0)); }, 10s));

    const auto staged = stage(ref());

    EXPECT_TRUE(staged.ok()) << staged.error().message;
    EXPECT_EQ(agents().size(), 2U);
}

TEST_F(AgentFoldersTest, OneThatHangsIsGivenUpAndDisturbsNoOther) {
    useGood(300ms);
    ASSERT_TRUE(stage(ref()).ok());
    ASSERT_EQ(::kill(agents().at(0), SIGSTOP), 0);

    const auto hung = stage(ref());
    const auto again = stage(ref());

    ASSERT_FALSE(hung.ok());
    EXPECT_EQ(hung.error().kind, ErrorKind::Transient);
    EXPECT_TRUE(stage(own()).ok());
    EXPECT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(agents().size(), 2U);
}

TEST_F(AgentFoldersTest, AMarkerWhoseAnswerIsLostIsUncertain) {
    useGood(300ms);
    ASSERT_TRUE(stage(ref()).ok());
    ASSERT_EQ(::kill(agents().at(0), SIGSTOP), 0);

    const auto marked = folders_->mark(ref());

    ASSERT_FALSE(marked.ok());
    EXPECT_EQ(marked.error().kind, ErrorKind::Uncertain);
}

TEST_F(AgentFoldersTest, OneThatDoesNotStartIsToldWithItsWordsAndNotTriedAllTheTime) {
    use("echo 'sorry, a password is required' >&2; exit 1");

    for (int i = 0; i < 20; ++i) {
        const auto staged = stage(ref());
        ASSERT_FALSE(staged.ok());
        EXPECT_EQ(staged.error().kind, ErrorKind::Transient);
        EXPECT_EQ(staged.error().message,
                  "cannot act as account " + account_ + ": sorry, a password is required");
    }

    EXPECT_LE(agents().size(), 10U);
    EXPECT_TRUE(stage(own()).ok());
}

TEST_F(AgentFoldersTest, WhatIsNoAgentIsRefused) {
    use("echo Welcome to this fine machine; exec cat");
    EXPECT_FALSE(stage(ref()).ok());
    use(frame("\\022\\000\\000\\000", "gridbridge agent 0") + "exec cat");
    const auto other = stage(ref());
    ASSERT_FALSE(other.ok());
    EXPECT_NE(other.error().message.find("another release"), std::string::npos);
}

TEST_F(AgentFoldersTest, AnswersThatMakeNoSenseAreTransientAndEndTheAgent) {
    const std::vector<ReadRequest> requests{{ref(), "log", 0, 10}};
    const std::string none = "\\000\\000\\000\\000";
    const std::string zero = none + none;
    const std::string one = "\\001\\000\\000\\000" + none;
    for (const auto& answer : {
             frame("\\377\\377\\377\\377", "x"),                             // too long
             frame(none, ""),                                                // nothing
             frame("\\010\\000\\000\\000", zero),                            // no chunk
             frame("\\010\\000\\000\\000", "\\002" + zero.substr(4)),        // more than asked
             frame("\\020\\000\\000\\000", one + "\\004" + zero.substr(4)),  // no such outcome
             frame("\\050\\000\\000\\000",                                   // more than the limit
                   one + zero + one + zero + "\\013" + zero.substr(4)),
             frame("\\060\\000\\000\\000", one + zero + one + zero + zero + "surplus!"),
         }) {
        auto& folders = use(greeting() + answer + "exec cat >/dev/null");

        const auto chunk = folders.read(requests).at(0);

        ASSERT_FALSE(chunk.ok()) << answer;
        EXPECT_EQ(chunk.error().kind, ErrorKind::Transient) << answer;
        EXPECT_TRUE(waitUntil([&] { return isGone(agents().back()); }, 10s)) << answer;
    }
}

TEST_F(AgentFoldersTest, AProcessWithoutANumberIsNoneAndIsNotRecorded) {
    const std::string zero = "\\000\\000\\000\\000\\000\\000\\000\\000";
    auto& folders =
        use(greeting() + frame("\\030\\000\\000\\000", zero + zero + zero) + "exec cat >/dev/null");
    bool recorded = false;

    const auto started = folders.start(ref(), std::vector<std::string>{"/bin/true"},
                                       [&](const ProcessId&) { return recorded = true; });

    ASSERT_FALSE(started.ok());
    EXPECT_EQ(started.error().kind, ErrorKind::Transient);
    EXPECT_FALSE(recorded);
}

TEST_F(AgentFoldersTest, AMessageOfAnAgentIsOneHarmlessLine) {
    use(greeting() +
        frame("\\032\\000\\000\\000",
              "\\003\\000\\000\\000\\000\\000\\000\\000"
              "\\012\\000\\000\\000\\000\\000\\000\\000"
              "bad\\033[31m\\012\\015") +
        "exec cat >/dev/null");

    const auto staged = stage(ref());

    ASSERT_FALSE(staged.ok());
    EXPECT_EQ(staged.error().message, "bad?[31m");
}

TEST_F(AgentFoldersTest, WhatIsStagedIsNeitherInItsArgumentsNorInItsEnvironment) {
    useGood();
    ASSERT_TRUE(stage(ref()).ok());

    const auto proc = "/proc/" + std::to_string(agents().at(0));

    EXPECT_NE(readFile(proc + "/cmdline").find("folder_agent"), std::string::npos);
    EXPECT_EQ(readFile(proc + "/cmdline").find("geheim"), std::string::npos);
    EXPECT_EQ(readFile(proc + "/environ").find("geheim"), std::string::npos);
}

TEST_F(AgentFoldersTest, AnAgentEndsWithItsServiceAndWhatItStartedGoesOn) {
    useGood();
    ASSERT_TRUE(stage(ref()).ok());
    const std::vector<std::string> argv{"sleep", "1000"};
    const auto process = folders_->start(ref(), argv, [](const ProcessId&) { return true; });
    ASSERT_TRUE(process.ok());

    useGood();

    EXPECT_TRUE(isGone(agents().at(0)));
    EXPECT_FALSE(isGone(process->pid));
    ASSERT_TRUE(folders_->signal(ref(), *process, SIGKILL).ok());
    EXPECT_TRUE(waitUntil([&] { return isGone(process->pid); }, 10s));
    EXPECT_EQ(folders_->reap(ref(), *process), ProcessEnd()) << "this agent is not its parent";
}

TEST_F(AgentFoldersTest, AProcessWhoseAgentDiesBeforeTheWordDoesNotRunAndIsUncertain) {
    useGood();
    ASSERT_TRUE(stage(ref()).ok());
    const std::vector<std::string> argv{"sh", "-c", ": >out/ran"};
    ProcessId shown;

    const auto process = folders_->start(ref(), argv, [&](const ProcessId& id) {
        shown = id;
        ::kill(agents().at(0), SIGKILL);
        return waitUntil([&] { return isGone(agents().at(0)); }, 10s);
    });

    ASSERT_FALSE(process.ok());
    EXPECT_EQ(process.error().kind, ErrorKind::Uncertain);
    EXPECT_TRUE(waitUntil([&] { return isGone(shown.pid); }, 10s));
    EXPECT_FALSE(std::filesystem::exists(folders_->path(ref()) / "out/ran"));
}

TEST_F(AgentFoldersTest, AnUnknownAccountIsPermanentAndItsAbsentFolderIsFree) {
    useGood();
    const FolderRef nobody{.key = {"gb-test-1-1"}, .account = "gb-no-such-account"};

    const auto staged = stage(nobody);

    ASSERT_FALSE(staged.ok());
    EXPECT_EQ(staged.error().kind, ErrorKind::Permanent);
    EXPECT_TRUE(folders_->free(nobody).ok());
    std::filesystem::create_directories(folders_->path(nobody));
    EXPECT_FALSE(folders_->free(nobody).ok());
}

TEST_F(AgentFoldersTest, AFolderOfAnAccountThatBelongsToAnotherIsRefused) {
    useGood();
    const auto folder = temp_.path() / "work" / account_;
    std::filesystem::create_symlink("/tmp", folder);
    EXPECT_FALSE(stage(ref()).ok());
    std::filesystem::remove(folder);
    std::filesystem::create_directory(folder);
    std::filesystem::permissions(folder, std::filesystem::perms(0777));
    const auto open = stage(ref());
    ASSERT_FALSE(open.ok());
    EXPECT_NE(open.error().message.find("writable by it alone"), std::string::npos);
}

}  // namespace
}  // namespace gridbridge::folder
