// `register-runner`, and a service that uses what it, or the Python package, wrote.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using std::filesystem::perms;
using ::testing::AllOf;
using ::testing::ElementsAre;
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
        EXPECT_THAT(linesOf(printed.err), ElementsAre(HasSubstr(text)));
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
    expectRefused(registerRunner(gitlab->url(), kRegistrationToken, {"--maximum-timeout", "5"}), 1,
                  ": 400");
    expectRefused(registerRunner(gitlab->url() + "/other", kRegistrationToken), 1, ": 404");
    expectRefused(registerRunner("gitlab.example.org", kRegistrationToken), 2,
                  "register-runner: error: api_url is not the address of a server");
    expectRefused(registerRunner(gitlab->url(), kRegistrationToken, {"--lokced"}), 2, "--lokced");
    expectRefused(runProgram({REGISTER_RUNNER, gitlab->url(), "t", "runner.toml"}), 2,
                  "register-runner: error: Requested output filename must end in .json");
    const auto nowhere = (folder.path / "nowhere" / "runner.json").string();
    expectRefused(runProgram({REGISTER_RUNNER, gitlab->url(), kRegistrationToken, nowhere}), 74,
                  nowhere + " cannot be written: No such file or directory");
    gitlab->goAway();
    expectRefused(registerRunner(gitlab->url(), kRegistrationToken), 75, "Failed to register");
    strict = false;  // A wrong address is a breach of the protocol to the stand-in.
}

TEST_F(RunnerFileEndToEnd, OldFileStaysWhenTheRegistrationFails) {
    writeFile(file(), "what was there");
    EXPECT_EQ(registerRunner(gitlab->url(), "GR-SECRET").exitCode, 1);
    EXPECT_EQ(readFile(file()), "what was there");
}

}  // namespace
}  // namespace gridbridge::testing
