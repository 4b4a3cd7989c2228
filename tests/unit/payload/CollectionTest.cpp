#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/Utf8Locale.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

/// What the node packed for an entry, in its order; a folder's name ends with `/`.
std::vector<std::string> packedNames(const ScriptRun& run, std::size_t index = 0) {
    std::vector<std::string> names;
    const auto path = (run.folder() / "out" / tarballName(index)).string();
    if (!std::filesystem::exists(path)) {
        return names;
    }
    const Utf8Locale utf8;
    archive* in = archive_read_new();
    archive_read_support_filter_gzip(in);
    archive_read_support_format_tar(in);
    EXPECT_EQ(archive_read_open_filename(in, path.c_str(), 10240), ARCHIVE_OK);
    archive_entry* entry = nullptr;
    while (archive_read_next_header(in, &entry) == ARCHIVE_OK) {
        names.emplace_back(archive_entry_pathname(entry));
    }
    archive_read_free(in);
    return names;
}

/// A stage's login shell reads this before the stage.
std::string profileWith(const std::string& text) {
    return "cat >~/.bash_profile <<'end'\n" + text + "\nend";
}
constexpr auto kOtherTools = "grep() { return 2; }; sed() { return 2; }";

class CollectionTest : public ::testing::Test {
protected:
    std::vector<std::string> collected(std::vector<std::string> script,
                                       gitlab::ArtifactEntry entry) {
        auto job = jobWith(std::move(script));
        job.artifacts = {std::move(entry)};
        ScriptRun run(job);
        run.run();
        const auto status = run.status();
        EXPECT_EQ(status.outcome, "success") << run.log();
        EXPECT_EQ(status.why, "") << run.log();
        return packedNames(run);
    }
};

TEST_F(CollectionTest, OnlyWhatIsSurelyExcludedStaysOnTheNode) {
    auto entry = archiveOf({"build/"});
    entry.exclude = {"build/*.o", "**/x?z", "$CI_PROJECT_DIR/build/abs"};
    EXPECT_THAT(
        collected({"mkdir -p build/sub", "cd build", "touch a.o .h.o b.c sub/c.o xyz abs"}, entry),
        ElementsAre("./build/", "./build/b.c", "./build/sub/", "./build/sub/c.o", "./build/xyz"));
}

TEST_F(CollectionTest, NothingIsExcludedBeyondAPatternThatLeadsOut) {
    auto entry = archiveOf({"*"});
    entry.exclude = {"[", "a", "../x", "b"};
    EXPECT_THAT(collected({"touch a b"}, entry), ElementsAre("./b"));
}

TEST_F(CollectionTest, NamesComeInTheOrderOfTheirBytesAndEachOnce) {
    EXPECT_THAT(collected({"mkdir a", "touch -- a/b a.txt ä Z -n 'b\\n'"},
                          archiveOf({"a/*", ".", "a.txt", "a"})),
                ElementsAre("./-n", "./Z", "./a/", "./a.txt", "./a/b", "./b\\n", "./\xc3\xa4"));
}

TEST_F(CollectionTest, UntrackedFilesStandAmongTheOthersOnce) {
    auto entry = archiveOf({"f", "repo"});
    entry.untracked = true;
    entry.exclude = {"*.o", "repo/**/*"};
    for (const auto* profile : {":", kOtherTools}) {
        EXPECT_THAT(collected({"git init -q .", "git init -q repo", "touch e.o f $'g\nh'",
                               profileWith(profile)},
                              entry),
                    ElementsAre("./f", "./g\nh", "./repo/"))
            << profile;
    }
}

TEST_F(CollectionTest, SpecialCharactersSelectWhateverToolsTheNodeHas) {
    const std::vector<std::string> script = {
        "mkdir -p a/b c", "touch a/x.o a/b/y.o c/z.o $'c/new\\nline.o' $'c/line\\n' a/b/keep.o"};
    auto entry = archiveOf({"{a,c}/**/*.o", "c/l*"});
    entry.exclude = {"**/keep.o", "c/n*"};
    for (const auto* profile : {":", kOtherTools}) {
        auto all = script;
        all.push_back(profileWith(profile));
        EXPECT_THAT(collected(all, entry),
                    ElementsAre("./a/b/y.o", "./a/x.o", "./c/line\n", "./c/z.o"))
            << profile;
    }
}

TEST_F(CollectionTest, ALinkBeforeTheFirstSpecialCharacterIsFollowed) {
    EXPECT_THAT(collected({"mkdir real", "touch real/f", "ln -s real link", "ln -s real other"},
                          archiveOf({"link/*", "oth*"})),
                ElementsAre("./link/f", "./other"));
    EXPECT_THAT(collected({"mkdir real", "touch real/f", "ln -s real link", "ln -s no dangling"},
                          archiveOf({"link/**", "dangling/*", "dangling"})),
                ElementsAre("./dangling", "./link/f"));
}

TEST_F(CollectionTest, FailureOfOneEntryLosesNoOther) {
    auto job = jobWith(
        {"touch a b c", profileWith("tar() {\n  [[ $(tr '\\0' : <\"${@: -3:1}\") != ./b: ]] || "
                                    "return 2\n  command tar \"$@\"\n}")});
    job.artifacts = {archiveOf({"a"}), archiveOf({"b"}), archiveOf({"c"})};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_EQ(run.status().why, "collect_failed");
    EXPECT_THAT(packedNames(run, 0), ElementsAre("./a"));
    EXPECT_FALSE(run.exists("out/" + tarballName(1)));
    EXPECT_THAT(packedNames(run, 2), ElementsAre("./c"));
}

TEST_F(CollectionTest, WhatIsLargerThanTheLimitIsNotPackedToItsEndAndLosesNoOther) {
    // It packs nothing, so that it takes no time.
    auto job =
        jobWith({"echo 1 >big; echo 1 >small",
                 profileWith("gzip() {\n  [[ $(tr '\\0' : <\"$gb_tmp/list\") != ./big: ]] "
                             "|| exec head -c 100000000 /dev/zero\n  command gzip \"$@\"\n}")});
    job.artifacts = {archiveOf({"big"}), archiveOf({"small"})};
    auto context = contextNow();
    context.artifactLimit = 2 << 20;
    ScriptRun run(job, context);
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_EQ(run.status().why, "collect_failed");
    EXPECT_THAT(run.log(),
                HasSubstr("\033[31;1mERROR: the artifacts are larger than 68 MiB as the node packs "
                          "them; the artifact_limit of this runner is 2 MiB\033[0;m \n"));
    EXPECT_THAT(run.log(), Not(HasSubstr("limit exceeded"))) << "a line of the shell's";
    EXPECT_FALSE(run.exists("out/" + tarballName(0)));
    EXPECT_FALSE(run.exists("out/" + tarballName(0) + ".part"));
    EXPECT_THAT(packedNames(run, 1), ElementsAre("./small"));
}

TEST_F(CollectionTest, WhatCannotBeWrittenAtAllIsNotSaidToBeTooLarge) {
    auto job =
        jobWith({"echo 1 >a",
                 profileWith("gzip() { rm -f \"$GB_OUT\"/artifact.0.tar.gz.part; return 1; }")});
    job.artifacts = {archiveOf({"a"})};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().why, "collect_failed");
    EXPECT_THAT(run.log(), Not(HasSubstr("larger than")));
}

TEST_F(CollectionTest, TextsAreExpandedWithWhatTheScriptSet) {
    auto job = jobWith({"mkdir -p made/sub",
                        "touch made/a.o made/b.o made/c.o made/sub/a.o made/a.c abs1 abs2 plain",
                        "echo DIR=made >>\"$GITLAB_ENV\"", "echo \"ABS=$PWD\" >>\"$GITLAB_ENV\"",
                        "echo PATH=/nonexistent >>\"$GITLAB_ENV\""});
    setVariable(job, "DIR", "other");
    auto entry =
        archiveOf({"./$DIR//*.${EXT:-o}", "$DIR/{sub,no$NOPE}/**", "${CI_PROJECT_DIR}/abs1",
                   "$ABS/abs2", "$CI_BUILDS_DIR/x", "plain", "$NOPE"});
    entry.name = "all of $DIR";
    entry.exclude = {"$DIR/b.o", "p*", "**/${NOPE:-c}.?", "$ABS"};
    job.artifacts = {entry};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().why, "") << run.log();
    EXPECT_THAT(packedNames(run), ElementsAre("./abs1", "./abs2", "./made/a.o", "./made/c.o",
                                              "./made/sub/", "./made/sub/a.o"));
    EXPECT_THAT(run.status().outputs,
                Contains(Pair(namesName(0), run.file("out/" + namesName(0)).size())));
    EXPECT_THAT(run.script().outputs, Contains(namesName(0)));
    const auto plan = planArtifact(job, entry, run.file("out/" + namesName(0)));
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(plan->filename, "all of made.zip");
    EXPECT_TRUE(plan->paths.at(0).glob->matches("made/a.o"));
    EXPECT_TRUE(plan->paths.at(3).glob->matches("abs2"));
    EXPECT_TRUE(plan->paths.at(4).outside);
    EXPECT_TRUE(plan->excludedBy("made/c.o").has_value());
    EXPECT_THAT(plan->excludedOnNode, ElementsAre(1, 1, 0, 0));
}

TEST_F(CollectionTest, NoTextIsEverRunAsACommand) {
    const std::string attack = "touch $GB_OUT/pwned";
    auto job = jobWith({"touch \"$GB_OUT/control\"", "touch '; touch $GB_OUT' a"});
    setVariable(job, "X", "$(" + attack + ")`" + attack + "`");
    auto entry =
        archiveOf({"$(" + attack + ")", "`" + attack + "`$X", "${X:-$(" + attack + ")}",
                   "${U:-$(" + attack + ")}", "${U:-`" + attack + "`}", "${X/$(" + attack + ")/}",
                   "${X:$(" + attack + ")}", "${X@P}", "${!X}", "$X'; " + attack + "; '",
                   "$X\n" + attack + "\n", "${U:?$(" + attack + ")}", "$[$(" + attack + ")]",
                   "[$X]*{$X,$(" + attack + ")}", "$U"});
    entry.name = "$X";
    entry.exclude = {"$X", "a[$(" + attack + ")]", "$X*"};
    job.artifacts = {entry};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().why, "") << run.log();
    EXPECT_TRUE(run.exists("out/control"));
    EXPECT_FALSE(run.exists("out/pwned"));
    EXPECT_TRUE(planArtifact(job, entry, run.file("out/" + namesName(0))));
}

TEST_F(CollectionTest, LinesThatNoShellCanExportFailOnlyWhatIsExpanded) {
    auto job = jobWith({"touch a", "echo '!' >>\"$GITLAB_ENV\""});
    job.artifacts = {archiveOf({"$A/a"}), archiveOf({"a"})};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().why, "collect_failed");
    EXPECT_THAT(packedNames(run, 1), ElementsAre("./a"));
}

TEST_F(CollectionTest, FilesThatAreTooLargeTogetherAreNotPackedAndLoseNoOtherEntry) {
    auto job = jobWith({"mkdir out; truncate -s 6G out/a out/b; echo hi >small"});
    job.artifacts = {archiveOf({"out"}), archiveOf({"small"})};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().why, "collect_failed");
    EXPECT_THAT(run.text(), HasSubstr("\nERROR: the artifacts are larger than 10 GiB\n"));
    EXPECT_THAT(packedNames(run, 0), IsEmpty());
    EXPECT_THAT(packedNames(run, 1), ElementsAre("./small"));
}

TEST_F(CollectionTest, EndlessTextsFailTheirEntryWithALine) {
    auto job = jobWith({"touch a", "printf 'A=%070000d\\n' 1 >>\"$GITLAB_ENV\""});
    job.artifacts = {archiveOf({"$A", "a"})};
    ScriptRun run(job);
    run.run();

    EXPECT_EQ(run.status().why, "collect_failed");
    EXPECT_FALSE(run.exists("out/" + namesName(0)));
    EXPECT_THAT(run.text(), HasSubstr("longer than 60000 bytes"));
}

}  // namespace
}  // namespace gridbridge::payload
