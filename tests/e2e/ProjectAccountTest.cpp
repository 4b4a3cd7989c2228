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

}  // namespace
}  // namespace gridbridge::testing
