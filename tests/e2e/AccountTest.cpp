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

/// A service with two backends of two accounts. A job of the second one, the victim, runs until
/// release().
class TwoAccounts : public AccountEndToEnd {
protected:
    void startVictim(const std::string& account, const std::string& other) {
        gitlab->addRunner({.token = "glrt-other", .tags = {"other"}, .runUntagged = false});
        std::filesystem::create_directory(work2_);
        service->configure("", "run_as = \"" + account +
                                   "\"\n[[runners]]\nname = \"second\"\nurl = \"" + gitlab->url() +
                                   "\"\ntoken = \"glrt-other\"\nbackend = \"there\"\n"
                                   "[backends.there]\ntype = \"local\"\nwork_dir = \"" +
                                   work2_.string() + "\"\nrun_as = \"" + other + "\"\n");
        start();
        victim_ =
            gitlab->addJob({.script = {"echo private > mine; echo here=$PWD", untilThereIs("go")},
                            .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                            .tags = {"other"}});
        ASSERT_TRUE(gitlab->waitForTrace(victim_, "\nhere=/"));
        theirs_ = work2_ / other / submissionFolder(victim_, other).filename();
    }
    void release() { writeFile(shared_ / "go", ""); }

    /// What the other job must not read. All of it exists.
    std::vector<std::string> secrets() const {
        auto all = filesIn(service->stateDir());
        EXPECT_THAT(all, AllOf(Contains(EndsWith("/gridbridge.db")),
                               Contains(EndsWith("/secret.key")), Contains(EndsWith(".log"))));
        const auto submission = filesIn(theirs_);
        EXPECT_THAT(submission, AllOf(Contains(HasSubstr("/in/")), Contains(EndsWith("/out/log"))));
        all.insert(all.end(), submission.begin(), submission.end());
        const auto records = filesIn(work2_ / ".local");
        EXPECT_THAT(records, Not(IsEmpty()));
        all.insert(all.end(), records.begin(), records.end());
        const auto lines = linesOf(plain(gitlab->job(victim_).trace));
        const auto here = std::find_if(lines.begin(), lines.end(),
                                       [](const auto& line) { return line.starts_with("here=/"); });
        all.push_back(here->substr(5) + "/mine");
        EXPECT_EQ(readFile(all.back()), "private\n");
        all.push_back(service->config().string());
        all.push_back((folder.path / "service.log").string());
        return all;
    }
    /// What the other job must not do.
    std::vector<std::string> misdeeds() const {
        const auto state = service->stateDir().string();
        const auto work = service->workDir().string();
        const auto victim = theirs_.string();
        const auto checked = service->command({"check"});
        const auto pid = checked.find("pid=") + 4;
        EXPECT_NE(pid, 3U) << checked;
        return {"ls " + state,
                "touch " + state + "/x",
                "touch " + work + "/x",
                "ls " + work + "/.local",
                "ls " + victim,
                "ls " + theirs_.parent_path().string(),
                "touch " + victim + "/out/log",
                "rm -rf " + victim + "/out",
                "cat /proc/" + checked.substr(pid, checked.find('\n', pid) - pid) + "/environ"};
    }

    const path work2_ = folder.path / "work2";
    fakegitlab::JobId victim_ = 0;
    path theirs_;
};

TEST_F(TwoAccounts, AJobRunsAsItsAccountAndReachesNothingElse) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a job of another account");
    }
    const auto& account = newAccount("gb-e2e-a");
    const auto& other = newAccount("gb-e2e-b");
    startVictim(account.name, other.name);
    EXPECT_EQ(entryOf(theirs_), (Entry{other.uid, 0700}));
    const auto control = (shared_ / "control").string();
    writeFile(control, "all may read this");
    auto files = secrets();
    files.push_back(control);
    const auto deeds = misdeeds();
    std::vector<std::string> script{
        "echo me=$(id -un) groups=$(id -Gn)",
        "echo $(grep CapEff /proc/self/status)",
        "echo descriptors=$(ls -l /proc/self/fd | grep -c " + service->stateDir().string() + ")",
        tryToRead(files),
        "echo result > result.txt",
        "ln -s " + service->stateDir().string() + " linked"};
    std::transform(deeds.begin(), deeds.end(), std::back_inserter(script), tryTo);

    const auto job =
        run({.script = script, .artifacts = {{.paths = {"result.txt", "linked/secret.key"}}}});

    EXPECT_EQ(job.status, Status::Success);
    const auto lines = linesOf(plain(job.trace));
    EXPECT_THAT(lines, Contains("me=" + account.name + " groups=" + account.name));
    EXPECT_THAT(lines, Contains("CapEff: 0000000000000000"));
    EXPECT_THAT(lines, Contains("descriptors=0"));
    EXPECT_THAT(lines, Contains("OPEN " + control));
    for (std::size_t i = 0; i + 1 < files.size(); ++i) {
        EXPECT_THAT(lines, Contains("closed " + files[i]));
    }
    for (const auto& deed : deeds) {
        EXPECT_THAT(lines, Contains("refused " + deed));
    }
    ASSERT_EQ(job.artifacts.size(), 1U);
    EXPECT_THAT(job.artifacts[0].bytes,
                AllOf(HasSubstr("result.txt"), Not(HasSubstr("secret.key"))));
    release();
    EXPECT_EQ(finished(victim_).status, Status::Success) << "nobody disturbed it";
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
