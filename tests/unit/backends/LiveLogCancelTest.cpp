#include <gmock/gmock.h>

#include <atomic>

#include "backends/api/CarriedFiles.h"
#include "backends/diracx/DiracxBackend.h"
#include "tests/fakes/DiracAccessToken.h"
#include "tests/fakes/FreePort.h"
#include "tests/fakes/ScriptedTransport.h"
#include "tests/unit/backends/LiveLogTest.h"

namespace gridbridge {
namespace {

using testing::LiveLogTest;
using testing::ScriptedTransport;
using testing::Servers;

/// The machine's clocks, some time later.
class SteadyLaterClock final : public Clock {
public:
    WallTime wallNow() const override { return clock_.wallNow(); }
    SteadyTime steadyNow() const override { return clock_.steadyNow() + later.load(); }
    bool sleepUntil(SteadyTime deadline, std::stop_token stop) override {
        return clock_.sleepUntil(deadline - later.load(), stop);
    }
    std::atomic<Millis> later{Millis(0)};

private:
    SystemClock clock_;
};

/// A DiracX where the job runs, with a live log.
class LiveLogCancel : public LiveLogTest {
protected:
    LiveLogCancel() {
        // The fixture's own receiver only tells the token.
        config_.listen.port = testing::freePort();
        config_.url = "http://127.0.0.1:" + std::to_string(config_.listen.port);
        const auto file = temp_.path() / "credentials.json";
        testing::logInToDirac(file, "ada");
        DiracxConfig config;
        config.live = config_;
        config.url = "https://dirac.example.org";
        config.credentials = file;
        backend_ = std::make_unique<DiracxBackend>(
            config, std::make_unique<ScriptedTransport>(servers_, config.url), folders_, runner_,
            later_, [](const std::string&) {});
    }
    /// How many times DIRAC was asked to kill, when the job is to end.
    int killsOnCancel(CancelKind kind) {
        servers_.asked.clear();
        for (int i = 0; i < 2; ++i) {  // For the looks before.
            servers_.answers.emplace_back(http::Response{
                200,
                {},
                R"([{"JobID":7,"JobName":"gb-a-1-1","Status":"Running","MinorStatus":"Application",)"
                R"("SubmissionTime":"2026-01-01T00:00:00Z","LoggingInfo":[{"Status":"Running",)"
                R"("MinorStatus":"Application","StatusTime":"2026-01-01T00:00:01Z",)"
                R"("Source":"JobWrapper"}]}])",
                {}});
        }
        const std::vector<CancelRequest> requests{{ref(), kind}};
        static_cast<void>(
            backend_->cancel({later_.steadyNow() + std::chrono::seconds(20)}, requests));
        int kills = 0;
        for (const auto& [server, request] : servers_.asked) {
            kills += request.method == "PATCH" ? 1 : 0;
        }
        servers_.answers.clear();
        return kills;
    }
    bool isAsked() const {
        return std::filesystem::exists(workDir() / "gb-a-1-1" / "in" / "cancel");
    }

    SteadyLaterClock later_;
    PosixProcessRunner runner_{later_};
    Servers servers_;
    std::unique_ptr<DiracxBackend> backend_;
};

TEST_F(LiveLogCancel, AScriptThatIsNotHeardIsKilledByDiracAfterATime) {
    EXPECT_TRUE(backend_->capabilities().softCancel);
    EXPECT_EQ(killsOnCancel(CancelKind::Soft), 0);
    EXPECT_TRUE(isAsked());
    later_.later = std::chrono::seconds(19);
    EXPECT_EQ(killsOnCancel(CancelKind::Soft), 0);
    later_.later = std::chrono::seconds(21);
    EXPECT_GT(killsOnCancel(CancelKind::Soft), 0);
}

TEST_F(LiveLogCancel, WhatIsFetchedJustNowIsNotShown) {
    const folder::FolderRef folder{{"gb-a-1-1"}, ""};
    ASSERT_TRUE(folders_.append(folder, "out/log", 0, "half of").ok());
    ASSERT_TRUE(folders_.append(folder, "out/status", 0, "nonce=x\n").ok());
    const auto read = [&] {
        const std::vector<LogRequest> one{{ref(), 1, 0, 100}};
        return std::move(backend_->readLogs({later_.steadyNow() + Millis(1000)}, one)[0]).value();
    };
    EXPECT_EQ(read().bytes, "");
    EXPECT_FALSE(read().status.has_value());
    post(0, "one\n");
    EXPECT_EQ(read().bytes, "one\n");
    EXPECT_FALSE(read().status.has_value());

    ASSERT_TRUE(folders_.append(folder, kFetchedName, 0, "").ok());
    EXPECT_EQ(read().bytes, "half of");
    EXPECT_TRUE(read().status.has_value());
}

TEST_F(LiveLogCancel, OneThatIsHeardIsAskedAndAHardCancelKillsInAnyCase) {
    post(0, "one\n");
    EXPECT_EQ(killsOnCancel(CancelKind::Soft), 0);
    later_.later = std::chrono::seconds(60);
    EXPECT_EQ(killsOnCancel(CancelKind::Soft), 0);
    EXPECT_EQ(post(4, ""), "200 4 cancel");
    EXPECT_GT(killsOnCancel(CancelKind::Hard), 0);
}

}  // namespace
}  // namespace gridbridge
