// Rows 14 to 18, 20 to 22 and 24: what a job can try by its description, its script and its token.
#include <array>

#include "tests/e2e/HostileEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSpec;
using fakegitlab::Status;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(HostileEndToEnd, Row14NamesRefsAndRequestsPutNoWordIntoWhatTheBatchSystemIsGiven) {
    const auto victim = folder.path / "victim";
    const std::string words =
        R"(\nqueue 100\n#SBATCH --uid=0\nboot_id=forged';touch )" + victim.string() + R"(\n)";
    begin();
    const auto id = gitlab->addJob(
        {.script = {"echo named", "until [ -e " + go() + " ]; do sleep 0.1; done"},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"},
                       {.key = "GRIDBRIDGE_ENVIRONMENT", .value = "x\n+Owner = root"}},
         .merge = R"({"job_info":{"name":"n)" + words + R"(","stage":"s)" + words +
                  R"(","project_name":"p)" + words + R"("},"git_info":{"ref":"r)" + words +
                  R"("}})"});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\nnamed"));
    const auto refused =
        run({.script = {"echo script-ran"},
             .variables = {{.key = "GRIDBRIDGE_CPUS", .value = "1\n#SBATCH --uid=0"},
                           {.key = "GRIDBRIDGE_QUEUE", .value = "any --uid=0"}}});
    std::string given = runProgram({"/bin/ls", "-R", service->workDir().string()}).out;
    for (const auto& record : filesIn(service->workDir() / ".local")) {
        // Behind the job's own files, which it stages.
        const auto text = readFile(record);
        given += record + text.substr(text.rfind("\nstate="));
    }
    writeFile(go(), "");

    EXPECT_EQ(finished(id).status, Status::Success);
    EXPECT_THAT(given, AllOf(HasSubstr("/in"), Not(HasSubstr("queue 100")), Not(HasSubstr("--uid")),
                             Not(HasSubstr("forged")), Not(HasSubstr("Owner"))));
    EXPECT_FALSE(std::filesystem::exists(victim));
    EXPECT_EQ(refused.status, Status::Failed);
    EXPECT_EQ(refused.failureReason, "runner_configuration_error");
    EXPECT_FALSE(says(refused, "script-ran"));
}

TEST_F(HostileEndToEnd, Row15ShellCodeInNamesAndValuesIsNeverRunByTheBridge) {
    const auto victim = (folder.path / "victim").string();
    const auto got = folder.path / "got";
    std::string bytes;
    for (int c = 1; c < 128; ++c) {
        bytes += static_cast<char>(c);
    }
    const std::string touch = "touch " + victim;
    const std::string values[] = {"$(" + touch + ")",
                                  "`" + touch + "`",
                                  "'; " + touch + "; '",
                                  "\"; " + touch + "; \"",
                                  "\ngb-end-of-folder\n" + touch + "\n",
                                  "\nEOF\n" + touch + "\n\\",
                                  "${x:=$(" + touch + ")}",
                                  "x[$(" + touch + ")0]",
                                  bytes};
    JobSpec spec{.script = {"for v in V0 V1 V2 V3 V4 V5 V6 V7 V8; do printf '%s\\0' \"${!v}\"; "
                            "done >" +
                                got.string(),
                            "echo hi >a"},
                 .artifacts = {{.name = "$(" + touch + ")",
                                .paths = {"a", "$(" + touch + ")", "'; " + touch + " #"},
                                .exclude = {"`" + touch + "`"}}}};
    std::string expected;
    for (std::size_t i = 0; i < std::size(values); ++i) {
        spec.variables.push_back({.key = "V" + std::to_string(i), .value = values[i], .raw = true});
        expected += values[i] + '\0';
    }
    spec.variables.push_back({.key = "A;" + touch, .value = "x"});
    spec.variables.push_back({.key = "B=$(" + touch + ")", .value = "x", .file = true});
    spec.merge =
        R"({"job_info":{"name":"$()" + touch + R"j()"},"git_info":{"ref":"`)j" + touch + R"(`"}})";

    const auto job = beside(spec);

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_EQ(readFile(got), expected);
    EXPECT_FALSE(std::filesystem::exists(victim));
}

TEST_F(HostileEndToEnd, Row16VariablesOfAJobDoNotReachItsWrapper) {
    const auto evil = folder.path / "evil.sh";
    const auto seen = folder.path / "seen";
    writeFile(evil, "printf '%s\\n' \"$0\" >> " + seen.string() + "\n");
    const auto job = beside({.script = {"bash -c true", "PATH=/nowhere:", "exit 5"},
                             .variables = {{.key = "BASH_ENV", .value = evil.string()},
                                           {.key = "ENV", .value = evil.string()},
                                           {.key = "LD_PRELOAD", .value = "/nowhere/evil.so"},
                                           {.key = "IFS", .value = "o"},
                                           {.key = "GB_OUT", .value = "/nowhere"},
                                           {.key = "gb_outcome", .value = "success"}}});
    expectScriptFailure(job, 5);
    EXPECT_EQ(readFile(seen), "bash\n") << "only what the script itself starts";
}

TEST_F(HostileEndToEnd, Row17ChangedControlFilesGainNothingBeyondAnExitCode) {
    const auto count = (folder.path / "count").string();
    const std::string counted = "echo x >>" + count + "; ";
    const auto jobs = doing({{"stages",
                              counted + R"(for f in "$GB_IN"/*.sh; do [ "${f##*/}" = job.sh ] || )"
                                        R"(echo 'exit 0' >"$f"; done)",
                              "exit 5"},
                             {"wrapper", counted + R"(echo 'exit 0' >"$GB_IN/job.sh")", "exit 5"},
                             {"wrapper that goes on",
                              counted + R"(yes 'gb_outcome=success; gb_done' | )"
                                        R"(head -c 100000 >"$GB_IN/job.sh")",
                              "exit 5"},
                             {"all", counted + R"(rm -rf "$GB_IN" "$GB_CTL" "$GB_OUT")", "exit 5"},
                             {"marker", counted + R"(rm "$GB_OUT/started")", kNoWrapper},
                             {"cancel", counted + R"(touch "$GB_IN/cancel"; sleep 3)", "exit 5"}},
                            {{.paths = {"."}, .when = "always"}});

    for (const auto& job : jobs) {
        EXPECT_NE(job.failureReason, "runner_system_failure") << job.name;
        EXPECT_EQ(job.acceptedFinals, 1) << job.name;
    }
    EXPECT_EQ(jobs[0].exitCode, 5);
    expectScriptFailure(jobs[5], 143);
    EXPECT_EQ(readFile(count), "x\nx\nx\nx\nx\nx\n") << "none is run again";
}

TEST_F(HostileEndToEnd, Row18ProcessesLeftBehindChangeNothingThatIsPackedAndAreKilled) {
    const auto pids = (folder.path / "pids").string();
    const auto job = beside(
        {.script = {"echo good >a.txt; (while :; do echo bad >>a.txt; done) & echo $! >>" + pids,
                    "setsid nohup sleep 1000 & echo $! >>" + pids,
                    "(trap '' TERM HUP INT; while :; do sleep 1; done) & echo $! >>" + pids,
                    "sleep 0.2; disown -a"},
         .afterScript = {"wc -c <a.txt >after.txt; sleep 0.2; wc -c <a.txt >>after.txt"},
         .artifacts = {{.paths = {"a.txt", "after.txt"}}}});

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    const auto out = unpacked(job);
    const auto size = std::to_string(std::filesystem::file_size(out / "a.txt")) + "\n";
    EXPECT_GT(std::filesystem::file_size(out / "a.txt"), std::string("good\n").size())
        << "it grew as long as the script ran";
    EXPECT_EQ(readFile(out / "after.txt"), size + size) << "it grew no more";
    const auto left = linesOf(readFile(pids));
    EXPECT_EQ(left.size(), 3U);
    for (const auto& pid : left) {
        EXPECT_TRUE(waitFor([&] { return !runs(pid); }, "the end of " + pid));
    }
}

TEST_F(HostileEndToEnd, Row20AddressesAndSubmodulesRunNothingByGit) {
    const auto victim = (folder.path / "victim").string();
    const auto source = folder.path / "source";
    ASSERT_EQ(runProgram({"/usr/bin/git", "init", "-q", (source / "lib").string()}).exitCode, 0);
    writeFile(folder.path / "lib" / "file", "");
    writeFile(source / "lib/.git/HEAD", gitlab->commit("physics/two", folder.path / "lib") + "\n");
    const auto submodule = [&](const std::string& project, const std::string& line) {
        writeFile(source / ".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\t" + line + "\n");
        gitlab->commit(project, source);
        return JobSpec{.project = project,
                       .script = {"echo script-ran"},
                       .variables = {{.key = "GIT_STRATEGY", .value = "clone"},
                                     {.key = "GIT_SUBMODULE_STRATEGY", .value = "recursive"}}};
    };
    // Each alone: git would stop at the second before it comes to the first.
    const auto byAddress = submodule("physics/one", "url = ext::touch " + victim);
    const auto byUpdate = submodule("physics/two", "url = ../two.git\n\tupdate = !touch " + victim);
    const auto address = [](const std::string& url) {
        return JobSpec{.script = {"echo script-ran"},
                       .variables = {{.key = "GIT_STRATEGY", .value = "clone"}},
                       .merge = R"({"git_info":{"repo_url":")" + url + "\"}}"};
    };
    begin();
    const auto jobs =
        finished({gitlab->addJob(byAddress), gitlab->addJob(byUpdate),
                  gitlab->addJob(address("--upload-pack=touch " + victim)),
                  gitlab->addJob(address("ext::touch " + victim)),
                  gitlab->addJob(address("-c core.sshCommand=touch\\u0020" + victim))});

    for (const auto& job : jobs) {
        EXPECT_EQ(job.status, Status::Failed) << plain(job.trace);
        EXPECT_FALSE(says(job, "script-ran"));
    }
    EXPECT_FALSE(std::filesystem::exists(victim));
}

TEST_F(HostileEndToEnd, Row21RedirectsOfArtifactsTakeNoTokenToAnotherServer) {
    auto wanted = options();
    wanted.directDownload = true;
    gitlab.emplace(clock, std::move(wanted));
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    begin();
    const auto built =
        run({.name = "built", .script = {"echo whole >a"}, .artifacts = {{.paths = {"a"}}}});
    const auto reader = run({.script = {"cat a"}, .dependencies = {built.id}});

    EXPECT_EQ(reader.status, Status::Success) << plain(reader.trace);
    EXPECT_TRUE(says(reader, "\nwhole\n"));
    int atStorage = 0;
    for (const auto& request : gitlab->requests()) {
        if (request.path.find("/api/") == std::string::npos) {
            ++atStorage;
            for (const auto& [name, value] : request.headers) {
                EXPECT_THAT(value, Not(HasSubstr(reader.token))) << name;
            }
        }
    }
    EXPECT_EQ(atStorage, 1);
}

TEST_F(HostileEndToEnd, Row22WorkTreeAndHomeThatAJobPoisonsReachNoLaterJob) {
    repository({{"main.txt", "tracked\n"}});
    const auto victim = (folder.path / "victim").string();
    const JobSpec poison{
        .script = {"mkdir -p .git/hooks; echo 'touch " + victim +
                       "' | tee .git/hooks/post-checkout "
                       "\"$HOME/.bashrc\" \"$HOME/.bash_profile\" \"$HOME/.profile\"",
                   "chmod +x .git/hooks/post-checkout; echo poison >main.txt; touch more",
                   "git config --global core.fsmonitor 'touch " + victim + "'",
                   "git config core.hooksPath \"$PWD\"; touch \"$TMPDIR/x\" ../x || true",
                   "printf '%s\\n' \"$PWD\" \"$HOME\" >" + (folder.path / "where").string()},
        .variables = {{.key = "GIT_STRATEGY", .value = "fetch"}}};
    begin();
    EXPECT_EQ(run(poison).status, Status::Success);
    for (const auto& where : linesOf(readFile(folder.path / "where"))) {
        EXPECT_FALSE(std::filesystem::exists(where)) << where;
    }
    const auto job = run(
        {.script = {"cat main.txt; git status --short | wc -l; git config --get core.fsmonitor || "
                    "echo none; ls -A \"$HOME\" .git/hooks | grep -v sample || true; echo end"},
         .variables = {{.key = "GIT_STRATEGY", .value = "fetch"}}});

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_TRUE(says(job, "\ntracked\n0\nnone\n")) << plain(job.trace);
    EXPECT_THAT(plain(job.trace), Not(HasSubstr("post-checkout")));
    EXPECT_FALSE(std::filesystem::exists(victim));
}

TEST_F(HostileEndToEnd, Row24TokenOfAJobIsDeadAtItsEndAndItsOwnReportHarmsNoOther) {
    strict = false;  // What is sent here is no client's.
    const auto token = folder.path / "token";
    const auto pid = folder.path / "pid";
    begin();
    const auto ended = run({.script = {"printf %s \"$CI_JOB_TOKEN\" >" + token.string()}});
    const auto used = readFile(token);
    ASSERT_EQ(used, ended.token);
    const auto path = "/api/v4/jobs/" + std::to_string(ended.id);
    const std::array<std::string, 3> kCalls[] = {{"PATCH", path + "/trace", "text/plain"},
                                                 {"PUT", path, "application/json"},
                                                 {"POST", path + "/artifacts", "text/plain"}};
    for (const auto& [method, target, type] : kCalls) {
        const auto reply = gitlab->handle(
            {.method = method,
             .path = target,
             .headers = {{"job-token", used}, {"content-type", type}, {"content-range", "0-4"}},
             .body = type == "text/plain" ? "forge"
                                          : R"({"token":")" + used + R"(","state":"failed"})"});
        EXPECT_EQ(reply.status, 403) << method;
    }
    EXPECT_EQ(gitlab->status(ended.id), Status::Success);

    const auto early = run({.script = {"echo $$ >" + pid.string() +
                                       "; curl -s -X PUT -d token=$CI_JOB_TOKEN -d "
                                       "state=success " +
                                       gitlab->url() + "/api/v4/jobs/$CI_JOB_ID; sleep 600"}});
    EXPECT_EQ(early.status, Status::Success) << "as `exit 0` could say";
    EXPECT_TRUE(waitFor([&] { return !runs(readFile(pid)); }, "its end"));
}

}  // namespace
}  // namespace gridbridge::testing
