// Jobs of one backend that run as the accounts of their projects. It needs root.
#include <gmock/gmock.h>

#include "tests/e2e/AccountEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ProjectAccounts : public AccountEndToEnd {};

TEST_F(ProjectAccounts, JobsOfProjectsRunAsTheirAccountsAndKeepThemThroughARestartWithAnotherMap) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("jobs of two accounts in one backend");
    }
    const auto& usual = newAccount("gb-e2e-u");
    const auto& theirs = newAccount("gb-e2e-p");
    const auto runAs = "run_as = \"" + usual.name + "\"\n";
    service->configure("", runAs + "project_run_as = [\"physics/**=" + theirs.name + "\"]\n");
    EXPECT_THAT(linesOf(service->command({"check"})),
                AllOf(Contains("ok    account " + usual.name + ": reached by setpriv"),
                      Contains("ok    account " + theirs.name + ": reached by setpriv")));
    start();
    const auto id = gitlab->addJob({.project = "physics/detector",
                                    .script = {"echo private > mine; echo me=$(id -un)",
                                               untilThereIs("go"), "echo and=$(id -un)"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .artifacts = {{.paths = {"mine"}}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\nme=" + theirs.name));
    const auto closed = filesIn(submissionFolder(id, theirs.name));
    EXPECT_THAT(closed, AllOf(Contains(HasSubstr("/in/")), Contains(EndsWith("/out/log"))));
    writeFile(shared_ / "control", "all may read this");
    auto files = closed;
    files.push_back((shared_ / "control").string());

    const auto other =
        run({.project = "biology/cells", .script = {"echo me=$(id -un)", tryToRead(files)}});

    const auto lines = linesOf(plain(other.trace));
    EXPECT_THAT(lines, AllOf(Contains("me=" + usual.name), Contains("OPEN " + files.back())));
    for (const auto& file : closed) {
        EXPECT_THAT(lines, Contains("closed " + file));
    }
    service->killHard();
    service->configure("", runAs);
    start();
    writeFile(shared_ / "go", "");
    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_THAT(linesOf(plain(job.trace)), Contains("and=" + theirs.name));
    EXPECT_EQ(job.artifacts.size(), 1U);
    EXPECT_THAT(filesIn(service->workDir() / theirs.name), IsEmpty()) << "freed";
    EXPECT_THAT(linesOf(plain(run({.script = {"echo me=$(id -un)"}}).trace)),
                Contains("me=" + usual.name));
    EXPECT_EQ(service->sql("SELECT project, account FROM job ORDER BY id"),
              "physics/detector|" + theirs.name + "\nbiology/cells|" + usual.name +
                  "\nphysics/detector|" + usual.name + "\n");
}

TEST_F(ProjectAccounts, AnAccountOfTheMapIsAskedLikeTheUsualOneAlsoWhereTheBatchSystemIsAway) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a state folder that is open to the group of a project's account");
    }
    const auto& usual = newAccount("gb-e2e-v");
    const auto& theirs = newAccount("gb-e2e-q");
    writeFile(shared_ / "squeue", "#!/bin/sh\nexit 1\n");
    std::filesystem::permissions(shared_ / "squeue", std::filesystem::perms(0755));
    service->configure("", "run_as = \"" + usual.name + "\"\nproject_run_as = [\"physics/**=" +
                               theirs.name + "\"]\nbin_dir = \"" + shared_.string() + "\"\n");
    auto text = readFile(service->config());
    text.replace(text.find("\"local\""), 7, "\"slurm\"");
    text.erase(text.find("slots = 4\n"), 10);
    writeFile(service->config(), text);
    EXPECT_THAT(service->command({"check"}), HasSubstr("squeue: it failed"));
    runProgram({"/bin/chgrp", theirs.name, service->stateDir().string()});
    std::filesystem::permissions(service->stateDir(), std::filesystem::perms(0750));

    expectUnusable(":15: backends.here.project_run_as: the account " + theirs.name +
                   " of the jobs can read " + service->stateDir().string() +
                   "; close it to that account, or name another");
}

TEST_F(ProjectAccounts, CachesOfProjectsAreThoseOfTheirAccountsOrThereAreNone) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("caches of two accounts");
    }
    const auto& usual = newAccount("gb-e2e-c");
    const auto& theirs = newAccount("gb-e2e-d");
    const auto caches = folder.path / "caches";
    std::filesystem::create_directory(caches);
    std::filesystem::permissions(caches, std::filesystem::perms(01777));
    const auto cacheDir = "cache_dir = \"" + caches.string() + "\"\n";
    const auto runAs = "run_as = \"" + usual.name +
                       "\"\nproject_run_as = [\"physics/detector=" + theirs.name + "\"]\n";
    service->configure(cacheDir, runAs);
    int code = 0;
    EXPECT_EQ(service->command({"run"}, &code),
              "gridbridge: " + service->config().string() +
                  ":10: runners.pool.cache_dir: jobs of several projects run as the account " +
                  usual.name +
                  ", and each of them could read and change the caches of the others; name one "
                  "project in allowed_projects, or give each project that is allowed an account "
                  "of its own with project_run_as, or remove it\n");
    EXPECT_EQ(code, 78);
    service->configure(cacheDir + "allowed_projects = [\"physics/detector\", \"biology/cells\"]\n",
                       runAs);
    const auto cached = [&](const std::string& project, std::vector<std::string> script) {
        return plain(
            run({.project = project, .script = std::move(script), .cache = {{.paths = {"lib/"}}}})
                .trace);
    };
    const auto planted = caches / theirs.name;
    EXPECT_THAT(cached("biology/cells", {"umask 0; mkdir " + planted.string()}),
                HasSubstr("Job succeeded"));
    EXPECT_THAT(cached("physics/detector", {"mkdir lib; echo private >lib/a"}),
                AllOf(HasSubstr("is no folder of the account of this job"),
                      HasSubstr("\nFailed to create cache\n"), HasSubstr("Job succeeded")));
    EXPECT_THAT(filesIn(caches), IsEmpty());
    std::filesystem::remove_all(planted);

    EXPECT_THAT(cached("physics/detector", {"mkdir lib; echo private >lib/a"}),
                HasSubstr("\nCreated cache\n"));
    EXPECT_THAT(cached("physics/detector", {"cat lib/a"}), HasSubstr("\nprivate\n"));
    auto files = filesIn(planted);
    ASSERT_EQ(files.size(), 1U);
    files.push_back((shared_ / "control").string());
    writeFile(shared_ / "control", "all may read this");
    EXPECT_THAT(linesOf(cached("biology/cells", {tryToRead(files)})),
                AllOf(Contains("closed " + files.front()), Contains("OPEN " + files.back())));
}

}  // namespace
}  // namespace gridbridge::testing
