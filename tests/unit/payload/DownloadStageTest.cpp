#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <unistd.h>

#include "tests/unit/payload/DependencyTest.h"
#include "tests/unit/payload/GitJobs.h"

namespace gridbridge::payload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// Jobs whose sources are a repository, and whose dependencies' archives the service has packed.
class DownloadStageTest : public GitJobs {
protected:
    gitlab::JobDescription jobOf(std::vector<std::string> script,
                                 const std::vector<std::string>& names = {"build"}) {
        auto job = this->job(std::move(script));
        job.traceSections = true;
        for (const auto& name : names) {
            job.dependencies.push_back({.id = 100 + std::ssize(job.dependencies),
                                        .name = name,
                                        .filename = "artifacts.zip"});
        }
        return job;
    }
    /// Puts what the service makes of that zip where the node finds it.
    void give(const ScriptRun& run, std::size_t index, const std::vector<Content>& contents) {
        const auto path = (top_ / "dependency.zip").string();
        { std::ofstream(path, std::ios::binary) << zipWith(contents); }
        const Fd zip(::open(path.c_str(), O_RDONLY));
        std::ofstream out(run.folder() / "in" / dependencyTarball(index), std::ios::binary);
        const auto packed = packDependency({}, zip.get(), [&](std::string_view bytes) {
            out << bytes;
            return true;
        });
        ASSERT_TRUE(packed) << packed.error().message;
    }
};

TEST_F(DownloadStageTest, Case74OfTwoArchivesTheLaterWinsAndBothWinOverTheSources) {
    sha_ = commit(kProject, {{"source", "from git\n"}, {"kept", "from git\n"}});
    auto job = jobOf({"cat source both kept", "stat -c '%n %a %Y' source tool", "cat sub/link"},
                     {"build", "no archive", "test: [1,\t2]"});
    job.dependencies[1].filename.clear();
    ScriptRun run(job, contextNow());
    give(run, 0,
         {{fileMember("both", "first\n"), "first\n"},
          {fileMember("tool", "#!", 0775), "#!"},
          {folderMember("sub", 0555)},
          {fileMember("sub/file", "linked\n"), "linked\n"},
          {linkMember("sub/link", "file")}});
    give(run, 2,
         {{fileMember("both", "second\n"), "second\n"},
          {fileMember("source", "built\n", 0666), "built\n"}});
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("Downloading artifacts\n"
                                      "Downloading artifacts for build (100)...\n"
                                      "Downloading artifacts for test: [1,?2] (102)...\n"
                                      "Executing \"step_script\" stage"));
    EXPECT_THAT(run.log(),
                HasSubstr("\033[32;1mDownloading artifacts for build (100)...\033[0;m\n"));
    EXPECT_THAT(run.log(), HasSubstr(":download_artifacts\r"));
    EXPECT_THAT(run.text(), HasSubstr("\nbuilt\nsecond\nfrom git\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nsource 666 1600000001\ntool 775 1600000001\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nlinked\n"));
}

TEST_F(DownloadStageTest, Case76LinksOfTheSourcesAndOfOtherArchivesLeadNowhere) {
    const auto outside = top_ / "outside";
    std::filesystem::create_directories(outside / "deep");
    { std::ofstream(outside / "file") << "untouched"; }
    sha_ = commit(kProject, {{"a", "1"}});
    const auto work = top_ / "work" / kProject;
    std::filesystem::create_symlink(outside, work / "x");
    std::filesystem::create_symlink(outside / "file", work / "file");
    std::filesystem::create_directories(work / "in/the");
    std::filesystem::create_symlink(outside, work / "in/the/middle");
    sha_ = commit(kProject, {{"a", "2"}});
    auto job =
        jobOf({"cat x/file file in/the/middle/deep/file y/file", "[ ! -L x ]"}, {"build", "test"});
    ScriptRun run(job, contextNow());
    give(run, 0,
         {{fileMember("x/file", "inside 1\n"), "inside 1\n"},
          {fileMember("file", "inside 2\n"), "inside 2\n"},
          {fileMember("in/the/middle/deep/file", "inside 3\n"), "inside 3\n"},
          {linkMember("y", outside)}});
    give(run, 1, {{fileMember("y/file", "inside 4\n"), "inside 4\n"}});
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.text();
    EXPECT_THAT(run.text(), HasSubstr("\ninside 1\ninside 2\ninside 3\ninside 4\n"));
    EXPECT_EQ(testing::readFile(outside / "file"), "untouched");
    EXPECT_TRUE(std::filesystem::is_empty(outside / "deep"));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(outside), {}), 2);
}

/// `tar` would make the project's own folders anew when they are empty, never take away full ones.
TEST_F(DownloadStageTest, WhatCannotBeUnpackedFailsTheJobBeforeItsScript) {
    sha_ = commit(kProject, {{"folder/of/git", "1"}});
    auto job = jobOf({"echo never"}, {"first", "second"});
    job.steps.push_back({"after_script", {"echo never"}});
    setVariable(job, "ARTIFACT_DOWNLOAD_ATTEMPTS", "2");
    ScriptRun run(job, contextNow());
    run.shorten("gb_retry_wait", 0);
    give(run, 0, {{fileMember("folder", "1"), "1"}});
    give(run, 1, {{fileMember("a", "1"), "1"}});
    run.run();

    const auto status = run.status();
    EXPECT_EQ(status.outcome, "failed");
    EXPECT_EQ(status.stage, "download_artifacts");
    EXPECT_EQ(status.exitCode, 1);
    EXPECT_EQ(status.why, "");
    EXPECT_THAT(
        run.log(),
        HasSubstr("\033[31;1mERROR: the artifacts of first (100) cannot be unpacked\033[0;m"));
    EXPECT_THAT(run.text(), HasSubstr("WARNING: Retrying..."));
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
    EXPECT_THAT(run.text(), Not(HasSubstr("second")));
}

TEST_F(DownloadStageTest, TarballThatIsMissingFailsTheJob) {
    auto job = jobWith({"echo never"});
    job.dependencies.push_back({.id = 7, .name = "it's $(id)", .filename = "artifacts.zip"});
    ScriptRun run(job, contextNow());
    run.run();

    EXPECT_EQ(run.status().outcome, "failed");
    EXPECT_THAT(run.text(),
                HasSubstr("ERROR: the artifacts of it's $(id) (7) cannot be unpacked\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
}

TEST_F(DownloadStageTest, WithoutArchivesThereIsNoSuchStage) {
    auto job = jobWith({"true"});
    job.dependencies.push_back({.id = 7, .name = "lint"});
    ScriptRun run(job, contextNow());
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), Not(HasSubstr("Downloading artifacts")));
    EXPECT_FALSE(run.exists("in/download_artifacts.sh"));
}

}  // namespace
}  // namespace gridbridge::payload
