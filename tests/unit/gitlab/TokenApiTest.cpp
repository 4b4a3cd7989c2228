#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/gitlab/TokenApi.h"
#include "tests/unit/gitlab/ScriptedTransport.h"

namespace gridbridge::gitlab {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TokenApiTest : public ::testing::Test {
protected:
    TokenAnswer reset(Result<http::Response> response) {
        transport.answers.push_back(std::move(response));
        return api.resetToken({}, Secret("glrt-hidden"));
    }
    TokenAnswer removeManager(http::Response response) {
        transport.answers.emplace_back(std::move(response));
        return api.removeManager({}, Secret("glrt-hidden"), "s_0123456789ab");
    }

    ScriptedTransport transport;
    HttpTokenApi api{transport};
};

TEST_F(TokenApiTest, TokenAndItsEndAreRead) {
    const auto answer = reset(http::Response{
        .status = 201,
        .body = R"({"token":"glrt-new","token_expires_at":"2026-01-01T00:00:00.000Z"})"});
    EXPECT_EQ(answer.outcome, TokenOutcome::Done);
    EXPECT_EQ(answer.token, Secret("glrt-new"));
    EXPECT_EQ(answer.expiresAt, fromEpoch(std::chrono::seconds(1767225600)));
    EXPECT_EQ(transport.requests.at(0).body, R"({"token":"glrt-hidden"})");
    EXPECT_TRUE(transport.requests.at(0).newConnection);
}

TEST_F(TokenApiTest, EveryAnswerSaysWhetherTheEffectMayHaveHappened) {
    const std::pair<int, TokenOutcome> cases[] = {
        {403, TokenOutcome::Forbidden}, {422, TokenOutcome::Refused},
        {404, TokenOutcome::Refused},   {302, TokenOutcome::Refused},
        {400, TokenOutcome::Refused},   {200, TokenOutcome::Refused},
        {429, TokenOutcome::Retry},     {500, TokenOutcome::Uncertain},
        {502, TokenOutcome::Uncertain}, {504, TokenOutcome::Uncertain},
    };
    for (const auto& [status, wanted] : cases) {
        const auto answer = reset(http::Response{
            .status = status,
            .body = R"({"message":")" + std::to_string(status) + R"( Whatever - glrt-hidden"})"});
        EXPECT_EQ(answer.outcome, wanted) << status;
        EXPECT_THAT(answer.message, HasSubstr(std::to_string(status)));
        EXPECT_THAT(answer.message, Not(HasSubstr("hidden")));
        EXPECT_TRUE(answer.token.empty());
    }
    EXPECT_EQ(reset(http::Response{.status = 403, .body = "blocked by policy"}).outcome,
              TokenOutcome::Refused)
        << "a proxy's word says nothing of the token";
    EXPECT_EQ(reset(transientError("no connection")).outcome, TokenOutcome::Retry);
    EXPECT_EQ(reset(uncertainError("no answer")).outcome, TokenOutcome::Uncertain);
}

TEST_F(TokenApiTest, AnswerThatCannotBeReadIsALostOne) {
    for (const std::string body : {"", "{", "[]", "{}", R"({"token":""})", R"({"token":{}})"}) {
        const auto answer = reset(http::Response{.status = 201, .body = body});
        EXPECT_EQ(answer.outcome, TokenOutcome::Uncertain) << body;
    }
    const http::Response page{.status = 201, .headers = {{"Content-Type", "text/html"}}};
    EXPECT_EQ(reset(page).outcome, TokenOutcome::Refused);
}

TEST_F(TokenApiTest, OnlyGitLabItselfSaysThatAManagerIsGone) {
    EXPECT_EQ(removeManager({.status = 204}).outcome, TokenOutcome::Done);
    EXPECT_EQ(
        removeManager({.status = 404, .body = R"({"message":"404 Runner manager not found"})"})
            .outcome,
        TokenOutcome::NotFound);
    EXPECT_EQ(removeManager({.status = 404, .body = "not found"}).outcome, TokenOutcome::Refused);
}

}  // namespace
}  // namespace gridbridge::gitlab
