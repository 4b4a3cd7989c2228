// What a person who set something up wrongly is told by `gridbridge check` and `gridbridge run`.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using std::filesystem::perms;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uid_t kAccount = 65534;
const std::string kAccountName = std::to_string(kAccount);

/// A token that must never be printed; the stand-in knows only "glrt-test".
constexpr auto kOtherToken = "glrt-SECRET0123456789abcd";

class CheckEndToEnd : public EndToEnd {
protected:
    CheckEndToEnd() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        sound_ = readFile(config());
    }

    std::string config() const { return service->config().string(); }

    void write(const std::string& text) {
        writeFile(config(), text);
        std::filesystem::permissions(config(), perms::owner_read | perms::owner_write);
    }
    /// The sound configuration with `from` replaced.
    void change(const std::string& from, const std::string& to) {
        auto text = sound_;
        const auto at = text.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        write(text.replace(at, from.size(), to));
    }

    Printed check() const { return runGridbridge({"check", "--config", config()}); }
    Printed run() const { return runGridbridge({"run", "--config", config()}); }

    /// Both commands refuse the configuration with this one sentence.
    void expectRefused(const std::string& sentence) {
        EXPECT_EQ(check(), (Printed{78, "FAIL  " + sentence + "\n", ""}));
        EXPECT_EQ(run(), (Printed{78, "", "gridbridge: " + sentence + "\n"}));
    }
    /// `check` fails in this one line and `run` refuses with the same sentence.
    void expectUnusable(const std::string& sentence) {
        const auto checked = check();
        EXPECT_EQ(checked.exitCode, 78);
        EXPECT_EQ(failures(checked), std::vector<std::string>{"FAIL  " + sentence});
        EXPECT_EQ(run(), (Printed{78, "", "gridbridge: " + sentence + "\n"}));
    }
    /// The service has written its database.
    bool hasRun() const { return service->sql("SELECT count(*) FROM runner") == "1\n"; }
    static std::vector<std::string> failures(const Printed& printed) {
        auto lines = linesOf(printed.out);
        std::erase_if(lines, [](const std::string& line) { return line.starts_with("ok    "); });
        return lines;
    }

    std::string sound_;
};

TEST_F(CheckEndToEnd, AllIsWell) {
    EXPECT_EQ(check(), (Printed{0,
                                "ok    configuration " + config() + ": runners=1 backends=1\n" +
                                    "ok    state folder " + service->stateDir().string() + "\n" +
                                    "ok    state lock: free, no service runs\n" +
                                    "ok    runner pool: " + gitlab->url() + " knows its token\n" +
                                    "ok    backend here: takes jobs\n",
                                ""}));
}

TEST_F(CheckEndToEnd, AllIsWellWhileTheServiceRuns) {
    start();
    EXPECT_TRUE(waitFor([&] { return hasRun(); }, "the service"));
    const auto printed = check();
    EXPECT_EQ(printed.exitCode, 0);
    EXPECT_THAT(linesOf(printed.out),
                Contains(StartsWith("ok    state lock: held by the running service, pid=")));
    EXPECT_FALSE(gitlab->managerFeatures("glrt-test", "")) << "a check is no runner manager";
}

TEST_F(CheckEndToEnd, MissingFile) {
    std::filesystem::remove(config());
    expectRefused(config() +
                  ": cannot be read: No such file or directory; create it or make it readable, or "
                  "name another with --config");
}

TEST_F(CheckEndToEnd, FileOfATokenThatOthersCanRead) {
    change("glrt-test", kOtherToken);
    std::filesystem::permissions(config(), perms(0644));
    expectRefused(config() +
                  ":7: runners.pool.token: the file holds a token and can be read by every "
                  "account; run chmod 600 " +
                  config());
}

TEST_F(CheckEndToEnd, BadTomlPrintsNoToken) {
    change("\"glrt-test\"", std::string("\"") + kOtherToken);
    const auto printed = check();
    EXPECT_EQ(printed.exitCode, 78);
    EXPECT_THAT(linesOf(printed.out),
                ElementsAre(AllOf(StartsWith("FAIL  " + config() + ":7: is not valid TOML: "),
                                  HasSubstr("; correct this line: a text stands in quotes"),
                                  Not(HasSubstr("SECRET")))));
    EXPECT_EQ(run().err, "gridbridge: " + printed.out.substr(6));
    change("\"glrt-test\"", kOtherToken);
    EXPECT_THAT(linesOf(check().out),
                ElementsAre(AllOf(StartsWith("FAIL  " + config() + ":7: is not valid TOML: "),
                                  Not(HasSubstr("SECRET")))));
}

TEST_F(CheckEndToEnd, UnknownKey) {
    write("concurent = 5\n" + sound_);
    expectRefused(config() + ":1: concurent: unknown key; did you mean \"concurrent\"?");
}

TEST_F(CheckEndToEnd, WrongType) {
    write("concurrent = \"many\"\n" + sound_);
    expectRefused(config() + ":1: concurrent: is a text; write an integer, like concurrent = 1000");
}

TEST_F(CheckEndToEnd, UnknownBackend) {
    change("backend = \"here\"", "backend = \"condor\"");
    expectRefused(config() +
                  ":8: runners.pool.backend: there is no section [backends.condor]; add it or "
                  "name one of: here");
}

TEST_F(CheckEndToEnd, TwoRunnersOfOneName) {
    write(sound_ +
          "[[runners]]\nname = \"pool\"\nurl = \"https://gitlab.example.org\"\ntoken = \"" +
          kOtherToken + "\"\nbackend = \"here\"\n");
    expectRefused(config() +
                  ":17: runners.pool.name: a second runner has this name; the first is in " +
                  config() + " line 4; rename or remove one of them");
}

TEST_F(CheckEndToEnd, EveryMistakeHasItsLine) {
    write("concurent = 5\nconcurrent = 0\n" + sound_);
    EXPECT_THAT(linesOf(check().out),
                ElementsAre(StartsWith("FAIL  " + config() + ":1: concurent: "),
                            StartsWith("FAIL  " + config() + ":2: concurrent: is 0; write")));
    EXPECT_EQ(linesOf(run().err).size(), 2U);
}

TEST_F(CheckEndToEnd, MissingStateFolder) {
    std::filesystem::remove(service->stateDir());
    const auto name = service->stateDir().string();
    expectUnusable(
        config() + ":2: state_dir: " + name +
        " cannot be used: No such file or directory; create it with: install -d -m 700 " + name);
}

TEST_F(CheckEndToEnd, UnwritableStateFolder) {
    // Root may write everywhere: for it, others play the service.
    const uid_t account = isRoot() ? kAccount : 0;
    std::filesystem::permissions(service->stateDir(), perms(0550));
    if (isRoot()) {
        runProgram({"/bin/chgrp", kAccountName, service->stateDir().string()});
        runProgram({"/bin/chown", kAccountName, config(), service->workDir().string()});
    }
    const auto sentence = config() + ":2: state_dir: " + service->stateDir().string() +
                          " is not writable: Permission denied; give it to the account of the "
                          "service";
    const auto checked = runGridbridge({"check", "--config", config()}, account);
    EXPECT_EQ(checked.exitCode, 78);
    EXPECT_EQ(failures(checked), std::vector<std::string>{"FAIL  " + sentence});
    EXPECT_EQ(runGridbridge({"run", "--config", config()}, account),
              (Printed{78, "", "gridbridge: " + sentence + "\n"}));
    std::filesystem::permissions(service->stateDir(), perms(0700));
}

TEST_F(CheckEndToEnd, DatabaseThatAServiceOfAnotherAccountLeft) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a database of another account");
    }
    start();
    ASSERT_TRUE(waitFor([&] { return hasRun(); }, "the service"));
    service->stop();
    for (const auto& path : {config(), service->stateDir().string(), service->workDir().string()}) {
        runProgram({"/bin/chown", kAccountName, path});
    }
    const auto sentence = config() + ":2: state_dir: " + service->stateDir().string() +
                          "/gridbridge.db is not writable: Permission denied; give it to the "
                          "account of the service";
    EXPECT_EQ(failures(runGridbridge({"check", "--config", config()}, kAccount)),
              std::vector<std::string>{"FAIL  " + sentence});
    EXPECT_EQ(runGridbridge({"run", "--config", config()}, kAccount),
              (Printed{78, "", "gridbridge: " + sentence + "\n"}));
}

TEST_F(CheckEndToEnd, DamagedDatabase) {
    writeFile(service->stateDir() / "gridbridge.db", std::string(8192, 'x'));
    const auto printed = run();
    EXPECT_EQ(printed.exitCode, 74);
    EXPECT_THAT(linesOf(printed.err),
                ElementsAre(StartsWith("gridbridge: " + service->stateDir().string() +
                                       "/gridbridge.db: file is not a database; ")));
    EXPECT_EQ(runGridbridge({"jobs", "--config", config()}), printed);
    EXPECT_THAT(failures(check()),
                ElementsAre(StartsWith("FAIL  " + service->stateDir().string() +
                                       "/gridbridge.db: file is not a database; ")));
}

TEST_F(CheckEndToEnd, KeyThatDoesNotOpenWhatIsSealed) {
    start();
    ASSERT_TRUE(gitlab->waitForStatus(
        gitlab->addJob(
            {.script = {"while [ ! -e " + (folder.path / "go").string() + " ]; do sleep 0.1; done"},
             .variables = {{.key = "GIT_STRATEGY", .value = "none"}}}),
        fakegitlab::Status::Running));
    EXPECT_EQ(service->stop(), 0);
    const auto key = service->stateDir() / "secret.key";
    const auto whole = readFile(key);
    const auto closed = perms::owner_read | perms::owner_write;
    const auto expectSaid = [&](const std::string& text) {
        const auto refused = run();
        EXPECT_EQ(refused.exitCode, 74);
        ASSERT_THAT(linesOf(refused.err), ElementsAre(HasSubstr(text)));
        EXPECT_THAT(failures(check()), ElementsAre("FAIL  " + linesOf(refused.err)[0].substr(12)));
        EXPECT_EQ(check().exitCode, 1);
    };

    std::filesystem::permissions(key, perms(0644));
    expectSaid("secret.key can be read by others: run 'chmod 600 ");
    std::filesystem::permissions(key, closed);
    writeFile(key, "short");
    expectSaid("secret.key is not a key of 32 bytes: restore it from a backup");
    writeFile(key, std::string(32, 'k'));
    expectSaid("secret.key is not the key it was sealed with");
    std::filesystem::remove(key);
    expectSaid("secret.key is missing, and the database holds secrets");

    writeFile(key, whole);
    std::filesystem::permissions(key, closed);
    EXPECT_EQ(check().exitCode, 0);
    writeFile(folder.path / "go", "");
}

TEST_F(CheckEndToEnd, SealedDescriptionThatDoesNotOpenEndsItsJobAndHarmsNoOther) {
    start();
    const auto go = (folder.path / "go").string();
    const auto pid = (folder.path / "pid").string();
    std::vector<fakegitlab::JobId> ids;
    for (int i = 0; i < 3; ++i) {
        ids.push_back(
            gitlab->addJob({.script = {"echo $$ > " + pid + std::to_string(i) +
                                       "; echo begun; until [ -e " + go + " ]; do sleep 0.1; done"},
                            .variables = {{.key = "GIT_STRATEGY", .value = "none"}}}));
        ASSERT_TRUE(gitlab->waitForTrace(ids.back(), "begun"));
    }
    EXPECT_EQ(service->stop(), 0);
    const auto bad = std::to_string(ids[1]);
    const auto ofBad = [&](const std::string& columns) {
        return service->sql("SELECT " + columns + " FROM job WHERE gitlab_id = " + bad);
    };
    runProgram({"/usr/bin/sqlite3", (service->stateDir() / "gridbridge.db").string(),
                "UPDATE job_secret SET payload = zeroblob(200) "
                "WHERE job = (SELECT id FROM job WHERE gitlab_id = " +
                    bad + ")"});
    const auto checked = check();
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(failures(checked),
                ElementsAre(AllOf(HasSubstr("job " + bad + " "), HasSubstr("does not open"),
                                  HasSubstr("restore gridbridge.db from a backup"))));

    service->start();
    ASSERT_TRUE(
        waitFor([&] { return ofBad("state, outcome") == "done|dropped\n"; }, "the end of the job"));
    EXPECT_FALSE(runs(readFile(pid + "1")));
    EXPECT_TRUE(runs(readFile(pid + "0")));
    const auto log = service->log();
    const std::string alarm = "the stored description of a job cannot be read";
    EXPECT_EQ(log.find(alarm), log.rfind(alarm));
    EXPECT_THAT(log, HasSubstr(alarm));
    EXPECT_THAT(service->command({"show", bad}),
                HasSubstr("its stored description cannot be read"));
    EXPECT_EQ(check().exitCode, 0);
    writeFile(go, "");
    for (const auto id : {ids[0], ids[2]}) {
        EXPECT_EQ(finished(id).status, fakegitlab::Status::Success);
    }
    EXPECT_EQ(gitlab->status(ids[1]), fakegitlab::Status::Running)
        << "GitLab, which nobody can tell, ends it after its own time";
}

TEST_F(CheckEndToEnd, FolderThatNoOpenJobOwnsIsNamed) {
    start();
    const auto go = (folder.path / "go").string();
    const auto id =
        gitlab->addJob({.script = {"echo begun; until [ -e " + go + " ]; do sleep 0.1; done"},
                        .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    auto key = service->sql("SELECT key FROM submission");
    key.pop_back();
    ASSERT_TRUE(std::filesystem::exists(service->workDir() / key));
    // As after a backup was restored that does not know the job any more.
    const auto lost = key.substr(0, key.size() - 3) + "77-1";
    std::filesystem::create_directory(service->workDir() / lost);
    std::filesystem::create_directory(service->workDir() / "gb-another0-1-1");
    // As of an account that jobs once ran as.
    const auto older = key.substr(0, key.size() - 3) + "76-1";
    std::filesystem::create_directories(service->workDir() / "former" / older);

    const auto printed = check();

    EXPECT_EQ(printed.exitCode, 1);
    const auto line = [&](const std::filesystem::path& place, const std::string& name) {
        return "FAIL  no open job owns the folder " + (place / name).string() +
               "; end the batch job " + name + " if it is still there, then remove the folder";
    };
    EXPECT_THAT(failures(printed),
                ::testing::ElementsAre(line(service->workDir(), lost),
                                       line(service->workDir() / "former", older)));
    std::filesystem::remove(service->workDir() / lost);
    std::filesystem::remove(service->workDir() / "former" / older);
    EXPECT_EQ(check().exitCode, 0);
    writeFile(go, "");
    EXPECT_EQ(finished(id).status, fakegitlab::Status::Success);
}

TEST_F(CheckEndToEnd, RunnerOfOpenJobsThatIsNotConfiguredAnyMore) {
    start();
    const auto id =
        gitlab->addJob({.script = {"echo begun; while [ ! -e " + (folder.path / "go").string() +
                                   " ]; do sleep 0.1; done"},
                        .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    EXPECT_EQ(service->stop(), 0);
    change("name = \"pool\"", "name = \"renamed\"");
    expectUnusable(config() +
                   ": runners: 1 open job needs the runner pool, which is not configured; put its "
                   "section back until gridbridge jobs shows none of them");
    change("backends.here", "backends.there");
    const auto renamed = readFile(config());
    write(std::string(renamed).replace(renamed.find("\"here\""), 6, "\"there\""));
    expectUnusable(config() +
                   ": backends: 1 open job needs the backend here, which is not configured; put "
                   "its section back until gridbridge jobs shows none of them");

    write(sound_);
    writeFile(folder.path / "go", "");
    service->start();
    EXPECT_EQ(finished(id).status, fakegitlab::Status::Success);
}

TEST_F(CheckEndToEnd, WrongToken) {
    change("glrt-test", kOtherToken);
    const auto checked = check();
    EXPECT_EQ(checked.exitCode, 1);
    ASSERT_THAT(failures(checked),
                ElementsAre(AllOf(StartsWith("FAIL  " + config() + ":7: runners.pool.token: " +
                                             gitlab->url() + " refuses the token: "),
                                  HasSubstr("; write the token that GitLab showed when the runner "
                                            "was created, or create a new runner there"))));
    start();
    EXPECT_TRUE(waitFor(
        [&] {
            const auto log = service->log();
            return log.find(config() + ":7: runners.pool.token: " + gitlab->url() +
                            " refuses the token: ") != std::string::npos &&
                   log.find("; write the token that GitLab showed") != std::string::npos;
        },
        "the service to say what check says"));
    EXPECT_THAT(checked.out + service->log(), Not(HasSubstr("SECRET")));
}

TEST_F(CheckEndToEnd, ServerThatIsAway) {
    change(gitlab->url(), "http://127.0.0.1:1");
    const auto checked = check();
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(failures(checked),
                ElementsAre(AllOf(StartsWith("FAIL  " + config() +
                                             ":6: runners.pool.url: http://127.0.0.1:1 cannot be "
                                             "asked: "),
                                  HasSubstr("Connection refused"),
                                  EndsWith("; see to the address, the network and the server"))));
}

TEST_F(CheckEndToEnd, WorkFolderWithinTheStateFolder) {
    const auto state = service->stateDir().string();
    change(service->workDir().string(), state + "/work");
    expectRefused(config() + ":11: backends.here.work_dir: the work folder " + state +
                  "/work and the state folder " + state +
                  " lie within each other; jobs must never see the state folder: move one of them");
}

TEST_F(CheckEndToEnd, WorkFolderThatCannotBeMade) {
    change(service->workDir().string(), "/proc/work");
    expectUnusable(config() +
                   ":11: backends.here.work_dir: /proc/work cannot be opened: No such file or "
                   "directory; name a folder of the service's own");
}

TEST_F(CheckEndToEnd, WorkFolderThatOthersCanWrite) {
    std::filesystem::permissions(service->workDir(), perms(0777));
    expectUnusable(config() + ":11: backends.here.work_dir: " + service->workDir().string() +
                   " must belong to the account that uses it and be writable by it alone; "
                   "name a folder of the service's own");
}

TEST_F(CheckEndToEnd, UnknownAccount) {
    change("trusted_jobs = true", "run_as = \"no-such-account\"");
    expectRefused(config() +
                  ":15: backends.here.run_as: there is no account \"no-such-account\"; create it "
                  "or name another");
}

}  // namespace
}  // namespace gridbridge::testing
