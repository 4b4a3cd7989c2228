// What people see of `gridbridge register` and `gridbridge unregister`, and what GitLab gets.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using std::filesystem::perms;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr auto kToken = "glrt-SECRET0123456789abcd";
constexpr auto kRegistrationToken = "GR1348941SECRETtoken";

class RegisterEndToEnd : public EndToEnd {
protected:
    RegisterEndToEnd() { begin(options()); }

    void begin(fakegitlab::Options given) {
        given.registrationToken = kRegistrationToken;
        gitlab.emplace(clock, std::move(given));
        gitlab->addRunner("glrt-test");
        gitlab->addRunner(kToken);
        service.emplace(gitlab->url(), folder.path);
    }
    void TearDown() override {
        for (const auto& text : printed_) {
            EXPECT_THAT(text, Not(HasSubstr("SECRET"))) << "a token was shown";
        }
        EndToEnd::TearDown();
    }

    Printed command(std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"--config", service->config().string()});
        auto printed = runGridbridge(arguments);
        printed_.push_back(printed.out + printed.err);
        return printed;
    }
    Printed add(const std::string& name, const std::vector<std::string>& more) {
        std::vector<std::string> arguments{"register", "--name", name, "--url", gitlab->url()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return command(std::move(arguments));
    }
    std::filesystem::path additions() const { return folder.path / "config.d"; }
    std::filesystem::path file(const std::string& name = "extra") const {
        return additions() / (name + ".toml");
    }
    /// What lies in config.d, hidden files too.
    std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(additions())) {
            names.push_back(entry.path().filename());
        }
        std::sort(names.begin(), names.end());
        return names;
    }
    std::string systemId() const {
        const auto id = service->sql("SELECT id FROM installation");
        return "r_grid" + id.substr(0, id.find('\n'));
    }
    /// Nothing was written, and this one sentence was said.
    void expectRefused(const Printed& printed, int exitCode, const std::string& text) {
        EXPECT_EQ(printed.exitCode, exitCode) << printed;
        EXPECT_EQ(printed.out, "");
        EXPECT_THAT(linesOf(printed.err),
                    ElementsAre(AllOf(StartsWith("gridbridge: "), HasSubstr(text))));
        EXPECT_FALSE(std::filesystem::exists(file()));
        if (std::filesystem::exists(additions())) {
            EXPECT_THAT(files(), IsEmpty());
        }
    }

    std::vector<std::string> printed_;
};

TEST_F(RegisterEndToEnd, WritesAFileThatTheServiceClaimsWith) {
    EXPECT_EQ(
        add("extra", {"--token", kToken}),
        (Printed{0,
                 "registered runner 12 of " + gitlab->url() + " as extra in " + file().string() +
                     "; systemctl reload gridbridge has the service use it\n",
                 ""}));

    EXPECT_THAT(files(), ElementsAre("extra.toml"));
    EXPECT_EQ(std::filesystem::status(file()).permissions(), perms(0600));
    EXPECT_THAT(readFile(file()),
                AllOf(HasSubstr("[[runners]]\n"), HasSubstr("backend = \"here\"\n"),
                      HasSubstr("name = \"extra\"\n"), HasSubstr("url = \"" + gitlab->url())));
    EXPECT_EQ(command({"check"}).exitCode, 0);
    gitlab->removeRunner("glrt-test");
    EXPECT_EQ(run({}).status, fakegitlab::Status::Success);
    EXPECT_EQ(service->sql("SELECT runner FROM job"), "extra\n");
}

TEST_F(RegisterEndToEnd, TokenNeedNotStandInTheArguments) {
    writeFile(folder.path / "token", std::string(kToken) + "\n");
    std::filesystem::permissions(folder.path / "token", perms(0600));
    gitlab->addRunner("glrt-SECRETpiped");

    EXPECT_EQ(add("extra", {"--token-file", (folder.path / "token").string()}).exitCode, 0);
    const auto piped =
        runProgram({"/bin/sh", "-c",
                    "printf '%s\\n' \"$1\" | \"$2\" register --name piped --url \"$3\" "
                    "--token-file - --config \"$4\"",
                    "sh", "glrt-SECRETpiped", GRIDBRIDGE_EXECUTABLE, gitlab->url(),
                    service->config().string()});
    EXPECT_EQ(piped.exitCode, 0) << piped;
    EXPECT_THAT(files(), ElementsAre("extra.toml", "piped.toml"));
    EXPECT_EQ(command({"check"}).exitCode, 0);
}

TEST_F(RegisterEndToEnd, FirstRunnerOfAConfigurationWithoutAny) {
    auto text = readFile(service->config());
    text.erase(text.find("[[runners]]"), text.find("[backends") - text.find("[[runners]]"));
    writeFile(service->config(), text);
    EXPECT_EQ(command({"check"}).exitCode, 78);

    EXPECT_EQ(add("extra", {"--token", kToken}).exitCode, 0);

    EXPECT_EQ(command({"check"}).exitCode, 0);
}

TEST_F(RegisterEndToEnd, RefusesANameThatIsTakenAndAFileThatIsThere) {
    EXPECT_EQ(add("extra", {"--token", kToken}).exitCode, 0);
    const auto before = readFile(file());

    const auto again = add("extra", {"--token", kToken});
    EXPECT_EQ(again.exitCode, 1);
    EXPECT_THAT(again.err, HasSubstr("a runner extra stands in " + file().string() + " line "));
    EXPECT_EQ(readFile(file()), before);
    const auto pool = add("pool", {"--token", kToken});
    EXPECT_EQ(pool.exitCode, 1);
    EXPECT_THAT(pool.err, HasSubstr(service->config().string() + " line "));
    writeFile(file("empty"), "");
    EXPECT_THAT(add("empty", {"--token", kToken}).err, HasSubstr("empty.toml exists already"));
    EXPECT_EQ(readFile(file("empty")), "");
    EXPECT_THAT(files(), ElementsAre("empty.toml", "extra.toml"));
}

TEST_F(RegisterEndToEnd, RefusesASecondNameForOneToken) {
    EXPECT_EQ(add("extra", {"--token", kToken}).exitCode, 0);
    const auto calls = gitlab->requests().size();

    const auto again = command(
        {"register", "--name", "again", "--url", gitlab->url() + "/api/v4/", "--token", kToken});

    EXPECT_EQ(again.exitCode, 1);
    EXPECT_THAT(again.err, HasSubstr("the token is the one of the runner extra in " +
                                     file().string() + " line "));
    EXPECT_THAT(files(), ElementsAre("extra.toml"));
    EXPECT_EQ(gitlab->requests().size(), calls) << "asked for nothing";
}

TEST_F(RegisterEndToEnd, NotFoundIsNotAWrongToken) {
    const auto url = gitlab->url() + "/elsewhere";
    strict = false;  // The stand-in names the call to an unknown path.
    expectRefused(command({"register", "--name", "extra", "--url", url, "--token", kToken}), 1,
                  url + " does not answer as GitLab, which says nothing of the token: POST " + url +
                      "/api/v4/runners/verify: 404, the server says: 404 Not Found (request ");
    EXPECT_THAT(printed_.back(), EndsWith("); correct --url\n"));
    gitlab->failNext(FaultKind::ProxyNotFound, 1, Call::Runners);
    expectRefused(add("extra", {"--token", kToken}), 1, " does not answer as GitLab, ");
    EXPECT_THAT(
        printed_.back(),
        AllOf(HasSubstr("; is there a proxy or a login before it? (request "), EndsWith(")\n")))
        << "one cure";
}

TEST_F(RegisterEndToEnd, WrongTokenAndServerThatIsAway) {
    expectRefused(add("extra", {"--token", "glrt-SECRETother"}), 1, " refuses the token: ");
    gitlab->failNext(FaultKind::Unavailable, 1, Call::Runners);
    expectRefused(add("extra", {"--token", kToken}), 75, " cannot be asked: ");
    gitlab->failNext(FaultKind::TooManyRequests, 1, Call::Runners);
    expectRefused(add("extra", {"--registration-token", kRegistrationToken}), 75,
                  " cannot be asked: ");
    gitlab->goAway();
    expectRefused(add("extra", {"--token", kToken}), 75, " cannot be asked: ");
    gitlab->comeBack();
}

TEST_F(RegisterEndToEnd, FolderThatCannotBeWrittenIsFoundBeforeARunnerIsMade) {
    writeFile(additions(), "a file");
    const auto printed = add("extra", {"--registration-token", kRegistrationToken});
    EXPECT_EQ(printed.exitCode, 78) << "config.d is not a folder: " << printed;
    std::filesystem::remove(additions());
    std::filesystem::create_symlink("/proc/self/fd", additions());
    EXPECT_EQ(add("extra", {"--registration-token", kRegistrationToken}).exitCode, 74);
    EXPECT_EQ(gitlab->runners().size(), 2U);
}

TEST_F(RegisterEndToEnd, RunnerWhoseFileCannotBeWrittenIsRemovedAgain) {
    // A file size limit of 0 is a full disk that spares everybody else.
    const auto printed =
        runProgram({"/bin/sh", "-c",
                    "trap '' XFSZ; ulimit -f 0; exec \"$1\" register --name extra --url \"$2\" "
                    "--registration-token \"$3\" --config \"$4\"",
                    "sh", GRIDBRIDGE_EXECUTABLE, gitlab->url(), kRegistrationToken,
                    service->config().string()});
    expectRefused(printed, 74, "extra.toml cannot be written: File too large");
    EXPECT_EQ(gitlab->runners().size(), 2U);
    const auto calls = gitlab->requests();
    ASSERT_EQ(calls.size(), 2U);
    EXPECT_EQ(calls.back().method + " " + calls.back().path, "DELETE /api/v4/runners");
}

TEST_F(RegisterEndToEnd, LegacyRegistrationSendsAllItsParameters) {
    EXPECT_EQ(add("extra", {"--registration-token", kRegistrationToken, "--description", "a pool",
                            "--maintenance-note", "ask Ada", "--tag-list", "gpu,long", "--locked",
                            "--paused", "--no-run-untagged", "--access-level", "ref_protected",
                            "--maximum-timeout", "7200"})
                  .exitCode,
              0);

    auto all = gitlab->runners();
    std::erase_if(all, [](const auto& spec) { return !spec.token.starts_with("glrtr-"); });
    ASSERT_EQ(all.size(), 1U);
    const auto& made = all.front();
    EXPECT_EQ(made.description, "a pool");
    EXPECT_EQ(made.maintenanceNote, "ask Ada");
    EXPECT_THAT(made.tags, ElementsAre("gpu", "long"));
    EXPECT_TRUE(made.locked);
    EXPECT_TRUE(made.paused);
    EXPECT_FALSE(made.runUntagged);
    EXPECT_EQ(made.accessLevel, "ref_protected");
    EXPECT_EQ(made.maximumTimeout, std::chrono::hours(2));
    EXPECT_EQ(made.program, "gridbridge");
    EXPECT_THAT(readFile(file()), HasSubstr(made.token));
    EXPECT_THAT(readFile(file()), Not(HasSubstr(kRegistrationToken)));
    EXPECT_EQ(command({"check"}).exitCode, 0);
}

TEST_F(RegisterEndToEnd, WhatLegacyRegistrationIsRefusedFor) {
    expectRefused(add("extra", {"--registration-token", "GR1348941SECRETother"}), 1,
                  " refuses the registration token: ");
    expectRefused(
        add("extra", {"--registration-token", kRegistrationToken, "--maximum-timeout", "60"}), 1,
        "needs to be at least 10 minutes");
    gitlab.emplace(clock, options());
    expectRefused(add("extra", {"--registration-token", kRegistrationToken}), 1,
                  "410, the server says: 410 Gone - runner registration disallowed");
    EXPECT_THAT(printed_.back(), HasSubstr("create the runner in GitLab and give its glrt- token"));
}

TEST_F(RegisterEndToEnd, LostAnswerOfARegistrationIsSaid) {
    gitlab->failNext(FaultKind::TokenAnswerLost, 1, Call::Runners);
    expectRefused(add("extra", {"--registration-token", kRegistrationToken}), 75,
                  " may have made a runner whose token is lost: ");
    EXPECT_EQ(gitlab->runners().size(), 3U) << "it had";
}

TEST_F(RegisterEndToEnd, MisuseIsAUsageError) {
    const std::vector<std::vector<std::string>> wrong{
        {},
        {"--token", kToken, "--registration-token", kRegistrationToken},
        {"--token", kToken, "--tag-list", "gpu"},
        {"--token", "glrt- SECRET"},
        {"--token", kToken, "--access-level", "all"},
        {"--token-file", "-"},  // Standard input is empty.
    };
    for (const auto& arguments : wrong) {
        expectRefused(add("extra", arguments), 2, "");
    }
    EXPECT_THAT(add("extra", {"--token", kToken, "--locked"}).err,
                HasSubstr("change description, tags, limits and the like there"));
    EXPECT_EQ(add("../extra", {"--token", kToken}).exitCode, 2);
    EXPECT_EQ(
        command({"register", "--name", "extra", "--url", "gitlab", "--token", kToken}).exitCode, 2);
    expectRefused(add("extra", {"--token", kToken, "--backend", "there"}), 2,
                  "there is no section [backends.there]; name one of: here");
    expectRefused(add("extra", {"--token-file", "/no/such/file"}), 74,
                  "/no/such/file cannot be read");
}

TEST_F(RegisterEndToEnd, UnregisterRemovesThisManagerAndTheFile) {
    ASSERT_EQ(add("extra", {"--token", kToken}).exitCode, 0);
    start();
    ASSERT_TRUE(waitFor([&] { return gitlab->managerFeatures(kToken, systemId()).has_value(); },
                        "the service to be known"));

    const auto running = command({"unregister", "extra"});
    EXPECT_EQ(running.exitCode, 1);
    EXPECT_THAT(running.err, HasSubstr("the service runs (pid "));
    EXPECT_TRUE(std::filesystem::exists(file()));
    service->stop();
    EXPECT_EQ(command({"unregister", "extra"}),
              (Printed{0,
                       "removed this manager of the runner extra at " + gitlab->url() + " and " +
                           file().string() + "\n",
                       ""}));

    EXPECT_THAT(files(), IsEmpty());
    EXPECT_FALSE(gitlab->managerFeatures(kToken, systemId()));
    EXPECT_EQ(gitlab->runners().size(), 2U) << "the runner itself stays";
    EXPECT_EQ(command({"unregister", "extra"}).exitCode, 1);
    EXPECT_EQ(command({"check"}).exitCode, 0);
}

TEST_F(RegisterEndToEnd, UnregisterRemovesARunnerOfARegistrationToken) {
    ASSERT_EQ(add("extra", {"--registration-token", kRegistrationToken}).exitCode, 0);
    ASSERT_EQ(gitlab->runners().size(), 3U);

    EXPECT_EQ(command({"unregister", "extra"}).exitCode, 0);

    EXPECT_EQ(gitlab->runners().size(), 2U);
    EXPECT_THAT(files(), IsEmpty());
}

TEST_F(RegisterEndToEnd, UnregisterKeepsTheFileWhileGitLabIsAwayOrRefuses) {
    ASSERT_EQ(add("extra", {"--registration-token", kRegistrationToken}).exitCode, 0);
    gitlab->goAway();
    EXPECT_EQ(command({"unregister", "extra"}).exitCode, 75);
    gitlab->comeBack();
    for (const auto& spec : gitlab->runners()) {
        if (spec.token.starts_with("glrtr-")) {
            gitlab->removeRunner(spec.token);
        }
    }
    const auto refused = command({"unregister", "extra"});
    EXPECT_EQ(refused.exitCode, 1);
    EXPECT_THAT(refused.err,
                EndsWith("if the runner is gone there, remove " + file().string() + "\n"));
    EXPECT_TRUE(std::filesystem::exists(file()));
}

TEST_F(RegisterEndToEnd, UnregisterTouchesNothingThatItDidNotWrite) {
    EXPECT_THAT(command({"unregister", "pool"}).err,
                HasSubstr("which gridbridge does not change; move its section to " +
                          file("pool").string()));
    EXPECT_THAT(command({"unregister", "nobody"}).err, HasSubstr("there is no runner nobody in "));
    ASSERT_EQ(add("extra", {"--token", kToken}).exitCode, 0);
    writeFile(file(), readFile(file()) + "[backends.there]\ntype = \"local\"\nwork_dir = \"" +
                          (folder.path / "there").string() + "\"\ntrusted_jobs = true\n");
    EXPECT_THAT(command({"unregister", "extra"}).err, HasSubstr("holds more than this runner"));
    EXPECT_TRUE(std::filesystem::exists(file()));
}

TEST_F(RegisterEndToEnd, UnregisterWaitsForOpenJobs) {
    ASSERT_EQ(add("extra", {"--token", kToken}).exitCode, 0);
    gitlab->setRunnerPaused("glrt-test", true);
    start();
    const auto go = folder.path / "go";
    const auto id = gitlab->addJob(
        {.script = {"echo begun; while [ ! -e " + go.string() + " ]; do sleep 0.1; done"},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    service->stop();

    const auto refused = command({"unregister", "extra"});
    EXPECT_EQ(refused.exitCode, 1);
    EXPECT_THAT(refused.err, HasSubstr("1 open job needs the runner extra; "));
    service->start();
    writeFile(go, "");
    EXPECT_EQ(finished(id).status, fakegitlab::Status::Success);
}

}  // namespace
}  // namespace gridbridge::testing
