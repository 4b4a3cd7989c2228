// The commands that people and programs look with, while the service runs and while it does not.
#include <gmock/gmock.h>

#include <iterator>
#include <sstream>
#include <thread>
#include <utility>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSpec;
using fakegitlab::Status;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr auto kCommands = {"run",  "register", "unregister", "check", "jobs",
                            "show", "log",      "cancel",     "drain", "resume"};

class CommandsEndToEnd : public EndToEnd {
protected:
    Printed ask(std::vector<std::string> arguments, uid_t account = 0) const {
        arguments.insert(arguments.end(), {"--config", service->config().string()});
        return runGridbridge(arguments, account);
    }
    /// A failed job, and one that runs until letEnd().
    void startTwoJobs() {
        start();
        failed = run({.name = "bad", .script = {"exit 7"}}).id;
        running =
            gitlab->addJob({.name = "long",
                            .script = {"echo begun", "until [ -e " + (folder.path / "go").string() +
                                                         " ]; do sleep 0.1; done; echo ended"},
                            .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
        ASSERT_TRUE(gitlab->waitForTrace(running, "begun"));
    }
    void letEnd() {
        writeFile(folder.path / "go", "");
        EXPECT_EQ(finished(running).status, Status::Success);
    }
    std::string nameOf(JobId id) const { return std::to_string(id); }
    /// A value of the JSON, read by another program.
    std::string json(const std::string& text, const std::string& path) const {
        writeFile(folder.path / "answer.json", text);
        return runProgram({"/usr/bin/sqlite3", ":memory:",
                           "SELECT json_extract(readfile('" +
                               (folder.path / "answer.json").string() + "'), '" + path + "')"})
            .out;
    }
    /// The lines with blanks squeezed and times as `TIME`.
    static std::vector<std::string> squeezed(const std::string& text) {
        auto lines = linesOf(text);
        for (auto& line : lines) {
            std::istringstream words(std::exchange(line, ""));
            for (std::string word; words >> word;) {
                const bool time = word.size() == 25 && word[10] == 'T' && word[19] == '+';
                line += (line.empty() ? "" : " ") + (time ? "TIME" : word);
            }
        }
        return lines;
    }
    std::string keyOf(JobId id) const {
        for (const auto& line : squeezed(ask({"show", nameOf(id)}).out)) {
            if (line.starts_with("key ")) {
                return line.substr(4);
            }
        }
        ADD_FAILURE() << "no key";
        return "";
    }
    void expectTheFailedJobIsKnown() {
        const auto shown = ask({"show", nameOf(failed)});
        EXPECT_EQ(shown.exitCode, 0);
        EXPECT_EQ(shown.err, "");
        const auto key = keyOf(failed);
        EXPECT_THAT(key, StartsWith("gb-"));
        const auto lines = squeezed(shown.out);
        for (const auto* line :
             {"runner pool", "project physics/detector", "ref main", "name bad", "user ada",
              "backend here", "state done", "outcome failed", "failure reason script_failure",
              "exit code 7", "started TIME", "ended TIME", "reported TIME", "timeout 3600 s",
              "TIME received GitLab handed the job out",
              "TIME running collecting status file and whole log",
              "TIME reporting done reported and released"}) {
            EXPECT_THAT(lines, Contains(line));
        }
        EXPECT_THAT(lines, Contains(StartsWith("1 " + key + "-1 1 ended 1 ")));
        EXPECT_EQ(ask({"log", nameOf(failed)}), (Printed{0, gitlab->job(failed).trace, ""}));
        const auto data = ask({"show", nameOf(failed), "--json"}).out;
        EXPECT_EQ(json(data, "$.key"), key + "\n");
        EXPECT_EQ(json(data, "$.failure_reason"), "script_failure\n");
        EXPECT_EQ(json(data, "$.submissions[0].key"), key + "-1\n");
        EXPECT_EQ(json(data, "$.transitions[0].to"), "received\n");
    }

    JobId failed = 0;
    JobId running = 0;
};

TEST_F(CommandsEndToEnd, JobsAreListedWhileTheServiceRunsAndAfterIt) {
    startTwoJobs();
    const std::string header = "JOB RUNNER STATE OUTCOME PROJECT REF NAME BACKEND CLAIMED REASON";
    const auto runs = nameOf(running) + " pool running physics/detector main long here TIME";
    const auto failedLine =
        nameOf(failed) + " pool done failed physics/detector main bad here TIME script_failure";
    const auto look = [&] {
        const auto open = ask({"jobs"});
        EXPECT_EQ(open.err, "");
        EXPECT_EQ(squeezed(open.out), (std::vector<std::string>{header, runs}));
        EXPECT_EQ(squeezed(ask({"jobs", "--all"}).out),
                  (std::vector<std::string>{header, failedLine, runs}));
        EXPECT_EQ(ask({"jobs", "--all", "--state", "running"}), open);
        EXPECT_EQ(ask({"jobs", "--backend", "here"}), open);
        EXPECT_EQ(
            ask({"jobs", "--backend", "there"}),
            (Printed{2, "", "gridbridge: there is no backend there; configured are: here\n"}));
        EXPECT_EQ(squeezed(ask({"jobs", "--state", "done"}).out),
                  (std::vector<std::string>{header, failedLine}));
    };
    look();
    EXPECT_EQ(service->stop(), 0);
    look();
    start();
    letEnd();
    EXPECT_EQ(ask({"jobs"}), (Printed{0, "no open jobs; --all shows ended ones\n", ""}));
    EXPECT_EQ(ask({"jobs", "--json"}), (Printed{0, "[]\n", ""}));
}

TEST_F(CommandsEndToEnd, JobsAreDataForPrograms) {
    startTwoJobs();
    const auto open = ask({"jobs", "--json"});
    EXPECT_EQ(open.exitCode, 0);
    EXPECT_EQ(json(open.out, "$[0].gitlab_id"), nameOf(running) + "\n");
    EXPECT_EQ(json(open.out, "$[0].state"), "running\n");
    EXPECT_EQ(json(open.out, "$[0].submission.node"), runProgram({"/bin/hostname"}).out);
    EXPECT_EQ(json(open.out, "$[1]"), "\n");
    const auto all = ask({"jobs", "--all", "--json"});
    EXPECT_EQ(json(all.out, "$[0].exit_code"), "7\n");
    letEnd();
}

TEST_F(CommandsEndToEnd, AJobIsShownWhileTheServiceRunsAfterItAndAfterItWasKilled) {
    startTwoJobs();
    expectTheFailedJobIsKnown();
    EXPECT_THAT(squeezed(ask({"show", "pool/" + nameOf(running)}).out), Contains("state running"));
    EXPECT_EQ(service->stop(), 0);
    expectTheFailedJobIsKnown();
    start();
    const auto starts = [&] {
        const auto lines = linesOf(service->log());
        return std::count_if(lines.begin(), lines.end(), [](const auto& line) {
            return line.find(" started installation=") != std::string::npos;
        });
    };
    ASSERT_TRUE(waitFor([&] { return starts() == 2; }, "the second service"));
    service->killHard();
    expectTheFailedJobIsKnown();
    start();
    letEnd();
}

TEST_F(CommandsEndToEnd, ALogIsFollowedToItsEnd) {
    startTwoJobs();
    const auto begun = ask({"log", nameOf(running)});
    EXPECT_EQ(begun.exitCode, 0);
    EXPECT_THAT(begun.out, AllOf(HasSubstr("\nbegun\n"), ::testing::Not(HasSubstr("\nended\n"))));
    Printed followed;
    std::thread reader([&] { followed = ask({"log", nameOf(running), "--follow"}); });
    letEnd();
    reader.join();
    EXPECT_EQ(followed, (Printed{0, gitlab->job(running).trace, ""}));
}

TEST_F(CommandsEndToEnd, AJobThatIsNotKnownIsOneSentence) {
    const auto sentence = [](const std::string& name) {
        return Printed{
            1, "", "gridbridge: there is no job " + name + "; gridbridge jobs --all lists them\n"};
    };
    startTwoJobs();
    for (const auto* command : {"show", "log"}) {
        EXPECT_EQ(ask({command, "77"}), sentence("77"));
        EXPECT_EQ(ask({command, "other/" + nameOf(failed)}), sentence("other/" + nameOf(failed)));
        EXPECT_EQ(ask({command, "x"}),
                  (Printed{2, "",
                           "gridbridge: JOB: x names no job; write the id that GitLab shows, like "
                           "4711, or RUNNER/4711, or its key; see gridbridge --help\n"}));
    }
    letEnd();
    service->stop();
    EXPECT_EQ(ask({"show", "77"}), sentence("77"));
}

TEST_F(CommandsEndToEnd, BeforeTheFirstStartThereIsNoDatabase) {
    gitlab.emplace(clock, options());
    service.emplace(gitlab->url(), folder.path);
    const Printed expected{74, "",
                           "gridbridge: " + (service->stateDir() / "gridbridge.db").string() +
                               ": there is no database yet; the service makes it when it first "
                               "starts\n"};
    EXPECT_EQ(ask({"jobs"}), expected);
    EXPECT_EQ(ask({"show", "1"}), expected);
    EXPECT_EQ(ask({"log", "1"}), expected);
}

TEST_F(CommandsEndToEnd, ALockOnTheDatabaseIsWaitedForAtTheStartToo) {
    startTwoJobs();
    EXPECT_EQ(service->stop(), 0);
    const auto locked = (folder.path / "locked").string();
    const auto release = (folder.path / "release").string();
    std::jthread person([&] {
        runProgram(
            {"/usr/bin/sqlite3", (service->stateDir() / "gridbridge.db").string(),
             "BEGIN IMMEDIATE",
             ".shell touch " + locked + "; while [ ! -e " + release + " ]; do sleep 0.05; done",
             "COMMIT"});
    });
    EXPECT_TRUE(waitFor([&] { return std::filesystem::exists(locked); }, "the lock"));

    service->start();
    EXPECT_TRUE(waitFor(
        [&] { return service->log().find("cannot start yet, trying again") != std::string::npos; },
        "the service to meet the lock"));
    writeFile(release, "");

    letEnd();
}

TEST_F(CommandsEndToEnd, ASecondServiceIsRefused) {
    startTwoJobs();
    const auto second = ask({"run"});
    EXPECT_EQ(second.exitCode, 75);
    EXPECT_EQ(second.out, "");
    EXPECT_THAT(linesOf(second.err),
                ElementsAre(AllOf(
                    StartsWith("gridbridge: the state folder " + service->stateDir().string() +
                               " belongs to a running service, pid="),
                    HasSubstr("; stop that one or give this one another "
                              "state_dir"))));
    letEnd();
}

TEST_F(CommandsEndToEnd, AGroupThatMayReadSeesJobsAndNoLogs) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("another account looks");
    }
    constexpr uid_t kNobody = 65534;
    gitlab.emplace(clock, options());
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    const auto group = std::to_string(kNobody);
    runProgram({"/bin/chgrp", group, service->stateDir().string(), service->config().string()});
    runProgram({"/bin/chmod", "2750", service->stateDir().string()});
    runProgram({"/bin/chmod", "640", service->config().string()});
    startTwoJobs();
    const auto own = ask({"jobs", "--all"});
    EXPECT_EQ(ask({"jobs", "--all"}, kNobody), own);
    const auto trace = service->stateDir() / "traces" / (keyOf(failed) + ".log");
    const Printed denied{74, "",
                         "gridbridge: the log " + trace.string() +
                             " cannot be read: Permission denied; use the account of the "
                             "service\n"};
    EXPECT_EQ(ask({"log", nameOf(failed)}, kNobody), denied);
    EXPECT_EQ(service->stop(), 0);
    EXPECT_EQ(ask({"jobs", "--all"}, kNobody), own);
    runProgram({"/bin/chmod", "700", service->stateDir().string()});
    EXPECT_EQ(ask({"jobs"}, kNobody),
              (Printed{74, "",
                       "gridbridge: " + (service->stateDir() / "gridbridge.db").string() +
                           ": Permission denied; use an account that may read the state "
                           "folder\n"}));
    start();
    letEnd();
}

TEST(Help, EveryCommandHasAnExample) {
    const auto all = runGridbridge({"--help"});
    EXPECT_EQ(all.exitCode, 0);
    EXPECT_EQ(all.err, "");
    for (const auto* command : kCommands) {
        EXPECT_THAT(all.out, HasSubstr("\n  " + std::string(command) + " "));
        const auto help = runGridbridge({command, "--help"});
        EXPECT_EQ(help.exitCode, 0);
        EXPECT_EQ(help.err, "");
        EXPECT_THAT(help.out, HasSubstr("\nExample:\n  gridbridge " + std::string(command)));
        EXPECT_THAT(help.out, HasSubstr("--config"));
    }
    const auto commands = all.out.substr(all.out.find("Subcommands:\n"));
    // Not for people, who give a configuration: the service starts it.
    const auto agent = runGridbridge({"agent", "--help"});
    EXPECT_THAT(agent.out, HasSubstr("\nExample:\n  gridbridge agent /"));
    EXPECT_EQ(linesOf(commands.substr(0, commands.find("\n\n"))).size(), 2 + kCommands.size())
        << "a command that this test does not know:\n"
        << commands;
}

TEST(Help, TheExamplesAreNoUsageErrors) {
    for (const auto* command :
         {"register", "unregister", "check", "jobs", "show", "log", "cancel", "drain", "resume"}) {
        const auto help = runGridbridge({command, "--help"}).out;
        auto lines = linesOf(help.substr(help.find("\nExample:\n") + 10));
        std::erase_if(lines, [](const auto& line) { return !line.starts_with("  gridbridge "); });
        EXPECT_THAT(lines, ::testing::Not(IsEmpty()));
        for (const auto& line : lines) {
            std::istringstream words(line.substr(13));
            std::vector<std::string> arguments{std::istream_iterator<std::string>(words), {}};
            arguments.insert(arguments.end(), {"--config", "/nonexistent/config.toml"});
            if (std::count(arguments.begin(), arguments.end(), "--config") == 1) {
                EXPECT_EQ(runGridbridge(arguments).exitCode, 78) << line;
            }
        }
    }
}

TEST(Help, WhoErrsIsToldWhere) {
    const auto said = [](const std::vector<std::string>& arguments) {
        const auto printed = runGridbridge(arguments);
        EXPECT_EQ(printed.exitCode, 2);
        EXPECT_EQ(printed.out, "");
        EXPECT_THAT(linesOf(printed.err), SizeIs(1));
        return printed.err;
    };
    EXPECT_EQ(said({"jbos"}), "gridbridge: there is no command jbos; did you mean jobs?\n");
    EXPECT_THAT(said({}), HasSubstr("see gridbridge --help"));
    EXPECT_THAT(said({"show"}), HasSubstr("JOB is required; see gridbridge --help"));
    EXPECT_THAT(said({"jobs", "--al"}), HasSubstr("--al; see gridbridge --help"));
    EXPECT_THAT(said({"jobs", "--state", "x"}),
                HasSubstr("there is no state x; write one of received, claimed, "));
}

}  // namespace
}  // namespace gridbridge::testing
