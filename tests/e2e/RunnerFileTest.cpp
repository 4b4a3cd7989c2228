// `register-runner`, and a service that uses what it, or the Python package, wrote.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"
#include "tests/unit/http/ScriptedServer.h"

namespace gridbridge::testing {
namespace {

using std::filesystem::perms;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr auto kRegistrationToken = "GR1348941SECRETtoken";
constexpr auto kPackagesToken = "glrtr-fixtureRunnerToken";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

class RunnerFileEndToEnd : public EndToEnd {
protected:
    RunnerFileEndToEnd() {
        auto given = options();
        given.registrationToken = kRegistrationToken;
        gitlab.emplace(clock, std::move(given));
        gitlab->addRunner(kPackagesToken);
        service.emplace(gitlab->url(), folder.path);
        host_ = gitlab->url().substr(sizeof("http://") - 1);
    }

    Printed registerRunner(const std::string& url, const std::string& token,
                           const std::vector<std::string>& more = {}) const {
        std::vector<std::string> argv{REGISTER_RUNNER, url, token, file().string()};
        argv.insert(argv.end(), more.begin(), more.end());
        auto printed = runProgram(std::move(argv));
        EXPECT_THAT(printed.out + printed.err, Not(HasSubstr("SECRET"))) << "the token was shown";
        return printed;
    }
    /// The service takes its runner from the file.
    void useFile() {
        auto text = readFile(service->config());
        text = replaced(text, "url = \"" + gitlab->url() + "\"\n", "");
        text = replaced(text, "token = \"glrt-test\"", "runner_file = \"" + file().string() + "\"");
        writeFile(service->config(), text);
    }
    Printed check() const {
        return runGridbridge({"check", "--config", service->config().string()});
    }
    /// The one sentence, and no file, nor half of one.
    void expectRefused(const Printed& printed, int exitCode, const std::string& text) const {
        EXPECT_EQ(printed.exitCode, exitCode) << printed;
        EXPECT_THAT(
            linesOf(printed.err),
            ElementsAre(AllOf(HasSubstr(text), AnyOf(HasSubstr("; "), HasSubstr(" must end in ")))))
            << "one sentence with its cure";
        EXPECT_THAT(filesBeside(), IsEmpty());
    }
    std::vector<std::string> filesBeside() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(file().parent_path())) {
            names.push_back(entry.path().filename());
        }
        return names;
    }
    std::filesystem::path file() const {
        const auto own = folder.path / "runner";
        std::filesystem::create_directories(own);
        return own / "my-runner-data.json";
    }

    std::string host_;
};

TEST_F(RunnerFileEndToEnd, RegisteredRunnerIsUsedByCheckAndRun) {
    EXPECT_EQ(registerRunner(gitlab->url(), kRegistrationToken,
                             {"--locked", "--maximum-timeout", "3600"}),
              (Printed{0, "",
                       "INFO:gitlab_runner_api:" + host_ +
                           ": Successfully registered runner 12\n"
                           "INFO:gitlab_runner_api:" +
                           host_ + ": Successfully initialised runner 12\n"}));
    EXPECT_EQ(std::filesystem::status(file()).permissions(), perms(0600));
    EXPECT_THAT(filesBeside(), ElementsAre("my-runner-data.json"));
    EXPECT_THAT(readFile(file()),
                AllOf(StartsWith("[1, \"" + gitlab->url() + "\", 12, \"glrtr-"),
                      HasSubstr(R"(, {"info":{},"locked":true,"maximum_timeout":3600}])")));

    useFile();
    EXPECT_THAT(check().out,
                HasSubstr("ok    runner pool: " + gitlab->url() + " knows its token\n"));
    EXPECT_EQ(run({.script = {"echo from the file"}}).status, fakegitlab::Status::Success);
}

TEST_F(RunnerFileEndToEnd, PackagesFileNeedsItsModeChanged) {
    const auto written = readFile(std::filesystem::path(GRIDBRIDGE_SOURCE) /
                                  "tests/fixtures/gitlab_runner_api/runner.json");
    writeFile(file(), replaced(written, "https://gitlab.example.org", gitlab->url()));
    std::filesystem::permissions(file(), perms(0644));
    useFile();
    EXPECT_EQ(check(),
              (Printed{78,
                       "FAIL  " + service->config().string() +
                           ":6: runners.pool.runner_file: " + file().string() +
                           " can be read by every account; run chmod 600 " + file().string() + "\n",
                       ""}));

    std::filesystem::permissions(file(), perms(0600));

    EXPECT_EQ(check().exitCode, 0) << check();
    EXPECT_EQ(run({.script = {"true"}}).status, fakegitlab::Status::Success);
}

TEST_F(RunnerFileEndToEnd, WhatGoesWrongIsOneSentenceAndNoFile) {
    const auto failed =
        "ERROR:gitlab_runner_api:" + host_ + ": Failed to register runner: GitLab does not know ";
    expectRefused(registerRunner(gitlab->url(), "GR-SECRET"), 1, failed);
    expectRefused(registerRunner(gitlab->url(), "glrt-SECRET"), 1, failed);
    expectRefused(registerRunner(gitlab->url(), "GR-SECRET"), 1, "; copy the token again from");
    expectRefused(registerRunner(gitlab->url(), kRegistrationToken, {"--maximum-timeout", "5"}), 1,
                  ": 400");
    expectRefused(registerRunner(gitlab->url() + "/other", kRegistrationToken), 1, ": 404");
    expectRefused(registerRunner("gitlab.example.org", kRegistrationToken), 2,
                  "register-runner: error: api_url is not the address of a server");
    expectRefused(registerRunner(gitlab->url(), kRegistrationToken, {"--lokced=SECRET"}), 2,
                  "register-runner: error: --lokced is not known; see register-runner --help");
    expectRefused(registerRunner(gitlab->url(), kRegistrationToken, {"glrt-SECRET"}), 2,
                  "register-runner: error: there is an argument too many; see ");
    expectRefused(
        registerRunner(gitlab->url(), kRegistrationToken, {"--maximum-timeout", "SECRET"}), 2,
        "register-runner: error: --maximum-timeout is no number of seconds; ");
    expectRefused(runProgram({REGISTER_RUNNER, gitlab->url()}), 2, "token is required; see ");
    expectRefused(runProgram({REGISTER_RUNNER, gitlab->url(), "t", "runner.toml"}), 2,
                  "register-runner: error: Requested output filename must end in .json");
    const auto nowhere = (folder.path / "nowhere" / "runner.json").string();
    expectRefused(runProgram({REGISTER_RUNNER, gitlab->url(), kRegistrationToken, nowhere}), 74,
                  nowhere + " cannot be written: No such file or directory; name another file");
    std::filesystem::create_directory(folder.path / "folder.json");
    expectRefused(runProgram({REGISTER_RUNNER, gitlab->url(), kRegistrationToken,
                              (folder.path / "folder.json").string()}),
                  74, "folder.json is a folder; name another file");
    for (const std::string other : {"", "glrt-SECRET x", "glrt-SECRET\n", "GR\tSECRET"}) {
        expectRefused(registerRunner(gitlab->url(), other), 2,
                      "register-runner: error: what was given as token is none; give ");
    }
    gitlab->goAway();
    expectRefused(registerRunner(gitlab->url(), kRegistrationToken), 75, "Failed to register");
    expectRefused(registerRunner(gitlab->url(), "glrt-SECRET"), 75,
                  "; see to the address, the network and the server, then try again");
    strict = false;  // A wrong address is a breach of the protocol to the stand-in.
}

TEST_F(RunnerFileEndToEnd, ServerThatIsNoGitLabIsOneSentenceAndNoFile) {
    const auto answers = [&](const std::string& body, const std::string& status,
                             const std::string& type) {
        http::ScriptedServer server({[&](http::Peer& peer) {
            peer.readRequest();
            peer.answer(body, status, "Content-Type: " + type + "\r\n");
        }});
        const auto token = status == "200 OK" ? "glrt-SECRET" : kRegistrationToken;
        return registerRunner(server.url(), token);
    };
    for (const auto* status : {"200 OK", "201 Created"}) {
        expectRefused(answers("<html>please log in</html>", status, "text/html"), 1,
                      " with a web page, not GitLab's answer; is there a proxy or a login");
    }
    expectRefused(answers("hello", "200 OK", "text/plain"), 1,
                  "200, which is not what GitLab answers; check the url");
    expectRefused(answers("hello", "202 Accepted", "text/plain"), 1,
                  "202, which is not what GitLab answers; check the url");
    // Something was made there, and nobody can read what.
    expectRefused(answers("[1, 2", "201 Created", "application/json"), 75,
                  "a runner may have been made whose token is lost");
    expectRefused(registerRunner("https://gitlab.invalid", kRegistrationToken), 75,
                  "Host not found: gitlab.invalid; see to the address, the network");
    expectRefused(answers("<html>busy</html>", "502 Bad Gateway", "text/html"), 75, "502");
    const auto proxied =
        runProgram({"/usr/bin/env", "HTTP_PROXY=socks5://ada:SECRET@proxy", REGISTER_RUNNER,
                    "http://gitlab.invalid", kRegistrationToken, file().string()});
    expectRefused(proxied, 78, "the environment variable HTTP_PROXY names a proxy of a kind");
    EXPECT_THAT(proxied.err, Not(HasSubstr("SECRET")));
}

TEST_F(RunnerFileEndToEnd, DamagedFileIsOneSentenceThatNamesTheCure) {
    ASSERT_EQ(registerRunner(gitlab->url(), kRegistrationToken).exitCode, 0);
    useFile();
    const auto whole = readFile(file());
    const auto place = service->config().string() + ":6: runners.pool.runner_file: ";
    const std::string cure = "; register the runner again with register-runner, or name another";
    for (const auto& [text, fault] :
         {std::pair(whole.substr(0, whole.size() / 2), "the JSON is cut short or damaged"),
          std::pair("[7" + whole.substr(2), "has version 7; only version 1 can be read"),
          std::pair(std::string(), "the JSON is cut short or damaged")}) {
        writeFile(file(), text);
        EXPECT_EQ(check().exitCode, 78);
        EXPECT_THAT(linesOf(check().out),
                    ElementsAre(AllOf(StartsWith("FAIL  " + place), HasSubstr(fault + cure))));
        service->start();
        EXPECT_EQ(service->wait(), 78);
        EXPECT_THAT(service->log(), HasSubstr(place));
        EXPECT_EQ(readFile(file()), text) << "the file was changed";
    }
}

TEST_F(RunnerFileEndToEnd, FileThatCannotBeWrittenIsToldWithWhatIsLeftInGitLab) {
    gitlab->addRunner("glrt-own");
    // A file size limit of 0 is a full disk that spares everybody else.
    for (const auto& [token, cure] :
         {std::pair(kRegistrationToken, "; delete runner 13 in GitLab and register again\n"),
          std::pair("glrt-own", "; name another file\n")}) {
        const auto printed =
            runProgram({"/bin/sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh",
                        REGISTER_RUNNER, gitlab->url(), token, file().string()});
        EXPECT_EQ(printed.exitCode, 74) << printed;
        EXPECT_THAT(printed.err, EndsWith(cure));
        EXPECT_THAT(filesBeside(), IsEmpty());
    }
}

TEST_F(RunnerFileEndToEnd, OldFileStaysWhenTheRegistrationFails) {
    writeFile(file(), "what was there");
    EXPECT_EQ(registerRunner(gitlab->url(), "GR-SECRET").exitCode, 1);
    EXPECT_EQ(readFile(file()), "what was there");
}

}  // namespace
}  // namespace gridbridge::testing
