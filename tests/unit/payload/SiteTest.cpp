// What the site of a backend wants: scripts that really run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <pwd.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bridge/payload/Container.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using std::filesystem::path;
using ::testing::HasSubstr;
using ::testing::Not;

ScriptContext with(Site site) {
    auto context = contextNow();
    context.site = std::move(site);
    return context;
}

void write(const path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

void makeFolder(const path& folder, unsigned mode = 0755) {
    std::filesystem::create_directory(folder);
    std::filesystem::permissions(folder, std::filesystem::perms(mode));
}

std::size_t timesIn(const std::string& text, const std::string& what) {
    std::size_t count = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
        ++count;
    }
    return count;
}

void expectUnprepared(const ScriptRun& run, const std::string& why) {
    EXPECT_EQ(run.status().outcome, "system");
    EXPECT_EQ(run.status().stage, "prepare_script");
    EXPECT_THAT(run.text(), HasSubstr("ERROR: prepare environment: " + why));
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
}

/// A job whose home is that of its project, which has these files.
class ProjectHome {
public:
    ProjectHome(std::vector<std::string> script, std::vector<std::string> after,
                const std::map<std::string, std::string>& files, std::string shellInit = {})
        : run(job(std::move(script), std::move(after)),
              with({.shellInit = std::move(shellInit), .home = Site::Home::Project})),
          home(run.folder().parent_path() / "homes/gitlab.example.org-31") {
        for (const auto& [name, text] : files) {
            write(home / name, text);
        }
    }

    ScriptRun run;
    const path home;

private:
    static gitlab::JobDescription job(std::vector<std::string> script,
                                      std::vector<std::string> after) {
        auto job = jobWith(std::move(script), std::move(after));
        job.projectId = 31;
        return job;
    }
};

TEST(SiteTest, ShellInitComesBeforeScriptAndAfterScript) {
    ScriptRun run(jobWith({"module load gcc", "echo site=$SITE"}, {"module list", "echo $SITE."}),
                  with({.shellInit = "echo of the site\nmodule() { echo \"module: $*\"; }\n"
                                     "false | true; false\nexport SITE='cvm fs'"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("\nmodule: load gcc\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nsite=cvm fs\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nmodule: list\n"));
    EXPECT_THAT(run.text(), HasSubstr("\ncvm fs.\n"));
    EXPECT_EQ(timesIn(run.text(), "of the site\n"), 2U);
}

TEST(SiteTest, VariablesOfTheJobWinOverShellInit) {
    auto job = jobWith({"echo a=$A"});
    setVariable(job, "A", "the job's");
    ScriptRun run(job, with({.shellInit = "export A=${A-site}"}));
    run.run();

    EXPECT_THAT(run.text(), HasSubstr("\na=the job's\n"));
}

TEST(SiteTest, ShellInitWithAMistakeIsToldAndTheJobGoesOn) {
    ScriptRun run(jobWith({"echo on"}), with({.shellInit = "if true; then"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("/in/shell_init.sh: line "));
    EXPECT_THAT(run.text(), HasSubstr("\non\n"));
}

TEST(SiteTest, MistakeEndsNoShellOfPosix) {
    ProjectHome job({"echo o''n"}, {}, {{".profile", "if true; then"}}, "fi");
    job.run.setEnvironment("POSIXLY_CORRECT", "1");
    job.run.run();

    EXPECT_EQ(job.run.status().outcome, "success");
    EXPECT_THAT(job.run.text(), HasSubstr("\non\n"));
}

TEST(SiteTest, TraceThatShellInitLeavesOnShowsNoVariable) {
    for (const std::string debug : {"false", "true"}) {
        auto job = jobWith({"echo on"});
        setVariable(job, "SECRET", "hunter2");
        setVariable(job, "CI_DEBUG_TRACE", debug);
        ScriptRun run(job, with({.shellInit = "set -xv"}));
        run.run();

        EXPECT_EQ(run.status().outcome, "success");
        EXPECT_EQ(timesIn(run.log(), "hunter2"), 0U);
        EXPECT_EQ(timesIn(run.text(), "\n+ echo on\n"), debug == "true" ? 1U : 0U);
    }
}

TEST(SiteTest, WordsOfShellInitThatHangsAreShownWhenTheJobIsEnded) {
    for (const std::string end : {": >\"$GB_IN/cancel\"", "kill -TERM \"$PPID\""}) {
        ScriptRun run(jobWith({"echo ne''ver"}),
                      with({.shellInit = "echo wor''ds\n" + end + "\nsleep 100"}));
        run.run();

        EXPECT_EQ(run.status().outcome, "canceled");
        EXPECT_THAT(run.text(), HasSubstr("\nwords\n"));
    }
}

TEST(SiteTest, WordsOfShellInitThatHangsAreShownAtTheDeadline) {
    for (auto time = std::chrono::seconds(3); time.count() < 60; time *= 2) {
        auto context = with({.shellInit = "echo wor''ds; : >\"$GB_OUT/reached\"; sleep 100"});
        context.deadline = SystemClock().wallNow() + time;
        ScriptRun run(jobWith({"echo ne''ver"}), context);
        run.run();

        if (run.exists("out/reached")) {
            EXPECT_EQ(run.status().outcome, "timedout");
            EXPECT_THAT(run.text(), HasSubstr("\nwords\n"));
            return;
        }
    }
    FAIL() << "no shell begins within half a minute";
}

TEST(SiteTest, LaterStepThatDoesNotBeginFailsAsThatStep) {
    auto job = jobWith({"echo 1 >made; : >\"$GB_OUT/once\""}, {"echo after''wards"});
    job.steps.push_back({"release", {"echo ne''ver"}});
    job.artifacts.push_back(archiveOf({"made"}));
    job.artifacts.back().when = "always";
    ScriptRun run(
        job,
        with({.shellInit =
                  "[ \"$GB_JOB_STATUS\" != running ] || [ ! -e \"$GB_OUT/once\" ] || exit 0"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "failed");
    EXPECT_EQ(run.status().stage, "step_release");
    EXPECT_EQ(run.status().exitCode, 1);
    const auto text = run.text();
    EXPECT_THAT(text, HasSubstr("WARNING: step_release: the profile of this node"));
    EXPECT_THAT(text, HasSubstr("\nafterwards\n"));
    EXPECT_TRUE(run.exists("out/" + tarballName(0)));
    EXPECT_THAT(text, Not(HasSubstr("never")));
}

TEST(SiteTest, ShellInitThatEndsTheShellIsNoSuccess) {
    for (const std::string shellInit : {"exit 0", "exec true", "exit 3", "set -e; false"}) {
        ScriptRun run(jobWith({"echo ne''ver"}, {"echo ne''ver"}), with({.shellInit = shellInit}));
        run.run();

        expectUnprepared(run, "the profile of this node, or the shell_init of its backend, ended");
        EXPECT_THAT(run.text(), Not(HasSubstr("Git"))) << "that took its time before";
    }
}

TEST(SiteTest, FunctionsOfAProfileAreThereAndItsNoiseBreaksNothing) {
    ProjectHome job({"module load gcc", "exit 0"}, {"module list"},
                    {{".bash_profile",
                      "module() { echo \"module: $*\"; }\nprintf 'one\\ntwo\\nno end of line'\n"
                      "read -r line && echo \"read $line\"\nfalse\n"},
                     {".bash_logout", "echo logged out; exit 1\n"}});
    job.run.run();

    EXPECT_EQ(job.run.status().outcome, "success");
    const auto text = job.run.text();
    EXPECT_THAT(text, HasSubstr("\nmodule: load gcc\n"));
    EXPECT_THAT(text, HasSubstr("\nmodule: list\n"));
    EXPECT_THAT(text, HasSubstr("two\n"));
    EXPECT_THAT(text, Not(HasSubstr("logged out")));
}

TEST(SiteTest, ProfileThatPutsAnotherShellInItsPlaceIsNoSuccess) {
    ProjectHome job({"echo ne''ver"}, {"echo ne''ver"}, {{".profile", "exec sh\n"}});
    job.run.run();

    expectUnprepared(job.run, "the profile of this node");
}

TEST(SiteTest, WordsOfAProfileThatEndsTheShellAreTold) {
    ProjectHome job({"echo ne''ver"}, {}, {{".profile", "set -u\necho $NOPE\n"}});
    job.run.run();

    expectUnprepared(job.run, "the profile of this node");
    EXPECT_THAT(job.run.text(), HasSubstr("NOPE: unbound variable\n"));
}

TEST(SiteTest, ProfileIsToldThatTheShellIsALoginShell) {
    ProjectHome job(
        {"type -t shopt"}, {},
        {{".profile", "shopt -q login_shell && shopt -q sourcepath && echo is lo''gin"}});
    job.run.run();

    EXPECT_THAT(job.run.text(), HasSubstr("\nis login\n"));
    EXPECT_THAT(job.run.text(), HasSubstr("\nbuiltin\n"));
}

TEST(SiteTest, ProjectKeepsItsHomeAndNoOtherReachesIt) {
    ProjectHome job({"cat ~/kept 2>&1 || true", "echo once >~/kept", "echo h=$HOME."}, {}, {});
    job.run.run();
    EXPECT_THAT(job.run.text(), HasSubstr("No such file"));
    EXPECT_THAT(job.run.text(), HasSubstr("\nh=" + job.home.string() + ".\n"));
    EXPECT_EQ(std::filesystem::status(job.home).permissions(), std::filesystem::perms(0700));
    EXPECT_EQ(std::filesystem::status(job.home.parent_path()).permissions(),
              std::filesystem::perms(0700));

    std::filesystem::remove(job.run.folder() / "out/started");
    std::filesystem::remove(job.run.folder() / "out/log");
    job.run.run();

    EXPECT_THAT(job.run.text(), HasSubstr("\nonce\n"));
}

TEST(SiteTest, HomesInAFolderOfAnotherAccountAreRefused) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "needs root";
    }
    ProjectHome job({"echo ne''ver"}, {}, {{".profile", ""}});
    ASSERT_EQ(::chown(job.home.parent_path().c_str(), 12345, 12345), 0);
    job.run.run();

    expectUnprepared(job.run, "the home of the project, " + job.home.string());
}

TEST(SiteTest, JobOfNoProjectHasNoHomeOfOne) {
    const auto made = makeScript(jobWith({"true"}), with({.home = Site::Home::Project}));

    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message,
              "the home of a job is that of its project here, and GitLab named no project");
}

TEST(SiteTest, RealHomeIsThatOfTheAccountWhateverTheEnvironmentSays) {
    ScriptRun run(jobWith({"echo h=$HOME."}), with({.home = Site::Home::Real}));
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.text();
    EXPECT_THAT(run.text(),
                HasSubstr(std::string("\nh=") + ::getpwuid(::geteuid())->pw_dir + ".\n"));
}

TEST(SiteTest, ScratchIsTheFolderThatTheSiteNamesWhateverItsName) {
    for (const std::string name : {"plain", "-rf a  'b' \"c\" $(touch x)*"}) {
        ScriptRun outer(jobWith({"true"}));
        const auto folder = outer.folder().parent_path() / name;
        makeFolder(folder);

        ScriptRun run(jobWith({"echo \"d=$CI_PROJECT_DIR.\""}), with({.scratch = folder.string()}));
        run.setEnvironment("_CONDOR_SCRATCH_DIR", "/nonexistent");
        run.run();

        EXPECT_EQ(run.status().outcome, "success");
        EXPECT_THAT(run.text(), HasSubstr("\nd=" + folder.string() + "/gb."));
        EXPECT_TRUE(std::filesystem::is_empty(folder));
    }
}

TEST(SiteTest, ScratchOfTheNodesEnvironment) {
    const auto job = jobWith({"echo ne''ver d=$CI_PROJECT_DIR"});
    const auto context = with({.scratch = "$NODE_DISK"});
    const std::string gone = "the scratch folder $NODE_DISK of this backend is not there";
    ScriptRun set(job, context);
    const auto folder = set.folder().parent_path() / "node's disk";
    makeFolder(folder);
    set.setEnvironment("NODE_DISK", folder.string());
    set.run();
    EXPECT_THAT(set.text(), HasSubstr(" d=" + folder.string() + "/gb."));

    ScriptRun unset(job, context);
    unset.run();
    expectUnprepared(unset, gone);
    EXPECT_TRUE(std::filesystem::is_empty(unset.scratch()));

    for (const std::string value : {"/nonexistent/disk", "relative", "", "/dev/null"}) {
        ScriptRun run(job, context);
        run.setEnvironment("NODE_DISK", value);
        run.run();
        expectUnprepared(run, gone);
    }

    auto inImage = std::pair(job, context);
    inImage.first.image.name = "/image";
    inImage.second.container = containerPreset(kPodman);
    for (const std::string name : {"a:b", "a,b"}) {
        ScriptRun run(inImage.first, inImage.second);
        makeFolder(run.scratch() / name);
        run.setEnvironment("NODE_DISK", run.scratch() / name);
        run.run();
        expectUnprepared(run, "no container can have the files of a job in ");
    }
}

TEST(SiteTest, ScratchThatOthersMayWriteNeedsTheStickyBit) {
    for (const unsigned mode : {0777U, 0775U, 0757U, 0755U, 01777U, 01775U}) {
        ScriptRun outer(jobWith({"true"}));
        const auto folder = outer.folder().parent_path() / "disk";
        makeFolder(folder, mode);
        // What a link leads to counts.
        std::filesystem::create_directory_symlink(folder, outer.folder() / "link");
        ScriptRun run(jobWith({"true"}), with({.scratch = (outer.folder() / "link").string()}));
        run.run();

        if (mode == 0755 || mode > 01000) {
            EXPECT_EQ(run.status().outcome, "success") << run.text();
        } else {
            expectUnprepared(run, "other accounts may write into the scratch folder ");
            EXPECT_TRUE(std::filesystem::is_empty(folder));
        }
    }
}

TEST(SiteTest, TooLittleRoomIsToldBeforeTheScriptBegins) {
    ScriptRun enough(jobWith({"true"}), with({.minScratch = 1}));
    enough.run();
    EXPECT_EQ(enough.status().outcome, "success");

    ScriptRun run(jobWith({"echo ne''ver"}), with({.minScratch = std::uint64_t{1} << 60U}));
    run.run();
    expectUnprepared(run, "only ");
    EXPECT_THAT(run.text(), HasSubstr(" MiB are free in " + run.scratch().string() +
                                      ", and min_scratch asks for 1099511627776 MiB\n"));
    EXPECT_TRUE(std::filesystem::is_empty(run.scratch()));
}

TEST(SiteTest, PathsOfTheProjectHaveNoSlashTooMuch) {
    ScriptRun run(jobWith({"[ \"$PWD\" = \"$CI_PROJECT_DIR\" ]", "echo \"d=$CI_PROJECT_DIR.\""}));
    run.setEnvironment("TMPDIR", run.scratch().string() + "//");
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("\nd=" + run.scratch().string() + "/gb."));
}

/// A job of a backend without a key of this kind, on a node whose profile this is: its `bash` takes
/// the one for the other.
class NodeWithProfile {
public:
    NodeWithProfile(const gitlab::JobDescription& job, const std::string& profile) : run(job) {
        const auto node = run.folder().parent_path() / "node";
        write(node / ".bash_profile", "HOME=$GB_HOME_DIR\n" + profile + "\n");
        write(node / "bin/bash", "#!/bin/bash\n[ \"$1\" != --login ] || HOME='" + quoted(node) +
                                     "'\nexec /bin/bash \"$@\"\n");
        std::filesystem::permissions(node / "bin/bash", std::filesystem::perms(0755));
        run.setEnvironment("PATH", (node / "bin").string() + ":/usr/local/bin:/usr/bin:/bin");
        run.setEnvironment("NODE", node.string());
    }

    ScriptRun run;

private:
    static std::string quoted(const path& file) {
        auto text = file.string();
        for (auto at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 4)) {
            text.replace(at, 1, "'\\''");
        }
        return text;
    }
};

TEST(SiteTest, ProfileWithAMistakeEndsNoJob) {
    for (const std::string profile :
         {"echo of the node; set -u; echo $NOPE", "echo of the node\n: ${NOPE:?}",
          "echo of the node\nif true; then", "echo of the node; false; set -o posix"}) {
        NodeWithProfile node(jobWith({"echo o''n"}), profile);
        node.run.run();

        EXPECT_EQ(node.run.status().outcome, "success") << profile;
        EXPECT_THAT(node.run.text(), HasSubstr("\nof the node\n"));
        EXPECT_THAT(node.run.text(), HasSubstr("\non\n"));
    }
}

TEST(SiteTest, ProfileOfTheNodeThatEndsTheShellIsNoSuccess) {
    for (const std::string profile : {"exit 0", "exec sh", "exit 3"}) {
        NodeWithProfile node(jobWith({"echo ne''ver"}, {"echo ne''ver"}), profile);
        node.run.run();

        expectUnprepared(node.run, "the profile of this node");
    }
}

TEST(SiteTest, LastWordsWithoutAnEndOfLineStandOnALineOfTheirOwn) {
    const std::string profile = "printf 'no end'; exit 1";
    NodeWithProfile node(jobWith({"true"}), profile);
    node.run.run();
    EXPECT_THAT(node.run.text(), HasSubstr("no end\nERROR: prepare environment: "));

    ProjectHome job({"true"}, {}, {{".profile", profile}});
    job.run.run();
    EXPECT_THAT(job.run.text(), HasSubstr("no end\nERROR: prepare environment: "));
}

TEST(SiteTest, StageThatDoesNotBeginIsSeenOnAFullDisk) {
    NodeWithProfile node(jobWith({"cat /dev/zero >big || tr''ue"}, {"echo ne''ver"}),
                         "[ \"$GB_JOB_STATUS\" = running ] || exit 0");
    const auto disk = node.run.scratch();
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m,mode=700") != 0) {
        GTEST_SKIP() << "needs a disk of its own, and root to make it";
    }
    node.run.run();
    EXPECT_EQ(::umount(disk.c_str()), 0);

    EXPECT_EQ(node.run.status().outcome, "success");
    EXPECT_THAT(node.run.text(), HasSubstr("WARNING: after_script failed"));
}

TEST(SiteTest, SourcesAreTriedAgainWhereTheProfileEndedTheShellOnce) {
    auto job = jobWith({"echo o''n"});
    setVariable(job, "GET_SOURCES_ATTEMPTS", "2");
    NodeWithProfile node(job, "[ -e \"$NODE/once\" ] || { echo >\"$NODE/once\"; exit 1; }");
    node.run.shorten("gb_retry_wait", 0);
    node.run.run();

    EXPECT_EQ(node.run.status().outcome, "success");
    EXPECT_THAT(node.run.text(), HasSubstr("\non\n"));
}

TEST(SiteTest, FilesThatAreNotCollectedForTheProfileAreLost) {
    auto job = jobWith({"echo 1 >made"});
    job.artifacts.push_back(archiveOf({"made"}));
    NodeWithProfile node(job, "[ \"$GB_JOB_STATUS\" = running ] || exit 0");
    node.run.run();

    EXPECT_EQ(node.run.status().outcome, "success");
    EXPECT_EQ(node.run.status().why, "collect_failed");
    EXPECT_THAT(node.run.text(), HasSubstr("WARNING: collect: the profile of this node"));
}

TEST(SiteTest, AfterScriptThatDoesNotBeginIsWarnedOf) {
    NodeWithProfile node(jobWith({"true"}, {"echo ne''ver"}),
                         "[ \"$GB_JOB_STATUS\" = running ] || exit 0");
    node.run.run();

    EXPECT_EQ(node.run.status().outcome, "success");
    EXPECT_THAT(node.run.text(), HasSubstr("WARNING: after_script failed, but job will continue"));
    EXPECT_THAT(node.run.text(), Not(HasSubstr("never")));
}

TEST(SiteTest, WhatAScriptPutsInTheWayOfTheNextStageIsTakenAway) {
    for (const std::string in_the_way : {"mkfifo", "mkdir", "ln -s /dev/full"}) {
        ScriptRun run(jobWith({"rm -f \"$GB_CTL/unbegun\"; " + in_the_way + " \"$GB_CTL/unbegun\""},
                              {"echo after''wards"}));
        run.run();

        EXPECT_EQ(run.status().outcome, "success") << in_the_way;
        EXPECT_THAT(run.text(), HasSubstr("\nafterwards\n")) << in_the_way;
    }
}

TEST(SiteTest, NodeWhoseShellsAreThoseOfPosix) {
    ProjectHome job({"module load gcc", "echo site=$SITE"}, {"module list"},
                    {{".bash_profile", "module() { echo \"module: $*\"; }\n"}},
                    "export SITE=here\nif true; then");
    job.run.setEnvironment("POSIXLY_CORRECT", "1");
    job.run.setEnvironment("SHELLOPTS", "posix");
    job.run.setEnvironment("BASH_ENV", "/nonexistent/$(echo ne''ver >&2)");
    job.run.run();

    EXPECT_EQ(job.run.status().outcome, "success");
    EXPECT_THAT(job.run.text(), HasSubstr("\nmodule: load gcc\n"));
    EXPECT_THAT(job.run.text(), HasSubstr("\nsite=here\n"));
    EXPECT_THAT(job.run.text(), HasSubstr("\nmodule: list\n"));
    EXPECT_EQ(std::filesystem::status(job.home).permissions(), std::filesystem::perms(0700));
}

}  // namespace
}  // namespace gridbridge::payload
