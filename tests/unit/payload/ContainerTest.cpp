// Jobs with an image, in a container that is none: a script stands for the runtime.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <thread>
#include <unistd.h>

#include "bridge/payload/Container.h"
#include "tests/fakes/WaitUntil.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

gitlab::JobDescription jobIn(const std::string& image, std::vector<std::string> script,
                             std::vector<std::string> after = {}) {
    auto job = jobWith(std::move(script), std::move(after));
    job.image.name = image;
    return job;
}

/// A runtime that writes its words, one line each, into `words` beside it, and then runs as a
/// program what follows the image, with an empty environment, so that only what the stage brings
/// along is there.
class ContainerTest : public ::testing::Test {
protected:
    ContainerTest() {
        std::string pattern = ::testing::TempDir() + "container.XXXXXX";
        folder = mkdtemp(pattern.data());
        program("runtime", "printf '%s\\n' \"$@\" >>" + words() +
                               "\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\n"
                               "exec env -i PATH=/usr/bin:/bin \"$@\"\n");
        program("stop", "echo \"stopped $1\" >>" + words() + "\n");
        context = contextNow();
        context.backend = "here";
        context.container = {
            .run = {path("runtime"), "{name}", "[{workdir}]", "--bind={binds}:{binds}",
                    "--entrypoint={entrypoint}", "--", "{image}"},
            .stop = {path("stop"), "{name}"},
            .binds = {"/cvmfs"}};
    }
    ~ContainerTest() override { std::filesystem::remove_all(folder); }

    std::string path(const std::string& name) const { return (folder / name).string(); }
    std::string words() const { return path("words"); }
    void program(const std::string& name, const std::string& text) const {
        std::ofstream(folder / name) << "#!/bin/sh\n" << text;
        std::filesystem::permissions(folder / name, std::filesystem::perms(0755));
    }
    std::string told() const {
        std::ifstream in(words());
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::string refusal(const gitlab::JobDescription& job) const {
        const auto script = makeScript(job, context);
        return script ? "" : script.error().message;
    }

    std::filesystem::path folder;
    ScriptContext context;
};

TEST_F(ContainerTest, OnlyTheScriptsRunInsideWithTheFoldersOfTheJobAndTheSites) {
    auto job = jobIn("registry.example.org/$NAME:1", {"echo in=$TEXT", "pwd; umask"},
                     {"echo after=$CI_JOB_STATUS"});
    setVariable(job, "NAME", "tools");
    setVariable(job, "TEXT", "it's");
    setVariable(job, "GIT_STRATEGY", "none");
    ScriptRun run(job, context);
    ASSERT_EQ(run.run(), 0);

    EXPECT_EQ(run.status().outcome, "success") << run.text();
    EXPECT_THAT(run.text(), HasSubstr("Using container image registry.example.org/tools:1\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nin=it's\n"));
    EXPECT_THAT(run.text(), HasSubstr("/builds/group/project\n0022\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nafter=success\n"));
    const auto said = told();
    EXPECT_EQ(said.find(".get_sources"), std::string::npos) << said;
    EXPECT_THAT(said, HasSubstr(".step_script\n["));
    EXPECT_THAT(said, HasSubstr(".after_script\n["));
    EXPECT_THAT(said, HasSubstr("--bind=/cvmfs:/cvmfs\n--\nregistry.example.org/tools:1\nsh\n"));
    const auto in = (run.folder() / "in").string();
    EXPECT_THAT(said, HasSubstr("--bind=" + in + ":" + in + "\n"));
    EXPECT_THAT(said, Not(HasSubstr("--entrypoint")));
    EXPECT_THAT(said, Not(HasSubstr("stopped"))) << "It ended by itself.";
}

/// The runtime binds nothing: it tells the job the paths of the node, once it has kept what it got.
TEST_F(ContainerTest, ProjectLiesBelowBuildsAndItsPathsThereAreUnderstoodOnTheNode) {
    program("runtime",
            "for last; do :; done\nprintf '%s\\n' \"$@\" >" + words() + "\ncat \"$last\" >>" +
                words() +
                "\nsed -i 's|^gb_stage=|gb=${GB_CTL%/ctl}/builds GB_BUILDS_DIR=$gb "
                "GB_PROJECT_DIR=$gb/group/project GB_TMP_DIR=$gb/group/project.tmp; &|' \"$last\"\n"
                "exec env -i PATH=/usr/bin:/bin sh \"$last\"\n");
    context.container.run = {path("runtime"), "{workdir}", "--bind={builds}:/builds", "{image}"};
    auto job = jobIn("a", {"echo 1 >made; echo OUT=/builds/group/project/made >>\"$GITLAB_ENV\""});
    job.artifacts = {archiveOf({"$OUT"})};
    ScriptRun run(job, context);
    ASSERT_EQ(run.run(), 0);

    EXPECT_EQ(run.status().outcome, "success") << run.text();
    EXPECT_THAT(told(),
                HasSubstr("/builds/group/project\n--bind=" + run.scratch().string() + "/gb."));
    EXPECT_THAT(told(), HasSubstr("/builds:/builds\n"));
    for (const std::string line : {"BUILDS_DIR='/builds'", "PROJECT_DIR='/builds/group/project'",
                                   "TMP_DIR='/builds/group/project.tmp'"}) {
        EXPECT_THAT(told(), HasSubstr("\nGB_" + line + "\n"));
    }
    EXPECT_TRUE(run.exists("out/artifact.0.tar.gz"));
}

TEST_F(ContainerTest, EntrypointOfTheJobReplacesThatOfTheImage) {
    auto job = jobIn("a", {"echo hello"});
    job.image.entrypoint = {""};
    ScriptRun none(job, context);
    ASSERT_EQ(none.run(), 0);
    EXPECT_THAT(told(), HasSubstr("--entrypoint=\n--\ndocker.io/library/a\nsh\n"));
    job.image.entrypoint = {"env", "X=it's"};
    ScriptRun own(job, context);
    ASSERT_EQ(own.run(), 0);
    EXPECT_THAT(told(), HasSubstr("--entrypoint=\n--\ndocker.io/library/a\nenv\nX=it's\nsh\n"));
    EXPECT_THAT(own.text(), HasSubstr("\nhello\n"));
}

/// A folder with these programs and no bash.
std::string programsWithoutBash(const std::filesystem::path& folder) {
    const auto bin = folder / "bin";
    std::filesystem::create_directory(bin);
    for (const std::string name : {"sh", "mkdir", "cat"}) {
        std::filesystem::create_symlink("/bin/" + name, bin / name);
    }
    return bin.string();
}

TEST_F(ContainerTest, ImageNeedsNoBash) {
    program("runtime", "while [ \"$1\" != -- ]; do shift; done\nshift 2\nexec env -i PATH=" +
                           programsWithoutBash(folder) + " \"$@\"\n");
    auto job = jobIn("a", {"echo bash=[${BASH_VERSION-}]", "echo \" LATE=a  b\" >>$GITLAB_ENV"},
                     {"echo late=\"[$LATE]\"; false; echo never"});
    ScriptRun run(job, context);
    ASSERT_EQ(run.run(), 0);

    EXPECT_THAT(run.text(), HasSubstr("\nbash=[]\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nlate=[a  b]\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("\nnever\n")));
    EXPECT_EQ(run.status().outcome, "success") << run.text();
}

TEST_F(ContainerTest, ExitCodeIsTheScriptsOnceItBegan) {
    for (const int code : {1, 125, 126, 127, 255}) {
        ScriptRun run(jobIn("a", {"exit " + std::to_string(code)}), context);
        ASSERT_EQ(run.run(), 0);
        const auto status = run.status();
        EXPECT_EQ(status.outcome, "failed");
        EXPECT_EQ(status.why, "");
        EXPECT_EQ(status.exitCode, code);
    }
}

TEST_F(ContainerTest, RuntimeThatEndsBeforeItsScriptIsNoSuccess) {
    program("runtime", "while [ \"$1\" != -- ]; do shift; done\n: >\"${4%/*}/entered\"\nexit 0\n");
    ScriptRun run(jobIn("a", {"true"}), context);
    ASSERT_EQ(run.run(), 0);
    EXPECT_EQ(run.status().outcome, "failed");
    EXPECT_EQ(run.status().exitCode, 143);
}

TEST_F(ContainerTest, RuntimeHasTheHomeOfTheAccountAndNoTemporaryFolderOfAJob) {
    const auto note = "echo \"$HOME $TMPDIR ${APPTAINER_TMPDIR%.*}\" >>" + words() + "\n";
    program("pull", note);
    program("runtime", note + "exit 1\n");
    program("stop", note);
    context.container.pull = {path("pull"), "{image}"};
    ScriptRun run(jobIn("a", {"true"}), context);
    run.setEnvironment("TMPDIR", folder.string());
    ASSERT_EQ(run.run(), 0);

    const std::string line =
        std::string(getpwuid(getuid())->pw_dir) + " /tmp " + folder.string() + "/gb\n";
    EXPECT_EQ(told(), line + line + line);
}

TEST_F(ContainerTest, RuntimeThatSaysSuccessIsBelievedOnlyWhenTheScriptSaysSo) {
    program("runtime", "while [ \"$1\" != -- ]; do shift; done\nshift 2\n\"$@\"\nexit 0\n");
    ScriptRun good(jobIn("a", {"true"}), context);
    ASSERT_EQ(good.run(), 0);
    EXPECT_EQ(good.status().outcome, "success");
    for (const int code : {9, 200}) {
        ScriptRun bad(jobIn("a", {"exit " + std::to_string(code)}), context);
        ASSERT_EQ(bad.run(), 0);
        EXPECT_EQ(bad.status().outcome, "failed");
        EXPECT_EQ(bad.status().exitCode, code);
    }
    for (const std::string way : {"echo 0x0 >", "mkfifo ", "mkdir "}) {
        const auto file = "\"$GB_CTL/ended\"";
        ScriptRun odd(jobIn("a", {std::string("rm ") + file, way + file, "kill -KILL $PPID"}),
                      context);
        ASSERT_EQ(odd.run(), 0);
        EXPECT_EQ(odd.status().exitCode, 143) << way;
    }
}

TEST_F(ContainerTest, ShellOfTheImageThatEndsBeforeTheScriptIsNoSuccess) {
    program("bash", "exit 0\n");
    program("runtime", "while [ \"$1\" != -- ]; do shift; done\nshift 2\nPATH=" + folder.string() +
                           ":$PATH exec \"$@\"\n");
    ScriptRun run(jobIn("a", {"echo script-ran"}, {"echo after"}), context);
    ASSERT_EQ(run.run(), 0);

    EXPECT_EQ(run.status().outcome, "failed");
    EXPECT_EQ(run.status().exitCode, 1);
    EXPECT_THAT(run.text(), HasSubstr("the shell of the image ended before the first line"));
}

TEST_F(ContainerTest, WhatAnotherOwnerIsLeftInTheFolderIsTakenBack) {
    program("own", "echo \"own $1\" >>" + words() + "\nchown -R 0:0 \"$1\"\n");
    context.container.own = {path("own")};
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can give files away";
    }
    ScriptRun run(jobIn("a", {"mkdir d; touch d/f; chown -R 1234 d"}, {"stat -c %u d/f"}), context);
    ASSERT_EQ(run.run(), 0);
    EXPECT_THAT(told(), HasSubstr("\nown /"));
    EXPECT_THAT(run.text(), HasSubstr("\n0\n"));
    ScriptRun plain(jobIn("a", {"true"}), context);
    std::filesystem::remove(words());
    ASSERT_EQ(plain.run(), 0);
    EXPECT_THAT(told(), Not(HasSubstr("own /")));
}

TEST_F(ContainerTest, ContainerThatDidNotStartIsNoExitCodeOfTheScript) {
    program("runtime", "echo 'no such image' >&2; exit 125\n");
    ScriptRun run(jobIn("a", {"true"}, {"echo after"}), context);
    ASSERT_EQ(run.run(), 0);

    const auto status = run.status();
    EXPECT_EQ(status.outcome, "failed");
    EXPECT_EQ(status.why, "image_failed");
    EXPECT_EQ(status.stage, "step_script");
    EXPECT_EQ(status.exitCode, 125);
    EXPECT_THAT(run.text(), HasSubstr("no such image\nERROR: the container of this job did not "
                                      "start\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("\nafter\n")));

    context.container.run[0] = path("absent");
    ScriptRun missing(jobIn("a", {"true"}), context);
    ASSERT_EQ(missing.run(), 0);
    EXPECT_EQ(missing.status().why, "image_failed");
    EXPECT_THAT(missing.text(), HasSubstr("No such file"));
}

/// As a runtime with processes of its own does: a signal reaches the container's first process
/// alone, and a runtime that is killed leaves it behind.
constexpr const char* kApart = R"(while [ "$1" != -- ]; do shift; done
shift 2
setsid env -i PATH=/usr/bin:/bin "$@" &
trap 'kill -TERM $!' TERM
wait $!; code=$?
trap '' TERM
wait $! 2>/dev/null && code=$?
exit $code
)";

TEST_F(ContainerTest, CancelReachesTheWholeScriptAndWhatStaysIsStopped) {
    program("runtime", kApart);
    ScriptRun run(
        jobIn("a", {"trap 'echo told; exit 3' TERM", "echo up >\"$CI_PROJECT_DIR/../../../../up\"",
                    "sleep 60; echo never"}),
        context);
    std::thread cancel([&] {
        EXPECT_TRUE(gridbridge::testing::waitUntil(
            [&] { return std::filesystem::exists(run.scratch() / "up"); },
            std::chrono::seconds(50)));
        std::ofstream(run.folder() / "in/cancel") << "";
    });
    ASSERT_EQ(run.run(), 0);
    cancel.join();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_THAT(run.text(), HasSubstr("\ntold\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("\nnever\n")));
    EXPECT_THAT(told(), ::testing::MatchesRegex("stopped gb\\.[A-Za-z0-9]+\\.step_script\n"));
}

/// As podman does: its first process ends at once, with the code 0; a second hands on what the
/// script prints.
constexpr const char* kHandsOn = R"(while [ "$1" != -- ]; do shift; done
shift 2
sh -c 'setsid env -i PATH=/usr/bin:/bin "$@" | (trap "" TERM; exec cat)' sh "$@" &
trap 'read -r pid <"${FIRST}"; kill -TERM "$pid"; exit 0' TERM
wait $!
)";

TEST_F(ContainerTest, LastWordsOfAScriptAreInTheLogWhenItsRuntimeEndsFirst) {
    std::string runtime = kHandsOn;
    runtime.replace(runtime.find("${FIRST}"), 8, path("first"));
    program("runtime", runtime);
    ScriptRun run(
        jobIn("a", {"trap 'sleep 0.5; echo told; exit 3' TERM", "echo $PPID >" + path("part"),
                    "mv " + path("part") + " " + path("first"), "sleep 60; echo never"}),
        context);
    std::thread cancel([&] {
        EXPECT_TRUE(gridbridge::testing::waitUntil(
            [&] { return std::filesystem::exists(path("first")); }, std::chrono::seconds(50)));
        std::ofstream(run.folder() / "in/cancel") << "";
    });
    ASSERT_EQ(run.run(), 0);
    cancel.join();

    EXPECT_EQ(run.status().outcome, "canceled");
    EXPECT_THAT(run.text(), HasSubstr("\ntold\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("\nnever\n")));
}

TEST_F(ContainerTest, RuntimeThatDoesNotComeBackFromTheRemovalIsLeft) {
    program("stop", "sleep 1000\n");
    ScriptRun run(jobIn("a", {"exit 4"}), context);
    run.shorten("gb_stop_limit", 1);
    ASSERT_EQ(run.run(), 0);
    EXPECT_EQ(run.status().exitCode, 4);
}

TEST_F(ContainerTest, PullComesFirstAndItsLoginIsGoneWhenTheScriptBegins) {
    program("pull", "printf '%s\\n' \"$@\" >>" + words() + "\ncat \"$1\" >>" + words() +
                        "\nstat -c %a \"$1\" >>" + words() + "\n");
    context.container.pull = {path("pull"), "{auth}", "{image}"};
    auto job = jobIn("registry.example.org/group/tools:1", {"ls \"$GB_IN\""});
    job.registryCredentials = {{"registry.example.org", "bot", Secret("pass-word-1")},
                               {"other.example.org", "bot", Secret("pass-word-2")}};
    ScriptRun run(job, context);
    ASSERT_EQ(run.run(), 0);

    EXPECT_EQ(run.status().outcome, "success") << run.text();
    EXPECT_THAT(told(), HasSubstr("/in/logins.json\nregistry.example.org/group/tools:1\n"
                                  "{\"auths\":{\"registry.example.org\":{\"auth\":"
                                  "\"Ym90OnBhc3Mtd29yZC0x\"}}}\n600\n"));
    EXPECT_THAT(run.text(), HasSubstr("env.sh"));
    EXPECT_THAT(run.text(), Not(HasSubstr("logins.json")));
    for (const auto& file : run.script().inputs) {
        if (file.name != kLoginsFile) {
            EXPECT_THAT(file.content, Not(HasSubstr("pass-word"))) << file.name;
            EXPECT_THAT(file.content, Not(HasSubstr("Ym90OnBhc3"))) << file.name;
        }
    }
}

TEST_F(ContainerTest, PullThatFailsIsTriedAgainAndEndsTheJob) {
    program("pull", "echo unauthorized; exit 125\n");
    context.container.pull = {path("pull"), "{image}"};
    ScriptRun run(jobIn("a", {"echo never"}), context);
    run.shorten("gb_retry_wait", 0);
    ASSERT_EQ(run.run(), 0);

    EXPECT_EQ(run.status().why, "image_failed");
    EXPECT_EQ(run.status().stage, "pull_image");
    EXPECT_THAT(run.text(), HasSubstr("unauthorized\nWARNING: Retrying...\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("\nnever\n")));

    ScriptRun local(jobIn("localhost/a", {"echo here"}), context);
    ASSERT_EQ(local.run(), 0);
    EXPECT_EQ(local.status().outcome, "success") << "No registry has it.";
}

TEST_F(ContainerTest, NameOfAnImageIsOneWordAndNoOption) {
    for (const std::string name :
         {"--privileged", "a b", "a;b", "$(id)", "a\nb", "`id`", "{image}", "$CI_PROJECT_DIR/a.sif",
          "oras://a/b", "containers-storage:registry.example.org/private/small",
          "docker://containers-storage:registry.example.org/private/small", "oci:a/b", "dir:/a",
          ":1/a", "a.b:/c", "a:1:2/b"}) {
        EXPECT_THAT(refusal(jobIn(name, {"true"})), HasSubstr("the name of the image")) << name;
    }
    for (const std::string name :
         {"debian", "localhost:5000/a/b:1", "/cvmfs/x/debian:12", "docker://a/b@sha256:00"}) {
        EXPECT_EQ(refusal(jobIn(name, {"true"})), "") << name;
    }
}

TEST_F(ContainerTest, ShortNameIsPulledFromDockerHubAndNotTakenFromWhatOthersPulled) {
    program("pull", "echo \"pulled $1\" >>" + words() + "\n");
    context.container.pull = {path("pull"), "docker://{image}"};
    const std::string hub = "docker.io/";
    const std::pair<std::string, std::string> names[] = {
        {"small", hub + "library/small"},
        {"localhost", hub + "library/localhost"},
        {"a.b:12", hub + "library/a.b:12"},
        {"containers-storage:small", hub + "library/containers-storage:small"},
        {"private/small@sha256:00", hub + "private/small@sha256:00"},
        {"docker://a/b", hub + "a/b"},
        {"docker://localhost/b", "localhost/b"},
        {"localhost:5000/a", "localhost:5000/a"},
        {"127.0.0.1:5000/private/small", "127.0.0.1:5000/private/small"},
        {"registry.example.org/a", "registry.example.org/a"}};
    for (const auto& [name, full] : names) {
        std::filesystem::remove(words());
        ScriptRun run(jobIn(name, {"true"}), context);
        ASSERT_EQ(run.run(), 0);
        EXPECT_EQ(run.status().outcome, "success") << run.text();
        const bool isOfTheNode = full.starts_with("localhost/");
        EXPECT_EQ(told().find("pulled docker://" + full + "\n") == std::string::npos, isOfTheNode)
            << told();
        EXPECT_THAT(told(), HasSubstr("\n--\n" + full + "\nsh\n"));
    }
}

TEST_F(ContainerTest, WithoutContainersTheRefusalSaysWhatToConfigureOrTheRunnerIgnoresTheImage) {
    context.container = {};
    const auto job = jobIn("debian:12", {"echo bare"});
    EXPECT_EQ(refusal(job),
              "this runner cannot run jobs in container images: backend here has neither "
              "`container` nor `container_command`, and the runner not image = \"ignore\"; remove "
              "`image` or choose another runner by tags");
    context.imageIgnored = true;
    ScriptRun run(job, context);
    ASSERT_EQ(run.run(), 0);
    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_THAT(run.text(), HasSubstr("\nbare\n"));
    EXPECT_THAT(run.script().warnings,
                ElementsAre("`image` is ignored by this runner: the job runs without a container"));
}

TEST_F(ContainerTest, OnlyImagesThatFitAPatternAreAllowedWhereThereAreSome) {
    context.allowedImages = {"python:*", "docker.io/physics/*:1.*", "registry.example.org:5000/**",
                             "/cvmfs/images/**"};
    const auto job = [](const std::string& image) {
        auto made = jobIn("$IMAGE", {"true"});
        setVariable(made, "IMAGE", image);
        return made;
    };
    for (const std::string image :
         {"python:3.12", "physics/tools:1.4", "docker://physics/tools:1.4",
          "registry.example.org:5000/a/b:2", "/cvmfs/images/el9/root.sif"}) {
        EXPECT_EQ(refusal(job(image)), "") << image;
    }
    for (const std::string image :
         {"python", "debian:12", "evil/python:3.12", "docker.io/evil/tools:1.4",
          "/cvmfs/images/../a", "physics/tools:2.0", "registry.example.org/a", "/home/ada/a.sif",
          "Python:3.12"}) {
        EXPECT_EQ(refusal(job(image)), "this runner does not allow the image " + image +
                                           ", only images like python:*, docker.io/physics/*:1.*, "
                                           "registry.example.org:5000/**, /cvmfs/images/**");
    }
    EXPECT_EQ(refusal(jobWith({"true"})), "") << "It has no image.";
}

}  // namespace
}  // namespace gridbridge::payload
