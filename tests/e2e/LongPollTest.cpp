// Questions that GitLab holds until its queue changes (protocol 2.2).
#include <gmock/gmock.h>

#include <future>

#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using fakegitlab::RequestRecord;
using fakegitlab::Status;
using std::chrono::seconds;
using ::testing::HasSubstr;

/// Cut off earlier than this, a question is not known to be a held one.
constexpr seconds kAnswerTime(5);

class LongPollEndToEnd : public EndToEnd {
protected:
    /// A service whose question is held from now on; the server gives up after two minutes.
    void startHeld(seconds interval) {
        auto with = options();
        with.longPoll = seconds(120);
        gitlab.emplace(clock, std::move(with));
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        auto text = readFile(service->config());
        const std::string usual = "check_interval = 1\n";
        text.replace(text.find(usual), usual.size(),
                     "check_interval = " + std::to_string(interval.count()) + "\n");
        writeFile(service->config(), text);
        start();
        ASSERT_TRUE(waitFor([&] { return gitlab->held() == 1; }, "a held question"));
        heldSince = clock.steadyNow();
    }
    ::testing::AssertionResult waitHeldFor(Millis time) {
        return waitFor([&] { return clock.steadyNow() - heldSince >= time && gitlab->held() == 1; },
                       "the question to be held for some time");
    }
    std::vector<RequestRecord> claims() const {
        auto all = gitlab->requests();
        std::erase_if(all, [](const auto& request) {
            return request.path.find("/jobs/request") == std::string::npos;
        });
        return all;
    }
    static fakegitlab::JobSpec plainJob() {
        return {.script = {"true"}, .variables = {{.key = "GIT_STRATEGY", .value = "none"}}};
    }

    SteadyTime heldSince;
};

TEST_F(LongPollEndToEnd, JobThatAppearsIsClaimedAtOnceAndTheValueIsKept) {
    startHeld(seconds(8));
    ASSERT_TRUE(waitHeldFor(Millis(1500)));
    const auto before = clock.wallNow();

    const auto id = gitlab->addJob(plainJob());
    ASSERT_TRUE(gitlab->waitForStatus(id, Status::Success));

    EXPECT_LT(*gitlab->job(id).claimedAt - before, seconds(4)) << "it waited for the interval";
    const auto asked = claims();
    ASSERT_GE(asked.size(), 3U);
    EXPECT_THAT(asked[1].body, HasSubstr("last_update"));
    EXPECT_EQ(asked[1].status, 204) << "the held one";
    EXPECT_EQ(asked[2].status, 201);
    EXPECT_EQ(asked[2].body, asked[1].body) << "with the value it had";
}

TEST_F(LongPollEndToEnd, StopCutsAHeldQuestionOffAndLosesNoJob) {
    startHeld(seconds(1));
    ASSERT_TRUE(waitHeldFor(kAnswerTime));
    const auto before = clock.steadyNow();

    EXPECT_EQ(service->stop(), 0);

    EXPECT_LT(clock.steadyNow() - before, seconds(3));
    const auto id = gitlab->addJob(plainJob());
    EXPECT_EQ(gitlab->status(id), Status::Pending);
    service->start();
    EXPECT_EQ(finished(id).status, Status::Success);
}

TEST_F(LongPollEndToEnd, JobThatComesWhileAStopWaitsForAYoungQuestionIsKept) {
    startHeld(seconds(1));
    auto end = std::async(std::launch::async, [this] { return service->stop(); });
    ASSERT_TRUE(waitFor([&] { return service->log().find("stopping;") != std::string::npos; },
                        "the stop to begin"));
    ASSERT_EQ(gitlab->held(), 1) << "the question is still there";

    const auto id = gitlab->addJob(plainJob());

    EXPECT_EQ(end.get(), 0);
    EXPECT_EQ(gitlab->status(id), Status::Pending) << "a held question never brings a job";
    service->start();
    EXPECT_EQ(finished(id).status, Status::Success);
}

TEST_F(LongPollEndToEnd, ReloadLeavesAHeldQuestionAndChangesWhatItFinds) {
    startHeld(seconds(1));
    ASSERT_TRUE(waitHeldFor(Millis(1500)));
    const auto before = claims().size();
    auto text = readFile(service->config());
    text.replace(text.find("limit = 100"), 11, "limit = 1");
    writeFile(service->config(), text);
    service->reload();
    ASSERT_TRUE(waitFor(
        [&] { return service->log().find("configuration read again") != std::string::npos; },
        "the reload"));
    EXPECT_EQ(claims().size(), before);
    EXPECT_EQ(gitlab->held(), 1);

    auto waiting = plainJob();
    waiting.script = {"until test -e " + (folder.path / "go").string() + "; do sleep 0.1; done"};
    const auto first = gitlab->addJob(waiting);
    const auto second = gitlab->addJob(plainJob());
    ASSERT_TRUE(gitlab->waitForStatus(first, Status::Running));
    EXPECT_EQ(gitlab->status(second), Status::Pending);
    writeFile(folder.path / "go", "");
    EXPECT_EQ(finished(second).status, Status::Success);
}

TEST_F(LongPollEndToEnd, DrainDuringAHeldQuestionTakesNoJob) {
    startHeld(seconds(1));
    ASSERT_TRUE(waitHeldFor(Millis(1500)));
    service->command({"drain"});
    ASSERT_TRUE(
        waitFor([&] { return service->sql("SELECT draining FROM runner") == "1\n"; }, "the drain"));

    const auto id = gitlab->addJob(plainJob());
    ASSERT_TRUE(waitFor([&] { return gitlab->held() == 0; }, "the end of the held question"));
    EXPECT_EQ(service->stop(), 0);  // Waits for a question on its way.

    EXPECT_EQ(gitlab->status(id), Status::Pending);
    service->command({"resume"});
    service->start();
    EXPECT_EQ(finished(id).status, Status::Success);
}

TEST_F(LongPollEndToEnd, StopWaitsForAJobThatIsOnItsWay) {
    auto with = options();
    with.slowAnswer = Millis(2000);
    gitlab.emplace(clock, std::move(with));
    gitlab->addRunner("glrt-test");
    gitlab->failNext(FaultKind::SlowAnswer, 1, Call::Claim);
    const auto id = gitlab->addJob(plainJob());
    start();
    ASSERT_TRUE(waitFor([&] { return gitlab->status(id) == Status::Running; }, "the claim"));

    EXPECT_EQ(service->stop(), 0);

    EXPECT_EQ(service->sql("SELECT state FROM job"), "received\n");
    service->start();
    EXPECT_EQ(finished(id).status, Status::Success);
}

}  // namespace
}  // namespace gridbridge::testing
