// Jobs of a service with `run_as`: what their accounts can reach. Most of it needs root.
#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/AccountEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using fakegitlab::Status;
using std::filesystem::path;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// A line for sudo, for the life of this object.
class Sudoers {
public:
    Sudoers(const std::string& name, const std::string& line) : file_("/etc/sudoers.d/" + name) {
        writeFile(file_, line + "\n");
        std::filesystem::permissions(file_, std::filesystem::perms(0440));
    }
    ~Sudoers() { std::filesystem::remove(file_); }
    Sudoers(const Sudoers&) = delete;
    Sudoers& operator=(const Sudoers&) = delete;

private:
    path file_;
};

struct Entry {
    uid_t owner = 0;
    unsigned mode = 0;
    bool operator==(const Entry&) const = default;
};

Entry entryOf(const path& file) {
    struct stat info {};
    EXPECT_EQ(::lstat(file.c_str(), &info), 0) << file;
    return {info.st_uid, info.st_mode & 07777U};
}

TEST_F(AccountEndToEnd, FoldersOfTrustedJobsAreClosedToo) {
    start();
    const auto id = gitlab->addJob(
        {.script = {untilThereIs("go")}, .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    const auto own = submissionFolder(id, "");
    EXPECT_TRUE(waitFor([&] { return std::filesystem::exists(own / "out" / "log"); }, "a start"));
    EXPECT_EQ(entryOf(own), (Entry{::geteuid(), 0700}));
    EXPECT_EQ(entryOf(service->stateDir() / "secret.key"), (Entry{::geteuid(), 0600}));
    EXPECT_EQ(entryOf(service->stateDir() / "gridbridge.db"), (Entry{::geteuid(), 0640}));
    writeFile(shared_ / "go", "");
    EXPECT_EQ(finished(id).status, Status::Success);
}

TEST_F(AccountEndToEnd, TheFolderOfAJobBelongsToItsAccountAlone) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("the folder of a job of another account");
    }
    const auto& account = newAccount("gb-e2e-e");
    service->configure("", "run_as = \"" + account.name + "\"\n");
    start();
    const auto id = gitlab->addJob(
        {.script = {untilThereIs("go")}, .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    const auto own = submissionFolder(id, account.name);
    EXPECT_TRUE(waitFor([&] { return std::filesystem::exists(own / "out" / "log"); }, "a start"));
    EXPECT_EQ(entryOf(own), (Entry{account.uid, 0700}));
    EXPECT_EQ(entryOf(own / "in"), (Entry{account.uid, 0700}));
    EXPECT_EQ(entryOf(own / "in" / "env.sh"), (Entry{account.uid, 0600}));
    EXPECT_EQ(entryOf(own.parent_path()), (Entry{account.uid, 0700}));
    writeFile(shared_ / "go", "");
    EXPECT_EQ(finished(id).status, Status::Success);
    EXPECT_FALSE(std::filesystem::exists(own)) << "freed";
}

TEST_F(AccountEndToEnd, AJobThatPutsALinkInPlaceOfItsFolderIsReadNothing) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a job that points at files of root");
    }
    const auto& account = newAccount("gb-e2e-f");
    const auto closed = folder.path / "closed";
    for (const char* name : {"log", "status", "batch.log", "artifact.0.tar.gz"}) {
        writeFile(closed / name, "of the service");
    }
    std::filesystem::permissions(closed, std::filesystem::perms(0700));
    service->configure("", "run_as = \"" + account.name + "\"\n");

    const auto job = run({.script = {"echo here; sleep 2; touch result",
                                     "cd " + (service->workDir() / account.name).string() + "/gb-*",
                                     "mv out old; ln -s " + closed.string() + " out"},
                          .artifacts = {{.paths = {"result"}}}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_FALSE(says(job, "of the service"));
    EXPECT_TRUE(job.artifacts.empty());
    EXPECT_EQ(readFile(closed / "log"), "of the service") << "not removed with the folder";
}

/// A service whose own account is not root.
class OrdinaryService : public AccountEndToEnd {
protected:
    /// `words` run a program as that account.
    void use(const TemporaryAccount& own, const std::string& account,
             const std::vector<std::string>& more) {
        service->configure("", "run_as = \"" + account + "\"\n");
        for (const auto& file : {service->stateDir(), service->workDir(), service->config()}) {
            ASSERT_EQ(::lchown(file.c_str(), own.uid, own.gid), 0);
        }
        auto words = as(own);
        words.insert(words.end(), more.begin(), more.end());
        service->launchWith(words, program_);
    }
    static std::vector<std::string> as(const TemporaryAccount& own) {
        return {"/usr/bin/setpriv", "--reuid=" + std::to_string(own.uid),
                "--regid=" + std::to_string(own.gid), "--clear-groups"};
    }
    /// What follows `; ` in the line of `check` about that key.
    std::string cureOf(const std::string& key) {
        int code = 0;
        const auto printed = service->command({"check"}, &code);
        EXPECT_EQ(code, 78);
        for (const auto& line : linesOf(printed)) {
            if (line.find("backends.here." + key + ": ") != std::string::npos) {
                return line.substr(line.find("; ") + 2);
            }
        }
        ADD_FAILURE() << "no line about " << key << " in\n" << printed;
        return {};
    }
    void makeTheFolderAsTold() {
        const auto cure = cureOf("work_dir");
        ASSERT_TRUE(cure.starts_with("run install -d -m 700 -o ")) << cure;
        ASSERT_EQ(runProgram({"/bin/sh", "-c", cure.substr(4)}).exitCode, 0);
    }
    /// A job runs as `account` through a kill of the service, once, with its log and its files.
    void expectAJobThroughAKill(const std::string& account) {
        start();
        const auto id = gitlab->addJob(
            {.script = {"echo ran >> " + (shared_ / "count").string(),
                        "echo me=$(id -un) $(grep CapEff /proc/self/status | cut -f 2)",
                        untilThereIs("go"), "echo done > result"},
             .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
             .artifacts = {{.paths = {"result"}}}});
        ASSERT_TRUE(gitlab->waitForTrace(id, "\nme=" + account + " 0000000000000000"));
        service->killHard();
        service->start();
        writeFile(shared_ / "go", "");
        const auto job = finished(id);
        EXPECT_EQ(job.status, Status::Success);
        EXPECT_EQ(job.artifacts.size(), 1U);
        EXPECT_EQ(readFile(shared_ / "count"), "ran\n");
        EXPECT_EQ(run({.script = {"exit 3"}}).status, Status::Failed);
    }
};

TEST_F(OrdinaryService, WithTwoCapabilitiesItActsAsTheAccount) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a service with CAP_SETUID and CAP_SETGID");
    }
    const auto& own = newAccount("gb-e2e-s");
    const auto& account = newAccount("gb-e2e-g");
    std::filesystem::permissions(shared_, std::filesystem::perms(0777));
    use(own, account.name, {"--inh-caps=+setuid,+setgid", "--ambient-caps=+setuid,+setgid", "--"});
    makeTheFolderAsTold();

    EXPECT_THAT(linesOf(service->command({"check"})),
                Contains("ok    account " + account.name + ": reached by setpriv"));
    expectAJobThroughAKill(account.name);
}

TEST_F(OrdinaryService, WithALineForSudoItActsAsTheAccount) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a service that may use sudo");
    }
    const auto& own = newAccount("gb-e2e-t");
    const auto& account = newAccount("gb-e2e-h");
    std::filesystem::permissions(shared_, std::filesystem::perms(0777));
    use(own, account.name, {"--"});
    const auto cure = cureOf("run_as");
    const auto line = own.name + " ALL=(" + account.name + ") NOPASSWD: ALL";
    ASSERT_THAT(cure, EndsWith("/etc/sudoers.d/gridbridge: " + line));
    const Sudoers allowed(own.name, line);
    makeTheFolderAsTold();

    EXPECT_THAT(linesOf(service->command({"check"})),
                Contains("ok    account " + account.name + ": reached by sudo"));
    expectAJobThroughAKill(account.name);
}

TEST_F(AccountEndToEnd, AWorkFolderThatTheAccountCannotReach) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a work folder behind a closed one");
    }
    const auto& account = newAccount("gb-e2e-c");
    const auto closed = folder.path / "closed";
    std::filesystem::create_directories(closed / "work");
    std::filesystem::permissions(closed, std::filesystem::perms(0700));
    service->configure("", "");
    auto text = readFile(service->config());
    const auto work = service->workDir().string();
    text.replace(text.find(work), work.size(), (closed / "work").string());
    writeFile(service->config(), text + "run_as = \"" + account.name + "\"\n");
    expectUnusable(":11: backends.here.work_dir: the account " + account.name +
                   " of the jobs cannot enter " + closed.string() + "; run chmod o+x " +
                   closed.string());
    std::filesystem::permissions(closed, std::filesystem::perms(0711));
    EXPECT_EQ(run({.script = {"true"}}).status, Status::Success);
}

TEST_F(AccountEndToEnd, AnAccountThatCanReadTheStateFolderOrAToken) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a state folder that is open to the jobs' group");
    }
    const auto& account = newAccount("gb-e2e-d");
    service->configure("", "run_as = \"" + account.name + "\"\n");
    runProgram({"/bin/chgrp", account.name, service->stateDir().string()});
    std::filesystem::permissions(service->stateDir(), std::filesystem::perms(0750));
    expectUnusable(":15: backends.here.run_as: the account " + account.name +
                   " of the jobs can read " + service->stateDir().string() +
                   "; close it to that account, or name another");
    std::filesystem::permissions(service->stateDir(), std::filesystem::perms(0700));
    runProgram({"/bin/chgrp", account.name, service->config().string()});
    std::filesystem::permissions(service->config(), std::filesystem::perms(0640));
    expectUnusable(":15: backends.here.run_as: the account " + account.name +
                   " of the jobs can read " + service->config().string() +
                   "; close it to that account, or name another");
    const auto token = folder.path / "token";
    writeFile(token, "glrt-test\n");
    runProgram({"/bin/chgrp", account.name, token.string()});
    std::filesystem::permissions(token, std::filesystem::perms(0640));
    auto text = readFile(service->config());
    const std::string key = "token = \"glrt-test\"";
    text.replace(text.find(key), key.size(), "token_file = \"" + token.string() + "\"");
    writeFile(service->config(), text);
    expectUnusable(":15: backends.here.run_as: the account " + account.name +
                   " of the jobs can read " + token.string() +
                   "; close it to that account, or name another");
}

}  // namespace
}  // namespace gridbridge::testing
