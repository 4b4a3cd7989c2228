#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;
using gridbridge::testing::kBackend;
using gridbridge::testing::kRunner;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// What is said about `text` in front of, or instead of, a sound runner and backend.
class ConfigErrors : public ::testing::Test {
protected:
    std::vector<std::string> before(const std::string& top) {
        return folder_.faultsOf(top + kRunner + kBackend);
    }
    /// `lines` end the section of the runner; they start at line 6.
    std::vector<std::string> inRunner(const std::string& lines) {
        return folder_.faultsOf(std::string(kRunner) + lines + kBackend);
    }
    /// `lines` are the section [backends.here] from line 7 on; its header is line 6.
    std::vector<std::string> asBackend(const std::string& lines, uid_t uid = 0) {
        return folder_.faultsOf(std::string(kRunner) + "[backends.here]\n" + lines, uid);
    }

    ConfigFolder folder_;
};

TEST_F(ConfigErrors, ASoundFileHasNone) {
    EXPECT_THAT(before("concurrent = 1\n"), IsEmpty());
}

TEST_F(ConfigErrors, AMissingFile) {
    EXPECT_THAT(folder_.faults(),
                ElementsAre("config.toml: cannot be read: No such file or directory; create it or "
                            "make it readable, or name another with --config"));
}

TEST_F(ConfigErrors, AFolderInsteadOfAFile) {
    std::filesystem::create_directory(folder_.file());
    EXPECT_THAT(folder_.faults(), ElementsAre("config.toml: is not a file; create it or make it "
                                              "readable, or name another with --config"));
}

TEST_F(ConfigErrors, AFileWithoutEnd) {
    folder_.write("config.toml", std::string(1024 * 1024 + 1, '#'));
    EXPECT_THAT(folder_.faults(),
                ElementsAre(::testing::StartsWith("config.toml: is larger than 1048576 bytes; ")));
}

TEST_F(ConfigErrors, BadToml) {
    EXPECT_THAT(before("concurrent = 1\nlog_level = info\n"),
                ElementsAre(::testing::MatchesRegex(
                    "config.toml:2: is not valid TOML: .*; correct this line: a text stands in "
                    "quotes, a key only once in its section")));
}

TEST_F(ConfigErrors, AMisspeltKeyNamesTheNearest) {
    EXPECT_THAT(before("concurent = 5\n"), ElementsAre("config.toml:1: concurent: unknown key; did "
                                                       "you mean \"concurrent\"?"));
    EXPECT_THAT(inRunner("tokne_file = \"/x\"\n"),
                ElementsAre("config.toml:6: runners.pool.tokne_file: unknown key; did you mean "
                            "\"token_file\"?"));
    EXPECT_THAT(before("[[runner]]\nname = \"x\"\n"),
                ElementsAre("config.toml:1: runner: unknown key; did you mean \"runners\"?"));
}

TEST_F(ConfigErrors, AKeyBelowTheWrongHeaderIsToldWhereItBelongs) {
    EXPECT_THAT(inRunner("state_dir = \"/x\"\n"),
                ElementsAre("config.toml:6: runners.pool.state_dir: unknown key; it belongs above "
                            "the first [[runners]] or [backends.NAME]"));
    EXPECT_THAT(before("environment = []\n"),
                ElementsAre("config.toml:1: environment: unknown key; "
                            "it belongs below a [[runners]]"));
    EXPECT_THAT(before("trusted_jobs = true\n"),
                ElementsAre("config.toml:1: trusted_jobs: unknown key; it belongs below a "
                            "[backends.NAME]"));
}

TEST_F(ConfigErrors, AKeyLikeNoOtherGetsTheList) {
    EXPECT_THAT(before("listen_address = \"\"\n"),
                ElementsAre("config.toml:1: listen_address: unknown key; remove it; known here are "
                            "concurrent, check_interval, state_dir, log_level, retention, "
                            "min_free_space, runners, backends"));
}

TEST_F(ConfigErrors, WhatIsPromisedLaterIsUnknownNow) {
    EXPECT_THAT(before("listen_address = \"1\"\n"),
                ElementsAre(::testing::HasSubstr("unknown key")));
    for (const std::string key : {"maximum_timeout", "pre_clone_script"}) {
        EXPECT_THAT(inRunner(key + " = \"1\"\n"), ElementsAre(::testing::HasSubstr("unknown key")));
    }
}

TEST_F(ConfigErrors, AListOfProjectsOrUsersHoldsPatterns) {
    for (const std::string key : {"allowed_projects", "banned_projects", "banned_users"}) {
        EXPECT_THAT(inRunner(key + " = [\"physics/*\", \"[a\"]\n"),
                    ElementsAre("config.toml:6: runners.pool." + key +
                                ": an element is not a pattern; write names, with * for part of a "
                                "name and ** for several"));
    }
}

TEST_F(ConfigErrors, AListOfImagesHoldsPatterns) {
    const auto with = [&](const std::string& images, const std::string& backend) {
        return folder_.faultsOf(std::string(kRunner) + "allowed_images = [" + images + "]\n" +
                                kBackend + backend);
    };
    const std::string podman = "container = \"podman\"\n";
    EXPECT_THAT(with("\"python:*\", \"**\", \"/cvmfs/**\"", podman), IsEmpty());
    EXPECT_THAT(with("", ""), IsEmpty());
    EXPECT_THAT(with("\"python:*\"", ""),
                ElementsAre("config.toml:6: runners.pool.allowed_images: says nothing for the "
                            "backend here, which runs no containers; remove it, or write "
                            "container into the section of that backend"));
    for (const std::string odd : {"[a", ""}) {
        EXPECT_THAT(with("\"python:*\", \"" + odd + "\"", podman),
                    ElementsAre("config.toml:6: runners.pool.allowed_images: an element is not a "
                                "pattern; write names of images like \"python:*\", with * for a "
                                "part between slashes and ** for several"));
    }
}

TEST_F(ConfigErrors, AWrongType) {
    EXPECT_THAT(before("concurrent = \"many\"\n"),
                ElementsAre("config.toml:1: concurrent: is a text; write an integer, like "
                            "concurrent = 1000"));
    EXPECT_THAT(before("check_interval = 1.5\n"),
                ElementsAre("config.toml:1: check_interval: is a number with a fraction; write "
                            "seconds or a text with a unit, like check_interval = 3"));
    EXPECT_THAT(inRunner("environment = [\"A=1\", 2]\n"),
                ElementsAre("config.toml:6: runners.pool.environment: is a list with something "
                            "else than texts in it; write a list of texts, like environment = "
                            "[\"NAME=value\"]"));
    EXPECT_THAT(asBackend("type = \"local\"\nwork_dir = \"/w\"\ntrusted_jobs = 1\n"),
                ElementsAre("config.toml:9: backends.here.trusted_jobs: is an integer; write true "
                            "or false, like trusted_jobs = true"));
}

TEST_F(ConfigErrors, AWrongTypeOfASection) {
    EXPECT_THAT(folder_.faultsOf("runners = 3\n"),
                ElementsAre("config.toml:1: runners: is not a list of sections; start each runner "
                            "with the line [[runners]]"));
    EXPECT_THAT(folder_.faultsOf("[runners]\nname = \"x\"\n"),
                ElementsAre("config.toml:1: runners: is not a list of sections; start each runner "
                            "with the line [[runners]]"));
    EXPECT_THAT(folder_.faultsOf(std::string("backends = 1\n") + kRunner),
                ElementsAre("config.toml:1: backends: is not a section; start each backend with a "
                            "line like [backends.here]"));
    EXPECT_THAT(folder_.faultsOf(std::string(kRunner) + "[backends]\nhere = \"local\"\n"),
                ElementsAre("config.toml:7: backends.here: is not a section; a backend starts with "
                            "a line like [backends.here]"));
}

TEST_F(ConfigErrors, ANumberOutOfBounds) {
    EXPECT_THAT(before("concurrent = 0\n"),
                ElementsAre("config.toml:1: concurrent: is 0; write a number from 1 to 1000000"));
    EXPECT_THAT(before("check_interval = \"2 days\"\n"),
                ElementsAre("config.toml:1: check_interval: is 172800 seconds; write 1 to 3600 "
                            "seconds"));
    EXPECT_THAT(before("check_interval = \"soon\"\n"),
                ElementsAre("config.toml:1: check_interval: \"soon\" is not a duration; write "
                            "seconds, or a number with s, min, h or days, like \"10 s\""));
    EXPECT_THAT(inRunner("output_limit = 9223372036854775807\n"),
                ElementsAre("config.toml:6: runners.pool.output_limit: is 9223372036854775807; "
                            "write a number from 1 to 1048576"));
    EXPECT_THAT(
        inRunner("artifact_limit = \"11 GiB\"\n"),
        ElementsAre("config.toml:6: runners.pool.artifact_limit: \"11 GiB\" is no size that "
                    "can be used here; write a number with MiB, GiB or TiB, like \"2 GiB\"; "
                    "1 MiB to 10 GiB"));
}

TEST_F(ConfigErrors, AnUnknownChoice) {
    EXPECT_THAT(before("log_level = \"loud\"\n"),
                ElementsAre("config.toml:1: log_level: \"loud\" is not known; write one of: trace, "
                            "debug, info, warn, error, critical"));
    EXPECT_THAT(asBackend("type = \"pbs\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n"),
                ElementsAre("config.toml:7: backends.here.type: \"pbs\" is not known; write one "
                            "of: local, simulated, slurm, htcondor, command, diracx, arc"));
}

TEST_F(ConfigErrors, MissingKeysNameTheLineOfTheirSection) {
    EXPECT_THAT(
        folder_.faultsOf(std::string("\n[[runners]]\n") + kBackend),
        ElementsAre(
            "config.toml:2: runners.name: is missing; give the runner a name of your own",
            "config.toml:2: runners.url: is missing; write the address of the GitLab server",
            "config.toml:2: runners.token: is missing; write the runner's glrt- token, or name a "
            "file with it in token_file or runner_file",
            "config.toml:2: runners.backend: is missing; name one of the sections "
            "[backends.NAME]"));
    EXPECT_THAT(asBackend(""),
                ElementsAre("config.toml:6: backends.here.type: is missing; write type = \"local\"",
                            "config.toml:6: backends.here.work_dir: is missing; name a folder for "
                            "the jobs' files, outside state_dir",
                            "config.toml:6: backends.here.run_as: is missing; name the account "
                            "that jobs run as, or write trusted_jobs = true if every job may do "
                            "what this service may"));
}

TEST_F(ConfigErrors, NoRunner) {
    EXPECT_THAT(folder_.faultsOf(kBackend),
                ElementsAre("config.toml: runners: there is no runner; add a section [[runners]] "
                            "with name, url, token and backend, or run gridbridge register"));
}

TEST_F(ConfigErrors, AnUnknownBackend) {
    EXPECT_THAT(folder_.faultsOf("[[runners]]\nname = \"pool\"\nurl = \"https://g\"\n"
                                 "token = \"t\"\nbackend = \"hre\"\n" +
                                 std::string(kBackend)),
                ElementsAre("config.toml:5: runners.pool.backend: there is no section "
                            "[backends.hre]; did you mean \"here\"?"));
    EXPECT_THAT(folder_.faultsOf(kRunner),
                ElementsAre("config.toml:5: runners.pool.backend: there is no section "
                            "[backends.here]; add it or name another"));
}

TEST_F(ConfigErrors, TwoRunnersOfOneName) {
    folder_.write("config.d/more.toml", std::string("\n") + kRunner);
    EXPECT_THAT(before(""), ElementsAre("config.d/more.toml:3: runners.pool.name: a second runner "
                                        "has this name; the first is in config.toml line 1; "
                                        "rename or remove one of them"));
}

TEST_F(ConfigErrors, TwoRunnersOfOneToken) {
    folder_.write("token", "glrt-0123456789\n");
    folder_.write("config.d/more.toml",
                  "[[runners]]\nname = \"again\"\nurl = \"https://GitLab.example.org/api/v4/\"\n"
                  "token_file = \"" +
                      (folder_.path() / "token").string() + "\"\nbackend = \"here\"\n");
    EXPECT_THAT(before(""),
                ElementsAre("config.d/more.toml:4: runners.again.token_file: is the token of the "
                            "runner pool too, which is in config.toml line 4; create a runner in "
                            "GitLab for each, or remove one of the two sections"));
}

TEST_F(ConfigErrors, TwoBackendsOfOneName) {
    folder_.write("config.d/more.toml",
                  "[backends.here]\ntype = \"local\"\nwork_dir = \"/x\"\nrun_as = \"ci\"\n");
    EXPECT_THAT(before(""), ElementsAre("config.d/more.toml:1: backends.here: is defined twice; "
                                        "first in config.toml line 6; remove or rename one of "
                                        "them"));
}

TEST_F(ConfigErrors, AFileInConfigDOnlyAdds) {
    folder_.write("config.d/more.toml", "concurrent = 3\nwhatever = 1\n");
    EXPECT_THAT(before(""),
                ElementsAre("config.d/more.toml:1: concurrent: files in config.d may only add "
                            "[[runners]] and [backends.NAME]; move it to the main file",
                            ::testing::StartsWith("config.d/more.toml:2: whatever: unknown key")));
}

TEST_F(ConfigErrors, ABrokenFileInConfigD) {
    folder_.write("config.d/more.toml", "\n\n[[runners\n");
    EXPECT_THAT(before(""),
                ElementsAre(::testing::StartsWith("config.d/more.toml:3: is not valid TOML: ")));
}

TEST_F(ConfigErrors, AReadableFileWithAToken) {
    folder_.write("config.toml", std::string(kRunner) + kBackend, 0644);
    EXPECT_THAT(
        folder_.faults(),
        ElementsAre("config.toml:4: runners.pool.token: the file holds a token and can be read "
                    "by every account; run chmod 600 config.toml"));
    folder_.write("config.toml", std::string(kRunner) + kBackend, 0640);
    EXPECT_THAT(folder_.faults(), IsEmpty());
    folder_.write("config.toml", kBackend, 0644);
    folder_.write("config.d/pool.toml", kRunner, 0604);
    EXPECT_THAT(folder_.faults(),
                ElementsAre(::testing::StartsWith("config.d/pool.toml:4: runners.pool.token: ")));
}

TEST_F(ConfigErrors, ATokenFile) {
    const std::string runner =
        "[[runners]]\nname = \"pool\"\nurl = \"https://g\"\nbackend = \"here\"\n"
        "token_file = \"" +
        (folder_.path() / "token").string() + "\"\n" + kBackend;
    EXPECT_THAT(folder_.faultsOf(runner),
                ElementsAre("config.toml:5: runners.pool.token_file: token cannot be read: No such "
                            "file or directory; write the runner's token into it, or name another "
                            "file"));
    folder_.write("token", "glrt-1\n", 0644);
    EXPECT_THAT(folder_.faultsOf(runner),
                ElementsAre("config.toml:5: runners.pool.token_file: token can be read by every "
                            "account; run chmod 600 token"));
    folder_.write("token", "glrt-1\nglrt-2\n");
    EXPECT_THAT(folder_.faultsOf(runner),
                ElementsAre("config.toml:5: runners.pool.token_file: is not a token; write the "
                            "runner's token and nothing else"));
    folder_.write("token", "\n");
    EXPECT_THAT(folder_.faultsOf(runner), ElementsAre(::testing::HasSubstr("is not a token")));
    folder_.write("token", "glrt-1\n");
    EXPECT_THAT(folder_.faultsOf(runner), IsEmpty());
    EXPECT_EQ(folder_.read().config.runners[0].token, Secret("glrt-1"));
}

TEST_F(ConfigErrors, TokenAndTokenFile) {
    EXPECT_THAT(inRunner("token_file = \"/x\"\n"),
                ElementsAre("config.toml:6: runners.pool.token_file: token and token_file are both "
                            "given; keep one of them"));
}

TEST_F(ConfigErrors, ARunnerFile) {
    const auto file = (folder_.path() / "runner.json").string();
    const std::string rest = "backend = \"here\"\nrunner_file = \"" + file + "\"\n" + kBackend;
    const std::string runner = "[[runners]]\nname = \"pool\"\n" + rest;
    const std::string key = "config.toml:4: runners.pool.runner_file: ";
    const std::string again =
        "; register the runner again with register-runner, or name another file";
    const std::string content =
        R"([1, "https://gitlab.example.org/", 7, "glrt-SECRET", {"info": {}}])";

    EXPECT_THAT(folder_.faultsOf(runner),
                ElementsAre(key + "runner.json cannot be read: No such file or directory" + again));
    folder_.write("runner.json", content, 0644);
    EXPECT_THAT(folder_.faultsOf(runner),
                ElementsAre(key + "runner.json can be read by every account; run chmod 600 "
                                  "runner.json"));
    folder_.write("runner.json", content.substr(0, 30));
    EXPECT_THAT(folder_.faultsOf(runner),
                ElementsAre(key +
                            "runner.json: this is no runner's file: the JSON is cut short or "
                            "damaged" +
                            again));
    folder_.write("runner.json", "[2" + content.substr(2));
    EXPECT_THAT(folder_.faultsOf(runner),
                ElementsAre(key +
                            "runner.json: this runner's file has version 2; only version 1 "
                            "can be read" +
                            again));
    folder_.write("runner.json", content);
    EXPECT_THAT(folder_.faultsOf(runner), IsEmpty());
    EXPECT_EQ(folder_.read().config.runners[0].token, Secret("glrt-SECRET"));
    EXPECT_EQ(folder_.read().config.runners[0].url, "https://gitlab.example.org");
    EXPECT_THAT(folder_.faultsOf("[[runners]]\nname = \"pool\"\nurl = \"https://other\"\n" + rest),
                ElementsAre("config.toml:3: runners.pool.url: the runner in runner_file is one of "
                            "https://gitlab.example.org; remove this key, or name another file"));
    EXPECT_THAT(inRunner("runner_file = \"/x\"\n"),
                ElementsAre("config.toml:6: runners.pool.runner_file: token and runner_file are "
                            "both given; keep one of them"));
}

TEST_F(ConfigErrors, NoneShowsAToken) {
    const auto faults = folder_.faultsOf(
        "[[runners]]\nname = \"pool\"\nurl = \"https://g\"\ntoken = \"SECRET with spaces\"\n"
        "backend = \"here\"\ntokn = \"SECRET\"\n[[runners]]\nname = \"b\"\nurl = \"https://g\"\n"
        "token = [\"SECRET\"]\nbackend = \"here\"\n" +
        std::string(kBackend));
    EXPECT_EQ(faults.size(), 3U);
    for (const std::string& fault : faults) {
        EXPECT_EQ(fault.find("SECRET"), std::string::npos) << fault;
    }
}

TEST_F(ConfigErrors, AnAddressThatIsNone) {
    for (const std::string url : {"gitlab.example.org", "ftp://g", "https://", "https:///x",
                                  "https://u:p@g", "https://g?x", "https://g h", "https://:80"}) {
        EXPECT_THAT(folder_.faultsOf("[[runners]]\nname = \"p\"\nurl = \"" + url +
                                     "\"\ntoken = \"t\"\nbackend = \"here\"\n" + kBackend),
                    ElementsAre("config.toml:3: runners.p.url: is not the address of a server; "
                                "write it like https://gitlab.example.org"))
            << url;
    }
}

TEST_F(ConfigErrors, NamesThatCannotBeUsed) {
    EXPECT_THAT(folder_.faultsOf("[[runners]]\nname = \"a/b\"\nurl = \"https://g\"\n"
                                 "token = \"t\"\nbackend = \"here\"\n" +
                                 std::string(kBackend)),
                ElementsAre("config.toml:2: runners.a/b.name: is not a name; use letters, digits, "
                            "'.', '_' and '-' only"));
    EXPECT_THAT(
        before(
            "[backends.\"x\\u001b[2J\"]\ntype = \"local\"\nwork_dir = \"/x\"\nrun_as = \"ci\"\n"),
        ElementsAre("config.toml:1: backends.x\\x1b[2J: is not a name; use letters, digits, '.', "
                    "'_' and '-' only"));
}

TEST_F(ConfigErrors, AnEmptyTextIsNoValue) {
    EXPECT_THAT(before("state_dir = \"\"\n"),
                ElementsAre("config.toml:1: state_dir: is empty; give it a value or remove it"));
}

TEST_F(ConfigErrors, AnElementOfTheEnvironmentThatAssignsNothing) {
    for (const std::string wrong : {"A", "=1", "1A=x", "A-B=x"}) {
        EXPECT_THAT(inRunner("environment = [\"GOOD=1\", \"" + wrong + "\"]\n"),
                    ElementsAre("config.toml:6: runners.pool.environment: an element is not an "
                                "assignment; write each as \"NAME=value\""));
    }
}

TEST_F(ConfigErrors, ARelativePath) {
    EXPECT_THAT(before("state_dir = \"state\"\n"),
                ElementsAre("config.toml:1: state_dir: is not an absolute path; write it from the "
                            "root, starting with /"));
}

TEST_F(ConfigErrors, WorkAndStateFolderWithinEachOther) {
    const std::string rest =
        " lie within each other; jobs must never see the state folder: move "
        "one of them";
    const auto with = [&](const std::string& state, const std::string& work) {
        return folder_.faultsOf(
            "state_dir = \"" + state + "\"\n" + kRunner +
            "[backends.here]\ntype = \"local\"\nrun_as = \"ci\"\nwork_dir = \"" + work + "\"\n");
    };
    EXPECT_THAT(with("/a/state", "/a/state/work"),
                ElementsAre("config.toml:10: backends.here.work_dir: the work folder "
                            "/a/state/work and the state folder /a/state" +
                            rest));
    EXPECT_THAT(with("/a/jobs/state/", "/a/jobs"), ::testing::SizeIs(1));
    EXPECT_THAT(with("/a/x/", "/a/y/../x"), ::testing::SizeIs(1));
    EXPECT_THAT(with("/a/state", "/a/state-work"), IsEmpty());
    std::filesystem::create_directory(folder_.path() / "state");
    std::filesystem::create_directory_symlink(folder_.path() / "state", folder_.path() / "link");
    EXPECT_THAT(with((folder_.path() / "state").string(), (folder_.path() / "link/w").string()),
                ::testing::SizeIs(1));
}

TEST_F(ConfigErrors, TwoBackendsWithOneWorkFolder) {
    EXPECT_THAT(before("[backends.a]\ntype = \"local\"\nrun_as = \"ci\"\n"
                       "work_dir = \"/var/lib/gridbridge-jobs/a\"\n"),
                ElementsAre("config.toml:12: backends.here.work_dir: the work folders of "
                            "backends.a and backends.here lie within each other; give each backend "
                            "its own"));
}

TEST_F(ConfigErrors, AccountsOfJobs) {
    const std::string base = "type = \"local\"\nwork_dir = \"/w\"\n";
    const std::string trust = "config.toml:9: backends.here.";
    EXPECT_THAT(asBackend(base + "trusted_jobs = true\n"), IsEmpty());
    EXPECT_THAT(asBackend(base + "trusted_jobs = true\n", 1000), IsEmpty());
    EXPECT_THAT(asBackend(base + "run_as = \"ci\"\n"), IsEmpty());
    EXPECT_THAT(asBackend(base + "run_as = \"nobody-here\"\n"),
                ElementsAre(trust + "run_as: there is no account \"nobody-here\"; create it or "
                                    "name another"));
    EXPECT_THAT(asBackend(base + "run_as = \"ci\"\n", 1000), IsEmpty());
    EXPECT_THAT(asBackend(base + "run_as = \"root\"\n"),
                ElementsAre(trust + "run_as: \"root\" is the account of the service itself; name "
                                    "an account that cannot read the service's files"));
    EXPECT_THAT(asBackend(base + "run_as = \"root\"\n", 1000),
                ElementsAre(trust + "run_as: \"root\" can read every file; name an account that "
                                    "cannot read the service's files"));
    EXPECT_THAT(asBackend(base + "trusted_jobs = false\n"),
                ElementsAre(trust + "trusted_jobs: is false without run_as; name the account that "
                                    "jobs run as in run_as"));
}

TEST_F(ConfigErrors, KeysOfSimulationsAndOfRealBackends) {
    const std::string simulated = "type = \"simulated\"\nwork_dir = \"/w\"\n";
    const std::string here = "config.toml:9: backends.here.";
    EXPECT_THAT(asBackend(simulated), IsEmpty());
    EXPECT_THAT(asBackend(simulated + "seed = 0\nfaults = 1\n", 1000), IsEmpty());
    EXPECT_THAT(asBackend(simulated + "faults = 1.5\n"),
                ElementsAre(here + "faults: is 1.5; write a number from 0 to 1"));
    EXPECT_THAT(asBackend(simulated + "faults = nan\n"),
                ElementsAre(here + "faults: is nan; write a number from 0 to 1"));
    EXPECT_THAT(asBackend(simulated + "faults = \"many\"\n"),
                ElementsAre(here + "faults: is a text; write a number, like faults = 0.5"));
    EXPECT_THAT(asBackend(simulated + "seed = -1\n"),
                ElementsAre(here + "seed: is -1; write a number from 0 to 9223372036854775807"));
    EXPECT_THAT(asBackend(simulated + "run_as = \"ci\"\n"),
                ElementsAre(here + "run_as: says nothing for type = \"simulated\", which runs no "
                                   "script; remove it"));
    EXPECT_THAT(asBackend("type = \"local\"\nwork_dir = \"/w\"\nseed = 1\nrun_as = \"ci\"\n"),
                ElementsAre(here + "seed: is for type = \"simulated\" only; remove it"));
}

TEST_F(ConfigErrors, AllOfAFileAreTold) {
    EXPECT_THAT(folder_.faultsOf("concurent = 1\ncheck_interval = true\nlog_level = \"loud\"\n" +
                                 std::string(kRunner) + "limit = -1\n" + kBackend + "slots = 0\n"),
                ElementsAre(::testing::StartsWith("config.toml:1: concurent: "),
                            ::testing::StartsWith("config.toml:2: check_interval: "),
                            ::testing::StartsWith("config.toml:3: log_level: "),
                            ::testing::StartsWith("config.toml:9: runners.pool.limit: "),
                            ::testing::StartsWith("config.toml:14: backends.here.slots: ")));
}

}  // namespace
}  // namespace gridbridge::app
