// Real requests, real processes, and kills of them.
#include "bridge/base/Process.h"
#include "bridge/http/PocoTransport.h"
#include "tests/unit/backends/DiracTokensTest.h"
#include "tests/unit/http/ScriptedServer.h"

namespace gridbridge::testing {
namespace {

using http::Peer;
using http::ScriptedServer;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class DiracTokensHttpTest : public ::testing::Test {
protected:
    static constexpr std::size_t kMostConnections = 16;

    DiracTokensHttpTest() { writeCredential(file_, dirac_.login(), 0); }
    void serve(const ScriptedServer::Script& script) {
        server_ = std::make_unique<ScriptedServer>(std::vector(kMostConnections, script));
    }
    void serveTruly() {
        serve([this](Peer& peer) {
            const auto request = peer.readRequest();
            EXPECT_TRUE(request.starts_with("POST /api/auth/token HTTP/1.1\r\n")) << request;
            EXPECT_THAT(request, HasSubstr("Content-Type: application/x-www-form-urlencoded\r\n"));
            const auto answer = dirac_.answer(request.substr(request.find("\r\n\r\n") + 4));
            peer.answer(answer.body, std::to_string(answer.status) + " X",
                        "Content-Type: application/json\r\n");
        });
    }
    /// What a process of its own says, which dies at `crash` (NAME:VISIT).
    Finished once(const std::string& crash = "") {
        const auto finished = PosixProcessRunner(clock_).run(
            {.argv = {DIRAC_TOKENS_ONCE, file_.string(), server_->url()},
             .environment = {"GRIDBRIDGE_CRASH_POINT=" + crash}},
            {clock_.steadyNow() + std::chrono::seconds(40)}, 100'000);
        EXPECT_TRUE(finished.ok()) << finished.error().message;
        EXPECT_THAT(finished->err, Not(HasSubstr("secret")));
        return finished.value();
    }
    void expectGiven(const Finished& finished) {
        EXPECT_EQ(finished.exitCode, 0) << finished.err;
        EXPECT_TRUE(dirac_.gave(finished.out));
    }
    void expectError(const std::string& text) {
        const auto finished = once();
        EXPECT_EQ(finished.exitCode, 1);
        EXPECT_THAT(finished.err, HasSubstr(text));
    }
    /// As if the access token in the file had come to its end.
    void expire() {
        auto text = readFile(file_);
        const auto digits = text.find("\"expires_on\":") + 13;
        text.replace(digits, text.find_first_of(",}", digits) - digits, "1");
        std::ofstream(file_) << text;
    }

    SystemClock clock_;
    TempDir folder_;
    const std::filesystem::path file_ = folder_.path() / "credentials.json";
    FakeDiracTokens dirac_;
    std::unique_ptr<ScriptedServer> server_;
};

TEST_F(DiracTokensHttpTest, RefreshesOverRealHttp) {
    serveTruly();

    expectGiven(once());
    expire();
    expectGiven(once());
    EXPECT_THAT(dirac_.shown(), SizeIs(2));
}

TEST_F(DiracTokensHttpTest, BadAnswersAreNamed) {
    serve([](Peer& peer) {
        peer.readRequest();
        peer.answer("<html>secret</html>");
    });
    expectError("answered 200 with a page that is no JSON");
    serve([](Peer& peer) {
        peer.readRequest();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"access_token\":\"secret");
        peer.close();
    });
    expectError("the refresh of the DiracX token was lost, and is tried once more");
    serve([](Peer& peer) {
        peer.readRequest();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 1000; ++i) {  // Until the client closes.
            peer.send("1000\r\n" + std::string(0x1000, ' ') + "\r\n");
        }
    });
    expectError("lost twice");
}

TEST_F(DiracTokensHttpTest, NobodyToAskIsNoLoss) {
    serve({});
    const auto url = server_->url();
    server_.reset();
    http::PocoTransport transport(url, clock_, "tester/1");
    DiracTokens tokens(file_, transport, clock_);
    const auto before = readFile(file_);

    const auto token = tokens.access({clock_.steadyNow() + std::chrono::seconds(30)});

    ASSERT_FALSE(token.ok());
    EXPECT_FALSE(token.error().misconfigured) << token.error().message;
    EXPECT_THAT(readFile(file_), Not(HasSubstr("refreshes_sent")));
}

std::string nameOfStep(const ::testing::TestParamInfo<const char*>& step) {
    std::string name = step.param;
    std::erase_if(name, [](unsigned char c) { return std::isalnum(c) == 0; });
    return name;
}

/// kill -9 at a step of a refresh.
class DiracTokensKillTest : public DiracTokensHttpTest,
                            public ::testing::WithParamInterface<const char*> {};

TEST_P(DiracTokensKillTest, TheRotationGoesOn) {
    serveTruly();

    ASSERT_EQ(once(GetParam()).exitCode, 137);

    for (int i = 0; i < 2; ++i) {
        expectGiven(once());
        expire();
    }
    EXPECT_EQ(dirac_.revocations(), 0);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

INSTANTIATE_TEST_SUITE_P(EachStep, DiracTokensKillTest,
                         ::testing::Values("credential-created:1", "credential-written:1",
                                           "credential-replaced:1", "refresh-begun",
                                           "credential-written:2", "credential-replaced:2"),
                         nameOfStep);

/// The new tokens were in no more than the memory of the process.
class DiracTokensLossTest : public DiracTokensKillTest {};

TEST_P(DiracTokensLossTest, IsTriedOnceAndSaysThatALoginIsNeeded) {
    serveTruly();

    ASSERT_EQ(once(GetParam()).exitCode, 137);

    expectError("dirac login");
    expectError("dirac login");
    EXPECT_THAT(dirac_.shown(), SizeIs(2));
    EXPECT_EQ(dirac_.revocations(), 1);
    writeCredential(file_, dirac_.login(), 0);
    expectGiven(once());
}

INSTANTIATE_TEST_SUITE_P(EachStep, DiracTokensLossTest,
                         ::testing::Values("refresh-answered", "credential-created:2"), nameOfStep);

}  // namespace
}  // namespace gridbridge::testing
