#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "bridge/app/Config.h"
#include "tests/fakes/TestCertificate.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;
using gridbridge::testing::kBackend;
using gridbridge::testing::kRunner;
using namespace std::chrono_literals;

TEST(Config, EveryKeyArrives) {
    const ConfigFolder folder;
    const auto pem = [&](const char* name) { return folder.path() / name; };
    gridbridge::testing::writeCertificate("DNS:a", {pem("ca.pem"), pem("ca.key")});
    folder.write("token", "glrt-secret\n");
    folder.write(
        "config.toml",
        "concurrent = 7\ncheck_interval = \"10 s\"\nstate_dir = \"/state/\"\n"
        "log_level = \"debug\"\n[[runners]]\nname = \"pool\"\n"
        "url = \"https://gitlab.example.org/git/\"\ntoken_file = \"" +
            (folder.path() / "token").string() +
            "\"\nbackend = \"here\"\nlimit = 5\noutput_limit = 100\n"
            "artifact_limit = \"2 GiB\"\n"
            "tls_ca_file = \"" +
            pem("ca.pem").string() + "\"\ntls_cert_file = \"" + pem("ca.pem").string() +
            "\"\ntls_key_file = \"" + pem("ca.key").string() +
            "\"\ndebug_trace_disabled = true\nenvironment = [\"A=1\", "
            "\"B_2=x=y\"]\n[backends.here]\n"
            "type = \"local\"\nwork_dir = \"/work\"\npoll_interval = 2\n"
            "max_pending = 3\npending_limit = \"1 h\"\n"
            "minimum_run_time = 60\ninfrastructure_retries = 0\nslots = 9\nrun_as = \"ci\"\n"
            "trusted_jobs = true\nshell_init = \"\"\"\nmodule load a\nmodule load b\"\"\"\n"
            "scratch = \"/node_disk\"\nmin_scratch = \"3 MiB\"\nhome = \"project\"\n"
            "builds_dir = \"/builds/\"\n");
    const RunnerConfig runner{.name = "pool",
                              .url = "https://gitlab.example.org/git",
                              .token = Secret("glrt-secret"),
                              .tokenKey = "runners.pool.token_file",
                              .tokenPlace = {folder.file(), 8},
                              .tokenFile = folder.path() / "token",
                              .backend = "here",
                              .limit = 5,
                              .outputLimitKib = 100,
                              .artifactLimit = std::int64_t{2} << 30,
                              .tls = {pem("ca.pem"), pem("ca.pem"), pem("ca.key")},
                              .environment = {"A=1", "B_2=x=y"},
                              .debugTraceDisabled = true};
    const BackendConfig backend{.name = "here",
                                .type = "local",
                                .workDir = "/work",
                                .pollInterval = 2s,
                                .maxPending = 3,
                                .pendingLimit = 1h,
                                .minimumRunTime = 60s,
                                .infrastructureRetries = 0,
                                .slots = 9,
                                .runAs = {"ci"},
                                .trustedJobs = true,
                                .site = {"module load a\nmodule load b", "/node_disk", 3U << 20U,
                                         payload::Site::Home::Project, "/builds"}};
    const Config expected{.file = folder.file(),
                          .concurrent = 7,
                          .checkInterval = 10s,
                          .stateDir = "/state",
                          .logLevel = "debug",
                          .runners = {runner},
                          .backends = {backend}};
    EXPECT_THAT(folder.faults(), ::testing::IsEmpty());
    EXPECT_TRUE(loadConfig(folder.file(), ConfigFolder::host()) == expected);
}

TEST(Config, LimitIsConcurrentAndSlotsAreTheProcessorsWhenNothingIsSaid) {
    const ConfigFolder folder;
    folder.write("config.toml", std::string("concurrent = 42\n") + kRunner + kBackend);
    const Config config = loadConfig(folder.file(), ConfigFolder::host());
    EXPECT_EQ(config.runners[0].limit, 42);
    EXPECT_EQ(config.backends[0].slots, static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(Config, SlurmHasKeysOfItsOwnAndIsNotAskedAllTheTime) {
    const ConfigFolder folder;
    folder.write("config.toml", std::string(kRunner) +
                                    "[backends.here]\ntype = \"slurm\"\nwork_dir = \"/shared\"\n"
                                    "run_as = \"ci\"\npartition = \"short,long\"\n"
                                    "account = \"physics\"\nqos = \"normal\"\n"
                                    "submit_options = [\"--mem=4G\"]\n"
                                    "slurm_conf = \"/etc/slurm.conf\"\nbin_dir = \"/opt/bin\"\n");
    const auto backend = loadConfig(folder.file(), ConfigFolder::host()).backends.at(0);
    EXPECT_EQ(backend.pollInterval, std::chrono::seconds(10));
    EXPECT_TRUE(
        backend.slurm ==
        (SlurmConfig{
            "/etc/slurm.conf", "/opt/bin", "short,long", "physics", "normal", {"--mem=4G"}}));
}

TEST(Config, HTCondorHasKeysOfItsOwn) {
    const ConfigFolder folder;
    folder.write("config.toml",
                 std::string(kRunner) +
                     "[backends.here]\ntype = \"htcondor\"\nwork_dir = \"/shared\"\n"
                     "run_as = \"ci\"\nschedd = \"submit@example.org\"\n"
                     "submit_options = [\"request_memory = 4 GB\"]\n"
                     "condor_config = \"/etc/condor/condor_config\"\nbin_dir = \"/opt/bin\"\n"
                     "file_transfer = true\n");
    const auto backend = loadConfig(folder.file(), ConfigFolder::host()).backends.at(0);
    EXPECT_EQ(backend.pollInterval, std::chrono::seconds(10));
    EXPECT_TRUE(backend.htcondor == (HTCondorConfig{"/etc/condor/condor_config",
                                                    "/opt/bin",
                                                    "submit@example.org",
                                                    {"request_memory = 4 GB"},
                                                    true}));
}

TEST(Config, DiracxHasKeysOfItsOwnAndNeedsNoAccount) {
    const ConfigFolder folder;
    folder.write("config.toml", std::string(kRunner) +
                                    "[backends.here]\ntype = \"diracx\"\nwork_dir = \"/grid\"\n"
                                    "url = \"https://dirac.example.org\"\n"
                                    "credentials = \"/etc/dirac.json\"\njob_type = \"Test\"\n"
                                    "cpu_time_factor = 2.5\nsites = [\"LCG.A.org\"]\n"
                                    "banned_sites = [\"LCG.B.org\"]\ntags = [\"GPU\"]\n"
                                    "platform = \"x86_64-el9\"\nreruns = \"allow\"\n");
    const auto backend = loadConfig(folder.file(), ConfigFolder::host()).backends.at(0);
    EXPECT_EQ(backend.pollInterval, std::chrono::seconds(10));
    EXPECT_TRUE(
        backend.diracx ==
        (DiracxConfig{{"Test", 2.5, {"LCG.A.org"}, {"LCG.B.org"}, {"GPU"}, "x86_64-el9", true},
                      "https://dirac.example.org",
                      "",
                      "/etc/dirac.json"}));
}

TEST(Config, FilesInConfigDAddRunnersAndBackendsInTheOrderOfTheirNames) {
    const ConfigFolder folder;
    folder.write("config.toml", kBackend);
    folder.write("config.d/b.toml",
                 "[[runners]]\nname = \"b\"\nurl = \"http://one\"\n"
                 "token = \"u\"\nbackend = \"there\"\n");
    folder.write("config.d/a.toml",
                 "[[runners]]\nname = \"a\"\nurl = \"http://one\"\ntoken = \"t\"\n"
                 "backend = \"here\"\n[backends.there]\ntype = \"local\"\n"
                 "work_dir = \"/there\"\ntrusted_jobs = true\n");
    folder.write("config.d/.hidden.toml", "nonsense");
    folder.write("config.d/a.toml~", "nonsense");
    const Config config = loadConfig(folder.file(), ConfigFolder::host());
    ASSERT_EQ(config.runners.size(), 2U);
    EXPECT_EQ(config.runners[0].name, "a");
    EXPECT_EQ(config.runners[1].name, "b");
    EXPECT_NE(config.backend("there"), nullptr);
    EXPECT_EQ(config.backend("nowhere"), nullptr);
}

TEST(Config, AServerHasOneSpelling) {
    for (const char* same : {"https://gitlab.example.org", "https://gitlab.example.org/",
                             "https://gitlab.example.org/api/v4", "HTTPS://GitLab.Example.org:443/",
                             "https://gitlab.example.org/ci/"}) {
        EXPECT_EQ(serverUrl(same), "https://gitlab.example.org") << same;
    }
    EXPECT_EQ(serverUrl("http://h:8080/Git/"), "http://h:8080/Git");
    for (const char* none : {"", "gitlab.example.org", "ftp://h", "https://", "https://u:p@h",
                             "https://h/?a=b", "https://h/#a", "https://h/a b", "https://h/\"x"}) {
        EXPECT_EQ(serverUrl(none), std::nullopt) << none;
    }
}

TEST(Config, TheSameTokenAtTwoServersIsTwoRunners) {
    const ConfigFolder folder;
    folder.write("config.toml", std::string(kRunner) +
                                    "[[runners]]\nname = \"other\"\nurl = \"https://other\"\n"
                                    "token = \"glrt-0123456789\"\nbackend = \"here\"\n" +
                                    kBackend);
    EXPECT_THAT(folder.faults(), ::testing::IsEmpty());
}

TEST(Config, AnErrorHoldsEverySentence) {
    const ConfigFolder folder;
    folder.write("config.toml",
                 std::string("concurrent = 0\nretention = 3\n") + kRunner + kBackend);
    try {
        loadConfig(folder.file(), ConfigFolder::host());
        FAIL() << "accepted";
    } catch (const ConfigError& error) {
        ASSERT_EQ(error.problems.size(), 2U);
        EXPECT_EQ(error.what(), error.problems[0].sentence() + "\n" + error.problems[1].sentence());
    }
}

TEST(Config, PlacesNameWhereAKeyStands) {
    const ConfigFolder folder;
    folder.write("config.toml", std::string("\nstate_dir = \"/state\"\n") + kRunner + kBackend);
    const auto reading = folder.read();
    EXPECT_EQ(reading.places.at("state_dir").line, 2);
    EXPECT_EQ(reading.places.at("runners.pool.token").line, 6);
    EXPECT_EQ(reading.places.at("runners.pool.token").file, folder.file());
}

TEST(Config, SizesHaveAUnit) {
    EXPECT_EQ(parseSize("64 KiB"), 64U << 10U);
    EXPECT_EQ(parseSize("500MiB"), 500U << 20U);
    EXPECT_EQ(parseSize("2 GiB"), std::uint64_t{2} << 30U);
    EXPECT_EQ(parseSize("3 TiB"), std::uint64_t{3} << 40U);
    for (const char* wrong : {"", "GiB", "2", "2 GB", "1.5 GiB", "-1 GiB", "1000000000 TiB"}) {
        EXPECT_EQ(parseSize(wrong), std::nullopt) << wrong;
    }
}

TEST(Config, DurationsAreSecondsOrHaveAUnit) {
    EXPECT_EQ(parseDuration("90"), 90s);
    EXPECT_EQ(parseDuration("10 s"), 10s);
    EXPECT_EQ(parseDuration("5min"), 300s);
    EXPECT_EQ(parseDuration("12 h"), 12h);
    EXPECT_EQ(parseDuration("1 day"), 24h);
    EXPECT_EQ(parseDuration("2 days"), 48h);
    for (const char* wrong : {"", "s", "1.5 h", "-1 s", "10 parsecs", "10  s", "10 ", " 10",
                              "99999999999999999999", "1 2 s"}) {
        EXPECT_EQ(parseDuration(wrong), std::nullopt) << wrong;
    }
}

TEST(Config, ThisHostKnowsItsAccounts) {
    const Host host = thisHost();
    EXPECT_EQ(host.uid, ::geteuid());
    EXPECT_EQ(host.uidOf("root"), std::optional<uid_t>(0));
    EXPECT_EQ(host.uidOf("no-such-account-here"), std::nullopt);
}

}  // namespace
}  // namespace gridbridge::app
