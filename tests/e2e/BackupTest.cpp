// A backup taken while the service runs, and databases of other releases.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::Status;
using ::testing::HasSubstr;

class BackupEndToEnd : public EndToEnd {
protected:
    /// A job that prints `begun` and then waits for letEnd().
    JobId begin() {
        const auto id = gitlab->addJob(
            {.script = {"echo begun", "echo started >> " + (folder.path / "starts").string(),
                        "until [ -e " + (folder.path / "go").string() + " ]; do sleep 0.1; done",
                        "echo ended"},
             .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
        EXPECT_TRUE(gitlab->waitForTrace(id, "begun"));
        return id;
    }
    void expectGoodEnd(JobId id) {
        writeFile(folder.path / "go", "");
        const auto job = finished(id);
        EXPECT_EQ(job.status, Status::Success);
        EXPECT_TRUE(says(job, "\nbegun\n"));
        EXPECT_TRUE(says(job, "\nended\n"));
        EXPECT_EQ(readFile(folder.path / "starts"), "started\n");
    }
    std::string state(const char* name = "") const { return (service->stateDir() / name).string(); }
    /// The commands that docs/operations.md shows below a heading.
    static std::vector<std::string> commandsOf(const std::string& heading) {
        const auto page = readFile(GRIDBRIDGE_SOURCE "/docs/operations.md");
        const auto start = page.find(heading + "\n");
        const auto part = page.substr(start, page.find("\n## ", start) - start);
        std::vector<std::string> found;
        for (auto at = part.find("```sh\n"); at != std::string::npos;) {
            const auto end = part.find("```\n", at + 6);
            found.push_back(part.substr(at + 6, end - at - 6));
            at = part.find("```sh\n", end);
        }
        return found;
    }
    /// With the folders of this test.
    std::string here(std::string commands, const std::string& backup) const {
        const auto replaceAll = [&](const std::string& from, const std::string& to) {
            for (auto at = commands.find(from); at != std::string::npos;
                 at = commands.find(from, at + to.size())) {
                commands.replace(at, from.size(), to);
            }
        };
        replaceAll("/var/lib/gridbridge", service->stateDir().string());
        replaceAll("/backup/today", backup);
        return commands;
    }
    void shell(const std::string& text) {
        EXPECT_EQ(runProgram({"/bin/sh", "-euc", text}), (Printed{0, "", ""})) << text;
    }
};

TEST_F(BackupEndToEnd, ABackupOfTheRunningServiceGoesOnInANewFolder) {
    start();
    const auto done = run({.name = "before", .script = {"echo kept"}});
    const auto id = begin();
    const auto backup = (folder.path / "backup").string();

    shell("chmod 2750 " + state());
    if (isRoot()) {
        shell("chgrp 65534 " + state() + " " + state("gridbridge.db"));
    }
    const auto marks = [&] {
        return runProgram({"/bin/sh", "-c",
                           "cd \"$1\"; stat -c '%n %a %u:%g' . gridbridge.db secret.key traces "
                           "traces/*",
                           "sh", state()})
            .out;
    };
    const auto before = marks();

    // As docs/operations.md says it.
    const auto documented = commandsOf("## Backup");
    ASSERT_EQ(documented.size(), 2U);
    shell(here(documented[0], backup));
    service->killHard();
    shell(here(documented[1], backup));
    EXPECT_EQ(marks(), before);
    start();

    expectGoodEnd(id);
    EXPECT_EQ(service->command({"log", std::to_string(done.id)}), done.trace);
    EXPECT_EQ(service->command({"log", std::to_string(id)}), gitlab->job(id).trace);
}

TEST_F(BackupEndToEnd, ADatabaseOfTheFirstReleaseIsBroughtToTheNewSchemaWithItsJobs) {
    start();
    const auto id = begin();
    EXPECT_EQ(service->stop(), 0);
    // The same rows in the tables of the first release.
    const auto first = (folder.path / "first.db").string();
    const auto sqlite = "sqlite3 -bail " + first;
    shell(sqlite + " < " GRIDBRIDGE_SOURCE "/schema/migrations/0001_jobs.sql");
    shell(sqlite + " \"ATTACH '" + state("gridbridge.db") + "' AS new\" " +
          "\"SELECT 'INSERT INTO main.' || t.name || ' SELECT ' || group_concat(c.name) || ' FROM "
          "new.' || t.name || ';' FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c "
          "WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%' GROUP BY "
          "t.name ORDER BY t.name <> 'job'\" > " +
          first + ".sql");
    shell("sed -i \"1i ATTACH '" + state("gridbridge.db") + "' AS new;\" " + first + ".sql; " +
          sqlite + " < " + first + ".sql; " + sqlite +
          " 'UPDATE installation SET schema_version = 1; PRAGMA user_version = 1'");
    shell("rm " + state("gridbridge.db") + "*; cp " + first + " " + state("gridbridge.db"));
    ASSERT_EQ(service->sql("PRAGMA user_version"), "1\n");
    ASSERT_EQ(service->sql("SELECT count(*) FROM job_secret"), "1\n");

    start();

    expectGoodEnd(id);
    EXPECT_NE(service->sql("PRAGMA user_version"), "1\n");
    EXPECT_EQ(service->sql("PRAGMA auto_vacuum"), "2\n") << "it can shrink now";
}

TEST_F(BackupEndToEnd, ADatabaseOfANewerReleaseIsRefused) {
    start();
    ASSERT_EQ(run({.script = {"true"}}).status, Status::Success);
    EXPECT_EQ(service->stop(), 0);
    shell("sqlite3 " + state("gridbridge.db") + " 'PRAGMA user_version = 999'");

    const auto refused = runGridbridge({"run", "--config", service->config().string()});

    EXPECT_EQ(refused.exitCode, 78);
    EXPECT_EQ(linesOf(refused.err).size(), 1U);
    EXPECT_THAT(refused.err, HasSubstr("was written by a newer gridbridge (schema 999, this "
                                       "program knows "));
    EXPECT_THAT(refused.err, HasSubstr("): install that version again"));
    const auto checked = runGridbridge({"check", "--config", service->config().string()});
    EXPECT_EQ(checked.exitCode, 78) << checked;
    EXPECT_THAT(checked.out, HasSubstr("was written by a newer gridbridge (schema 999, "));
}

}  // namespace
}  // namespace gridbridge::testing
