#include <gmock/gmock.h>

#include "bridge/app/Reload.h"

namespace gridbridge::app {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ReloadTest : public ::testing::Test {
protected:
    ReloadTest() {
        RunnerConfig runner;
        runner.name = "pool";
        runner.url = "https://gitlab.example.org";
        runner.token = Secret("glrt-old");
        runner.tokenKey = "runners.pool.token";
        runner.backend = "here";
        runner.limit = 10;
        now.runners.push_back(runner);
        BackendConfig backend;
        backend.name = "here";
        backend.type = "local";
        backend.workDir = "/jobs";
        backend.runAs = "ci";
        now.backends.push_back(backend);
        next = now;
    }
    RunnerConfig& runner() { return next.runners.at(0); }
    BackendConfig& backend() { return next.backends.at(0); }

    Config now;
    Config next;
};

TEST_F(ReloadTest, WhatCanChangeDoes) {
    next.concurrent = 7;
    next.checkInterval = std::chrono::seconds(9);
    next.logLevel = "debug";
    next.retention = std::chrono::hours(1);
    runner().limit = 3;
    runner().outputLimitKib = 1;
    runner().environment = {"A=b"};
    runner().access.bannedUsers = {"mallory"};
    backend().pollInterval = std::chrono::seconds(5);
    backend().maxPending = 2;

    const auto reload = planReload(now, next);

    EXPECT_TRUE(reload.config == next);
    EXPECT_THAT(reload.later, IsEmpty());
}

TEST_F(ReloadTest, WhatCannotStaysAsItWasAndIsToldKeyByKey) {
    next.stateDir = "/elsewhere";
    runner().url = "https://other.example.org";
    runner().token = Secret("glrt-new");
    runner().tlsCaFile = "/ca.pem";
    runner().backend = "there";
    backend().workDir = "/other";
    backend().slots = 99;
    backend().runAs = "";
    backend().trustedJobs = true;

    const auto reload = planReload(now, next);

    EXPECT_TRUE(reload.config == now);
    std::vector<std::string> keys;
    for (const auto& line : reload.later) {
        EXPECT_TRUE(line.ends_with(" changes when the service is started again")) << line;
        EXPECT_EQ(line.find("glrt-"), std::string::npos);
        keys.push_back(line.substr(0, line.find(' ')));
    }
    EXPECT_THAT(keys, UnorderedElementsAre("state_dir", "runners.pool.url", "runners.pool.token",
                                           "runners.pool.tls_ca_file", "runners.pool.backend",
                                           "backends.here.work_dir", "backends.here.slots",
                                           "backends.here.run_as", "backends.here.trusted_jobs"));
}

TEST_F(ReloadTest, ARunnerThatIsGoneClaimsNothingUntilItComesBack) {
    auto other = runner();
    next.runners.clear();
    const auto gone = planReload(now, next);
    ASSERT_EQ(gone.config.runners.size(), 1U);
    EXPECT_EQ(gone.config.runners[0].limit, 0);
    EXPECT_THAT(gone.later, ElementsAre("runners.pool claims nothing any more, and goes when the "
                                        "service is started again"));

    next.runners.push_back(other);
    EXPECT_EQ(planReload(gone.config, next).config.runners[0].limit, 10);
}

TEST_F(ReloadTest, NewRunnersAndBackendsBegin) {
    auto more = backend();
    more.name = "there";
    next.backends.push_back(more);
    auto second = runner();
    second.name = "second";
    second.backend = "there";
    next.runners.push_back(second);

    const auto reload = planReload(now, next);

    EXPECT_TRUE(reload.config == next);
    EXPECT_THAT(reload.later, IsEmpty());
}

}  // namespace
}  // namespace gridbridge::app
