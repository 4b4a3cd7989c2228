#include <gmock/gmock.h>

#include "backends/diracx/DiracxBackend.h"
#include "bridge/base/Process.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/DiracAccessToken.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/ScriptedTransport.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using testing::FakeClock;
using ::testing::HasSubstr;
using testing::ScriptedTransport;
using testing::Servers;
using testing::TempDir;

/// A backend whose DiracX answers what a test says, in that order.
class DiracxBackendTest : public ::testing::Test {
protected:
    DiracxBackendTest() {
        backend_ = std::make_unique<DiracxBackend>(
            DiracxConfig{{}, "https://dirac.example.org", {}, file_},
            std::make_unique<ScriptedTransport>(servers_, "https://dirac.example.org"), folders_,
            runner_, clock_, [](const std::string&) {});
    }
    void logIn(const std::string& user = "ada") { testing::logInToDirac(file_, user); }
    /// Of a search.
    static std::string row(int id, const std::string& status, const std::string& minor,
                           const std::string& history) {
        return R"({"JobID":)" + std::to_string(id) + R"(,"JobName":"gb-a-1-1","Status":")" +
               status + R"(","MinorStatus":")" + minor +
               R"(","SubmissionTime":"2026-01-01T00:00:00Z","LoggingInfo":[)" + history + "]}";
    }
    static std::string event(const std::string& status, const std::string& minor) {
        return R"({"Status":")" + status + R"(","MinorStatus":")" + minor +
               R"(","StatusTime":"2026-01-01T00:00:01Z","Source":"JobWrapper"})";
    }
    BatchJob job() const {
        BatchJob made;
        made.key = {"gb-a-1-1"};
        made.loader = "true\n";
        made.deadline = clock_.wallNow() + std::chrono::hours(1);
        return made;
    }
    Result<Submission> submit() {
        const std::vector<BatchJob> jobs{job()};
        return backend_->submit(ctx(), jobs).front();
    }
    /// All of a submission before it is sent; DiracX has the sandboxes.
    void takesFiles() {
        answer(200, "[]");
        answer(200, R"({"pfn":"SB:SE|/S3/w","url":null,"fields":{}})");
        answer(200, R"({"pfn":"SB:SE|/S3/j","url":null,"fields":{}})");
    }
    Result<std::vector<Observation>> observe() {
        const std::vector<JobRef> refs{{{"gb-a-1-1"}, "", {"7"}, {}}};
        return backend_->observe(ctx(), refs);
    }
    /// Of a job with the output `a` that has run, whose output sandbox this is.
    Result<CollectOutcome> collectedOf(const std::string& sandbox) {
        logIn();
        takesFiles();
        answer(200, R"([{"JobID":7}])");
        auto made = job();
        made.outputs = {"a"};
        EXPECT_TRUE(backend_->submit(ctx(), std::vector{made}).front().ok());
        const auto history = event("Running", "Application");
        answer(200, "[" + row(7, "Done", "Execution Complete", history) + "]");
        answer(200, R"(["/S3/new"])");
        answer(200, R"({"url":"https://store.example.org/b","expires_in":300})");
        answer(200, sandbox);
        const std::vector<JobRef> refs{{made.key, "", {"7"}, {}}};
        return backend_->collect(ctx(), refs).front();
    }
    void answer(int status, const std::string& body) {
        servers_.answers.emplace_back(http::Response{status, {}, body, {}});
    }
    CallContext ctx() const { return {.deadline = clock_.steadyNow() + std::chrono::seconds(30)}; }

    TempDir temp_;
    const std::filesystem::path file_ = temp_.path() / "credentials.json";
    FakeClock clock_;
    folder::DirectFolders folders_{temp_.path() / "work"};
    PosixProcessRunner runner_{clock_};
    Servers servers_;
    std::unique_ptr<DiracxBackend> backend_;
};

TEST_F(DiracxBackendTest, WhateverIsWrongWithALoginMayBeMendedWhileTheServiceRuns) {
    std::vector<Result<void>> probed{backend_->probe(ctx())};
    logIn();
    for (const int status : {401, 403}) {
        answer(status, R"({"detail":"not you"})");
        probed.push_back(backend_->probe(ctx()));
    }
    answer(200, R"({"dirac_group":"guest","properties":[],"preferred_username":"ada"})");
    probed.push_back(backend_->probe(ctx()));

    for (const auto& each : probed) {
        ASSERT_FALSE(each.ok());
        EXPECT_EQ(each.error().kind, ErrorKind::Transient) << each.error().message;
        EXPECT_TRUE(each.error().misconfigured) << each.error().message;
    }
    EXPECT_THAT(probed.back().error().message, HasSubstr("the group guest of ada may not submit"));

    answer(200, R"({"dirac_group":"user","properties":["NormalUser"],"preferred_username":"ada"})");
    EXPECT_TRUE(backend_->probe(ctx()).ok());
}

TEST_F(DiracxBackendTest, JobsOfAnotherLoginAreNeverTakenForLost) {
    logIn("ada");
    takesFiles();
    servers_.answers.emplace_back(uncertainError("the connection was cut"));
    ASSERT_EQ(submit().error().kind, ErrorKind::Uncertain);
    logIn("bob");
    const std::vector<JobRef> refs{{{"gb-a-1-1"}, "", {}, {}}};

    answer(200, "[]");
    const auto found = backend_->find(ctx(), refs);
    answer(200, "[]");
    const auto seen = observe();
    answer(200, "[]");
    const auto released = backend_->release(ctx(), refs).front();

    for (const auto* error : {&found.error(), &seen.error(), &released.error()}) {
        EXPECT_EQ(error->kind, ErrorKind::Transient);
        EXPECT_TRUE(error->misconfigured);
        EXPECT_THAT(error->message, HasSubstr("open jobs belong to ada@lab, and the login is that "
                                              "of bob@lab"));
    }
    logIn("ada");
    answer(200, "[]");
    EXPECT_TRUE(backend_->find(ctx(), refs)->empty());
}

TEST_F(DiracxBackendTest, AJobThatNobodyTookIsSubmittedByWhoeverLogsInNext) {
    logIn("ada");
    takesFiles();
    answer(403, R"({"detail":"not you"})");
    ASSERT_EQ(submit().error().kind, ErrorKind::Transient);
    logIn("bob");
    takesFiles();
    answer(200, R"([{"JobID":9}])");

    const auto taken = submit();

    ASSERT_TRUE(taken.ok()) << taken.error().message;
    EXPECT_EQ(taken->accepted->id.value, "9");
}

TEST_F(DiracxBackendTest, OfTwoCopiesTheOneThatStartedLives) {
    logIn();
    answer(200, "[" + row(7, "Waiting", "", event("Received", "")) + "," +
                    row(8, "Running", "Application", event("Running", "Application")) + "]");
    answer(200, R"({"success":{"7":{"Status":"Killed"}},"failed":{}})");
    const std::vector<JobRef> refs{{{"gb-a-1-1"}, "", {}, {}}};

    const auto found = backend_->find(ctx(), refs);

    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->front().id.value, "8");
    EXPECT_THAT(servers_.asked.back().second.body, HasSubstr("{\"7\":"));
}

TEST_F(DiracxBackendTest, HistoriesComeInParts) {
    logIn();
    std::vector<JobRef> refs;
    for (int i = 0; i < 151; ++i) {
        refs.push_back({{"gb-a-" + std::to_string(i) + "-1"}, "", {}, {}});
    }
    answer(200, "[]");
    answer(200, "[]");

    EXPECT_TRUE(backend_->find(ctx(), refs).ok());

    EXPECT_EQ(servers_.asked.size(), 2U);
    EXPECT_THAT(servers_.asked.back().second.body, HasSubstr(R"("values":["gb-a-150-1"])"));
}

TEST_F(DiracxBackendTest, OfAnOutputThatIsRefusedOnlyLogAndStatusStay) {
    const auto collected =
        collectedOf(packSandbox({{"log", "x"}, {"other", "y"}, {"a", "z"}, {"a", "z"}}).value());

    ASSERT_TRUE(collected.ok()) << collected.error().message;
    EXPECT_EQ(*collected, CollectOutcome::Done);
    const auto out = folders_.path({job().key, ""}) / "out";
    EXPECT_THAT(testing::readFile(out / "batch.log"), HasSubstr("the output sandbox is refused"));
    EXPECT_EQ(testing::readFile(out / "log"), "x");
    EXPECT_EQ(testing::readFile(out / "a"), "");
    EXPECT_FALSE(std::filesystem::exists(out / "other"));
}

TEST_F(DiracxBackendTest, AnOutputThatIsDamagedIsAskedForAgain) {
    const auto collected =
        collectedOf(packSandbox({{"log", "x"}, {"a", "z"}}).value().substr(0, 60));

    ASSERT_FALSE(collected.ok());
    EXPECT_EQ(collected.error().kind, ErrorKind::Transient);
    EXPECT_THAT(collected.error().message, HasSubstr("damaged"));
}

TEST_F(DiracxBackendTest, AJobWithoutAHistoryIsUnknownAndOneThatWaitsAgainIsKilled) {
    logIn();
    const auto running = row(7, "Running", "Application", "");
    answer(200, "[" + running + "]");
    answer(200, "[" + running + "]");
    EXPECT_EQ(observe()->front().state, BatchState::Unknown);

    const auto again = event("Running", "Application");
    answer(200, "[" + row(7, "Running", "Application", "") + "]");
    answer(200, "[" + row(7, "Running", "Application", again) + "]");
    EXPECT_TRUE(observe()->front().started);
    // Neither counted nor told by DIRAC.
    answer(200, "[" + row(7, "Waiting", "", "") + "]");
    answer(200, "[" + row(7, "Waiting", "", again) + "]");
    answer(200, R"({"success":{"7":{"Status":"Killed"}},"failed":{}})");
    EXPECT_EQ(observe()->front().state, BatchState::Pending);
    EXPECT_THAT(servers_.asked.back().second.body, HasSubstr(kDiracxNotAgain));
}

TEST_F(DiracxBackendTest, OneThatStartsBetweenItsRowAndItsHistoryIsNotKilled) {
    logIn();
    const auto started = event("Running", "Application");
    answer(200, "[" + row(7, "Waiting", "", started) + "]");
    EXPECT_TRUE(observe().ok());
    answer(200, "[" + row(7, "Running", "Application", "") + "]");
    answer(200, "[" + row(7, "Running", "Application", started) + "]");
    EXPECT_EQ(observe()->front().state, BatchState::Running);
    for (const auto& [server, request] : servers_.asked) {
        EXPECT_THAT(request.body, Not(HasSubstr("Killed")));
    }
}

TEST_F(DiracxBackendTest, MoreDependenciesThanDiracCarriesAreRefusedBeforeTheyAreRead) {
    logIn();
    folder::FolderRef folder{job().key, ""};
    ASSERT_TRUE(folders_.append(folder, "one.zip", 0, "x").ok());
    ASSERT_TRUE(folders_.append(folder, "two.zip", 0, "x").ok());
    for (const char* name : {"one.zip", "two.zip"}) {
        std::filesystem::resize_file(folders_.path(folder) / "in" / name, 150 << 20);
    }
    answer(200, "[]");
    answer(200, R"({"pfn":"SB:SE|/S3/w","url":null,"fields":{}})");

    const auto refused = submit();

    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(refused.error().message, HasSubstr("DIRAC carries 100 MiB at most"));
}

}  // namespace
}  // namespace gridbridge
