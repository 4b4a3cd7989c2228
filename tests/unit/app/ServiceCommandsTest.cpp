#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <unistd.h>

#include "bridge/app/Commands.h"
#include "bridge/app/Daemon.h"
#include "bridge/app/ExitCode.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/FakeGitLabAccess.h"
#include "tests/unit/app/ConfigFolder.h"
#include "tests/unit/app/OtherProcess.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;
using ::testing::ElementsAre;

class ServiceCommands : public ::testing::Test {
protected:
    ServiceCommands() {
        std::filesystem::create_directory(state_);
        std::filesystem::permissions(state_, std::filesystem::perms(0700));
        folder_.write("config.toml", "state_dir = \"" + state_.string() + "\"\n" +
                                         gridbridge::testing::kRunner +
                                         gridbridge::testing::kBackend);
    }

    CommandWorld world() {
        return {out_,
                err_,
                in_,
                clock_,
                ConfigFolder::host(),
                gitlab_,
                [this](const Config&, const BackendConfig&) {
                    return BackendHealth{health_, accounts_};
                },
                [this](const Config& config, const CommandWorld::Reread& reread) {
                    if (whileItRuns_) {
                        whileItRuns_(reread);
                    }
                    ran_ = config.runners.at(0).name;
                    holderWhileRunning_ = gridbridge::testing::holderSeenElsewhere(config.stateDir);
                    return 0;
                }};
    }

    int check() { return checkInstallation(folder_.file(), world()); }

    /// Lines of the output; `DIR` stands for the folder.
    std::vector<std::string> lines() {
        std::vector<std::string> all;
        std::istringstream text(out_.str());
        for (std::string line; std::getline(text, line);) {
            const std::string name = folder_.path().string();
            for (auto at = line.find(name); at != std::string::npos; at = line.find(name)) {
                line.replace(at, name.size(), "DIR");
            }
            all.push_back(line);
        }
        return all;
    }

    ConfigFolder folder_;
    std::filesystem::path state_ = folder_.path() / "state";
    std::ostringstream out_;
    std::ostringstream err_;
    gridbridge::testing::FakeClock clock_;
    std::istringstream in_;
    gridbridge::testing::FakeGitLabAccess gitlab_;
    std::optional<BackendFault> health_;
    std::vector<std::string> accounts_;
    std::string ran_;
    std::function<void(const CommandWorld::Reread&)> whileItRuns_;
    pid_t holderWhileRunning_ = 0;
};

TEST_F(ServiceCommands, CheckSaysThatASimulatedBackendRunsNothing) {
    folder_.write("config.toml", "state_dir = \"" + state_.string() + "\"\n" +
                                     gridbridge::testing::kRunner +
                                     "[backends.here]\ntype = \"simulated\"\nwork_dir = \"/w\"\n");

    EXPECT_EQ(check(), kExitWell);
    EXPECT_EQ(lines().back(), "ok    backend here: simulated, takes jobs and runs nothing of them");
}

TEST_F(ServiceCommands, CheckSaysOneLineForEachThingThatIsWell) {
    EXPECT_EQ(check(), 0);
    EXPECT_THAT(
        lines(),
        ElementsAre("ok    configuration DIR/config.toml: runners=1 backends=1",
                    "ok    state folder DIR/state", "ok    state lock: free, no service runs",
                    "ok    runner pool: https://gitlab.example.org knows its token",
                    "ok    backend here: takes jobs"));
}

TEST_F(ServiceCommands, CheckSaysHowTheAccountsOfTheJobsAreReached) {
    accounts_ = {"ci: reached by sudo", "ciphys: reached by sudo"};
    EXPECT_EQ(check(), kExitWell);
    EXPECT_EQ(lines().at(4), "ok    account ci: reached by sudo");
    EXPECT_EQ(lines().at(5), "ok    account ciphys: reached by sudo");
    EXPECT_EQ(lines().at(6), "ok    backend here: takes jobs");
}

TEST_F(ServiceCommands, CheckNamesTheLineOfAWrongToken) {
    gitlab_.verified = {gitlab::VerifyOutcome::Invalid, 0, "403 Forbidden"};
    EXPECT_EQ(check(), 1);
    EXPECT_EQ(lines().at(3),
              "FAIL  DIR/config.toml:5: runners.pool.token: https://gitlab.example.org refuses the "
              "token: 403 Forbidden; write the token that GitLab showed when the runner was "
              "created, or create a new runner there");
}

TEST_F(ServiceCommands, CheckTellsAServerThatIsAwayFromAWrongToken) {
    gitlab_.verified = {gitlab::VerifyOutcome::Unreachable, 0, "connection refused"};
    EXPECT_EQ(check(), 1);
    EXPECT_EQ(lines().at(3),
              "FAIL  DIR/config.toml:4: runners.pool.url: https://gitlab.example.org cannot be "
              "asked: connection refused; see to the address, the network and the server");
}

TEST_F(ServiceCommands, CheckNamesTheProxyOnTheWay) {
    gitlab_.proxy = "proxy.example.org:3128 (HTTPS_PROXY)";
    EXPECT_EQ(check(), kExitWell);
    EXPECT_EQ(lines().at(3),
              "ok    runner pool: https://gitlab.example.org knows its token, asked through the "
              "proxy proxy.example.org:3128 (HTTPS_PROXY)");
    gitlab_.verified = {gitlab::VerifyOutcome::Misconfigured, 0, "a certificate; trust it"};
    out_.str("");
    EXPECT_EQ(check(), kExitConfiguration);
    EXPECT_EQ(lines().at(3),
              "FAIL  DIR/config.toml:4: runners.pool.url: https://gitlab.example.org cannot be "
              "asked through the proxy proxy.example.org:3128 (HTTPS_PROXY): a certificate; trust "
              "it");
    gitlab_.verified = {gitlab::VerifyOutcome::NotGitLab, 0, "a page; is there a proxy before it?"};
    out_.str("");
    EXPECT_EQ(check(), kExitFailed);
    EXPECT_EQ(lines().at(3),
              "FAIL  DIR/config.toml:4: runners.pool.url: https://gitlab.example.org does not "
              "answer as GitLab through the proxy proxy.example.org:3128 (HTTPS_PROXY): a page; is "
              "there a proxy before it?");
}

TEST_F(ServiceCommands, CheckAddsNoSecondCure) {
    const auto failed = [this](gitlab::VerifyOutcome outcome, const std::string& message) {
        gitlab_.verified = {outcome, 0, message};
        out_.str("");
        EXPECT_EQ(check(), outcome == gitlab::VerifyOutcome::Misconfigured ? 78 : 1);
        return lines().at(3).substr(std::string("FAIL  DIR/config.toml:4: runners.pool.url: "
                                                "https://gitlab.example.org ")
                                        .size());
    };
    EXPECT_EQ(failed(gitlab::VerifyOutcome::Misconfigured, "the certificate is refused; renew it"),
              "cannot be asked: the certificate is refused; renew it");
    EXPECT_EQ(failed(gitlab::VerifyOutcome::Unreachable, "the proxy answers 502; see to it"),
              "cannot be asked: the proxy answers 502; see to it");
    EXPECT_EQ(failed(gitlab::VerifyOutcome::NotGitLab, "404; check the url of this runner"),
              "does not answer as GitLab: 404; check the url of this runner");
    EXPECT_EQ(failed(gitlab::VerifyOutcome::NotGitLab, "405, the server says: no"),
              "does not answer as GitLab: 405, the server says: no; correct the address");
}

TEST_F(ServiceCommands, CheckTellsAnIllBackend) {
    health_ = {"", "the batch system does not answer", "see to it"};
    EXPECT_EQ(check(), 1);
    EXPECT_EQ(lines().at(4),
              "FAIL  DIR/config.toml:8: backends.here.type: the batch system does not answer; see "
              "to it");
    EXPECT_EQ(runService(folder_.file(), world()), 0) << "the service waits for it";
}

TEST_F(ServiceCommands, RunSaysWhatCheckSaysOfABackendThatCannotBeUsed) {
    health_ = {"work_dir", "/jobs is not writable", "name another"};
    EXPECT_EQ(check(), 78);
    try {
        runService(folder_.file(), world());
        ADD_FAILURE() << "the service started";
    } catch (const ConfigError& error) {
        EXPECT_THAT(out_.str(),
                    ::testing::HasSubstr("FAIL  " + error.problems.at(0).sentence() + "\n"));
        EXPECT_EQ(error.problems.at(0).place.line, 9);
    }
    EXPECT_EQ(ran_, "");
}

TEST_F(ServiceCommands, CheckTellsAStateFolderThatCannotBeUsed) {
    std::filesystem::permissions(state_, std::filesystem::perms(0755));
    EXPECT_EQ(check(), 78);
    EXPECT_EQ(lines().at(1),
              "FAIL  DIR/config.toml:1: state_dir: DIR/state is open to every "
              "account; run chmod 700 DIR/state");
}

TEST_F(ServiceCommands, CheckNamesAStateDiskThatIsShortOfRoom) {
    folder_.write("config.toml", "min_free_space = \"1024 TiB\"\nstate_dir = \"" + state_.string() +
                                     "\"\n" + gridbridge::testing::kRunner +
                                     gridbridge::testing::kBackend);
    EXPECT_EQ(check(), 1);
    EXPECT_THAT(lines().at(2),
                ::testing::MatchesRegex(
                    "FAIL  DIR/config.toml:1: min_free_space: only [0-9]+ MiB are free on the disk "
                    "of DIR/state, and below 1073741824 MiB nothing is claimed; make room there, "
                    "or keep less free"));
}

TEST_F(ServiceCommands, CheckGivesEveryMistakeOfTheConfigurationItsLine) {
    folder_.write("config.toml", std::string("concurent = 1\nlog_level = 2\n") +
                                     gridbridge::testing::kRunner + gridbridge::testing::kBackend);
    EXPECT_EQ(check(), 78);
    EXPECT_THAT(lines(),
                ElementsAre("FAIL  DIR/config.toml:1: concurent: unknown key; did you mean "
                            "\"concurrent\"?",
                            "FAIL  DIR/config.toml:2: log_level: is an integer; write a text in "
                            "quotes, like log_level = \"info\""));
}

TEST_F(ServiceCommands, CheckIsWellWhileTheServiceRuns) {
    const gridbridge::testing::LockedElsewhere service(state_);
    EXPECT_EQ(check(), 0);
    EXPECT_EQ(lines().at(2), "ok    state lock: held by the running service, pid=" +
                                 std::to_string(service.pid()));
}

TEST_F(ServiceCommands, RunHoldsTheLockWhileTheServiceRuns) {
    EXPECT_EQ(runService(folder_.file(), world()), 0);
    EXPECT_EQ(ran_, "pool");
    EXPECT_EQ(holderWhileRunning_, ::getpid());
    EXPECT_EQ(gridbridge::testing::holderSeenElsewhere(state_), 0);
}

TEST_F(ServiceCommands, TheRunningServiceReadsTheConfigurationAgainAsAStartWould) {
    const std::string sound = "state_dir = \"" + state_.string() + "\"\n" +
                              gridbridge::testing::kRunner + gridbridge::testing::kBackend;
    whileItRuns_ = [&](const CommandWorld::Reread& reread) {
        folder_.write("config.toml", "concurrent = 5\n" + sound);
        EXPECT_EQ(reread().concurrent, 5);
        folder_.write("config.toml", "concurent = 5\n" + sound);
        EXPECT_THROW(reread(), ConfigError);
        folder_.write("config.toml", sound);
        health_ = {"work_dir", "/jobs is not writable", "name another"};
        EXPECT_THROW(reread(), ConfigError);
    };
    EXPECT_EQ(runService(folder_.file(), world()), 0);
}

TEST_F(ServiceCommands, RunRefusesASecondService) {
    const gridbridge::testing::LockedElsewhere service(state_);
    EXPECT_EQ(runService(folder_.file(), world()), 75);
    EXPECT_EQ(ran_, "");
    EXPECT_THAT(err_.str(),
                ::testing::HasSubstr("pid=" + std::to_string(service.pid()) + "; stop"));
}

TEST_F(ServiceCommands, RunRefusesAStateFolderThatJobsCouldRead) {
    std::filesystem::permissions(state_, std::filesystem::perms(0755));
    EXPECT_THROW(runService(folder_.file(), world()), ConfigError);
    EXPECT_EQ(ran_, "");
}

TEST_F(ServiceCommands, RunRefusesAConfigurationWithAMistake) {
    folder_.write("config.toml", "x = 1\n");
    EXPECT_THROW(runService(folder_.file(), world()), ConfigError);
    EXPECT_EQ(ran_, "");
}

TEST(BackendProbe, ALoginThatIsMissingKeepsNoServiceFromItsStart) {
    const gridbridge::testing::ConfigFolder folder;
    Config config;
    BackendConfig grid;
    grid.name = "grid";
    grid.type = "diracx";
    grid.workDir = folder.path() / "work";
    grid.diracx.url = "https://localhost:1";
    grid.diracx.credentials = folder.path() / "credentials.json";

    const auto fault = probeBackend(config, grid).fault;

    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->key, "");  // Such a fault passes.
    EXPECT_THAT(fault->what, ::testing::HasSubstr("credentials.json"));
    EXPECT_THAT(fault->cure, ::testing::HasSubstr("credentials; until then jobs wait"));
}

TEST(ExitCode, TroubleThatPassesIsTemporary) {
    using Kind = store::StoreError::Kind;
    EXPECT_EQ(exitCodeOf(Kind::Busy), 75);
    EXPECT_EQ(exitCodeOf(Kind::Full), 75);
    EXPECT_EQ(exitCodeOf(Kind::Corrupt), 74);
    EXPECT_EQ(exitCodeOf(Kind::Newer), 78);
}

}  // namespace
}  // namespace gridbridge::app
