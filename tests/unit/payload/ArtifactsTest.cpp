#include "tests/unit/payload/ArtifactsTest.h"

namespace gridbridge::payload {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST_F(ArtifactsTest, FolderIsPackedWholeWithModesLinksAndNames) {
    const auto packed =
        runAndPack({"mkdir -p build/sub/empty other", "echo hi >build/run", "chmod 755 build/run",
                    "echo h >build/.hidden", "echo u >build/ä.txt", "ln -s run build/link",
                    "mkfifo build/fifo", "printf n >$'build/new\\nline'", "echo no >other/x",
                    "echo m >-main.txt"},
                   {"build/", "./-main.txt"});

    ASSERT_TRUE(packed) << packed.error().message;
    const auto files = unzipped(zip());
    EXPECT_EQ(packed->entries, 9);
    EXPECT_EQ(packed->filename, "artifacts.zip");
    EXPECT_THAT(packed->lines,
                ElementsAre("build/: found 8 matching artifact files and directories",
                            "./-main.txt: found 1 matching artifact files and directories"));
    EXPECT_THAT(names(),
                ElementsAre("-main.txt", "build/", "build/.hidden", "build/link", "build/new\nline",
                            "build/run", "build/sub/", "build/sub/empty/", "build/\xc3\xa4.txt"));
    EXPECT_EQ(files.at("build/run").content, "hi\n");
    EXPECT_EQ(files.at("build/run").mode, S_IFREG | 0755U);
    EXPECT_EQ(files.at("build/.hidden").mode, S_IFREG | 0644U);
    EXPECT_EQ(files.at("build/sub/").mode, S_IFDIR | 0755U);
    EXPECT_EQ(files.at("build/link").content, "run");
    EXPECT_EQ(files.at("build/link").mode, S_IFLNK | 0777U);
}

TEST_F(ArtifactsTest, GlobsSelectAsOnTheService) {
    const auto packed = runAndPack(
        {"mkdir -p a/b c", "touch a/x.txt a/b/y.txt a/b/z.log c/x.txt r.txt", "touch \"it's.dat\""},
        {"a/**/*.txt", "?.txt", "{c,d}/*", "it's*"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("a/b/y.txt", "a/x.txt", "c/x.txt", "it's.dat", "r.txt"));
}

TEST_F(ArtifactsTest, WhatTheNodeCouldNotExcludeTheServiceDoes) {
    const auto tar = tarball({{"a.o", "1"}, {"a.txt", "1"}, {"d", "", AE_IFDIR}, {"d/x", "1"}});
    job_.artifacts = {archiveOf({"."})};
    job_.artifacts[0].exclude = {"?.o", "d", "[", "", "../x", "a.txt"};

    const auto packed = packFirst([&] { return piecesOf(tar); });
    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("a.txt", "d/x"));
    EXPECT_THAT(packed->lines, ElementsAre(".: found 2 matching artifact files and directories",
                                           "?.o: excluded 1 files", "d: excluded 1 files",
                                           "WARNING: isExcluded: artifact path is not a subpath of "
                                           "project directory: ../x"));
}

TEST_F(ArtifactsTest, WhatIsExcludedIsCountedWhereverItWas) {
    auto entry = archiveOf({"build/"});
    entry.exclude = {"build/*.o", "build/?.tmp"};

    const auto packed = runAndPackEntry(
        {"mkdir build", "cd build", "touch a.o b.o c.txt d.tmp \"$(printf '\\303\\244')\".tmp"},
        entry);

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("build/", "build/c.txt"));
    EXPECT_THAT(packed->lines,
                ElementsAre("build/: found 2 matching artifact files and directories",
                            "build/*.o: excluded 2 files", "build/?.tmp: excluded 2 files"));
}

TEST_F(ArtifactsTest, TextsAreExpandedWithWhatTheScriptHasSet) {
    auto entry = archiveOf({"$OUT/", "${NOTHING:-other}/*.txt", "$CI_PROJECT_DIR/abs"});
    entry.name = "$OUT-$CI_JOB_NAME";
    entry.exclude = {"$OUT/$SKIP"};
    setVariable(job_, "CI_JOB_NAME", "build");

    const auto packed =
        runAndPackEntry({"echo OUT=made >>\"$GITLAB_ENV\"", "echo SKIP='*.o' >>\"$GITLAB_ENV\"",
                         "mkdir made other", "touch made/a.o made/b other/c.txt abs"},
                        entry);

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("abs", "made/", "made/b", "other/c.txt"));
    EXPECT_EQ(packed->filename, "made-build.zip");
}

TEST_F(ArtifactsTest, PathsAreExpandedFromTheJobsVariables) {
    setVariable(job_, "DIR", "out");
    setVariable(job_, "CI_JOB_NAME", "build all");
    const auto packed =
        runAndPack({"mkdir out abs", "touch out/1 abs/2"}, {"$DIR/1", "${CI_PROJECT_DIR}/abs/2"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("abs/2", "out/1"));
}

TEST_F(ArtifactsTest, NoMatchIsAWarningAndNoFailure) {
    const auto packed = runAndPack({"true"}, {"build/", "*.txt"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_EQ(packed->entries, 0);
    EXPECT_FALSE(std::filesystem::exists(zip()));
    EXPECT_THAT(packed->lines,
                ElementsAre("WARNING: build/: no matching files. Ensure that the artifact path is "
                            "relative to the working directory (group/project)",
                            "WARNING: *.txt: no matching files. Ensure that the artifact path is "
                            "relative to the working directory (group/project)",
                            "ERROR: No files to upload"));
}

TEST_F(ArtifactsTest, PathsOutsideTheProjectAreIgnoredWithALine) {
    const auto packed =
        runAndPack({"echo x >../x", "echo y >y"},
                   {"../x", "/etc/passwd", "$CI_BUILDS_DIR/x", "[", "$NOPE", "a/../y"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("y"));
    const std::string outside =
        "WARNING: processPath: artifact path is not a subpath of project directory: ";
    EXPECT_THAT(packed->lines,
                ElementsAre(outside + "../x", outside + "/etc/passwd", outside + "$CI_BUILDS_DIR/x",
                            "WARNING: [: syntax error in pattern",
                            "WARNING: No matching files. Path is empty.",
                            "a/../y: found 1 matching artifact files and directories"));
}

TEST_F(ArtifactsTest, ArchiveIsNamedAfterTheLastPartOfItsName) {
    setVariable(job_, "CI_JOB_NAME", "build all");
    const auto nameFor = [&](const std::string& name) {
        job_.artifacts = {archiveOf({"x"})};
        job_.artifacts[0].name = name;
        return surveyArtifact(job_, 0, {}, [] { return Result<std::string>(""); })->filename;
    };
    EXPECT_EQ(nameFor(""), "artifacts.zip");
    EXPECT_EQ(nameFor("$CI_JOB_NAME"), "build all.zip");
    EXPECT_EQ(nameFor("x/$CI_JOB_NAME/"), "build all.zip");
    EXPECT_EQ(nameFor("$NOPE"), "default.zip");
    EXPECT_EQ(nameFor("a\"b\nc"), "a_b?c.zip");
    EXPECT_EQ(nameFor(".."), "default.zip");
}

TEST_F(ArtifactsTest, EntriesAreCollectedForTheOutcomeTheyAreFor) {
    for (const bool success : {true, false}) {
        auto job = jobWith({"touch f", success ? "true" : "exit 1"});
        for (const auto* when : {"on_success", "on_failure", "always"}) {
            job.artifacts.push_back(archiveOf({"f"}));
            job.artifacts.back().when = when;
        }
        ScriptRun run(job);
        run.run();
        EXPECT_EQ(run.exists("out/artifact.0.tar.gz"), success);
        EXPECT_EQ(run.exists("out/artifact.1.tar.gz"), !success);
        EXPECT_TRUE(run.exists("out/artifact.2.tar.gz"));
        EXPECT_EQ(run.status().outputs.size(), 2U);
    }
}

TEST_F(ArtifactsTest, CollectionThatFailsIsReported) {
    job_.steps = {{"script", {"rm -rf \"$PWD\""}}};
    job_.artifacts = {archiveOf({"f"})};
    ScriptRun run(job_);
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_EQ(run.status().why, "collect_failed");
}

TEST_F(ArtifactsTest, NonAsciiNamesAreMarkedAsUtf8) {
    ASSERT_TRUE(packItems({{"\xc3\xa4", "1"}}));
    std::ifstream in(zip(), std::ios::binary);
    std::string head(8, '\0');
    in.read(head.data(), 8);
    // Local file header: general purpose flags at offset 6; bit 11 = UTF-8.
    EXPECT_EQ(static_cast<unsigned char>(head[7]) & 8U, 8U);
}

TEST_F(ArtifactsTest, PathsThatMeetBringEachFileOnce) {
    const auto packed = runAndPack({"mkdir -p out/a", "touch out/a/x out/a.txt out/a-b"},
                                   {"out/a", ".", "out/*", "./out"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("out/", "out/a/", "out/a-b", "out/a.txt", "out/a/x"));
}

/// More files than fit into the fields of a zip without the extension for it.
TEST_F(ArtifactsTest, Case72ArchiveOfSeventyThousandFiles) {
    std::vector<Item> items;
    for (int i = 0; i < 70000; ++i) {
        items.push_back({std::to_string(100000 + i), ""});
    }

    const auto packed = packItems(items);

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_EQ(packed->entries, 70000);
    EXPECT_EQ(names().size(), 70000U);
    EXPECT_NE(zipBytes().find("PK\x06\x06"), std::string::npos) << "the directory's end as zip64";
}

TEST_F(ArtifactsTest, NoMoreIsReadOnceNobodyTakesTheZip) {
    const auto tar = tarball({{"a", noise(1'000'000)}});
    job_.artifacts = {archiveOf({"."})};
    int pieces = 0;
    const auto packed = packArtifact(
        job_, 0, {}, [&, next = piecesOf(tar)]() mutable { return ++pieces, next(); },
        [](std::string_view) { return false; });

    EXPECT_TRUE(packed);
    EXPECT_LT(pieces, 200) << "of a thousand";
}

TEST_F(ArtifactsTest, NamesThatAreNotUtf8AreLeftOutWithALine) {
    const auto packed = runAndPack({"mkdir out", "touch $'out/\\xff' out/good"}, {"out/*"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("out/good"));
    EXPECT_THAT(packed->lines.back(), HasSubstr("1 files are left out"));
}

TEST_F(ArtifactsTest, AFileOfTheNodeThatCannotBeReadAnyMoreIsToldAsItIs) {
    const auto tar = tarball({{"a", noise(100'000)}});
    job_.artifacts = {archiveOf({"."})};
    for (const int good : {0, 1}) {
        const Pieces away = [next = piecesOf(tar), left = good]() mutable -> Result<std::string> {
            return left-- > 0 ? next() : transientError("away");
        };
        const auto surveyed = surveyArtifact(job_, 0, {}, away);
        const auto packed = packArtifact(job_, 0, {}, away, [](std::string_view) { return true; });

        ASSERT_FALSE(surveyed);
        EXPECT_EQ(surveyed.error().message, "away");
        ASSERT_FALSE(packed);
        EXPECT_EQ(packed.error().kind, ErrorKind::Transient);
        EXPECT_EQ(packed.error().message, "away");
    }
}

TEST_F(ArtifactsTest, UntrackedFilesAreThoseGitDoesNotKnow) {
    job_.steps = {{"script",
                   {"git init -q .", "echo ignored >.gitignore", "touch ignored known",
                    "git add .gitignore known"}}};
    job_.artifacts = {archiveOf({})};
    job_.artifacts[0].untracked = true;
    ScriptRun run(job_);
    run.run();
    const Fd tar(::open((run.folder() / "out/artifact.0.tar.gz").c_str(), O_RDONLY));
    const auto packed = packFirst([&] { return piecesOf(tar); });

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("ignored"));
    EXPECT_THAT(packed->lines, ElementsAre("untracked: found 1 files"));
}

TEST_F(ArtifactsTest, SameInputGivesTheSameBytes) {
    const auto tar = tarball(
        {{"a", "3"}, {"a.txt", ""}, {"aa/", "", AE_IFDIR}, {"b", std::string(200000, 'x')}});
    ASSERT_TRUE(pack({"."}, tar));
    const auto first = zipBytes();

    ASSERT_TRUE(pack({"."}, tar));

    EXPECT_EQ(first, zipBytes());
}

/// Names of macOS: git keeps them, and so does GitLab's own runner.
TEST_F(ArtifactsTest, NamesAreNotComposed) {
    const auto packed = runAndPack({"touch $'e\\xcc\\x81.txt' f.txt"}, {"*.txt"});

    ASSERT_TRUE(packed) << packed.error().message;
    // The reader of this test composes them.
    EXPECT_THAT(zipBytes(), HasSubstr("e\xcc\x81.txt"));
    EXPECT_EQ(names().size(), 2U);
}

TEST_F(ArtifactsTest, FilesBehindALinkThatThePathNamesComeWithoutTheLink) {
    const auto packed = runAndPack(
        {"mkdir -p _build/html", "touch _build/html/index.html", "ln -s _build/html public"},
        {"public/**"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("public/index.html"));
}

TEST_F(ArtifactsTest, WhatLiesBehindALinkThatComesTooIsLeftOutWithALine) {
    const auto packed = runAndPack({"mkdir -p v1", "touch v1/x.html", "ln -s v1 latest"},
                                   {"latest", "latest/x.html", "v1"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("latest", "v1/", "v1/x.html"));
    EXPECT_THAT(packed->lines.back(), HasSubstr("1 files are left out: they lie below a link"));
}

TEST_F(ArtifactsTest, RepositoryWithinTheProjectIsAnUntrackedFolder) {
    job_.steps = {{"script", {"git init -q .", "git init -q sub", "touch sub/x sub.log sub-1"}}};
    job_.artifacts = {archiveOf({"sub"})};
    job_.artifacts[0].untracked = true;
    ScriptRun run(job_);
    run.run();
    const Fd tar(::open((run.folder() / "out/artifact.0.tar.gz").c_str(), O_RDONLY));
    const auto packed = packFirst([&] { return piecesOf(tar); });

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), Contains("sub/x"));
    EXPECT_THAT(names(), Contains("sub.log"));
}

}  // namespace
}  // namespace gridbridge::payload
