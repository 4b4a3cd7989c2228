#include <gmock/gmock.h>

#include "tests/fakegitlab/RawClient.h"

namespace gridbridge::fakegitlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInfo = R"("info":{"name":"n","version":"1","features":{"refspecs":true}})";

class RunnersTest : public RawHttp {
protected:
    void SetUp() override { start({.registrationToken = "GR1348941abc"}); }

    RawAnswer make(const std::string& more, const std::string& token = "GR1348941abc") {
        return json(
            "POST", "runners",
            R"({"token":")" + token + "\"," + kInfo + (more.empty() ? "" : ",") + more + "}");
    }
    RawAnswer verify(const std::string& token, const std::string& systemId) {
        return json(
            "POST", "runners/verify",
            R"({"token":")" + token + R"(","system_id":")" + systemId + "\"," + kInfo + "}");
    }
    /// The runner that a registration made.
    RunnerSpec made() const {
        auto all = server->runners();
        std::erase_if(all, [](const auto& spec) { return spec.token == "glrt-test"; });
        return all.size() == 1 ? all.front() : RunnerSpec{};
    }
};

TEST_F(RunnersTest, VerifyKnowsTheTokenAndTheJobRouterIsAbsent) {
    const auto known = verify("glrt-test", "s_1");

    EXPECT_EQ(known.status, 200);
    EXPECT_EQ(known.json()->getValue<int>("id"), 11);
    EXPECT_TRUE(known.json()->isNull("token_expires_at"));
    EXPECT_THAT(server->managerFeatures("glrt-test", "s_1").value(), ElementsAre("refspecs"));
    EXPECT_EQ(verify("glrt-x", "s_1").status, 403);
    EXPECT_EQ(json("POST", "runners/verify", "{}").status, 400);
    EXPECT_EQ(call("GET", "runners/router/discovery", {{"Runner-Token", "glrt-test"}}, "").status,
              501);
    EXPECT_EQ(call("GET", "runners/router/discovery", {{"Runner-Token", "glrt-x"}}, "").status,
              403);
}

TEST_F(RunnersTest, RegistrationKeepsAllItsParameters) {
    const auto answer =
        make(R"("description":"d","maintenance_note":"m","paused":true,"locked":true,)"
             R"("access_level":"ref_protected","run_untagged":false,"tag_list":"a,b",)"
             R"("maximum_timeout":600)");

    ASSERT_EQ(answer.status, 201);
    const auto spec = made();
    EXPECT_EQ(answer.json()->getValue<std::string>("token"), spec.token);
    EXPECT_EQ(spec.description, "d");
    EXPECT_EQ(spec.maintenanceNote, "m");
    EXPECT_TRUE(spec.paused);
    EXPECT_TRUE(spec.locked);
    EXPECT_FALSE(spec.runUntagged);
    EXPECT_EQ(spec.accessLevel, "ref_protected");
    EXPECT_THAT(spec.tags, ElementsAre("a", "b"));
    EXPECT_EQ(spec.maximumTimeout, Seconds(600));
    EXPECT_EQ(spec.program, "n");
    EXPECT_EQ(verify(spec.token, "s_1").status, 200);
    EXPECT_THAT(server->violations(), IsEmpty());
}

TEST_F(RunnersTest, OldNamesOfParametersStillWork) {
    EXPECT_EQ(make(R"("active":false,"maintainer_note":"m","tag_list":["a"])").status, 201);
    EXPECT_TRUE(made().paused);
    EXPECT_EQ(made().maintenanceNote, "m");
    EXPECT_THAT(made().tags, ElementsAre("a"));
}

TEST_F(RunnersTest, RegistrationRefusesWhatARealServerDoes) {
    for (const std::string wrong :
         {R"("active":true,"paused":false)", R"("maintainer_note":"a","maintenance_note":"b")",
          R"("access_level":"open")", R"("locked":"maybe")", R"("maximum_timeout":"long")",
          R"("maximum_timeout":599)", R"("run_untagged":false)"}) {
        EXPECT_EQ(make(wrong).status, 400) << wrong;
    }
    EXPECT_EQ(make(R"("maintenance_note":")" + std::string(1025, 'x') + "\"").status, 400);
    std::string tags = "t0";
    for (int i = 1; i <= 50; ++i) {
        tags += ",t" + std::to_string(i);
    }
    EXPECT_EQ(make(R"("tag_list":")" + tags + "\"").status, 400);
    EXPECT_EQ(make("", "GR1348941other").status, 403);
    EXPECT_EQ(json("POST", "runners", "{}").status, 400);
    start();
    EXPECT_EQ(make("").status, 410);
    EXPECT_EQ(server->runners().size(), 1U);
}

TEST_F(RunnersTest, StrictModeNamesDefectsOfOtherClients) {
    json("POST", "runners",
         R"({"token":"GR1348941abc","info":{"name":"n","version":"1","access_level":"x"}})");
    json("POST", "runners/verify", R"({"token":"glrt-test"})");
    json("POST", "runners/", "{}");
    call("POST", "runners/verify", {{"Content-Type", "text/plain"}}, R"({"token":"glrt-test"})");
    call("DELETE", "runners?token=glrt-test", {}, "");

    EXPECT_TRUE(violated("access_level within info"));
    EXPECT_TRUE(violated("verify without info.name"));
    EXPECT_TRUE(violated("without info.features"));
    EXPECT_TRUE(violated("unknown call POST runners/"));
    EXPECT_TRUE(violated("not called application/json"));
    EXPECT_TRUE(violated("with the token in the query"));
}

TEST_F(RunnersTest, ManagerIsRemovedAloneAndARunnerWithAll) {
    verify("glrt-test", "s_1");
    verify("glrt-test", "s_2");
    const auto remove = [&](const std::string& what, const std::string& body) {
        return json("DELETE", what, body).status;
    };

    EXPECT_EQ(remove("runners/managers", R"({"token":"glrt-test"})"), 400);
    EXPECT_EQ(remove("runners/managers", R"({"token":"glrt-x","system_id":"s_1"})"), 403);
    clock.advance(Seconds(10));
    const auto since = [&](const std::string& what, const std::string& body) {
        return call("DELETE", what,
                    {{"Content-Type", "application/json"},
                     {"If-Unmodified-Since", "Wed, 31 Dec 2025 23:59:59 GMT"}},
                    body)
            .status;
    };
    EXPECT_EQ(since("runners/managers", R"({"token":"glrt-test","system_id":"s_1"})"), 412);
    EXPECT_EQ(since("runners", R"({"token":"glrt-test"})"), 412);
    EXPECT_EQ(remove("runners/managers", R"({"token":"glrt-test","system_id":"s_1"})"), 204);
    EXPECT_EQ(remove("runners/managers", R"({"token":"glrt-test","system_id":"s_1"})"), 404);
    EXPECT_TRUE(server->managerFeatures("glrt-test", "s_2"));
    EXPECT_EQ(remove("runners", "{}"), 400);
    EXPECT_EQ(remove("runners", R"({"token":"glrt-test"})"), 204);
    EXPECT_EQ(remove("runners", R"({"token":"glrt-test"})"), 403);
    EXPECT_THAT(server->runners(), IsEmpty());
}

TEST_F(RunnersTest, CreationByAUserNeedsTheAccessToken) {
    start({.accessToken = "glpat-1", .weakAccessToken = "glpat-3"});
    const auto create = [&](const std::string& token, const std::string& body) {
        return call("POST", "user/runners",
                    {{"Content-Type", "application/json"}, {"PRIVATE-TOKEN", token}}, body);
    };

    EXPECT_EQ(create("glpat-2", R"({"runner_type":"instance_type"})").status, 401);
    EXPECT_EQ(create("glpat-3", R"({"runner_type":"instance_type"})").status, 403);
    EXPECT_EQ(create("glpat-1", R"({"runner_type":"group_type"})").status, 400);
    const auto made = create("glpat-1", R"({"runner_type":"instance_type"})");
    ASSERT_EQ(made.status, 201);
    EXPECT_THAT(made.json()->getValue<std::string>("token"), HasSubstr("glrt-t1_"));
}

TEST_F(RunnersTest, ResetGivesANewTokenAndTheOldOneDiesAtOnce) {
    const auto reset =
        json("POST", "runners/reset_authentication_token", R"({"token":"glrt-test"})");

    ASSERT_EQ(reset.status, 201);
    EXPECT_EQ(verify("glrt-test", "s_1").status, 403);
    const auto renewed = verify(reset.json()->getValue<std::string>("token"), "s_1");
    EXPECT_EQ(renewed.status, 200);
    EXPECT_EQ(renewed.json()->getValue<int>("id"), 11) << "the runner is the same";
}

TEST_F(RunnersTest, AdministratorResetsATokenByItsRunnersId) {
    start({.accessToken = "glpat-1", .weakAccessToken = "glpat-3"});
    const auto reset = [&](const std::string& token, const std::string& id) {
        return call("POST", "runners/" + id + "/reset_authentication_token",
                    {{"PRIVATE-TOKEN", token}}, "");
    };

    EXPECT_EQ(reset("glpat-2", "11").status, 401);
    EXPECT_EQ(reset("glpat-3", "11").status, 403);
    EXPECT_EQ(reset("glpat-1", "12").status, 404);
    const auto renewed = reset("glpat-1", "11");
    ASSERT_EQ(renewed.status, 201);
    EXPECT_EQ(verify("glrt-test", "s_1").status, 403);
    EXPECT_EQ(verify(renewed.json()->getValue<std::string>("token"), "s_1").status, 200);
}

TEST_F(RunnersTest, TokenThatCannotBeResetLivesOn) {
    server->addRunner(RunnerSpec{.token = "glrt-fixed", .resettable = false});

    EXPECT_EQ(
        json("POST", "runners/reset_authentication_token", R"({"token":"glrt-fixed"})").status,
        422);
    EXPECT_EQ(verify("glrt-fixed", "s_1").status, 200);
}

TEST_F(RunnersTest, TokensEndWhenTheSettingsOfTheInstanceSaySo) {
    start({.registrationToken = "GR1348941abc", .tokenLife = std::chrono::hours(1)});
    const auto token = make("").json()->getValue<std::string>("token");
    EXPECT_EQ(verify(token, "s_1").json()->getValue<std::string>("token_expires_at"),
              "2026-01-01T01:00:00.000Z");

    clock.advance(std::chrono::minutes(45));
    const auto reset =
        json("POST", "runners/reset_authentication_token", R"({"token":")" + token + "\"}");
    ASSERT_EQ(reset.status, 201);
    EXPECT_EQ(reset.json()->getValue<std::string>("token_expires_at"), "2026-01-01T01:45:00.000Z");
    const auto renewed = reset.json()->getValue<std::string>("token");
    clock.advance(std::chrono::minutes(59));
    EXPECT_EQ(verify(renewed, "s_1").status, 200);
    clock.advance(std::chrono::minutes(1));
    EXPECT_EQ(verify(renewed, "s_1").status, 403);
    EXPECT_EQ(json("POST", "runners/reset_authentication_token", "{}").status, 400);
    EXPECT_EQ(json("POST", "runners/reset_authentication_token", R"({"token":"glrt-x"})").status,
              403);
}

TEST_F(RunnersTest, LostAnswerOfAResetLeavesNobodyWithTheToken) {
    server->failNext(FaultKind::TokenAnswerLost, 1, Call::Runners);

    EXPECT_FALSE(send("POST", "runners/reset_authentication_token",
                      {{"Content-Type", "application/json"}}, R"({"token":"glrt-test"})"));
    EXPECT_EQ(verify("glrt-test", "s_1").status, 403);
}

}  // namespace
}  // namespace gridbridge::fakegitlab
