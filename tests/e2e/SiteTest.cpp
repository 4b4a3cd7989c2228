// How jobs of a backend use its nodes, as its configuration says.
#include <gmock/gmock.h>

#include <pwd.h>
#include <unistd.h>

#include "tests/e2e/AccountEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;
using ::testing::HasSubstr;

class SiteEndToEnd : public EndToEnd {
protected:
    SiteEndToEnd() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
    }
    void startWith(const std::string& lines) {
        service->configure("", "trusted_jobs = true\n" + lines);
        EndToEnd::start();
    }
};

TEST_F(SiteEndToEnd, Case80HomeOfAProjectStaysAndHasItsProfile) {
    startWith("home = \"project\"\n");
    const auto first = run({.project = "physics/a",
                            .script = {"echo 'module() { echo \"module: $*\"; }' >~/.bash_profile",
                                       "echo \"h=$HOME.\"; stat -c 'mode=%a' ~"}});
    EXPECT_TRUE(says(first, "\nh=" + (service->workDir() / "homes").string() + "/"));
    EXPECT_TRUE(says(first, "\nmode=700\n"));

    const auto second = run(
        {.project = "physics/a", .script = {"module load gcc"}, .afterScript = {"module list"}});
    EXPECT_EQ(second.status, Status::Success) << second.trace;
    EXPECT_TRUE(says(second, "\nmodule: load gcc\n"));
    EXPECT_TRUE(says(second, "\nmodule: list\n"));

    EXPECT_EQ(run({.project = "biology/b", .script = {"module load gcc"}}).exitCode, 127);
}

TEST_F(SiteEndToEnd, Case80HomeOfTheAccountWhereTheBackendSaysSoAlsoAfterAReload) {
    startWith("");
    const auto home = "h=" + std::string(::getpwuid(::geteuid())->pw_dir) + ".\n";
    EXPECT_FALSE(says(run({.script = {"echo \"h=$HOME.\""}}), "\n" + home));

    service->configure("", "trusted_jobs = true\nhome = \"real\"\n");
    service->reload();
    ASSERT_TRUE(waitFor(
        [&] { return service->log().find("configuration read again") != std::string::npos; },
        "the reload"));

    EXPECT_TRUE(says(run({.script = {"echo \"h=$HOME.\""}}), "\n" + home));
}

TEST_F(SiteEndToEnd, LinesOfTheSiteRunBeforeThoseOfTheJobInItsScratch) {
    const auto scratch = folder.path / "node's disk";
    std::filesystem::create_directory(scratch);
    std::filesystem::permissions(scratch, std::filesystem::perms(0755));
    startWith(
        "shell_init = \"\"\"\nexport SITE='of the site'\nmodule() { echo \"module: $*\"; }\n"
        "\"\"\"\nscratch = \"" +
        scratch.string() + "\"\nmin_scratch = \"1 MiB\"\n");

    const auto job = run({.script = {"echo \"$SITE $CI_PROJECT_DIR\"", "module load gcc"},
                          .afterScript = {"module list"}});

    EXPECT_EQ(job.status, Status::Success) << job.trace;
    EXPECT_TRUE(says(job, "\nof the site " + scratch.string() + "/gb."));
    EXPECT_TRUE(says(job, "\nmodule: load gcc\n"));
    EXPECT_TRUE(says(job, "\nmodule: list\n"));
    EXPECT_TRUE(std::filesystem::is_empty(scratch));
}

TEST_F(SiteEndToEnd, NodeWithTooLittleRoomIsAFailureOfTheSystemWithOneLine) {
    startWith("min_scratch = \"1000 TiB\"\n");

    const auto job = run({.script = {"echo ne''ver"}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "runner_system_failure");
    EXPECT_THAT(plain(job.trace), HasSubstr("\nERROR: prepare environment: only "));
    EXPECT_THAT(plain(job.trace), HasSubstr(", and min_scratch asks for 1048576000 MiB\n"));
    EXPECT_FALSE(says(job, "\nnever\n"));
}

/// Jobs of an account that has a home with a profile in it.
class SiteOfAnAccount : public AccountEndToEnd {
protected:
    void startWith(const std::string& lines) {
        const auto& account = newAccount("gb-e2e-h");
        name_ = account.name;
        std::filesystem::create_directory(home_);
        writeFile(home_ / ".bash_profile", "module() { echo \"module: $*\"; }\n");
        writeFile(home_ / ".bash_logout", "echo logged out; exit 1\n");
        ASSERT_EQ(::chown(home_.c_str(), account.uid, account.gid), 0);
        ASSERT_EQ(runProgram({"/usr/sbin/usermod", "--home", home_.string(), name_}).exitCode, 0);
        service->configure("", "run_as = \"" + name_ + "\"\n" + lines);
        start();
    }
    std::string name_;
    const std::filesystem::path home_ = shared_ / "home";
};

TEST_F(SiteOfAnAccount, Case80ProfileOfItsHomeIsReadWhereTheBackendSaysSo) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a job in the home of another account");
    }
    startWith("home = \"real\"\n");

    const auto job = run({.script = {"module load gcc", "echo \"h=$HOME.\"", "exit 0"},
                          .afterScript = {"module list"}});

    EXPECT_EQ(job.status, Status::Success) << job.trace;
    EXPECT_TRUE(says(job, "\nmodule: load gcc\n"));
    EXPECT_TRUE(says(job, "\nmodule: list\n"));
    EXPECT_TRUE(says(job, "\nh=" + home_.string() + ".\n"));
    EXPECT_FALSE(says(job, "logged out"));
}

TEST_F(SiteOfAnAccount, HomeOfAProjectBelongsToTheAccountAndStays) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("the home of a project of another account");
    }
    startWith("home = \"project\"\n");

    const auto first = run({.script = {"echo kept >~/file", "stat -c '%U %a' ~"}});
    const auto second = run({.script = {"echo \"h=$HOME.\"; cat ~/file"}});

    EXPECT_TRUE(says(first, "\n" + name_ + " 700\n")) << first.trace;
    EXPECT_TRUE(says(second, "\nh=" + (service->workDir() / name_ / "homes").string() + "/"));
    EXPECT_TRUE(says(second, "\nkept\n"));
}

/// Such an account may mount nothing but in a namespace of its own.
TEST_F(SiteOfAnAccount, ProjectOfEachJobLiesAtTheSamePathAndItsProcessesAreStillFound) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a namespace of another account");
    }
    const auto builds = shared_ / "builds";
    std::filesystem::create_directory(builds);
    startWith("builds_dir = \"" + builds.string() + "\"\n");

    const auto first = run({.script = {"pwd -P; id -un; grep CapEff /proc/self/status",
                                       tryTo("umount -l \"$CI_BUILDS_DIR\""),
                                       "pwd -P >made; (setsid sleep 1000 >/dev/null 2>&1 &)",
                                       "until pgrep -x sleep -U \"$UID\"; do :; done"},
                            .artifacts = {{.paths = {"made"}}}});
    const auto here = builds.string() + "/physics/detector\n";
    EXPECT_TRUE(says(first, "\n" + here + name_ + "\nCapEff:\t0000000000000000\n")) << first.trace;
    EXPECT_TRUE(says(first, "\nrefused umount")) << first.trace;
    EXPECT_EQ(first.artifacts.size(), 1U);
    const auto second = run({.script = {"pwd -P; cat made"}, .dependencies = {first.id}});
    EXPECT_TRUE(says(second, "\n" + here + here)) << second.trace;
    EXPECT_TRUE(waitFor(
        [&] {
            return runProgram({"/usr/bin/pgrep", "-U", name_, "-x", "sleep"}).out.empty();
        },
        "the end of all processes"));
    EXPECT_TRUE(std::filesystem::is_empty(builds));
}

}  // namespace
}  // namespace gridbridge::testing
