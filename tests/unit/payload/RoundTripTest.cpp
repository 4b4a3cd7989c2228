// A tree that was built goes through an archive of GitLab to a job of a later stage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <fstream>

#include "bridge/payload/Dependency.h"
#include "tests/unit/payload/ArtifactsTest.h"
#include "tests/unit/payload/GitJobs.h"

namespace gridbridge::payload {
namespace {

using ::testing::HasSubstr;

/// The service's own for a while.
class TimeZone {
public:
    explicit TimeZone(const char* name) {
        ::setenv("TZ", name, 1);
        ::tzset();
    }
    ~TimeZone() {
        ::unsetenv("TZ");
        ::tzset();
    }
};

constexpr const char* kEast = "<+14>-14";
constexpr const char* kWest = "<-11>11";

/// `make` would build `out/main` again if a source were newer.
class RoundTripTest : public GitJobs {
protected:
    void SetUp() override {
        GitJobs::SetUp();
        sha_ = commit(kProject, {{"Makefile",
                                  "out/main: out/part\n\tcp out/part out/main\n"
                                  "out/part: source\n\tmkdir -p out; cp source out/part\n"},
                                 {"source", "text\n"}});
    }
    gitlab::JobDescription ofPipeline(std::vector<std::string> script) {
        auto job = this->job(std::move(script));
        setVariable(job, "CI_PIPELINE_CREATED_AT", "2026-01-02T03:04:05Z");
        return job;
    }
    gitlab::JobDescription later(std::vector<std::string> script) {
        auto job = ofPipeline(std::move(script));
        job.dependencies.push_back({.id = 12, .name = "build", .filename = "artifacts.zip"});
        return job;
    }
    /// Builds in a job in the east; the zip for GitLab is made in the west.
    void build() {
        auto job = ofPipeline({"make", "date +%z"});
        job.artifacts = {archiveOf({"out/"})};
        ScriptRun run(job);
        run.setEnvironment("TZ", kEast);
        run.run();
        ASSERT_EQ(run.status().outcome, "success") << run.text();
        ASSERT_THAT(run.text(), HasSubstr("\n+1400\n"));
        const Fd tar(::open((run.folder() / "out/artifact.0.tar.gz").c_str(), O_RDONLY));
        const TimeZone zone(kWest);
        std::ofstream zip(this->zip(), std::ios::binary);
        const auto packed =
            packArtifact(job, 0, std::nullopt, piecesOf(tar), [&](std::string_view bytes) {
                zip << bytes;
                return true;
            });
        ASSERT_TRUE(packed) << packed.error().message;
    }
    /// The service is in the east now, the job in the west.
    std::string textOf(const gitlab::JobDescription& job) {
        ScriptRun run(job, context_);
        {
            const TimeZone zone(kEast);
            const Fd zip(::open(this->zip().c_str(), O_RDONLY));
            std::ofstream out(run.folder() / "in" / dependencyTarball(0), std::ios::binary);
            EXPECT_TRUE(packDependency({}, zip.get(), [&](std::string_view bytes) {
                out << bytes;
                return true;
            }));
        }
        run.setEnvironment("TZ", kWest);
        run.run();
        EXPECT_EQ(run.status().outcome, "success") << run.text();
        return run.text();
    }
    std::filesystem::path zip() const { return top_ / "artifacts.zip"; }
    ScriptContext context_ = contextNow();
};

TEST_F(RoundTripTest, MakeBuildsNothingAgainWhateverTheTimeZones) {
    build();
    const auto text = textOf(later({"make -q && echo up''todate", "TZ=UTC stat -c %y source",
                                    "git diff-index --quiet HEAD && echo un''changed"}));
    EXPECT_THAT(text, HasSubstr("\nuptodate\n"));
    EXPECT_THAT(text, HasSubstr("\n2026-01-02 03:04:05.000000000 +0000\n"));
    EXPECT_THAT(text, HasSubstr("\nunchanged\n"));
    EXPECT_THAT(text, HasSubstr("\nThe files of the sources are as old as the pipeline: "
                                "2026-01-02T03:04:05Z\n"));
}

/// A server's own time zone stands in what it sends.
TEST_F(RoundTripTest, PipelineBeganWhereTheServersClockIs) {
    build();
    auto east = later({"make -q && echo up''todate", "TZ=UTC stat -c %y source"});
    setVariable(east, "CI_PIPELINE_CREATED_AT", "2026-01-02T01:04:05+03:00");
    const auto text = textOf(east);
    EXPECT_THAT(text, HasSubstr("\nuptodate\n"));
    EXPECT_THAT(text, HasSubstr("\n2026-01-01 22:04:05.000000000 +0000\n"));

    for (const std::string odd : {"yesterday", "2026-13-02T01:04:05Z", ""}) {
        setVariable(east, "CI_PIPELINE_CREATED_AT", odd);
        east.steps.front().script = {"make -q || echo st''ale"};
        const auto told = textOf(east);
        EXPECT_THAT(told, HasSubstr("\nstale\n"));
        EXPECT_THAT(told, HasSubstr("\nThe files of the sources are new: CI_PIPELINE_CREATED_AT "
                                    "is no time that has passed\n"));
    }
}

/// An archive from before the pipeline may be of other sources, and so may whatever is in a cache.
TEST_F(RoundTripTest, SourcesAreNewerThanWhatMayHaveBeenMadeOfOthers) {
    build();
    auto young = later({"make -q || echo st''ale"});
    setVariable(young, "CI_PIPELINE_CREATED_AT", "2999-01-02T03:04:05Z");
    EXPECT_THAT(textOf(young), HasSubstr("\nstale\n"));

    context_.cache.folder = top_.string();
    auto cached = later({"make -q || echo st''ale"});
    cached.projectId = 31;
    cached.cache.push_back({.key = "k", .paths = {"other/"}});
    EXPECT_THAT(textOf(cached), HasSubstr("\nstale\n"));
    context_.cache.folder.clear();

    context_.site.home = Site::Home::Project;
    auto atHome = later({"make -q || echo st''ale"});
    atHome.projectId = 31;
    EXPECT_THAT(textOf(atHome), HasSubstr("\nstale\n"));
    context_.site.home = Site::Home::Private;

    const auto old =
        textOf(later({"touch -d 2026-01-02T03:04:04Z out/part", "make -q || echo st''ale"}));
    EXPECT_THAT(old, HasSubstr("\nstale\n"));
}

TEST_F(RoundTripTest, CacheThatIsNotRestoredMakesNoDifference) {
    build();
    auto cached = later({"make -q && echo up''todate"});
    cached.projectId = 31;
    cached.cache.push_back({.key = "k", .paths = {"other/"}});
    EXPECT_THAT(textOf(cached), HasSubstr("\nuptodate\n")) << "there are no caches";
    context_.cache.folder = top_.string();
    cached.cache.front().policy = "push";
    EXPECT_THAT(textOf(cached), HasSubstr("\nuptodate\n"));
}

TEST_F(RoundTripTest, FilesOfSubmodulesAreAsOldAsThePipelineToo) {
    const auto library = commit("physics/lib", {{"part.h", "1\n"}});
    addSubmodule(kProject, "lib", library);
    sha_ = commit(kProject,
                  {{".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n"}});
    build();
    auto deep = later({"TZ=UTC stat -c %y lib/part.h", "git -C lib diff-index --quiet HEAD",
                       "git diff-index --quiet HEAD"});
    setVariable(deep, "GIT_SUBMODULE_STRATEGY", "recursive");
    EXPECT_THAT(textOf(deep), HasSubstr("\n2026-01-02 03:04:05.000000000 +0000\n"));

    // A branch may have gone on since the pipeline's earlier jobs.
    setVariable(deep, "GIT_SUBMODULE_UPDATE_FLAGS", "--remote");
    deep.steps.front().script = {"[ lib/part.h -nt source ] && echo n''ewer"};
    EXPECT_THAT(textOf(deep), HasSubstr("\nnewer\n"));
}

}  // namespace
}  // namespace gridbridge::payload
