// Conformance cases of artifacts. What GitLab got is looked into with another program, `unzip`.
#include <gmock/gmock.h>

#include "tests/e2e/LifeEndToEnd.h"
#include "tests/e2e/Program.h"
#include "tests/fakegitlab/Unpack.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using fakegitlab::Status;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

/// The archive that GitLab got of a job, unpacked into a folder.
class Unpacked {
public:
    Unpacked(const JobSnapshot& job, const std::filesystem::path& place)
        : folder(place / ("unpacked" + std::to_string(job.id))) {
        if (job.artifacts.size() != 1) {
            ADD_FAILURE() << job.artifacts.size() << " archives";
            return;
        }
        bytes_ = job.artifacts[0].bytes;
        const auto zip = place / (std::to_string(job.id) + ".zip");
        writeFile(zip, bytes_);
        // -^ keeps a line's end in a name.
        const auto ended = runProgram({"/usr/bin/env", "LC_ALL=C.UTF-8", "unzip", "-q", "-^",
                                       zip.string(), "-d", folder.string()});
        EXPECT_EQ(ended.exitCode, 0) << ended;
    }

    /// Relative paths; those of folders end with a slash.
    std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
            const bool isFolder = entry.is_directory() && !entry.is_symlink();
            found.push_back(entry.path().lexically_relative(folder).string() +
                            (isFolder ? "/" : ""));
        }
        return found;
    }
    /// General purpose flags of an entry, as its header in the index of the zip has them.
    unsigned flags(const std::string& name) const {
        constexpr std::size_t kHeader = 46;
        for (auto at = bytes_.find("PK\1\2"); at != std::string::npos;
             at = bytes_.find("PK\1\2", at + 1)) {
            if (bytes_.compare(at + kHeader, name.size(), name) == 0) {
                return static_cast<unsigned char>(bytes_.at(at + 8)) |
                       static_cast<unsigned>(static_cast<unsigned char>(bytes_.at(at + 9))) << 8U;
            }
        }
        ADD_FAILURE() << "no entry " << name;
        return 0;
    }

    const std::filesystem::path folder;

private:
    std::string bytes_;
};

std::vector<fakegitlab::RequestRecord> uploads(const JobSnapshot& job) {
    std::vector<fakegitlab::RequestRecord> found;
    std::copy_if(job.requests.begin(), job.requests.end(), std::back_inserter(found),
                 [](const auto& request) { return request.method == "POST"; });
    return found;
}

TEST_F(LifeEndToEnd, Case63GlobsSelectAsDoublestarDoes) {
    const std::string tree =
        "mkdir -p a/b/c b x/y; touch a/1.txt a/b/c/2.txt a/b.log b/1.log b/n.txt top.txt "
        ".hidden.txt x/y/3.txt x.log x1 a.log";
    const struct {
        std::string glob;
        std::vector<std::string> files;  ///< And the folders that match themselves.
    } kGlobs[] = {
        {"**/*.txt", {".hidden.txt", "a/1.txt", "a/b/c/2.txt", "b/n.txt", "top.txt", "x/y/3.txt"}},
        {"a/**", {"a/", "a/1.txt", "a/b.log", "a/b/", "a/b/c/", "a/b/c/2.txt"}},
        {"{a,b}/*.log", {"a/b.log", "b/1.log"}},
        {"[!x]*",
         {".hidden.txt", "a.log", "a/", "a/1.txt", "a/b.log", "a/b/", "a/b/c/", "a/b/c/2.txt", "b/",
          "b/1.log", "b/n.txt", "top.txt"}},
    };
    for (const auto& [glob, files] : kGlobs) {
        const auto job = run({.script = {tree}, .artifacts = {{.paths = {glob}}}});
        EXPECT_EQ(job.status, Status::Success) << glob;
        // The index, since unzip makes the folders above a file as well.
        ASSERT_EQ(job.artifacts.size(), 1U) << glob;
        const auto zip = folder.path / "globs.zip";
        writeFile(zip, job.artifacts[0].bytes);
        EXPECT_THAT(linesOf(runProgram({"/usr/bin/zipinfo", "-1", zip.string()}).out),
                    UnorderedElementsAreArray(files))
            << glob;
        EXPECT_TRUE(says(job, glob + ": found " + std::to_string(files.size()) +
                                  " matching artifact files and directories"))
            << glob;
    }
}

TEST_F(LifeEndToEnd, Case64NothingMatchesAndTheJobStillSucceeds) {
    const auto job = run({.script = {"true"}, .artifacts = {{.paths = {"nowhere/"}}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "no matching files"));
    EXPECT_TRUE(says(job, "No files to upload"));
    EXPECT_TRUE(job.artifacts.empty());
}

TEST_F(LifeEndToEnd, Case65PathsOutsideTheProjectAreIgnoredWithALine) {
    const auto secret = folder.path / "secret";
    writeFile(secret, "of the service");

    const auto job = run({.script = {"echo x > ../x; echo kept > kept.txt"},
                          .artifacts = {{.paths = {"../x", secret.string(), "kept.txt"}}}});
    const auto none = run({.script = {"echo x > ../x"}, .artifacts = {{.paths = {"../x"}}}});

    const std::string outside =
        "WARNING: processPath: artifact path is not a subpath of project directory: ";
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\n" + outside + "../x "));
    EXPECT_TRUE(says(job, "\n" + outside + secret.string() + " "));
    EXPECT_THAT(Unpacked(job, folder.path).names(), ElementsAre("kept.txt"));
    EXPECT_EQ(none.status, Status::Success);
    EXPECT_TRUE(says(none, "\n" + outside + "../x "));
    EXPECT_TRUE(none.artifacts.empty());
}

TEST_F(LifeEndToEnd, Case66LinksModesNamesAndFoldersArriveAndPipesDoNot) {
    const std::string umlaut = "out/\xC3\xA4.txt";
    const auto job =
        run({.script = {"umask 022; mkdir -p out/empty; echo hi > out/run; chmod 755 out/run",
                        "ln -s run out/link; ln -s /etc/passwd out/away",
                        "echo utf8 > " + umlaut + "; echo plain > out/plain.txt",
                        "echo newline > $'out/new\\nline'; mkfifo out/pipe"},
             .artifacts = {{.paths = {"out/"}}}});

    EXPECT_EQ(job.status, Status::Success);
    const Unpacked got(job, folder.path);
    EXPECT_THAT(got.names(),
                UnorderedElementsAre("out/", "out/away", "out/empty/", "out/link", "out/new\nline",
                                     "out/plain.txt", "out/run", umlaut));
    EXPECT_EQ(std::filesystem::read_symlink(got.folder / "out/link"), "run");
    EXPECT_EQ(std::filesystem::read_symlink(got.folder / "out/away"), "/etc/passwd");
    const auto mode = [&](const char* name) {
        return static_cast<unsigned>(std::filesystem::status(got.folder / name).permissions());
    };
    EXPECT_EQ(mode("out/run"), 0755U);
    EXPECT_EQ(mode("out/plain.txt"), 0644U);
    EXPECT_EQ(readFile(got.folder / umlaut), "utf8\n");
    EXPECT_EQ(readFile(got.folder / "out/new\nline"), "newline\n");
    EXPECT_EQ(got.flags(umlaut) & 0x800U, 0x800U);
}

TEST_F(LifeEndToEnd, Case67UntrackedFilesAreThoseThatGitIgnoresAsWell) {
    repository({{".gitignore", "*.o\n"}, {"main.txt", "tracked\n"}});

    const auto job = run({.script = {"ls main.txt", "git check-ignore made.o",
                                     "echo o > made.o; mkdir sub; echo new > sub/new.txt"},
                          .variables = {{.key = "GIT_STRATEGY", .value = "clone"}},
                          .artifacts = {{.untracked = true}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\nuntracked: found 2 files  "));
    EXPECT_THAT(Unpacked(job, folder.path).names(),
                UnorderedElementsAre("made.o", "sub/", "sub/new.txt"));
}

TEST_F(LifeEndToEnd, Case68ArtifactsAreUploadedExactlyWhenTheyShould) {
    for (const std::string when : {"on_success", "on_failure", "always"}) {
        for (const bool good : {true, false}) {
            const auto job =
                run({.script = {"mkdir out; echo hi > out/a.txt", good ? "true" : "false"},
                     .artifacts = {{.name = "result", .paths = {"out/"}, .when = when}}});
            const bool wanted = when == "always" || (when == "on_success") == good;
            ASSERT_EQ(job.artifacts.size(), wanted ? 1U : 0U) << when << good;
            if (wanted) {
                EXPECT_EQ(job.artifacts[0].filename, "result.zip");
                EXPECT_NE(job.artifacts[0].bytes.find("out/a.txt"), std::string::npos);
            }
        }
    }
}

TEST_F(LifeEndToEnd, Case71UploadIsRepeatedWithTheSameBytes) {
    start();
    gitlab->failNext(fakegitlab::FaultKind::Unavailable, 2, fakegitlab::Call::Upload);

    const auto job = run({.script = {"echo hi > a.txt"}, .artifacts = {{.paths = {"a.txt"}}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
    const auto tries = uploads(job);
    ASSERT_EQ(tries.size(), 3U);
    EXPECT_EQ(tries[0].status, 503);
    EXPECT_EQ(tries[1].status, 503);
    EXPECT_EQ(tries[2].status, 201);
    for (const auto& request : tries) {
        EXPECT_EQ(request.bodyHash, tries[0].bodyHash);
        EXPECT_EQ(request.headers.at("content-type"), tries[0].headers.at("content-type"));
    }
}

TEST_F(LifeEndToEnd, Case71UploadIsRepeatedForAsLongAsGitLabCannotTakeIt) {
    start();
    gitlab->failNext(fakegitlab::FaultKind::TooManyRequests, 9, fakegitlab::Call::Upload);

    const auto job = run({.script = {"echo hi > a.txt"}, .artifacts = {{.paths = {"a.txt"}}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
    const auto tries = uploads(job);
    ASSERT_EQ(tries.size(), 10U);
    for (const auto& request : tries) {
        EXPECT_EQ(request.bodyHash, tries[0].bodyHash);
    }
    EXPECT_EQ(lastLine(job), "Job succeeded");
}

TEST_F(LifeEndToEnd, ArtifactsOfAJobThatEndsWhileGitLabIsAwayFollowWhenItIsBack) {
    start();
    const auto go = folder.path / "go";
    const auto id = gitlab->addJob({.script = {"echo hi > a.txt; echo begun; until [ -e " +
                                               go.string() + " ]; do sleep 0.1; done"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .artifacts = {{.paths = {"a.txt"}}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    gitlab->goAway();
    writeFile(go, "");
    ASSERT_TRUE(waitFor([&] { return service->log().find("collecting job=") != std::string::npos; },
                        "the end of the script"));
    ASSERT_TRUE(waitFor(
        [&] {
            return service->log().find("GitLab does not take what is said") != std::string::npos;
        },
        "the outage to be noticed"));
    gitlab->comeBack();

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
}

TEST_F(LifeEndToEnd, Case71RefusedUploadIsTriedThreeTimesAndFailsTheJob) {
    strict = false;  // An archive beside the first is what the server answers with 400.

    const auto job = run({.script = {"echo a > a; echo b > b; echo c > c"},
                          .artifacts = {{.paths = {"a"}}, {.paths = {"b"}}, {.paths = {"c"}}}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 1);
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code 1");
    const auto tries = uploads(job);
    ASSERT_EQ(tries.size(), 4U) << "what follows a failed upload is not sent";
    for (std::size_t i = 1; i < tries.size(); ++i) {
        EXPECT_EQ(tries[i].status, 400);
        EXPECT_EQ(tries[i].bodyHash, tries[1].bodyHash);
    }
}

TEST_F(LifeEndToEnd, Case71TooLargeAnArtifactFailsTheJob) {
    auto small = options();
    small.artifactLimit = 1000;
    gitlab.emplace(clock, small);
    gitlab->addRunner("glrt-test");

    const auto job = run(
        {.script = {"head -c 100000 /dev/urandom > a.bin"}, .artifacts = {{.paths = {"a.bin"}}}});

    ASSERT_EQ(uploads(job).size(), 1U) << "413 is final";
    EXPECT_EQ(uploads(job)[0].status, 413);
    EXPECT_TRUE(says(job, "\nFATAL: too large ")) << plain(job.trace);

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 1);
}

TEST_F(LifeEndToEnd, WhatIsLargerThanTheRunnersArtifactLimitIsNotSentWhole) {
    gitlab.emplace(clock, options());
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    service->configure("artifact_limit = \"1 MiB\"\n", "trusted_jobs = true\n");
    const auto job = run(
        {.script = {"head -c 1500000 /dev/urandom > a.bin"}, .artifacts = {{.paths = {"a.bin"}}}});

    EXPECT_TRUE(job.artifacts.empty());
    EXPECT_TRUE(says(job,
                     "\nERROR: the artifacts are larger than 1 MiB as they are packed for GitLab, "
                     "the artifact_limit of this runner"))
        << plain(job.trace);
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
}

TEST_F(LifeEndToEnd, Case73ArchiveHasTheLastPartOfItsName) {
    const std::pair<std::string, std::string> kNames[] = {{"$CI_JOB_NAME/x", "x.zip"},
                                                          {"x/$CI_JOB_NAME", "test.zip"},
                                                          {"$SET_TO_NOTHING", "default.zip"},
                                                          {"", "artifacts.zip"}};
    for (const auto& [name, filename] : kNames) {
        const auto job = run({.name = "test",
                              .script = {"touch a.txt"},
                              .variables = {{.key = "SET_TO_NOTHING", .value = ""}},
                              .artifacts = {{.name = name, .paths = {"a.txt"}}}});
        ASSERT_EQ(job.artifacts.size(), 1U) << name;
        EXPECT_EQ(job.artifacts[0].filename, filename) << name;
    }
}

TEST_F(LifeEndToEnd, Case77LinkInPlaceOfAPackedArtifactIsNotFollowed) {
    const auto go = folder.path / "go";
    const auto where = folder.path / "where";
    start();
    const auto id = gitlab->addJob(
        {.script = {"echo of-the-service > a.txt; printf %s \"$GB_OUT\" >" + where.string(),
                    "echo begun; until [ -e " + go.string() + " ]; do sleep 0.1; done"},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
         .artifacts = {{.paths = {"a.txt"}}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    EXPECT_EQ(service->stop(), 0);
    const std::filesystem::path out = readFile(where);
    writeFile(go, "");
    ASSERT_TRUE(waitFor([&] { return std::filesystem::exists(out / "status"); }, "its end"));
    // A process that outlived the script does this. What it leads to would be taken as a file: it
    // is what the job packed, byte for byte.
    const auto elsewhere = service->stateDir() / "of-the-service.tar.gz";
    std::filesystem::rename(out / "artifact.0.tar.gz", elsewhere);
    std::filesystem::create_symlink(elsewhere, out / "artifact.0.tar.gz");
    service->start();

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_TRUE(says(job, "artifact.0.tar.gz is, or lies behind, a link\n"));
    EXPECT_TRUE(uploads(job).empty());
    EXPECT_TRUE(std::filesystem::exists(elsewhere));
}

TEST_F(LifeEndToEnd, Case61PathsWithoutWhatIsExcludedByWhatTheScriptHasSet) {
    const auto job =
        run({.script = {"mkdir -p build/sub", "touch build/a.o build/a.txt build/sub/b.o",
                        "echo KIND=o >>$GITLAB_ENV"},
             .artifacts = {
                 {.name = "all but $KIND", .paths = {"build"}, .exclude = {"build/**/*.$KIND"}}}});

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_THAT(Unpacked(job, folder.path).names(),
                UnorderedElementsAre("build/", "build/a.txt", "build/sub/"));
    EXPECT_EQ(job.artifacts[0].filename, "all but o.zip");
    EXPECT_TRUE(says(job, "build/**/*.$KIND: excluded 2 files")) << plain(job.trace);
}

TEST_F(LifeEndToEnd, Case69FilesOfAReportAreOneGzipStreamInTheOrderOfTheirPaths) {
    const auto job = run({.script = {"mkdir b a", "echo one >b/x.xml", "echo two >a/x.xml",
                                     "echo VERSION=1.2 >build.env", "echo whole >all.txt"},
                          .afterScript = {"echo late >b/y.xml"},
                          .artifacts = {{.name = "everything", .paths = {"all.txt"}},
                                        {.name = "junit.xml",
                                         .paths = {"*/*.xml"},
                                         .when = "always",
                                         .type = "junit",
                                         .format = "gzip"},
                                        {.name = ".env",
                                         .paths = {"build.env"},
                                         .when = "always",
                                         .type = "dotenv",
                                         .format = "gzip"}}});

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    ASSERT_EQ(job.artifacts.size(), 3U);
    EXPECT_EQ(job.artifacts[0].filename, "everything.zip");
    EXPECT_EQ(job.artifacts[1].type + " " + job.artifacts[1].filename, "junit junit.xml.gz");
    EXPECT_EQ(fakegitlab::gunzipped(job.artifacts[1].bytes), "two\none\nlate\n");
    EXPECT_EQ(job.artifacts[2].type + " " + job.artifacts[2].filename, "dotenv .env.gz");
    EXPECT_EQ(fakegitlab::gunzipped(job.artifacts[2].bytes), "VERSION=1.2\n");
    EXPECT_TRUE(says(job, "Uploading artifacts as \"junit\" to coordinator... 201 Created"));
}

/// GitLab reads dotenv reports as they come, and refuses what it cannot understand.
TEST_F(LifeEndToEnd, Case69DotenvThatGitLabRefusesFailsTheJob) {
    const auto job =
        run({.script = {"echo '# a comment' >build.env"},
             .artifacts = {
                 {.paths = {"build.env"}, .when = "always", .type = "dotenv", .format = "gzip"}}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_TRUE(says(job, "Invalid Format")) << plain(job.trace);
}

TEST_F(LifeEndToEnd, Case70RawReportIsOneFile) {
    const auto report = [](const std::string& script) {
        return fakegitlab::JobSpec{.script = {script},
                                   .artifacts = {{.name = "gl-sast-report.json",
                                                  .paths = {"*.json"},
                                                  .when = "always",
                                                  .type = "sast",
                                                  .format = "raw"}}};
    };
    const auto two = run(report("touch a.json b.json"));
    EXPECT_EQ(two.status, Status::Failed);
    EXPECT_EQ(two.failureReason, "script_failure");
    EXPECT_TRUE(says(two, "ERROR: only one file can be sent as raw")) << plain(two.trace);
    EXPECT_TRUE(two.artifacts.empty());

    const auto one = run(report("printf '{}' >a.json"));
    EXPECT_EQ(one.status, Status::Success) << plain(one.trace);
    ASSERT_EQ(one.artifacts.size(), 1U);
    EXPECT_EQ(one.artifacts[0].filename, "gl-sast-report.json");
    EXPECT_EQ(one.artifacts[0].bytes, "{}");
}

}  // namespace
}  // namespace gridbridge::testing
