#include <Poco/JSON/Parser.h>

#include <fstream>

#include "tests/unit/gitlab/Library.h"
#include "tests/unit/http/ScriptedServer.h"

namespace gridbridge::gitlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using RunnerTest = Library;

Poco::Dynamic::Var json(const std::string& text) {
    return Poco::JSON::Parser().parse(text);
}

TEST_F(RunnerTest, FileOfThePythonPackageSaysEverything) {
    const auto runner = Runner::loads(Secret(fixture("runner.json")));

    EXPECT_EQ(runner.apiUrl(), "https://gitlab.example.org");
    EXPECT_EQ(runner.id(), 4711);
    EXPECT_EQ(runner.token().reveal(), kToken);
    EXPECT_EQ(runner.name(), "detector-runner");
    EXPECT_EQ(runner.description(), "grid of the detector group");
    EXPECT_EQ(runner.active(), std::nullopt);
    EXPECT_EQ(runner.locked(), false);
    EXPECT_EQ(runner.runUntagged(), true);
    EXPECT_THAT(runner.tags(), ElementsAre("dirac", "cvmfs"));
    EXPECT_EQ(runner.maximumTimeout(), std::chrono::hours(24));
    EXPECT_EQ(runner.version(), "2.1");
    EXPECT_EQ(runner.revision(), "a94b1e");
    EXPECT_EQ(runner.platform(), "linux");
    EXPECT_EQ(runner.architecture(), "x86_64");
    EXPECT_EQ(runner.executor(), "dirac");
}

TEST_F(RunnerTest, DumpIsWhatThePackageWouldHaveWritten) {
    const auto file = folder.path() / "runner.json";
    std::ofstream(file) << "what was there before";
    std::filesystem::permissions(file, std::filesystem::perms(0644));

    Runner::loads(Secret(fixture("runner.json"))).dump(file);

    const auto text = gridbridge::testing::readFile(file);
    EXPECT_EQ(json(text).toString(), json(fixture("runner.json")).toString());
    EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
        << "something is left beside it";
    EXPECT_EQ(Runner::load(file).dumps(), Secret(text));
}

TEST_F(RunnerTest, FileThatCannotBeWrittenOrReadIsNamed) {
    const auto runner = Runner::loads(Secret(fixture("runner.json")));
    const auto nowhere = folder.path() / "nowhere" / "runner.json";

    EXPECT_EQ(thrown<FileError>([&] { runner.dump(nowhere); }),
              nowhere.string() + " cannot be written: No such file or directory");
    EXPECT_THAT(thrown<FileError>([&] { Runner::load(nowhere); }),
                HasSubstr(nowhere.string() + " "));
    EXPECT_THAT(thrown<FileError>([&] { Runner::load(folder.path()); }),
                HasSubstr("is not a file"));
}

TEST_F(RunnerTest, AuthorityFileThatIsNotThereIsNoFaultOfTheRunnersFile) {
    const auto missing = folder.path() / "authority.pem";
    for (const auto* name : {"runner.json", "job-running.json"}) {
        const auto file = folder.path() / name;
        std::ofstream(file) << fixture(name);
        const bool job = file.filename() != "runner.json";

        const auto said = thrown<Misconfigured>([&] {
            const ClientOptions options{.tlsCaFile = missing};
            job ? static_cast<void>(Job::load(file, options))
                : static_cast<void>(Runner::load(file, options));
        });

        EXPECT_THAT(said, HasSubstr(missing.string() + " ")) << name;
        EXPECT_THAT(said, Not(HasSubstr(file.string())));
        EXPECT_THAT(said, Not(HasSubstr("something else")));
    }
}

TEST_F(RunnerTest, FileCutAnywhereIsRefusedWithoutItsToken) {
    const auto whole = fixture("runner.json");
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const auto text = whole.substr(0, length);
        const auto said = thrown<RunnerError>([&] { Runner::loads(Secret(text)); });
        ASSERT_THAT(said, HasSubstr("this is no runner's file: ")) << length;
        ASSERT_THAT(said, Not(HasSubstr("fixture"))) << length;
    }
}

TEST_F(RunnerTest, OtherFileIsRefusedWithOneSentence) {
    const auto refusal = [](const std::string& text) {
        return thrown<RunnerError>([&] { Runner::loads(Secret(text)); });
    };
    EXPECT_EQ(refusal(replaced(fixture("runner.json"), "[1,", "[2,")),
              "this runner's file has version 2; only version 1 can be read");
    EXPECT_THAT(refusal(fixture("job-running.json")), HasSubstr("not the address of a server"));
    EXPECT_THAT(refusal("<html>"), HasSubstr("cut short or damaged"));
    EXPECT_THAT(refusal("{}"), HasSubstr("not a list that begins with 1"));
    EXPECT_THAT(refusal("[true]"), HasSubstr("not a list that begins with 1"));
    EXPECT_THAT(refusal("[1]"), HasSubstr("has 1 elements instead of 5"));
    EXPECT_THAT(refusal(R"([1, "https://a", "7", "t", {}])"), HasSubstr("not the id of a runner"));
    EXPECT_THAT(refusal(R"([1, "https://a", 7, "", {}])"), HasSubstr("not a token"));
    EXPECT_THAT(refusal(R"([1, "https://a", 7, "t", []])"), HasSubstr("not an object"));
    EXPECT_THAT(refusal(R"([1, "https://a", 7, "t", {"locked": "x"}])"),
                HasSubstr("locked is neither"));
    EXPECT_THAT(refusal(R"([1, "ftp://a", 7, "t", {}])"), HasSubstr("must begin with https://"));
}

TEST_F(RunnerTest, TokenIsCheckedOnDemand) {
    start();
    runner().checkAuth();
    server->removeRunner(kToken);
    auto gone = runner();

    EXPECT_THAT(thrown<AuthError>([&] { gone.checkAuth(); }),
                AllOf(HasSubstr("GitLab does not know the token of this runner: "),
                      Not(HasSubstr("fixture"))));
    EXPECT_THAT(thrown<AuthError>([&] { gone.requestJob(); }), HasSubstr("does not know"));
}

TEST_F(RunnerTest, ServerThatIsAwayOrNoGitLabIsTold) {
    start();
    auto known = runner();
    server->goAway();
    EXPECT_NE(thrown<Unreachable>([&] { known.checkAuth(); }), "nothing");
    EXPECT_NE(thrown<Unreachable>([&] { known.requestJob(); }), "nothing");

    const auto page = [](http::Peer& peer) {
        peer.readRequest();
        peer.answer("<html>please log in</html>", "200 OK", "Content-Type: text/html\r\n");
    };
    http::ScriptedServer portal({page, page});
    auto lost = Runner::loads(
        Secret(replaced(fixture("runner.json"), "https://gitlab.example.org", portal.url())));
    EXPECT_THAT(thrown<RunnerError>([&] { lost.checkAuth(); }), HasSubstr("with a web page"));
    EXPECT_THAT(thrown<RunnerError>([&] { lost.requestJob(); }), HasSubstr("with a web page"));
}

TEST_F(RunnerTest, RegistrationWhoseAnswerIsLostNamesWhatMayBeLeft) {
    start({.registrationToken = "GR1348941hidden"});
    server->failNext(fakegitlab::FaultKind::TokenAnswerLost, 1, fakegitlab::Call::Runners);

    EXPECT_THAT(thrown<Unreachable>([&] {
                    Runner::registerWith(server->url(), Secret("GR1348941hidden"), {}, options());
                }),
                AllOf(HasSubstr("a runner may have been made whose token is lost: "),
                      HasSubstr("; remove it in GitLab"), Not(HasSubstr("hidden"))));
}

TEST_F(RunnerTest, RegistrationTokenMakesARunnerWithItsSettings) {
    start({.registrationToken = "GR1348941hidden"});
    const RunnerSettings settings{.description = "grid",
                                  .active = false,
                                  .locked = true,
                                  .runUntagged = false,
                                  .tags = {"dirac", "cvmfs"},
                                  .maximumTimeout = std::chrono::hours(1),
                                  .accessLevel = "ref_protected",
                                  .name = "detector-runner"};
    auto made = Runner::registerWith(server->url(), Secret("GR1348941hidden"), settings, options());

    EXPECT_EQ(made.active(), false);
    made.checkAuth();
    server->addJob({.tags = {"dirac"}});
    EXPECT_FALSE(made.requestJob().has_value()) << "it is paused";
    server->setRunnerPaused(made.token().reveal(), false);
    auto again = Runner::loads(made.dumps(), options());
    EXPECT_EQ(again.id(), made.id());
    EXPECT_EQ(again.active(), std::nullopt);
    EXPECT_EQ(again.locked(), true);
    EXPECT_THAT(again.tags(), ElementsAre("dirac", "cvmfs"));
    EXPECT_EQ(again.maximumTimeout(), std::chrono::hours(1));
    auto job = again.requestJob();
    ASSERT_TRUE(job.has_value());
    EXPECT_THAT(job->log().text(), HasSubstr("Running with detector-runner"));
    job->setSuccess();
}

TEST_F(RunnerTest, TokenOfARunnerMadeInGitLabIsVerified) {
    start();
    const auto id = server->addRunner("glrt-hidden");
    const auto runner = Runner::registerWith(server->url(), Secret("glrt-hidden"), {}, options());
    EXPECT_EQ(runner.id(), id);
    EXPECT_EQ(runner.dumps().reveal(), "[1, \"" + server->url() + "\", " + std::to_string(id) +
                                           ", \"glrt-hidden\", {\"info\":{}}]");
    const auto refusal = [&](const std::string& token, const RunnerSettings& settings) {
        return thrown<RunnerError>(
            [&] { Runner::registerWith(server->url(), Secret(token), settings, options()); });
    };
    EXPECT_THAT(refusal("glrt-hidden", {.locked = true}), HasSubstr("settings in GitLab"));
    EXPECT_THAT(refusal("glrt-other", {}),
                AllOf(HasSubstr("does not know"), Not(HasSubstr("other"))));
    EXPECT_THAT(refusal("registration", {}), HasSubstr("410"));
    EXPECT_THAT(refusal("registration", {.tags = {"a,b"}}), HasSubstr("comma"));
    EXPECT_THAT(refusal("registration", {.accessLevel = "all"}), HasSubstr("not_protected or"));
}

TEST_F(RunnerTest, ManagerIsOnePerMachineAndShowsWhatTheFileSays) {
    start();
    auto first = runner();
    first.checkAuth();
    EXPECT_EQ(first.requestJob().has_value(), false);
    auto second = runner();
    second.requestJob();

    std::set<std::string> managers;
    for (const auto& request : server->requests()) {
        const auto body = json(request.body).extract<Poco::JSON::Object::Ptr>();
        managers.insert(body->getValue<std::string>("system_id"));
        const auto info = body->getObject("info");
        EXPECT_EQ(info->getValue<std::string>("name"), "detector-runner");
        EXPECT_EQ(info->getValue<std::string>("revision"), "a94b1e");
        EXPECT_EQ(info->getValue<std::string>("executor"), "dirac");
    }
    EXPECT_THAT(managers, ElementsAre(::testing::MatchesRegex("s_[0-9a-f]{12}")));
}

TEST_F(RunnerTest, JobThatCannotBeUnderstoodIsReportedAndTold) {
    start();
    const auto id =
        server->addJob({.rawBody = R"({"id": @ID@, "token": "@TOKEN@", "variables": "none"})"});
    auto from = runner();

    EXPECT_THAT(thrown<RunnerError>([&] { from.requestJob(); }),
                HasSubstr("the job cannot be understood: variables"));

    const auto seen = server->job(id);
    EXPECT_EQ(seen.status, fakegitlab::Status::Failed);
    EXPECT_EQ(seen.failureReason, "runner_system_failure");
    EXPECT_THAT(seen.trace, HasSubstr("cannot be understood: variables"));
}

}  // namespace
}  // namespace gridbridge::gitlab
