#include <gmock/gmock.h>

#include <fstream>

#include "backends/diracx/DiracxClient.h"
#include "backends/diracx/DiracxSandbox.h"
#include "tests/fakes/DiracAccessToken.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/ScriptedTransport.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using ::testing::ElementsAre;
using testing::FakeClock;
using ::testing::HasSubstr;
using testing::ScriptedTransport;
using testing::Servers;
using ::testing::StartsWith;
using testing::TempDir;

class DiracxClientTest : public ::testing::Test {
protected:
    DiracxClientTest() {
        testing::logInToDirac(file_, "ada");
        tokens_ = std::make_unique<DiracTokens>(file_, transport_, clock_);
        client_ = std::make_unique<DiracxClient>(transport_, *tokens_, clock_);
    }
    void answer(int status, const std::string& body, http::Headers headers = {}) {
        servers_.answers.emplace_back(http::Response{status, std::move(headers), body, {}});
    }
    CallContext ctx() { return {.deadline = clock_.steadyNow() + std::chrono::seconds(30)}; }
    const http::Request& asked(std::size_t i) { return servers_.asked.at(i).second; }
    static std::string authorization(const http::Request& request) {
        for (const auto& [name, value] : request.headers) {
            if (name == "Authorization") {
                return value;
            }
        }
        return "";
    }

    TempDir temp_;
    const std::filesystem::path file_ = temp_.path() / "credentials.json";
    const DiracOwner ada_{"ada", "lab"};
    FakeClock clock_;
    Servers servers_;
    ScriptedTransport transport_{servers_, "https://dirac.example.org"};
    std::unique_ptr<DiracTokens> tokens_;
    std::unique_ptr<DiracxClient> client_;
};

constexpr const char* kRow =
    R"([{"JobID":%,"JobName":"gb-a-1-1","Status":"Waiting","SubmissionTime":"2026-11-30T19:53:53Z"}])";

std::string row(const std::string& id) {
    std::string text(kRow);
    return text.replace(text.find('%'), 1, id);
}

TEST_F(DiracxClientTest, EverySearchNamesOwnerAndGroupAndReadsAllPages) {
    answer(206, row("1"), {{"Content-Range", "jobs 0-0/2"}});
    answer(206, row("2"),
           {{"Content-Range", "jobs 1-1/2"}, {"Date", "Thu, 01 Jan 2026 00:00:00 GMT"}});

    const auto found = client_->search(ctx(), {.groups = {"gb-a"}, .ids = {1, 2}});

    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found->jobs.size(), 2U);
    EXPECT_EQ(diracxStamp(found->serverNow), "2026-01-01T00:00:00.000+00:00");
    EXPECT_THAT(asked(0).path, HasSubstr("page=1"));
    EXPECT_THAT(asked(1).path, HasSubstr("page=2"));
    EXPECT_THAT(asked(0).body,
                HasSubstr(R"({"operator":"in","parameter":"Owner","values":["ada"]})"));
    EXPECT_THAT(asked(0).body,
                HasSubstr(R"({"operator":"in","parameter":"JobGroup","values":["gb-a"]})"));
    EXPECT_THAT(asked(0).body, HasSubstr(R"("parameter":"JobID","values":[1,2])"));
    EXPECT_EQ(asked(0).body.find("LoggingInfo"), std::string::npos);
    EXPECT_EQ(authorization(asked(0)), "Bearer " + testing::diracAccessToken("ada"));
}

TEST_F(DiracxClientTest, AnHonestHalfIsNoAnswer) {
    answer(206, row("1"), {{"Content-Range", "jobs 0-0/2"}});
    answer(503, R"({"detail":"away"})");

    const auto found = client_->search(ctx(), {.groups = {"gb-a"}, .names = {"gb-a-1-1"}});

    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().kind, ErrorKind::Transient);
}

TEST_F(DiracxClientTest, NoJobIsRefusedBecauseASearchIs) {
    for (const int status : {301, 400, 403, 404, 500, 503}) {
        answer(status, "<html>");
        const auto found = client_->search(ctx(), {.groups = {"gb-a"}, .ids = {1}});
        ASSERT_FALSE(found.ok());
        EXPECT_EQ(found.error().kind, ErrorKind::Transient) << status;
    }
}

TEST_F(DiracxClientTest, OnlyWhatMayHaveBeenTakenIsUncertain) {
    const std::map<int, ErrorKind> kinds{
        {400, ErrorKind::Permanent}, {422, ErrorKind::Permanent}, {429, ErrorKind::Transient},
        {503, ErrorKind::Transient}, {403, ErrorKind::Transient}, {500, ErrorKind::Uncertain},
        {502, ErrorKind::Uncertain}, {504, ErrorKind::Uncertain}, {499, ErrorKind::Uncertain},
        {501, ErrorKind::Transient}, {507, ErrorKind::Uncertain}, {520, ErrorKind::Uncertain}};
    for (const auto& [status, kind] : kinds) {
        answer(status, R"({"detail":"because"})");
        const auto ids = client_->submit(ctx(), ada_, {"JobName = \"a\";"});
        ASSERT_FALSE(ids.ok()) << status;
        EXPECT_EQ(ids.error().kind, kind) << status;
        EXPECT_THAT(ids.error().message, HasSubstr("because"));
    }
    answer(503, "<html>");  // A proxy's, which may have passed it on.
    EXPECT_EQ(client_->submit(ctx(), ada_, {"a"}).error().kind, ErrorKind::Uncertain);
    servers_.answers.emplace_back(uncertainError("the connection was cut"));
    EXPECT_EQ(client_->submit(ctx(), ada_, {"a"}).error().kind, ErrorKind::Uncertain);
    answer(201, "[]");  // Something was made, and nobody knows what.
    EXPECT_EQ(client_->submit(ctx(), ada_, {"a"}).error().kind, ErrorKind::Uncertain);
}

TEST_F(DiracxClientTest, ARefusalThatIsNotDiracxsRefusesNoJob) {
    for (const int status : {400, 422}) {
        answer(status, "<html>");
        const auto ids = client_->submit(ctx(), ada_, {"a"});
        ASSERT_FALSE(ids.ok());
        EXPECT_EQ(ids.error().kind, ErrorKind::Transient);
        EXPECT_TRUE(ids.error().misconfigured);
    }
}

TEST_F(DiracxClientTest, AnotherLoginSubmitsNothingInThisOnesName) {
    testing::logInToDirac(file_, "bob");

    const auto ids = client_->submit(ctx(), ada_, {"a"});

    ASSERT_FALSE(ids.ok());
    EXPECT_EQ(ids.error().kind, ErrorKind::Transient);
    EXPECT_TRUE(servers_.asked.empty());
}

TEST_F(DiracxClientTest, BothReleasesTakeJobs) {
    for (const int status : {200, 201}) {
        answer(status, R"([{"JobID":4},{"JobID":5}])");
        const auto ids = client_->submit(ctx(), ada_, {"a", "b"});
        ASSERT_TRUE(ids.ok());
        EXPECT_THAT(*ids, ElementsAre(4, 5));
    }
    EXPECT_EQ(asked(0).body, R"(["a","b"])");
    EXPECT_TRUE(asked(0).newConnection);
}

TEST_F(DiracxClientTest, TheObjectStoreSeesItsFieldsInOrderTheFileLastAndNoToken) {
    const auto packed = packSandbox({{"a", "b"}}).value();
    answer(
        200,
        R"({"pfn":"SB:SE|/S3/x","url":"https://store.example.org/bucket","fields":{"key":"k","policy":"p"}})");
    answer(204, "");

    const auto name = client_->upload(ctx(), packed);

    ASSERT_TRUE(name.ok()) << name.error().message;
    EXPECT_EQ(*name, "SB:SE|/S3/x");
    const auto& [server, form] = servers_.asked.at(1);
    EXPECT_EQ(server, "https://store.example.org");
    EXPECT_EQ(form.path, "/bucket");
    EXPECT_EQ(authorization(form), "");
    const auto key = form.body.find("name=\"key\"\r\n\r\nk\r\n");
    const auto policy = form.body.find("name=\"policy\"\r\n\r\np\r\n");
    const auto file = form.body.find("name=\"file\"");
    EXPECT_LT(key, policy);
    EXPECT_LT(policy, file);
    EXPECT_NE(form.body.find(packed, file), std::string::npos);
}

TEST_F(DiracxClientTest, WhatIsThereIsNotSentAgain) {
    answer(200, R"({"pfn":"SB:SE|/S3/x","url":null,"fields":{}})");
    EXPECT_EQ(client_->upload(ctx(), "bytes").value(), "SB:SE|/S3/x");
    EXPECT_EQ(servers_.asked.size(), 1U);
}

TEST_F(DiracxClientTest, SecretsGoToNoStoreWithoutTls) {
    for (const std::string host : {"store.example.org", "localhost:9000"}) {
        answer(200, R"({"pfn":"SB:SE|/S3/x","url":"http://)" + host + R"(/b","fields":{"a":"b"}})");
        const auto name = client_->upload(ctx(), "bytes");
        ASSERT_FALSE(name.ok());
        EXPECT_TRUE(name.error().misconfigured);
    }
    EXPECT_EQ(servers_.asked.size(), 2U);
}

TEST_F(DiracxClientTest, AKillIsStampedAndSigned) {
    answer(200, R"({"success":{"7":{"Status":"Killed"}},"failed":{}})");
    const std::vector<DiracxKill> kills{{7, *diracxTime("2026-11-30T19:53:53.5Z"), "why"}};

    const auto states = client_->kill(ctx(), kills);

    ASSERT_TRUE(states.ok());
    EXPECT_EQ(states->at(7), "Killed");
    EXPECT_EQ(asked(0).method, "PATCH");
    EXPECT_EQ(
        asked(0).body,
        R"({"7":{"2026-11-30T19:53:53.500+00:00":{"ApplicationStatus":"why",)"
        R"("MinorStatus":"Marked for termination","Source":"gridbridge","Status":"Killed"}}})");
}

TEST_F(DiracxClientTest, ManyKillsGoInParts) {
    answer(200, R"({"success":{"1":{"Status":"Killed"}},"failed":{}})");
    answer(200, R"({"success":{"501":{"Status":"Killed"}},"failed":{}})");
    std::vector<DiracxKill> kills;
    for (int id = 1; id <= 501; ++id) {
        kills.push_back({id, *diracxTime("2026-11-30T19:53:53.5Z"), "why"});
    }

    const auto states = client_->kill(ctx(), kills);

    ASSERT_TRUE(states.ok());
    EXPECT_EQ(states->size(), 2U);
    EXPECT_THAT(asked(1).body, StartsWith(R"({"501":)"));
}

TEST_F(DiracxClientTest, OfSeveralOutputsTheLastIsFetchedWithoutAToken) {
    answer(200, R"(["/S3/old","/S3/new:1"])");
    const auto name = client_->outputOf(ctx(), 7);
    ASSERT_TRUE(name.ok());
    EXPECT_EQ(*name, "/S3/new:1");

    answer(200, R"({"url":"https://store.example.org/b/k?X-Amz-Signature=s","expires_in":300})");
    answer(200, "the bytes");
    std::FILE* file = std::tmpfile();
    ASSERT_TRUE(client_->download(ctx(), *name, file).ok());
    std::string read(100, '\0');
    read.resize(std::fread(read.data(), 1, read.size(), file));
    std::fclose(file);

    EXPECT_EQ(read, "the bytes");
    EXPECT_EQ(asked(1).path, "/api/jobs/sandbox?pfn=%2FS3%2Fnew%3A1");
    EXPECT_EQ(asked(2).path, "/b/k?X-Amz-Signature=s");
    EXPECT_EQ(authorization(asked(2)), "");
}

}  // namespace
}  // namespace gridbridge
