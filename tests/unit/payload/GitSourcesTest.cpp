#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/payload/GitJobs.h"

namespace gridbridge::payload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// The repository of physics/detector has three commits.
class GitSourcesTest : public GitJobs {
protected:
    void SetUp() override {
        GitJobs::SetUp();
        for (int n = 1; n <= 3; ++n) {
            sha_ = commit(kProject, {{"sub/file.txt", "version " + std::to_string(n) + "\n"}});
        }
    }
};

TEST_F(GitSourcesTest, ShallowCloneChecksOutTheCommitDetached) {
    ScriptRun run(job({"git rev-parse HEAD", "git rev-list --count HEAD",
                       "git symbolic-ref -q HEAD || echo detached", "cat sub/file.txt"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("Fetching changes with git depth set to 1...\n"));
    EXPECT_THAT(run.text(), HasSubstr("Created fresh repository.\n"));
    EXPECT_THAT(run.text(), HasSubstr("Checking out " + sha_.substr(0, 8) +
                                      " as detached HEAD (ref is main)...\n"));
    EXPECT_THAT(run.text(), HasSubstr("Skipping Git submodules setup\n"));
    EXPECT_THAT(run.text(), HasSubstr("\n" + sha_ + "\n"));
    EXPECT_THAT(run.text(), HasSubstr("\n1\n"));
    EXPECT_THAT(run.text(), HasSubstr("\ndetached\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nversion 3\n"));
}

TEST_F(GitSourcesTest, DepthZeroFetchesTheWholeHistory) {
    auto whole = job({"git rev-list --count HEAD"});
    whole.git.depth = 0;
    ScriptRun run(whole);
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("Fetching changes...\n"));
    EXPECT_THAT(run.text(), HasSubstr("\n3\n"));
}

TEST_F(GitSourcesTest, TokenIsInNoFileOfGitAndOnNoCommandLine) {
    auto withRecorder = job({"grep -rc \"$CI_JOB_TOKEN\" .git ~ | grep -v ':0$' || echo clean",
                             "ls -a \"$RUNNER_TEMP_PROJECT_DIR\"",
                             "grep -rl \"$CI_JOB_TOKEN\" \"$RUNNER_TEMP_PROJECT_DIR\" || echo tidy",
                             "git remote get-url origin"});
    const auto asTold = gitlab::decodeJob(
        R"({"id":1,"token":"x","git_info":{"repo_url":"http://gitlab-ci-token:)" + token_ + "@" +
        withRecorder.git.repoUrl.substr(std::string("http://").size()) + "\"}}");
    withRecorder.git.repoUrl = asTold->git.repoUrl;
    putBefore(withRecorder, "git", "echo \"$@\" >>\"$GB_OUT/argv\"\n");
    ScriptRun run(withRecorder);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\nclean\n"));
    EXPECT_THAT(run.text(), HasSubstr("\ntidy\n"));
    EXPECT_THAT(run.file("out/argv"), HasSubstr("fetch origin"));
    EXPECT_THAT(run.file("out/argv"), Not(HasSubstr(token_)));
    EXPECT_THAT(run.log(), Not(HasSubstr(token_)));
}

TEST_F(GitSourcesTest, ScriptCanUseTheRepositoryAlsoFromElsewhereAndWithAnotherHome) {
    auto fetching =
        job({"git fetch origin", "HOME=/nonexistent git fetch origin", "cd \"$CI_BUILDS_DIR\"",
             "git clone -q \"$URL\" again", "cat again/sub/file.txt"});
    setVariable(fetching, "URL", fetching.git.repoUrl);
    ScriptRun run(fetching);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\nversion 3\n"));
}

TEST_F(GitSourcesTest, CheckoutFalseFetchesOnly) {
    auto fetchOnly = job({"git rev-parse origin/main", "ls"});
    setVariable(fetchOnly, "GIT_CHECKOUT", "false");
    ScriptRun run(fetchOnly);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("Skipping Git checkout\n"));
    EXPECT_THAT(run.text(), HasSubstr("\n" + sha_ + "\n$ ls\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("\nsub\n")));
}

TEST_F(GitSourcesTest, StrategiesNoneAndEmptyGiveAnEmptyFolder) {
    for (const auto& [strategy, line] :
         {std::pair("none", "Skipping Git repository setup\n"),
          std::pair("empty",
                    "Skipping Git repository setup and creating an empty build directory\n")}) {
        auto without = job({"pwd", "ls -A | wc -l"});
        setVariable(without, "GIT_STRATEGY", strategy);
        ScriptRun run(without);
        run.run();

        EXPECT_EQ(run.status().outcome, "success") << run.log();
        EXPECT_THAT(run.text(), HasSubstr(line));
        EXPECT_THAT(run.text(), HasSubstr("Skipping Git checkout\nSkipping Git submodules setup"));
        EXPECT_THAT(run.text(), HasSubstr("/builds/physics/detector\n"));
        EXPECT_THAT(run.text(), HasSubstr("\n0\n"));
    }
}

TEST_F(GitSourcesTest, ClonePathIsTheProjectsFolderForAllStages) {
    auto elsewhere = job({"pwd", "cat \"$GO_FILE\"", "echo out >out.txt", "ls \"$CI_BUILDS_DIR\""});
    elsewhere.steps.push_back({"after_script", {"echo \"after in $PWD\""}});
    elsewhere.artifacts.push_back(archiveOf({"$CI_PROJECT_DIR/out.txt"}));
    setVariable(elsewhere, "NAME", "it's here");
    setVariable(elsewhere, "GIT_CLONE_PATH", "$CI_BUILDS_DIR/go/../src/$NAME/");
    setVariable(elsewhere, "GO_FILE", "$CI_PROJECT_DIR/sub/file.txt");
    ScriptRun run(elsewhere);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("/builds/src/it's here\n$ "));
    EXPECT_THAT(run.text(), HasSubstr("\nversion 3\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nsrc\n"));
    EXPECT_TRUE(run.exists("out/artifact.0.tar.gz"));
}

TEST_F(GitSourcesTest, HooksRunAroundTheSources) {
    auto hooked = job({"echo script"});
    hooked.hooks = {{"pre_get_sources_script", {"echo before-sources", "pwd"}},
                    {"post_get_sources_script", {"cat sub/file.txt"}}};
    ScriptRun run(hooked);
    run.run();

    const auto text = run.text();
    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_LT(text.find("\nbefore-sources\n"), text.find("Fetching changes"));
    EXPECT_LT(text.find("Checking out"), text.find("$ cat sub/file.txt\nversion 3\n"));
}

TEST_F(GitSourcesTest, CommitThatIsNotThereFailsTheJobWithGitsCode) {
    auto unknown = job({"echo never"});
    unknown.git.sha = std::string(40, 'a');
    ScriptRun run(unknown);
    run.run();

    EXPECT_EQ(run.status().outcome, "failed");
    EXPECT_EQ(run.status().stage, "get_sources");
    EXPECT_EQ(run.status().exitCode, 128);
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
}

TEST_F(GitSourcesTest, UnreachableRepositoryIsTriedAgainAndFailsWithoutScript) {
    auto unreachable = job({"echo never"});
    unreachable.steps.push_back({"after_script", {"echo never"}});
    unreachable.git.repoUrl = server_->url() + "/no/such.git";
    unreachable.artifacts.push_back(archiveOf({"."}));
    unreachable.artifacts[0].when = "on_failure";
    setVariable(unreachable, "GET_SOURCES_ATTEMPTS", "2");
    ScriptRun run(unreachable);
    run.shorten("gb_retry_wait", 0);
    run.run();

    const auto text = run.text();
    const auto first = text.find("Getting source from Git repository");
    const auto retry = text.find("WARNING: Retrying...");
    const auto clear = text.find("Deleting all tracked and untracked files due to source fetch");
    const auto second = text.find("Getting source from Git repository", first + 1);
    EXPECT_LT(first, retry);
    EXPECT_LT(retry, clear);
    EXPECT_LT(clear, second);
    EXPECT_NE(second, std::string::npos);
    EXPECT_THAT(text, Not(HasSubstr("never")));
    EXPECT_EQ(run.status().outcome, "failed");
    EXPECT_TRUE(run.exists("out/artifact.0.tar.gz"));
}

class LfsTest : public GitJobs {
protected:
    /// Both have a file that a git-lfs says to hold what it was given as a password.
    void SetUp() override {
        GitJobs::SetUp();
        const std::map<std::string, std::string> files = {
            {".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs\n"}, {"a.bin", "a\n"}};
        addSubmodule(kProject, "lib", commit("physics/lib", files));
        commit(kProject, files);
        sha_ = commit(kProject,
                      {{".gitmodules", "[submodule \"lib\"]\npath = lib\nurl = ../lib.git\n"}});
    }
    /// Its git-lfs shows that git tells it the password of the origin.
    gitlab::JobDescription withLfs() {
        auto pulling = job({"cat a.bin lib/a.bin"});
        setVariable(pulling, "GIT_SUBMODULE_STRATEGY", "normal");
        putBefore(pulling, "git-lfs",
                  "if [ \"$1\" = pull ]; then\n"
                  "  url=$(git remote get-url origin)\n"
                  "  [ ! -e \"$GB_OUT/ill\" ] || [ \"${url##*/}\" != lib.git ] || exit 3\n"
                  "  told=$(printf 'url=%s\\n\\n' \"$url/info/lfs\" | git credential fill)\n"
                  "  case $told in *\"password=$CI_JOB_TOKEN\") echo \"got $url\" >a.bin ;; esac\n"
                  "  exit\nfi\n");
        return pulling;
    }
};

TEST_F(LfsTest, FilesAreFetchedWithTheTokenInSubmodulesToo) {
    ScriptRun run(withLfs());
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\ngot " + server_->url() + "/physics/detector.git\ngot " +
                                      server_->url() + "/physics/lib.git\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("WARNING")));
}

TEST_F(LfsTest, NothingIsFetchedWhenTheJobSaysSo) {
    auto skipping = withLfs();
    setVariable(skipping, "GIT_LFS_SKIP_SMUDGE", "1");
    ScriptRun run(skipping);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), Not(HasSubstr("\ngot ")));
    EXPECT_THAT(run.text(), Not(HasSubstr("WARNING")));
}

TEST_F(LfsTest, FailureInASubmoduleFailsTheSources) {
    ScriptRun run(withLfs());
    std::ofstream(run.folder() / "out/ill").put('\n');
    run.run();

    EXPECT_EQ(run.status().outcome, "failed") << run.log();
    EXPECT_EQ(run.status().stage, "get_sources");
}

TEST_F(LfsTest, FailureFailsTheSourcesWithItsCode) {
    auto failing = job({"echo never"});
    putBefore(failing, "git-lfs", "[ \"$1\" != pull ] || exit 3\n");
    ScriptRun run(failing);
    run.run();

    EXPECT_EQ(run.status().stage, "get_sources");
    EXPECT_EQ(run.status().exitCode, 3);
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
}

TEST_F(LfsTest, PointersAreWarnedOfWhereGitLfsIsNotInstalled) {
    auto without = job({"cat a.bin"});
    putBefore(without, "git", "[ \"$1\" != lfs ] || exit 1\n");
    setVariable(without, "GIT_CONFIG_NOSYSTEM", "1");
    ScriptRun run(without);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("WARNING: git-lfs is not installed on this node: files of "
                                      "Git LFS are left as pointers\n"));
}

/// The real git-lfs of a node on which nobody made it known to all.
TEST_F(LfsTest, RealFilesArriveAndTheTokenStaysOutOfFilesAndArguments) {
    const std::string look =
        "grep -rlF \"$CI_JOB_TOKEN\" . ~ \"$RUNNER_TEMP_PROJECT_DIR\" || echo clean";
    auto real = job(
        {"cat a.bin lib/a.bin", look, "echo \"$CI_JOB_TOKEN\" >>.git/modules/lib/config", look});
    setVariable(real, "GIT_SUBMODULE_STRATEGY", "normal");
    setVariable(real, "GIT_CONFIG_NOSYSTEM", "1");
    putBefore(real, "git", "echo \"git $*\" >>\"$GB_OUT/argv\"\n");
    setVariable(real, "GIT_TRACE", (top_ / "trace").string());
    ScriptRun run(real);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\na\na\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nclean\n"));
    EXPECT_THAT(run.text(), HasSubstr("\n./.git/modules/lib/config\n"));
    std::ifstream in(top_ / "trace");
    const auto argv = run.file("out/argv") + std::string(std::istreambuf_iterator<char>(in), {});
    EXPECT_THAT(argv, HasSubstr("lfs pull"));
    EXPECT_THAT(argv, Not(HasSubstr(token_)));
}

TEST_F(LfsTest, AddressesThatAreNotPlainWebAddressesAreNotAskedForFiles) {
    for (const auto* settings :
         {"[lfs]\nurl = file:///srv/other.git\n", "[lfs]\nurl = ssh://git@elsewhere/x\n",
          "[remote \"origin\"]\nlfsurl = file:///srv/other.git\n",
          "[lfs]\nurl = \"https://x%0Ahost=gitlab.example.org@elsewhere/lfs\"\n"}) {
        sha_ = commit(kProject, {{".lfsconfig", settings}});
        auto hostile = job({"echo never"});
        putBefore(hostile, "git-lfs", "[ \"$1\" != pull ] || touch \"$GB_OUT/pulled\"\n");
        ScriptRun run(hostile);
        run.run();

        EXPECT_EQ(run.status().stage, "get_sources") << run.log();
        EXPECT_THAT(run.text(), HasSubstr("ERROR: .lfsconfig names an address that is not plain"));
        EXPECT_FALSE(run.exists("out/pulled")) << settings;
    }
}

TEST_F(LfsTest, TokenGoesToNoOtherSiteThatARepositoryNames) {
    fakegitlab::FakeGitLab elsewhere(clock_);
    sha_ = commit(kProject, {{".lfsconfig", "[lfs]\nurl = " + elsewhere.url() + "/lfs\n"}});
    ScriptRun run(job({"echo never"}));
    run.run();

    EXPECT_EQ(run.status().stage, "get_sources") << run.log();
    const auto requests = elsewhere.requests();
    ASSERT_FALSE(requests.empty()) << run.log();
    for (const auto& request : requests) {
        EXPECT_EQ(request.headers.count("authorization"), 0U);
    }
}

}  // namespace
}  // namespace gridbridge::payload
