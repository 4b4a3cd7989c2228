// What runs on a node, as a real shell, against a real receiver.
#include <gmock/gmock.h>

#include <csignal>
#include <thread>

#include "backends/diracx/DiracxSandbox.h"
#include "bridge/base/Process.h"
#include "tests/fakes/WaitUntil.h"
#include "tests/unit/backends/LiveLogTest.h"

namespace gridbridge {
namespace {

using ::testing::HasSubstr;
using testing::LiveLogTest;
using testing::readFile;
using testing::waitUntil;

class LiveLogWrapper : public LiveLogTest {
protected:
    LiveLogWrapper() {
        config_.period = Millis(50);
        restart();
    }
    ~LiveLogWrapper() override {
        write("stop", "");
        node_ = {};
    }
    std::filesystem::path top() const { return temp_.path() / "node"; }
    void write(const std::string& name, const std::string& text) {
        std::filesystem::create_directories((temp_.path() / name).parent_path());
        std::ofstream(temp_.path() / name) << text;
    }
    /// Begins a job on the node that runs these lines, which print into its log. It ends when the
    /// file `stop` is there, unless its lines end it.
    void run(const std::string& lines, const std::string& path = "/usr/bin:/bin") {
        auto inputs = receiver_->filesFor({"gb-a-1-1"});
        inputs.push_back({"loader.sh", "mkdir -p out; exec >>out/log 2>/dev/null\n" + lines +
                                           "\nuntil [ -e " + (temp_.path() / "stop").string() +
                                           " ]; do sleep 0.02; done\n"});
        auto files = jobSandbox(std::move(inputs), {"log"});
        for (auto& file : wrapperSandbox(kDiracxMostPacked)) {
            files.push_back(std::move(file));
        }
        for (const auto& file : files) {
            write("node/" + file.name, file.content);
        }
        node_ = std::jthread([this, path] {
            const std::vector<std::string> argv{
                "/bin/sh", "-c", "cd " + top().string() + " && exec bash " + kDiracxWrapperName};
            const auto done =
                runner_.run({argv, {"PATH=" + path, "https_proxy=http://127.0.0.1:1"}},
                            {clock_.steadyNow() + std::chrono::seconds(60)}, std::size_t{1} << 20U);
            said_ = done ? done->out + done->err : done.error().message;
        });
    }
    void join() { node_ = {}; }
    std::string exitCode() const { return readFile(top() / "exit"); }
    ::testing::AssertionResult shows(const std::string& text) {
        return waitUntil([&] { return shown().find(text) != std::string::npos; },
                         std::chrono::seconds(20), [&] { return shown(); });
    }

    PosixProcessRunner runner_{clock_};
    std::string said_;
    std::jthread node_;
};

TEST_F(LiveLogWrapper, TheLogGrowsWhileTheScriptRunsAndTheReceiverMayBeAwayMeanwhile) {
    run("printf 'one\\0\\n'; until [ -e " + (temp_.path() / "two").string() +
        " ]; do sleep 0.02; done; seq 30000");
    EXPECT_TRUE(shows(std::string("one\0\n", 5)));
    receiver_.reset();
    write("two", "");
    restart();
    EXPECT_TRUE(shows("\n30000\n"));
    write("stop", "");
    join();
    EXPECT_EQ(exitCode(), "0\n");
    EXPECT_EQ(said_, "");
    EXPECT_EQ(readFile(top() / "log"), shown()) << "no byte is lost, none doubled";
}

TEST_F(LiveLogWrapper, ACancelReachesTheScriptWithinASecondAndTheTokenNoArgument) {
    const auto arguments = (temp_.path() / "arguments").string();
    run("echo begun; until [ -e in/cancel ]; do cat /proc/[0-9]*/cmdline >>" + arguments +
        "; done; echo canceled; exit 3");
    EXPECT_TRUE(shows("begun\n"));
    EXPECT_TRUE(receiver_->hears(ref()));
    EXPECT_TRUE(
        waitUntil([&] { return readFile(arguments).find("&offset=6") != std::string::npos; },
                  std::chrono::seconds(20)));
    ASSERT_TRUE(folders_.requestCancel({{"gb-a-1-1"}, ""}).ok());
    const auto before = clock_.steadyNow();
    join();
    EXPECT_LT(clock_.steadyNow() - before, std::chrono::seconds(5));
    EXPECT_EQ(exitCode(), "3\n");
    EXPECT_THAT(readFile(top() / "log"), HasSubstr("canceled\n"));
    EXPECT_EQ(readFile(arguments).find(token().substr(7)), std::string::npos);
}

TEST_F(LiveLogWrapper, AJobThatNobodyWantsIsEnded) {
    run("echo begun");
    EXPECT_TRUE(shows("begun\n"));
    ASSERT_TRUE(folders_.free({{"gb-a-1-1"}, ""}).ok());
    join();
    EXPECT_EQ(exitCode(), "143\n");
}

TEST_F(LiveLogWrapper, WithoutAReceiverOrCurlTheJobIsAsItWas) {
    receiver_.reset();
    config_.url = "http://127.0.0.1:1";
    log_ = std::make_unique<LiveLog>(folders_);
    config_.listen.port = 0;
    receiver_ = std::make_unique<LiveLogReceiver>(config_, workDir(), *log_, clock_);
    write("stop", "");
    run("echo one");
    join();
    EXPECT_EQ(exitCode(), "0\n");
    EXPECT_EQ(readFile(top() / "log"), "one\n");
    EXPECT_EQ(said_, "");
}

TEST_F(LiveLogWrapper, NoAnswerButOursEndsOrStopsAnything) {
    // What a proxy between them says.
    write("bin/curl", "#!/bin/sh\ncat >/dev/null\nprintf '%s' '<html>gone</html> 410'\n");
    std::filesystem::permissions(temp_.path() / "bin/curl", std::filesystem::perms::owner_all);
    write("stop", "");
    run("echo one; sleep 0.3", (temp_.path() / "bin").string() + ":/usr/bin:/bin");
    join();
    EXPECT_EQ(exitCode(), "0\n");
    EXPECT_FALSE(receiver_->hears(ref()));
}

}  // namespace
}  // namespace gridbridge
