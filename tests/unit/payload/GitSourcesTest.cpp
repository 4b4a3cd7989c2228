#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using fakegitlab::FakeGitLab;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kProject = "physics/detector";

/// A real repository of three commits behind a server that wants the token of a running job.
class GitSourcesTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = std::filesystem::temp_directory_path() / "git-test.XXXXXX";
        top_ = mkdtemp(pattern.data());
        fakegitlab::Options options;
        options.repositories = top_ / "repositories";
        server_.emplace(clock_, options);
        server_->addRunner("glrt-test");
        std::filesystem::create_directories(top_ / "work/sub");
        for (int n = 1; n <= 3; ++n) {
            { std::ofstream(top_ / "work/sub/file.txt") << "version " << n << "\n"; }
            sha_ = server_->commit(kProject, top_ / "work");
        }
        const auto id = server_->addJob({.project = kProject});
        server_->handle({.method = "POST",
                         .path = "/api/v4/jobs/request",
                         .headers = {{"content-type", "application/json"}},
                         .body = R"({"token":"glrt-test","info":{"features":{}}})"});
        token_ = server_->job(id).token;
        ASSERT_FALSE(token_.empty());
    }
    void TearDown() override {
        server_.reset();
        std::filesystem::remove_all(top_);
    }

    gitlab::JobDescription job(std::vector<std::string> script) {
        auto job = jobWith(std::move(script));
        job.variables.clear();
        job.token = Secret(token_);
        job.variables.push_back({.key = "CI_JOB_TOKEN", .value = token_, .masked = true});
        job.projectPath = kProject;
        job.git.repoUrl = server_->url() + "/" + kProject + ".git";
        job.git.ref = "main";
        job.git.sha = sha_;
        job.git.refspecs = {"+refs/heads/main:refs/remotes/origin/main"};
        job.git.depth = 1;
        return job;
    }

    SystemClock clock_;
    std::filesystem::path top_;
    std::optional<FakeGitLab> server_;
    std::string sha_;
    std::string token_;
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
    // A git in front of the real one writes down how it was called.
    const auto bin = top_ / "bin";
    std::filesystem::create_directories(bin);
    {
        std::ofstream(bin / "git") << "#!/bin/sh\necho \"$@\" >>\"$GB_OUT/argv\"\n"
                                      "exec /usr/bin/git \"$@\"\n";
    }
    std::filesystem::permissions(bin / "git", std::filesystem::perms(0755));
    auto withRecorder = job({"grep -rc \"$CI_JOB_TOKEN\" .git ~ | grep -v ':0$' || echo clean",
                             "ls -a \"$RUNNER_TEMP_PROJECT_DIR\"",
                             "grep -rl \"$CI_JOB_TOKEN\" \"$RUNNER_TEMP_PROJECT_DIR\" || echo tidy",
                             "git remote get-url origin"});
    const auto asTold = gitlab::decodeJob(
        R"({"id":1,"token":"x","git_info":{"repo_url":"http://gitlab-ci-token:)" + token_ + "@" +
        withRecorder.git.repoUrl.substr(std::string("http://").size()) + "\"}}");
    withRecorder.git.repoUrl = asTold->git.repoUrl;
    setVariable(withRecorder, "PATH", bin.string() + ":/usr/bin:/bin");
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

TEST_F(GitSourcesTest, LfsPointersAreWarnedOf) {
    { std::ofstream(top_ / "work/.gitattributes") << "*.bin filter=lfs diff=lfs merge=lfs\n"; }
    sha_ = server_->commit(kProject, top_ / "work");
    ScriptRun run(job({"true"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("WARNING: this runner does not fetch files from Git LFS"));
}

}  // namespace
}  // namespace gridbridge::payload
