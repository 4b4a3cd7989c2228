// Runner tokens with an end: renewed in time, whatever is killed or lost meanwhile.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"
#include "tests/fakes/LaterClock.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using fakegitlab::JobId;
using fakegitlab::Status;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kOldToken = "glrt-test";

class TokenEndToEnd : public EndToEnd {
protected:
    /// A runner whose token ends `life` from now as the service sees it. GitLab's own clock is ten
    /// minutes behind, so that a slow machine renews it late and not too late.
    void begin(Millis life) {
        later.ahead = -minutes(10);
        auto given = options();
        given.tokenLife = hours(100);
        gitlab.emplace(later, given);
        gitlab->addRunner({.token = kOldToken, .expiresAt = clock.wallNow() + life});
        service.emplace(gitlab->url(), folder.path);
    }
    void TearDown() override {
        EndToEnd::TearDown();
        gitlab.reset();  // Before its clock.
    }
    std::string token() const { return gitlab->runners().at(0).token; }
    bool renewed() const { return token() != kOldToken; }
    std::ptrdiff_t renewals() const {
        const auto all = gitlab->requests();
        return std::count_if(all.begin(), all.end(), [](const auto& request) {
            return request.path.ends_with("/reset_authentication_token") && request.status == 201;
        });
    }
    /// A job that runs until release().
    JobId held() {
        return gitlab->addJob({.script = {"echo begun; while [ ! -e " +
                                          (folder.path / "go").string() + " ]; do sleep 0.1; done"},
                               .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    }
    void release() { writeFile(folder.path / "go", ""); }
    bool logSays(const std::string& text) const {
        return service->log().find(text) != std::string::npos;
    }
    void expectNoTokenIn(const std::string& text) const {
        EXPECT_THAT(text, Not(HasSubstr(kOldToken)));
        EXPECT_THAT(text, Not(HasSubstr(token())));
    }

    LaterClock later;
};

TEST_F(TokenEndToEnd, TokenIsRenewedInTimeAndOpenJobsGoOn) {
    begin(seconds(6));
    const auto id = held();
    start();
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    ASSERT_TRUE(waitFor([&] { return renewed(); }, "the renewal"));
    release();
    EXPECT_EQ(finished(id).status, Status::Success);

    later.ahead = hours(1);  // The old token would be over.
    EXPECT_EQ(run({}).status, Status::Success);
    EXPECT_EQ(renewals(), 1);
    const auto checked = runGridbridge({"check", "--config", service->config().string()});
    EXPECT_EQ(checked.exitCode, 0) << checked;
    EXPECT_EQ(service->stop(), 0);
    EXPECT_EQ(run({}).status, Status::Success) << "after a restart";
    EXPECT_EQ(renewals(), 1);
    EXPECT_THAT(readFile(service->config()), HasSubstr(kOldToken));
    expectNoTokenIn(service->log() + checked.out);
}

class TokenCrash : public TokenEndToEnd, public ::testing::WithParamInterface<const char*> {};

TEST_P(TokenCrash, KillLosesNothing) {
    begin(seconds(3));
    service->start({{"GRIDBRIDGE_CRASH_POINT", GetParam()}});
    EXPECT_EQ(service->wait(), 137) << "the crash point was never reached";
    EXPECT_EQ(renewed(), GetParam() == std::string("token-stored"));

    service->start();
    ASSERT_TRUE(waitFor([&] { return renewed(); }, "the renewal"));
    later.ahead = hours(1);
    EXPECT_EQ(run({}).status, Status::Success);
    EXPECT_EQ(renewals(), 1);
    EXPECT_FALSE(logSays("was lost"));
    expectNoTokenIn(service->log());
}

INSTANTIATE_TEST_SUITE_P(EachPoint, TokenCrash, ::testing::Values("token-asked", "token-stored"),
                         [](const auto& p) {
                             return p.param == std::string("token-asked") ? "Asked" : "Stored";
                         });

TEST_F(TokenEndToEnd, KillBetweenAnswerAndStoreIsFoundOutAndTheConfiguredTokenWins) {
    begin(seconds(8));
    const auto id = held();
    service->start({{"GRIDBRIDGE_CRASH_POINT", "token-answered"}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    EXPECT_EQ(service->wait(), 137) << "the crash point was never reached";
    ASSERT_TRUE(renewed());

    service->start();
    EXPECT_TRUE(waitFor([&] { return logSays("the renewal of the token of runner pool was lost"); },
                        "the alarm"));
    release();
    EXPECT_EQ(finished(id).status, Status::Success) << "its token is its own";
    service->stop();
    const auto checked = runGridbridge({"check", "--config", service->config().string()});
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(checked.out, HasSubstr(", and the answer to its renewal was lost; reset the "
                                       "runner's token in GitLab and write the new one\n"));
    EXPECT_THAT(service->log() + checked.out, Not(HasSubstr("that GitLab showed when")))
        << "that one is dead";
    expectNoTokenIn(service->log() + checked.out);
    auto text = readFile(service->config());
    text.replace(text.find(kOldToken), std::string(kOldToken).size(), token());
    writeFile(service->config(), text);
    EXPECT_EQ(run({}).status, Status::Success);
}

TEST_F(TokenEndToEnd, LostAnswerOfARenewalIsFoundOutAndOpenJobsGoOn) {
    begin(seconds(6));
    gitlab->failNext(FaultKind::TokenAnswerLost, 1, Call::Runners);
    const auto id = held();
    start();
    EXPECT_TRUE(
        waitFor([&] { return logSays("reset the runner's token in GitLab"); }, "the alarm"));
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    release();
    EXPECT_EQ(finished(id).status, Status::Success);
    EXPECT_EQ(gitlab->faults().at(FaultKind::TokenAnswerLost), 1U);
}

TEST_F(TokenEndToEnd, RunnerThatGitLabRefusesPausesItsClaimsUntilAReloadBringsAWorkingToken) {
    gitlab.emplace(clock, options());
    gitlab->addRunner(kOldToken);
    service.emplace(gitlab->url(), folder.path);
    const auto id = held();
    start();
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    const auto claims = [&] {
        const auto all = gitlab->requests();
        return std::count_if(all.begin(), all.end(), [](const auto& request) {
            return request.path.ends_with("/jobs/request") && request.status == 403;
        });
    };
    const std::string alarm = "runner pool claims nothing, " + gitlab->url() + " refuses";
    const auto health = [&] { return service->sql("SELECT health FROM runner"); };
    gitlab->removeRunner(kOldToken);
    gitlab->addRunner("glrt-new");
    const auto waiting = gitlab->addJob({.variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(waitFor([&] { return logSays(alarm); }, "the alarm"));
    EXPECT_TRUE(waitFor([&] { return health() != "ok\n"; }, "the health"));
    EXPECT_THAT(health(), HasSubstr("claims nothing, GitLab refuses its claims: POST "));
    EXPECT_THAT(runGridbridge({"jobs", "--config", service->config().string()}).out,
                HasSubstr("runner pool claims nothing, GitLab refuses its claims: POST "));

    release();
    EXPECT_EQ(finished(id).status, Status::Success) << "open jobs go on";
    EXPECT_EQ(claims(), 3) << "nothing is claimed in the pause";
    EXPECT_EQ(gitlab->status(waiting), Status::Pending);
    auto text = readFile(service->config());
    text.replace(text.find(kOldToken), std::string(kOldToken).size(), "glrt-new");
    writeFile(service->config(), text);
    const auto checked = runGridbridge({"check", "--config", service->config().string()});
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(checked.out, HasSubstr("its token is known now, reload the service"));
    service->reload();

    EXPECT_EQ(finished(waiting).status, Status::Success);
    EXPECT_TRUE(waitFor([&] { return health() == "ok\n"; }, "the recovery"));
    EXPECT_TRUE(logSays("runner pool claims jobs again"));
    EXPECT_EQ(claims(), 3);
    EXPECT_EQ(service->log().find(alarm), service->log().rfind(alarm)) << "told more than once";
    EXPECT_EQ(runGridbridge({"check", "--config", service->config().string()}).exitCode, 0);
    EXPECT_THAT(service->log(), Not(HasSubstr("glrt-")));
}

TEST_F(TokenEndToEnd, UnregisterUsesTheRenewedToken) {
    begin(seconds(3));
    std::filesystem::create_directory(folder.path / "config.d");
    const auto file = folder.path / "config.d" / "extra.toml";
    gitlab->addRunner("glrt-zzz");
    auto text = readFile(service->config());
    const auto from = text.find("[[runners]]");
    const auto to = text.find("[backends");
    writeFile(file, text.substr(from, to - from));
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    text.replace(text.find(kOldToken), std::string(kOldToken).size(), "glrt-zzz");
    writeFile(service->config(), text);
    text = readFile(file);
    writeFile(file, text.replace(text.find("\"pool\""), 6, "\"extra\""));
    start();
    ASSERT_TRUE(waitFor([&] { return renewals() == 1; }, "the renewal"));
    ASSERT_TRUE(
        waitFor([&] { return logSays("the token of runner extra is renewed"); }, "its end"));
    service->stop();

    const auto printed =
        runGridbridge({"unregister", "extra", "--config", service->config().string()});
    EXPECT_EQ(printed.exitCode, 0) << printed;
    EXPECT_FALSE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace gridbridge::testing
