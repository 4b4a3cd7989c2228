// The calls about a runner's token, over real HTTP to the stand-in GitLab.
#include "bridge/gitlab/TokenApi.h"
#include "tests/unit/gitlab/RunnerApiHttp.h"

namespace gridbridge::gitlab {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using fakegitlab::RunnerSpec;

class TokenHttpTest : public RunnerApiHttp {
protected:
    void SetUp() override {
        start();
        tokens = std::make_unique<HttpTokenApi>(*transport);
    }
    TokenAnswer noted(TokenAnswer answer) {
        messages.push_back(answer.message);
        return answer;
    }
    TokenAnswer reset(const std::string& token) {
        return noted(tokens->resetToken(context(), Secret(token)));
    }
    TokenAnswer removeManager(const std::string& token) {
        return noted(tokens->removeManager(context(), Secret(token), runner.systemId));
    }

    std::unique_ptr<HttpTokenApi> tokens;
};

TEST_F(TokenHttpTest, RenewedTokenIsKnownAndTheOldOneIsNot) {
    const auto renewed = reset("glrt-hidden");

    ASSERT_EQ(renewed.outcome, TokenOutcome::Done) << renewed.message;
    EXPECT_EQ(reset("glrt-hidden").outcome, TokenOutcome::Forbidden);
    runner.token = renewed.token;
    EXPECT_EQ(api->verify(context(), runner).outcome, VerifyOutcome::Valid);
}

TEST_F(TokenHttpTest, RefusedRenewalLeavesTheTokenAlone) {
    server->addRunner(RunnerSpec{.token = "glrt-hidden-fixed", .resettable = false});
    EXPECT_EQ(reset("glrt-hidden-fixed").outcome, TokenOutcome::Refused);
    server->failNext(FaultKind::Unavailable, 1, Call::Runners);
    EXPECT_EQ(reset("glrt-hidden").outcome, TokenOutcome::Uncertain);

    for (const auto* token : {"glrt-hidden", "glrt-hidden-fixed"}) {
        runner.token = Secret(token);
        EXPECT_EQ(api->verify(context(), runner).outcome, VerifyOutcome::Valid);
    }
}

TEST_F(TokenHttpTest, ManagerIsRemovedOnce) {
    api->verify(context(), runner);

    EXPECT_EQ(removeManager("glrt-hidden-wrong").outcome, TokenOutcome::Forbidden);
    EXPECT_EQ(removeManager("glrt-hidden").outcome, TokenOutcome::Done);
    EXPECT_EQ(removeManager("glrt-hidden").outcome, TokenOutcome::NotFound);
    EXPECT_FALSE(server->managerFeatures("glrt-hidden", runner.systemId).has_value());
}

}  // namespace
}  // namespace gridbridge::gitlab
