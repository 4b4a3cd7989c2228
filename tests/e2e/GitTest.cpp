// Conformance cases 29 to 38: sources over git's HTTP, with the job's token.
#include <fstream>

#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;
using fakegitlab::Status;

class GitEndToEnd : public EndToEnd {
protected:
    void SetUp() override {
        repository({{"main.txt", "one\n"}});
        repository({{"main.txt", "two\n"}, {"sub/more.txt", "more\n"}});
    }
    JobSnapshot withGit(JobSpec spec) {
        start();
        return finished(gitlab->addJob(std::move(spec)));
    }
    /// A commit of `project` with this file, and when `name` is not empty a submodule of that name
    /// at the commit `sha`, whose address is `url`; its sha.
    std::string commitWith(const std::string& project, const std::string& file,
                           const std::string& name = {}, const std::string& url = {},
                           const std::string& sha = {}) {
        const auto tree = folder.path / "trees" / project;
        writeFile(tree / file, "text of " + file + "\n");
        if (!name.empty()) {
            writeFile(tree / ".gitmodules",
                      "[submodule \"" + name + "\"]\n\tpath = " + name + "\n\turl = " + url + "\n");
            // What git takes for a repository whose newest commit is that one.
            EXPECT_EQ(std::system(("git init -q " + (tree / name).string()).c_str()), 0);
            writeFile(tree / name / ".git/HEAD", sha + "\n");
        }
        return gitlab->commit(project, tree);
    }
};

TEST_F(GitEndToEnd, Case29ShallowCloneOfThePipelinesCommit) {
    const auto job =
        withGit({.gitDepth = 1,
                 .script = {"cat main.txt sub/more.txt", "echo count=$(git rev-list --count HEAD)",
                            "[ $(git rev-parse HEAD) = $CI_COMMIT_SHA ] && echo exact",
                            "git symbolic-ref -q HEAD || echo detached"}});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\ntwo\nmore\n"));
    EXPECT_TRUE(says(job, "count=1"));
    EXPECT_TRUE(says(job, "\nexact\n"));
    EXPECT_TRUE(says(job, "\ndetached\n"));
    EXPECT_TRUE(says(job, "Fetching changes with git depth set to 1..."));
    EXPECT_TRUE(says(job, "Created fresh repository."));
}

TEST_F(GitEndToEnd, Case30WholeHistory) {
    EXPECT_TRUE(
        says(withGit({.gitDepth = 0, .script = {"echo count=$(git rev-list --count HEAD)"}}),
             "count=2"));
}

TEST_F(GitEndToEnd, Case31TokenStandsInNoFileOfGitAndInNoArgument) {
    const auto bin = folder.path / "bin";
    const auto argv = (folder.path / "argv").string();
    writeFile(bin / "git",
              "#!/bin/bash\nprintf '%s\\n' \"git $*\" >>" + argv + "\nexec /usr/bin/git \"$@\"\n");
    std::filesystem::permissions(bin / "git", std::filesystem::perms::owner_all);
    const std::string sampler =
        "grep -rqF \"$CI_JOB_TOKEN\" .git \"$RUNNER_TEMP_PROJECT_DIR\" \"$HOME\" && echo found || "
        "echo clean";

    // git itself says what its own processes are called with. At the end the token is planted.
    const auto job =
        withGit({.script = {sampler, "git config --list | grep -cF \"$CI_JOB_TOKEN\" || true",
                            "git fetch origin", "cp " + argv + " " + argv + ".before",
                            "git rev-parse \"$CI_JOB_TOKEN\" || true",
                            "echo \"$CI_JOB_TOKEN\" >.git/planted", sampler},
                 .variables = {{.key = "PATH", .value = bin.string() + ":/usr/bin:/bin"},
                               {.key = "GIT_TRACE", .value = argv}}});

    EXPECT_TRUE(says(job, "\nclean\n"));
    EXPECT_TRUE(says(job, "\n0\n"));
    EXPECT_TRUE(says(job, "\nfound\n"));
    const auto before = readFile(argv + ".before");
    EXPECT_NE(before.find("\ngit -c http.userAgent="), std::string::npos);
    EXPECT_NE(before.find("remote-http"), std::string::npos);
    EXPECT_NE(before.find("password="), std::string::npos);
    EXPECT_EQ(before.find(job.token), std::string::npos);
    EXPECT_NE(readFile(argv).find(job.token), std::string::npos);
}

TEST_F(GitEndToEnd, Case32FetchInTheScriptAuthenticates) {
    const auto job =
        withGit({.script = {"git fetch origin", "git ls-remote origin | head -1",
                            "CI_JOB_TOKEN=wrong git ls-remote origin || echo refused"}});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\nrefused\n"));
}

TEST_F(GitEndToEnd, Case33NoRepositoryForStrategiesNoneAndEmpty) {
    const auto none = withGit({.script = {"[ -e .git ] || echo bare"},
                               .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    const auto empty = withGit({.script = {"[ -e .git ] || echo bare"},
                                .variables = {{.key = "GIT_STRATEGY", .value = "empty"}}});
    EXPECT_TRUE(says(none, "\nbare\n"));
    EXPECT_TRUE(says(none, "Skipping Git repository setup"));
    EXPECT_TRUE(says(empty, "\nbare\n"));
    EXPECT_TRUE(says(empty, "Skipping Git repository setup and creating an empty build directory"));
}

TEST_F(GitEndToEnd, Case34FetchWithoutCheckout) {
    const auto job = withGit({.script = {"[ -e .git ] && [ ! -e main.txt ] && echo unchecked"},
                              .variables = {{.key = "GIT_CHECKOUT", .value = "false"}}});
    EXPECT_TRUE(says(job, "\nunchecked\n"));
    EXPECT_TRUE(says(job, "Skipping Git checkout"));
}

TEST_F(GitEndToEnd, Case35SubmodulesOfSubmodulesComeFromOtherProjectsWithTheJobsToken) {
    const auto deep = commitWith("tools/deep", "deep.txt");
    const auto lib = commitWith("physics/lib", "lib.txt", "deep", "../../tools/deep.git", deep);
    commitWith("physics/detector", "main.txt", "lib", "../lib.git", lib);
    const std::string look =
        "grep -rqF \"$CI_JOB_TOKEN\" .git \"$RUNNER_TEMP_PROJECT_DIR\" \"$HOME\" && echo found || "
        "echo clean";
    const JobSpec spec{
        .gitDepth = 1,
        .script = {"cat lib/lib.txt lib/deep/deep.txt", "git submodule status --recursive", look,
                   "echo \"$CI_JOB_TOKEN\" >.git/modules/lib/modules/deep/planted", look},
        .variables = {{.key = "GIT_SUBMODULE_STRATEGY", .value = "recursive"}}};

    auto mayRead = spec;
    mayRead.readable = {"physics/lib", "tools/deep"};
    const auto job = withGit(mayRead);
    const auto stranger = withGit(spec);

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(
        says(job, "Updating/initializing submodules recursively with git depth set to 1...\n"));
    EXPECT_TRUE(says(job, "\nUpdated submodules\n"));
    EXPECT_TRUE(says(job, "\ntext of lib.txt\ntext of deep.txt\n"));
    EXPECT_TRUE(says(job, "\n " + lib + " lib"));
    EXPECT_TRUE(says(job, "\n " + deep + " lib/deep"));
    EXPECT_TRUE(says(job, "\nclean\n"));
    EXPECT_TRUE(says(job, "\nfound\n"));
    EXPECT_EQ(stranger.status, Status::Failed);
    EXPECT_EQ(stranger.failureReason, "script_failure");
    EXPECT_FALSE(says(stranger, "text of"));
}

TEST_F(GitEndToEnd, Case36UnknownSubmoduleStrategyFailsTheJob) {
    const auto job = withGit({.script = {"echo never"},
                              .variables = {{.key = "GIT_SUBMODULE_STRATEGY", .value = "foo"}}});
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_TRUE(says(job,
                     "WARNING: GIT_SUBMODULE_STRATEGY: expected either 'normal', 'recursive' or "
                     "'none' got \"foo\"\n"));
    EXPECT_TRUE(says(job, "ERROR: unknown GIT_SUBMODULE_STRATEGY\n"));
    const auto stages = sections(job.trace);
    EXPECT_EQ(stages.back(), "-get_sources");
    EXPECT_FALSE(says(job, "never"));
}

TEST_F(GitEndToEnd, ClonePathBelowTheBuildsFolderIsTheProjectsFolder) {
    const auto path = [](const std::string& value) {
        return std::vector<fakegitlab::Variable>{{.key = "GIT_CLONE_PATH", .value = value}};
    };
    const auto job =
        withGit({.script = {"cat \"$CI_BUILDS_DIR/go/src/detector/main.txt\"", "echo out >out.txt"},
                 .variables = path("$CI_BUILDS_DIR/go/src/$CI_PROJECT_NAME"),
                 .artifacts = {{.paths = {"out.txt"}}}});
    const auto outside =
        withGit({.script = {"echo never"}, .variables = path("$CI_BUILDS_DIR/../elsewhere")});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\ntwo\n"));
    EXPECT_EQ(job.artifacts.size(), 1U);
    EXPECT_EQ(outside.status, Status::Failed);
    EXPECT_EQ(outside.failureReason, "runner_configuration_error");
    EXPECT_TRUE(says(outside, "the GIT_CLONE_PATH has to be within $CI_BUILDS_DIR"));
    EXPECT_FALSE(says(outside, "never"));
}

TEST_F(GitEndToEnd, Case37SourcesAreTriedAgainInACleanFolderAndOnlyFailureArtifactsFollow) {
    const auto job =
        withGit({.script = {"echo never"},
                 .afterScript = {"echo never"},
                 .preGetSources = {"echo left >left.txt"},
                 .variables = {{.key = "GET_SOURCES_ATTEMPTS", .value = "2"}},
                 .artifacts = {{.paths = {"left.txt"}, .when = "on_failure"}},
                 .merge = R"({"git_info":{"repo_url":"http://127.0.0.1:9/x/y.git"}})"});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_TRUE(says(job, "WARNING: Retrying...\n"));
    EXPECT_FALSE(says(job, "never"));
    const auto all = sections(job.trace);
    std::vector<std::string> begun;
    for (const auto& name : all) {
        if (name.starts_with('+')) {
            begun.push_back(name.substr(1));
        }
    }
    EXPECT_EQ(begun, (std::vector<std::string>{"prepare_executor", "prepare_script", "get_sources",
                                               "clear_worktree", "get_sources",
                                               "upload_artifacts_on_failure"}));
}

TEST_F(GitEndToEnd, Case38TooManyAttemptsAreClampedWithAWarning) {
    const auto job = withGit(
        {.script = {"true"}, .variables = {{.key = "GET_SOURCES_ATTEMPTS", .value = "99"}}});
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job,
                     "GET_SOURCES_ATTEMPTS: number of attempts out of the range [1, 10], "
                     "clamping to: 10"));
}

/// The pauses between ten attempts take twenty minutes, so they are taken out of the script while
/// it waits for a free slot.
TEST_F(GitEndToEnd, Case38TenAttemptsAreUsed) {
    start();
    const auto go = (folder.path / "go").string();
    const auto tries = (folder.path / "tries").string();
    for (int slot = 0; slot < 4; ++slot) {
        const auto busy =
            gitlab->addJob({.script = {"echo begun", "until [ -e " + go + " ]; do sleep 0.1; done"},
                            .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
        ASSERT_TRUE(gitlab->waitForTrace(busy, "begun"));
    }
    const auto id =
        gitlab->addJob({.script = {"echo never"},
                        .preGetSources = {"echo x >> " + tries},
                        .variables = {{.key = "GET_SOURCES_ATTEMPTS", .value = "99"}},
                        .merge = R"({"git_info":{"repo_url":"http://127.0.0.1:9/x/y.git"}})"});
    ASSERT_TRUE(gitlab->waitForTrace(id, "Submitted as"));
    // The local backend keeps the files of a job that waits in its own record of it.
    const std::string pause = "\ngb_retry_wait=5 ";
    int waiting = 0;
    for (const auto& record : std::filesystem::directory_iterator(service->workDir() / ".local")) {
        auto text = readFile(record.path());
        const auto at = text.find(pause);
        if (at != std::string::npos && text.find(tries) != std::string::npos) {
            std::ofstream(record.path(), std::ios::binary)
                << text.replace(at, pause.size(), "\ngb_retry_wait=0 ");
            ++waiting;
        }
    }
    EXPECT_EQ(waiting, 1);
    writeFile(go, "");

    const auto job = finished(id);

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_FALSE(says(job, "never"));
    EXPECT_EQ(readFile(tries).size(), std::string("x\n").size() * 10);
}

TEST_F(GitEndToEnd, Case47CancelDuringTheSourcesStartsNoScript) {
    const auto pids = (folder.path / "pid").string();
    const auto job =
        withGit({.script = {"echo never"},
                 .afterScript = {"echo never"},
                 .preGetSources = {"echo $$ > " + pids,
                                   "echo waiting; while sleep 0.5; do echo tick; done"},
                 .cancelWhen = "\nwaiting"});

    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: canceled");
    EXPECT_FALSE(says(job, "never"));
    EXPECT_FALSE(runs(readFile(pids)));
}

TEST_F(GitEndToEnd, UnreachableRepositoryFailsThatJobAndNoOther) {
    const auto lost =
        withGit({.script = {"echo never"},
                 .afterScript = {"echo never"},
                 .merge = R"({"git_info":{"repo_url":"http://127.0.0.1:9/x/y.git"}})"});
    const auto good = withGit({.script = {"cat main.txt"}});

    EXPECT_EQ(lost.status, Status::Failed);
    EXPECT_EQ(lost.failureReason, "script_failure");
    EXPECT_FALSE(says(lost, "never"));
    EXPECT_EQ(good.status, Status::Success);
}

}  // namespace
}  // namespace gridbridge::testing
