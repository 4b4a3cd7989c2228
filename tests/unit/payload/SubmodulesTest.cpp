#include <gmock/gmock.h>

#include <fstream>

#include "tests/unit/payload/GitJobs.h"

namespace gridbridge::payload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string module(const std::string& name, const std::string& url, const std::string& more = {}) {
    return "[submodule \"" + name + "\"]\n\tpath = " + name + "\n\turl = " + url + "\n" + more;
}

/// physics/detector has the submodule lib, of physics/lib, and that has deep, of tools/deep. Each
/// project has a newer commit than the one that is wanted.
class SubmodulesTest : public GitJobs {
protected:
    SubmodulesTest() : GitJobs("/gitlab") {}

    void link(const std::string& urlOfLib = "../lib.git",
              const std::string& urlOfDeep = "../../tools/deep.git") {
        addSubmodule("physics/lib", "deep", commit("tools/deep", {{"deep.txt", "deep\n"}}));
        commit("tools/deep", {{"deep.txt", "newer deep\n"}});
        commit("physics/lib", {{"lib.txt", "older lib\n"}});
        addSubmodule(kProject, "lib",
                     commit("physics/lib",
                            {{"lib.txt", "lib\n"}, {".gitmodules", module("deep", urlOfDeep)}}));
        commit("physics/lib", {{"lib.txt", "newer lib\n"}});
        sha_ = commit(kProject, {{"main.txt", "main\n"}, {".gitmodules", module("lib", urlOfLib)}});
    }
    gitlab::JobDescription with(const std::string& strategy, std::vector<std::string> script) {
        auto wanted = job(std::move(script));
        setVariable(wanted, "GIT_SUBMODULE_STRATEGY", strategy);
        return wanted;
    }
};

TEST_F(SubmodulesTest, RecursiveBringsThoseOfSubmodulesWhoseAddressesAreRelative) {
    link();
    ScriptRun run(with("recursive", {"cat lib/lib.txt lib/deep/deep.txt", "git status --short",
                                     "echo count=$(git -C lib rev-list --count HEAD)"}));
    run.run();

    const auto text = run.text();
    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(text, HasSubstr("\nlib\ndeep\n$ git status --short\n$ "));
    EXPECT_THAT(text, HasSubstr("\ncount=1\n"));
    const auto begin =
        text.find("Updating/initializing submodules recursively with git depth set to 1...\n");
    const auto updated = text.find("\nUpdated submodules\n", begin);
    EXPECT_NE(updated, std::string::npos) << text;
    EXPECT_NE(text.find("Configuring submodules to use parent git credentials...\n", updated),
              std::string::npos);
}

TEST_F(SubmodulesTest, NormalLeavesThoseOfSubmodulesOut) {
    link();
    auto normal = with("normal", {"cat lib/lib.txt", "ls -A lib/deep | wc -l",
                                  "echo count=$(git -C lib rev-list --count HEAD)"});
    setVariable(normal, "GIT_SUBMODULE_DEPTH", "0");
    ScriptRun run(normal);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\nUpdating/initializing submodules...\n"));
    EXPECT_THAT(run.text(), HasSubstr("\nlib\n$ "));
    EXPECT_THAT(run.text(), HasSubstr("\n0\n"));
    EXPECT_THAT(run.text(), HasSubstr("\ncount=2\n"));
}

TEST_F(SubmodulesTest, ScriptFetchesInSubmodulesAlsoWithAnotherHome) {
    link();
    auto fetching = with("recursive", {"git -C lib fetch --depth 1 origin",
                                       "HOME=/nonexistent git -C lib/deep fetch --depth 1 origin",
                                       "git -C lib show FETCH_HEAD:lib.txt"});
    setVariable(fetching, "HOME", "/nonexistent");
    ScriptRun run(fetching);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\nnewer lib\n"));
}

TEST_F(SubmodulesTest, TokenIsInNoFileOfGitAndOnNoCommandLine) {
    link(server_->url() + "/physics/lib.git");
    const std::string look =
        "grep -rlF \"$CI_JOB_TOKEN\" . ~ \"$RUNNER_TEMP_PROJECT_DIR\" || echo clean";
    auto recorded =
        with("recursive", {"ls .git/modules/lib/config .git/modules/lib/modules/deep/config", look,
                           "echo \"$CI_JOB_TOKEN\" >>.git/modules/lib/config", look});
    putBefore(recorded, "git", "echo \"git $*\" >>\"$GB_OUT/argv\"\n");
    setVariable(recorded, "GIT_TRACE", (top_ / "trace").string());
    ScriptRun run(recorded);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\nclean\n"));
    EXPECT_THAT(run.text(), HasSubstr("\n./.git/modules/lib/config\n"));  // Planted: it does look.
    std::ifstream in(top_ / "trace");
    const auto argv = run.file("out/argv") + std::string(std::istreambuf_iterator<char>(in), {});
    EXPECT_THAT(argv, HasSubstr(" submodule update --init --recursive --depth 1"));
    EXPECT_THAT(argv, HasSubstr("remote-http origin " + server_->url() + "/tools/deep.git"));
    EXPECT_THAT(argv, Not(HasSubstr(token_)));
    EXPECT_THAT(run.log(), Not(HasSubstr(token_)));
}

TEST_F(SubmodulesTest, PathsChooseAndLeaveOut) {
    link();
    addSubmodule(kProject, "own lib's", commit("tools/deep", {{"deep.txt", "third deep\n"}}));
    sha_ = commit(kProject, {{".gitmodules", module("lib", "../lib.git") +
                                                 module("own lib's", "../../tools/deep.git")}});
    for (const auto& [paths, lib, own] :
         {std::tuple("lib", 1, 0), std::tuple(":(exclude)lib", 0, 1), std::tuple("", 1, 1)}) {
        auto some =
            with("normal", {"echo lib=$(ls lib | grep -c txt) own=$(ls own* | grep -c txt)"});
        setVariable(some, "GIT_SUBMODULE_PATHS", paths);
        ScriptRun run(some);
        run.run();

        EXPECT_EQ(run.status().outcome, "success") << run.log();
        EXPECT_THAT(run.text(), HasSubstr("\nlib=" + std::to_string(lib) +
                                          " own=" + std::to_string(own) + "\n"));
    }
}

TEST_F(SubmodulesTest, PathsAreWordsAndNoShellCode) {
    link();
    auto code = with("normal", {"echo never"});
    setVariable(code, "GIT_SUBMODULE_PATHS", "lib $(touch${IFS}" + (top_ / "evil").string() + ")");
    ScriptRun run(code);
    run.run();

    EXPECT_EQ(run.status().stage, "get_sources");
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
    EXPECT_FALSE(std::filesystem::exists(top_ / "evil"));
}

TEST_F(SubmodulesTest, ExcludeWithoutAPathFailsBeforeAnythingIsFetched) {
    link();
    auto lone = with("normal", {"echo never"});
    setVariable(lone, "GIT_SUBMODULE_PATHS", ":(exclude) lib");
    ScriptRun run(lone);
    run.run();

    EXPECT_EQ(run.status().stage, "get_sources");
    EXPECT_THAT(run.text(), HasSubstr("ERROR: GIT_SUBMODULE_PATHS: "));
    EXPECT_THAT(run.text(), Not(HasSubstr("Fetching")));
}

TEST_F(SubmodulesTest, FlagsOfTheUpdateAreTheJobs) {
    link();
    auto newest = with("normal", {"cat lib/lib.txt"});
    setVariable(newest, "GIT_SUBMODULE_UPDATE_FLAGS", "--remote  --jobs 4");
    ScriptRun run(newest);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\nnewer lib\n"));
}

TEST_F(SubmodulesTest, FailedUpdateIsDoneOnceMore) {
    link();
    for (const auto* flags : {"", "--remote"}) {
        auto unlucky = with("recursive", {"cat lib/lib.txt lib/deep/deep.txt"});
        setVariable(unlucky, "GIT_SUBMODULE_UPDATE_FLAGS", flags);
        putBefore(unlucky, "git",
                  "case \" $* \" in *' submodule update '*)\n"
                  "  [ -e \"$GB_OUT/failed\" ] || { : >\"$GB_OUT/failed\"; exit 1; }\nesac\n");
        ScriptRun run(unlucky);
        run.run();

        EXPECT_EQ(run.status().outcome, "success") << run.log();
        EXPECT_THAT(run.text(), HasSubstr("\nUpdating submodules failed. Retrying...\n"));
        EXPECT_THAT(run.text(), HasSubstr(*flags == '\0' ? "\nlib\ndeep\n" : "\nnewer lib\n"));
    }
}

TEST_F(SubmodulesTest, SubmoduleThatCannotBeHadFailsTheSources) {
    link("../none.git");
    ScriptRun run(with("normal", {"echo never"}));
    run.run();

    EXPECT_EQ(run.status().outcome, "failed");
    EXPECT_EQ(run.status().stage, "get_sources");
    EXPECT_THAT(run.text(), HasSubstr("\nUpdating submodules failed. Retrying...\n"));
    EXPECT_THAT(run.text(), Not(HasSubstr("never")));
}

TEST_F(SubmodulesTest, SshAddressesOfGitLabAreTakenForHttpWhenTheJobSaysSo) {
    link("git@127.0.0.1:physics/lib.git", "ssh://git@127.0.0.1:2222/tools/deep.git");
    auto http = with("recursive", {"cat lib/lib.txt lib/deep/deep.txt"});
    setVariable(http, "GIT_SSH_COMMAND", "touch '" + (top_ / "ssh").string() + "'; false");
    setVariable(http, "CI_SERVER_SHELL_SSH_PORT", "2222");
    {
        ScriptRun run(http);
        run.run();
        EXPECT_EQ(run.status().stage, "get_sources");
        EXPECT_TRUE(std::filesystem::remove(top_ / "ssh"));
    }
    setVariable(http, "GIT_SUBMODULE_FORCE_HTTPS", "true");
    ScriptRun run(http);
    run.run();

    EXPECT_EQ(run.status().outcome, "success") << run.log();
    EXPECT_THAT(run.text(), HasSubstr("\nlib\ndeep\n"));
    EXPECT_FALSE(std::filesystem::exists(top_ / "ssh"));
}

TEST_F(SubmodulesTest, UnknownStrategyFailsTheSourcesWhereThereAreAny) {
    link();
    auto unknown = with("foo", {"echo script"});
    for (const auto* git : {"fetch", "none"}) {
        setVariable(unknown, "GIT_STRATEGY", git);
        ScriptRun run(unknown);
        run.run();

        const bool sources = std::string(git) == "fetch";
        EXPECT_EQ(run.status().outcome, sources ? "failed" : "success") << run.log();
        EXPECT_EQ(run.text().find("ERROR: unknown GIT_SUBMODULE_STRATEGY\n") != std::string::npos,
                  sources);
        EXPECT_EQ(run.text().find("\nscript\n") == std::string::npos, sources);
    }
}

TEST_F(SubmodulesTest, AddressesOfTheNodeReachNothing) {
    commit("tools/deep", {{"deep.txt", "deep\n"}});
    const auto marker = (top_ / "reached").string();
    const auto folder = (top_ / "repositories/tools/deep.git").string();
    for (const auto& url : {"file://" + folder, folder, "ext::touch " + marker,
                            "--upload-pack=touch " + marker, std::string("../lib.git")}) {
        link(url);
        if (url == "../lib.git") {
            sha_ =
                commit(kProject,
                       {{".gitmodules", module("lib", url, "\tupdate = !touch " + marker + "\n")}});
        }
        auto hostile = with("recursive", {"echo script; ls lib"});
        // What a node's own configuration allows holds for the people on it.
        setVariable(hostile, "GIT_CONFIG_COUNT", "1");
        setVariable(hostile, "GIT_CONFIG_KEY_0", "protocol.allow");
        setVariable(hostile, "GIT_CONFIG_VALUE_0", "always");
        ScriptRun run(hostile);
        run.run();

        EXPECT_EQ(run.status().stage, "get_sources") << url << run.log();
        EXPECT_THAT(run.text(), Not(HasSubstr("\nscript\n"))) << url;
        EXPECT_FALSE(std::filesystem::exists(marker)) << url;
    }
}

/// Another site that asks for credentials gets none.
TEST_F(SubmodulesTest, TokenGoesToNoOtherSite) {
    fakegitlab::FakeGitLab elsewhere(clock_);
    link(elsewhere.url() + "/physics/lib.git");
    ScriptRun run(with("normal", {"echo never"}));
    run.run();

    EXPECT_EQ(run.status().stage, "get_sources");
    const auto requests = elsewhere.requests();
    ASSERT_FALSE(requests.empty());
    for (const auto& request : requests) {
        EXPECT_EQ(request.status, 401);
        EXPECT_EQ(request.headers.count("authorization"), 0U);
    }
}

/// What AddressesOfTheNodeReachNothing tries does reach something where it is allowed.
TEST_F(SubmodulesTest, AddressesOfTheNodeAreForbiddenByGitAlone) {
    const auto marker = (top_ / "reached").string();
    link("ext::touch " + marker);
    auto allowed = with("normal", {"true"});
    setVariable(allowed, "GIT_ALLOW_PROTOCOL", "ext:http");
    ScriptRun run(allowed);
    run.run();

    EXPECT_TRUE(std::filesystem::exists(marker)) << run.log();
}

}  // namespace
}  // namespace gridbridge::payload
