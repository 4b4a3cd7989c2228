// Jobs of a backend with `builds_dir`: scripts that really run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <pwd.h>
#include <signal.h>
#include <thread>
#include <unistd.h>

#include "tests/fakes/LeftOut.h"
#include "tests/fakes/TempDir.h"
#include "tests/fakes/WaitUntil.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using std::filesystem::path;
using ::testing::HasSubstr;

/// The project has the number 31.
class BuildsDirTest : public ::testing::Test {
protected:
    BuildsDirTest() {
        std::filesystem::create_directories(builds);
        std::filesystem::create_directories(bin);
        std::filesystem::permissions(builds, std::filesystem::perms(01777));
        context = contextNow();
        context.site.buildsDir = builds.string();
    }
    static gitlab::JobDescription job(std::vector<std::string> script) {
        auto job = jobWith(std::move(script));
        job.projectId = 31;
        return job;
    }
    /// The node finds this program first.
    void program(const std::string& name, const std::string& text) const {
        std::ofstream(bin / name) << "#!/bin/sh\n" << text;
        std::filesystem::permissions(bin / name, std::filesystem::perms(0755));
    }
    void run(ScriptRun& run) const {
        run.setEnvironment("PATH", bin.string() + ":/usr/local/bin:/usr/bin:/bin");
        run.run();
    }
    std::string textOf(std::vector<std::string> script) const {
        ScriptRun one(job(std::move(script)), context);
        run(one);
        EXPECT_EQ(one.status().outcome, "success") << one.text();
        return one.text();
    }
    std::string failureOf() const {
        ScriptRun one(job({"echo ne''ver"}), context);
        one.shorten("gb_most_slots", 2);
        run(one);
        EXPECT_EQ(one.status().outcome, "system");
        EXPECT_EQ(one.status().stage, "prepare_script");
        return one.text();
    }
    void allowNoNamespace() const { program("unshare", "exit 1\n"); }
    std::string slot(int n) const {
        return (builds / ("gitlab.example.org-31." + std::to_string(n))).string();
    }
    /// What a job says that does its last line when `meanwhile` has been done.
    std::string textAround(const std::string& before, const std::function<void()>& meanwhile,
                           const std::string& last) const {
        ScriptRun one(job({before, ": >\"$GB_OUT/ready\"",
                           "until [ -e \"$GB_OUT/go\" ]; do sleep 0.01; done", last}),
                      context);
        std::jthread running([&] { run(one); });
        const bool began =
            testing::waitUntil([&] { return one.exists("out/ready"); }, std::chrono::seconds(20));
        if (began) {
            meanwhile();
        }
        { std::ofstream(one.folder() / "out/go"); }
        running.join();
        EXPECT_TRUE(began) << one.text();
        EXPECT_EQ(one.status().outcome, "success") << one.text();
        return one.text();
    }
    /// What a second job says that runs while the first one does.
    std::string besideAnother(const std::vector<std::string>& script) const {
        std::string text;
        EXPECT_THAT(textAround(
                        "echo first >mine", [&] { text = textOf(script); }, "cat mine"),
                    HasSubstr("\nfirst\n"));
        return text;
    }

    testing::TempDir top;
    const path builds = top.path() / "of the builds";
    const path bin = top.path() / "bin";
    ScriptContext context;
};

bool hasDone(const std::string& words) {
    return std::system((words + " 2>/dev/null").c_str()) == 0;
}

/// Nobody asks there: some tests are about what the kernel allows.
class BuildsDirNamespaceTest : public BuildsDirTest {
protected:
    void SetUp() override {
        if (!hasDone("unshare --mount mount --bind " + bin.string() + " " + bin.string())) {
            GTEST_SKIP() << testing::leftOut("a mount of the job's own");
        }
    }
};

TEST_F(BuildsDirNamespaceTest, EveryJobHasTheSamePathAlsoBesideOthersAndNobodyElseSeesIt) {
    const auto project = builds / "group/project";
    EXPECT_THAT(textOf({"pwd -P; echo \"$CI_BUILDS_DIR\"; echo \"$RUNNER_TEMP_PROJECT_DIR\""}),
                HasSubstr("\n" + project.string() + "\n" + builds.string() + "\n" +
                          project.string() + ".tmp\n"));
    const auto second = besideAnother({"ls -A; pwd; echo second >mine", "cat mine"});
    EXPECT_THAT(second, HasSubstr(">mine\n" + project.string() + "\n"));
    EXPECT_THAT(second, HasSubstr("\nsecond\n"));
    EXPECT_TRUE(std::filesystem::is_empty(builds));
}

TEST_F(BuildsDirNamespaceTest, WhatIsMadeThereIsCollectedAndGoneAfterwards) {
    auto made = job({"mkdir locked; echo 1 >locked/a; chmod 500 locked"});
    made.artifacts = {archiveOf({"locked/"})};
    setVariable(made, "GIT_CLONE_PATH", "$CI_BUILDS_DIR/elsewhere");
    ScriptRun one(made, context);
    run(one);

    EXPECT_EQ(one.status().outcome, "success") << one.text();
    EXPECT_TRUE(one.exists("out/artifact.0.tar.gz"));
    EXPECT_TRUE(std::filesystem::is_empty(builds));
    EXPECT_TRUE(std::filesystem::is_empty(one.scratch()));
}

/// As autofs does when somebody looks.
TEST_F(BuildsDirNamespaceTest, WhatTheNodeMountsLaterIsSeenAndWhatTheStageMountsIsNot) {
    const auto node = top.path() / "node";
    std::filesystem::create_directory(node);
    const auto words = "mount -t tmpfs none " + node.string();
    ASSERT_TRUE(hasDone(words + " && mount --make-shared " + node.string()));
    std::filesystem::create_directories(node / "builds");
    std::filesystem::create_directories(node / "cvmfs");
    context.site.buildsDir = node / "builds";
    bool leaked = true;
    for (const std::string refused : {"none", "1"}) {
        program("unshare", "case \"$*\" in *--user*) ;; *) [ " + refused +
                               " = none ] || exit 1 ;; esac\nexec /usr/bin/unshare \"$@\"\n");
        EXPECT_THAT(textAround(
                        "true",
                        [&] {
                            leaked = hasDone("mountpoint " + (node / "builds").string());
                            hasDone("mount -t tmpfs none " + (node / "cvmfs").string());
                            std::ofstream(node / "cvmfs/software") << "1";
                        },
                        "echo \"[$(ls '" + (node / "cvmfs").string() + "')]\""),
                    HasSubstr("\n[software]\n"));
        EXPECT_FALSE(leaked);
        hasDone("umount -l " + (node / "cvmfs").string());
    }
    EXPECT_TRUE(hasDone("umount -l " + node.string()));
}

TEST_F(BuildsDirNamespaceTest, NamespaceThatIsRefusedLaterIsToldWithWhatMayBeItsCause) {
    program("unshare", "case \"$*\" in *' test '*) exec /usr/bin/unshare \"$@\" ;; esac\nexit 1\n");
    EXPECT_THAT(failureOf(),
                HasSubstr("the profile of this node, or the shell_init or builds_dir of its "
                          "backend, ended the shell before the first line of the job"));
}

TEST_F(BuildsDirNamespaceTest, OneOfAUserIsTakenWhereThereIsNoOtherAndTheRightToMountIsNotTheJobs) {
    program("unshare",
            "case \"$*\" in *--user*) ;; *) exit 1 ;; esac\nexec /usr/bin/unshare \"$@\"\n");
    program("setpriv",
            "echo \"$*\" >>" + (top.path() / "told").string() + "\nexec /usr/bin/setpriv \"$@\"\n");
    EXPECT_THAT(textOf({"pwd"}), HasSubstr("\n" + (builds / "group/project").string() + "\n"));

    std::ifstream told(top.path() / "told");
    std::string line;
    std::getline(told, line);
    EXPECT_THAT(line, ::testing::StartsWith("--inh-caps=-all --ambient-caps=-all -- "));
}

TEST_F(BuildsDirTest, WithoutNamespacesTheFirstFolderThatNoJobHasIsTaken) {
    allowNoNamespace();
    const auto say = std::vector<std::string>{"pwd; echo \"$CI_BUILDS_DIR\"; touch left"};
    const auto first = "\n" + slot(0) + "/group/project\n" + slot(0) + "\n";
    EXPECT_THAT(textOf(say), HasSubstr(first));
    EXPECT_THAT(textOf(say), HasSubstr(first));
    EXPECT_THAT(besideAnother(say), HasSubstr("\n" + slot(1) + "/group/project\n"));
    EXPECT_THAT(textOf(say), HasSubstr(first));
    for (const int n : {0, 1}) {
        EXPECT_TRUE(std::filesystem::is_empty(slot(n))) << n;
    }
}

TEST_F(BuildsDirTest, WhatAKilledJobLeftInItsFolderIsNotTheNextOnes) {
    allowNoNamespace();
    const path left = slot(0) + "/group/project/left";
    std::filesystem::create_directories(left / "deep");
    std::filesystem::permissions(left, std::filesystem::perms(0));
    std::filesystem::permissions(slot(0), std::filesystem::perms(0));

    EXPECT_THAT(textOf({"echo \"[$(ls -A)]\"; pwd; stat -c %a \"$CI_BUILDS_DIR\""}),
                HasSubstr("[]\n" + slot(0) + "/group/project\n700\n"));
}

/// By its lock, or by where it is.
TEST_F(BuildsDirTest, FolderOfAProcessThatOutlivedItsJobIsLeftAlone) {
    allowNoNamespace();
    for (const std::string left : {"cd /; exec sleep 60", "exec sleep 60 8<&-"}) {
        const auto text = textOf(
            {"setsid sh -c 'echo $$ >\"$GB_OUT/pid.part\"; mv "
             "\"$GB_OUT/pid.part\" \"$GB_OUT/pid\"; " +
                 left + "' >/dev/null 2>&1 &",
             "until [ -e \"$GB_OUT/pid\" ]; do :; done", "echo \"pid=$(cat \"$GB_OUT/pid\").\""});
        const auto at = text.rfind("pid=") + 4;
        EXPECT_THAT(textOf({"pwd"}), HasSubstr("\n" + slot(1) + "/group/project\n")) << left;
        ::kill(std::stoi(text.substr(at)), SIGKILL);
    }
}

TEST_F(BuildsDirTest, FolderThatTakesLongToEmptyIsPassedOver) {
    allowNoNamespace();
    program("timeout", "case \"$*\" in '60 '*.0) exit 124 ;; esac\nexec /usr/bin/timeout \"$@\"\n");
    EXPECT_THAT(textOf({"pwd"}), HasSubstr("\n" + slot(1) + "/group/project\n"));
}

TEST_F(BuildsDirTest, LinksAndFoldersOfOthersAreNotFollowed) {
    allowNoNamespace();
    const auto elsewhere = top.path() / "elsewhere";
    std::filesystem::create_directory(elsewhere);
    std::ofstream(elsewhere / "kept") << "1";
    std::filesystem::create_symlink(elsewhere, slot(0));
    std::ofstream(slot(1)) << "1";
    int expected = 2;
    if (::geteuid() == 0) {
        std::filesystem::create_directory(slot(2));
        ASSERT_EQ(::chown(slot(2).c_str(), 65534, 65534), 0);
        expected = 3;
    }
    EXPECT_THAT(textOf({"pwd"}), HasSubstr("\n" + slot(expected) + "/group/project\n"));
    EXPECT_TRUE(std::filesystem::exists(elsewhere / "kept"));
}

TEST_F(BuildsDirTest, NodeThatCannotKeepThePromiseIsAFailureOfTheSystem) {
    allowNoNamespace();
    const std::string unprepared = "ERROR: prepare environment: ";
    std::filesystem::permissions(builds, std::filesystem::perms(0777));
    EXPECT_THAT(failureOf(),
                HasSubstr(unprepared + "other accounts may write into the builds_dir " +
                          builds.string() + " of this backend, and it has no sticky"));
    std::filesystem::permissions(builds, std::filesystem::perms(01777));
    const std::string inBuilds = " in the builds_dir " + builds.string();
    program("mkdir", "[ \"$2\" != 700 ] || exit 1\nexec /bin/mkdir \"$@\"\n");
    EXPECT_THAT(failureOf(), HasSubstr(unprepared + "no folder can be made" + inBuilds));
    std::filesystem::remove(bin / "mkdir");
    program("flock", "exit 1\n");
    EXPECT_THAT(failureOf(),
                HasSubstr(unprepared + "none of the folders of this project is free" + inBuilds));
    program("flock", "exit 71\n");
    EXPECT_THAT(failureOf(), HasSubstr(unprepared + "no folder can be locked" + inBuilds));
    program("stat", "[ \"$1\" != -f ] || { echo nfs; exit; }\nexec /usr/bin/stat \"$@\"\n");
    EXPECT_THAT(failureOf(), HasSubstr("must then be on a disk of the node's own\n"));
    std::filesystem::remove(bin / "stat");
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(builds.c_str(), 1234, 0), 0);
        EXPECT_THAT(failureOf(), HasSubstr("belongs neither to root nor to the account of this"));
    }
    context.site.buildsDir = "/";
    EXPECT_THAT(failureOf(), HasSubstr("the builds_dir / of this backend would hide the files"));
    context.site.buildsDir = (builds / "absent").string();
    EXPECT_THAT(failureOf(), HasSubstr("/absent of this backend is not there on this node\n"));
    context.site.home = Site::Home::Real;
    const std::string home = ::getpwuid(::geteuid())->pw_dir;
    context.site.buildsDir = home;
    EXPECT_THAT(failureOf(), HasSubstr("would hide the files of this job in " + home));
}

TEST_F(BuildsDirTest, RoomThatMinScratchAsksForIsSoughtWhereTheProjectLies) {
    allowNoNamespace();
    context.site.minScratch = 1;
    program("df", "for last; do :; done\n[ \"$last\" != '" + builds.string() +
                      "' ] || { echo 'fs 9 9 0 100% /'; exit; }\nexec /bin/df \"$@\"\n");
    EXPECT_THAT(failureOf(), HasSubstr("only 0 MiB are free in " + builds.string()));
}

}  // namespace
}  // namespace gridbridge::payload
