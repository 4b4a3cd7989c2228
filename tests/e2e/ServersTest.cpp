// One service between several GitLab servers, below other addresses, and behind redirects.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using fakegitlab::Status;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

class ServersEndToEnd : public EndToEnd {
protected:
    void begin(fakegitlab::Options given) {
        gitlab.emplace(clock, std::move(given));
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
    }
    void addSecondServer() {
        other.emplace(clock, options());
        other->addRunner("glrt-other");
        service->configure("[[runners]]\nname = \"other\"\nurl = \"" + other->url() +
                               "\"\ntoken = \"glrt-other\"\nbackend = \"here\"\n",
                           "trusted_jobs = true\n");
    }
    static fakegitlab::JobSpec plainJob(const std::string& line) {
        return {.script = {line}, .variables = {{.key = "GIT_STRATEGY", .value = "none"}}};
    }
    Printed command(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--config", service->config().string()});
        return runGridbridge(arguments);
    }
    bool logSays(const std::string& text) const {
        return service->log().find(text) != std::string::npos;
    }

    std::optional<fakegitlab::FakeGitLab> other;
};

TEST_F(ServersEndToEnd, EqualJobIdsOfSeveralServersAreDifferentJobs) {
    begin(options());
    addSecondServer();
    const auto id = gitlab->addJob(plainJob("echo of the first server"));
    ASSERT_EQ(other->addJob(plainJob("echo of the second server; exit 3")), id);

    start();
    ASSERT_TRUE(waitFor(
        [&] { return service->sql("SELECT count(*) FROM job WHERE state = 'done'") == "2\n"; },
        "both jobs to be done"));

    const auto first = gitlab->job(id);
    const auto second = other->job(id);
    EXPECT_EQ(first.status, Status::Success);
    EXPECT_EQ(second.status, Status::Failed);
    EXPECT_EQ(second.exitCode, 3);
    EXPECT_TRUE(says(first, "\nof the first server\n"));
    EXPECT_FALSE(says(first, "second"));
    EXPECT_TRUE(says(second, "\nof the second server\n"));
    const auto number = std::to_string(id);
    EXPECT_EQ(command({"log", "pool/" + number}).out, first.trace);
    EXPECT_EQ(command({"log", "other/" + number}).out, second.trace);
    EXPECT_THAT(command({"show", number}).err,
                AllOf(HasSubstr("several servers have a job " + number),
                      HasSubstr("pool/" + number), HasSubstr("other/" + number)));
    EXPECT_THAT(other->violations(), IsEmpty());
}

TEST_F(ServersEndToEnd, SystemIdIsTheSameForAllRunnersAndOverRestarts) {
    begin(options());
    addSecondServer();
    const auto before = run(plainJob("true")).systemId;
    EXPECT_THAT(before, MatchesRegex("[sr]_[0-9a-zA-Z]{12}"));
    EXPECT_EQ(service->stop(), 0);

    EXPECT_EQ(run(plainJob("true")).systemId, before);
    const auto there = other->addJob(plainJob("true"));
    ASSERT_TRUE(other->waitForStatus(there, Status::Success));
    EXPECT_EQ(other->job(there).systemId, before);
    EXPECT_TRUE(other->managerFeatures("glrt-other", before));
}

TEST_F(ServersEndToEnd, ServerBelowARelativeRoot) {
    auto given = options();
    given.root = "/gitlab";
    begin(std::move(given));
    repository({{"main.txt", "below\n"}});
    start();
    const auto job = finished(gitlab->addJob({.script = {"cat main.txt", "echo $CI_SERVER_URL"},
                                              .artifacts = {{.paths = {"main.txt"}}}}));

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\nbelow\n"));
    EXPECT_TRUE(says(job, "/gitlab\n"));
    EXPECT_EQ(job.artifacts.size(), 1U);
    EXPECT_EQ(command({"check"}).exitCode, 0);
}

TEST_F(ServersEndToEnd, RedirectIsNotFollowedAndTheRightUrlIsSaid) {
    other.emplace(clock, options());
    other->addRunner("glrt-test");
    auto given = options();
    given.movedTo = other->url();
    begin(std::move(given));
    const auto cure = "a redirect; set url = \"" + other->url() + "\"";

    const auto checked = command({"check"});
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(checked.out, HasSubstr(cure));
    const auto registered =
        command({"register", "--name", "extra", "--url", gitlab->url(), "--token", "glrt-extra"});
    EXPECT_EQ(registered.exitCode, 1);
    EXPECT_THAT(registered.err, HasSubstr(cure));
    start();
    EXPECT_TRUE(waitFor([&] { return logSays(cure); }, "the service to say it"));
    EXPECT_EQ(service->stop(), 0);
    EXPECT_THAT(other->requests(), IsEmpty()) << "a token went to where nobody sent it";

    auto text = readFile(service->config());
    text.replace(text.find(gitlab->url()), gitlab->url().size(), other->url());
    writeFile(service->config(), text);
    service->start();
    const auto id = other->addJob(plainJob("true"));
    EXPECT_TRUE(other->waitForStatus(id, Status::Success));
}

TEST_F(ServersEndToEnd, OpenJobsAreOfTheServerThatGaveThemOut) {
    other.emplace(clock, options());
    other->addRunner("glrt-test");
    begin(options());
    const auto sound = readFile(service->config());
    const auto at = [&](const std::string& url) {
        auto text = sound;
        writeFile(service->config(),
                  text.replace(text.find(gitlab->url()), gitlab->url().size(), url));
    };
    const auto id =
        gitlab->addJob({.script = {"echo begun; while [ ! -e " + (folder.path / "go").string() +
                                   " ]; do sleep 0.1; done"},
                        .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    start();
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));

    at(other->url());
    service->reload();
    EXPECT_TRUE(waitFor([&] { return logSays("runners.pool.url changes when the service"); },
                        "the reload"));
    EXPECT_EQ(service->stop(), 0);
    const auto sentence = service->config().string() + ": runners.pool: 1 open job is one of " +
                          gitlab->url() + ", and the runner is one of " + other->url() +
                          " now; put the old address back until gridbridge jobs shows none of "
                          "them; gridbridge drain pool takes no more";
    const auto checked = command({"check"});
    EXPECT_EQ(checked.exitCode, 78);
    EXPECT_THAT(checked.out, HasSubstr("FAIL  " + sentence + "\n"));
    EXPECT_EQ(command({"run"}), (Printed{78, "", "gridbridge: " + sentence + "\n"}));
    for (const auto& request : other->requests()) {
        EXPECT_EQ(request.path, "/api/v4/runners/verify") << "of the check alone";
    }

    // An earlier version kept the address as it was written; another spelling is no other server.
    runProgram({"/usr/bin/sqlite3", (service->stateDir() / "gridbridge.db").string(),
                "UPDATE job SET server_url = server_url || '/api/v4'"});
    at(gitlab->url() + "/api/v4/");
    EXPECT_EQ(command({"check"}).exitCode, 0);
    writeFile(folder.path / "go", "");
    service->start();
    EXPECT_EQ(finished(id).status, Status::Success);
    EXPECT_EQ(run(plainJob("true")).status, Status::Success);
    EXPECT_EQ(service->sql("SELECT DISTINCT server_url FROM runner"), gitlab->url() + "\n");
    EXPECT_EQ(service->stop(), 0);

    at(other->url());
    service->start();
    EXPECT_TRUE(other->waitForStatus(other->addJob(plainJob("true")), Status::Success));
}

TEST_F(ServersEndToEnd, EnvironmentOfTheRunnerIsGivenToItsJobsOnly) {
    begin(options());
    addSecondServer();
    service->configure(
        "environment = [\"GREETING=hello from ${CI_SERVER}\", \"EMPTY=\"]\n"
        "[[runners]]\nname = \"other\"\nurl = \"" +
            other->url() + "\"\ntoken = \"glrt-other\"\nbackend = \"here\"\n",
        "trusted_jobs = true\n");
    const std::string show = "echo \"<${GREETING-none}> <${EMPTY-none}>\"";

    EXPECT_TRUE(says(run(plainJob(show)), "\n<hello from yes> <>\n"));
    auto own = plainJob(show);
    own.variables.push_back({.key = "GREETING", .value = "of the job"});
    EXPECT_TRUE(says(run(std::move(own)), "\n<of the job> <>\n"));
    const auto there = other->addJob(plainJob(show));
    ASSERT_TRUE(other->waitForStatus(there, Status::Success));
    EXPECT_TRUE(says(other->job(there), "\n<none> <none>\n"));
}

TEST_F(ServersEndToEnd, FailedCallIsLoggedWithTheIdThatGitLabKnowsItBy) {
    begin(options());
    start();
    EXPECT_EQ(run(plainJob("true")).status, Status::Success);
    gitlab->failNext(FaultKind::InternalError, 1, Call::Claim);
    const auto failed = [&] {
        for (const auto& request : gitlab->requests()) {
            if (request.status == 500) {
                return request.headers.at("x-request-id");
            }
        }
        return std::string();
    };
    ASSERT_TRUE(waitFor([&] { return !failed().empty(); }, "the fault"));

    EXPECT_THAT(failed(), MatchesRegex("[0-9a-f]{32}"));
    EXPECT_TRUE(
        waitFor([&] { return logSays("(request " + failed() + ")"); }, "its id in the log"));
}

TEST_F(ServersEndToEnd, ClaimIsLoggedWithTheIdThatGitLabKnowsItBy) {
    begin(options());
    start();
    EXPECT_EQ(run(plainJob("true")).status, Status::Success);

    std::string id;
    for (const auto& request : gitlab->requests()) {
        id = request.status == 201 && request.path.ends_with("/jobs/request")
                 ? request.headers.at("x-request-id")
                 : id;
    }
    EXPECT_THAT(id, MatchesRegex("[0-9a-f]{32}"));
    EXPECT_TRUE(logSays("-1 runner=pool (request " + id + ")"));
}

}  // namespace
}  // namespace gridbridge::testing
