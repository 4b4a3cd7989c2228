#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <map>

#include "bridge/app/ConfigFile.h"
#include "bridge/app/Reload.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ReloadTest : public ::testing::Test {
protected:
    ReloadTest() {
        RunnerConfig runner;
        runner.name = "pool";
        runner.url = "https://gitlab.example.org";
        runner.token = Secret("glrt-old");
        runner.tokenKey = "runners.pool.token";
        runner.backend = "here";
        runner.limit = 10;
        now.runners.push_back(runner);
        BackendConfig backend;
        backend.name = "here";
        backend.type = "local";
        backend.workDir = "/jobs";
        backend.runAs.usual = "ci";
        now.backends.push_back(backend);
        next = now;
    }
    RunnerConfig& runner() { return next.runners.at(0); }
    BackendConfig& backend() { return next.backends.at(0); }

    Config now;
    Config next;
};

TEST_F(ReloadTest, WhatCanChangeDoes) {
    next.concurrent = 7;
    next.checkInterval = std::chrono::seconds(9);
    next.logLevel = "debug";
    next.retention = std::chrono::hours(1);
    runner().token = Secret("glrt-new");
    runner().limit = 3;
    runner().outputLimitKib = 1;
    runner().artifactLimit = 1;
    runner().environment = {"A=b"};
    runner().access.bannedUsers = {"mallory"};
    runner().cacheLimit = 1;
    runner().cacheAge = std::chrono::hours(1);
    backend().pollInterval = std::chrono::seconds(5);
    backend().maxPending = 2;
    backend().pendingLimit = std::chrono::hours(1);
    backend().minimumRunTime = std::chrono::minutes(1);
    backend().infrastructureRetries = 0;
    backend().site = {"module load gcc", "/scratch", 1, payload::Site::Home::Real, "/builds"};

    const auto reload = planReload(now, next);

    EXPECT_TRUE(reload.config == next);
    EXPECT_THAT(reload.later, IsEmpty());
}

TEST_F(ReloadTest, WhatCannotStaysAsItWasAndIsToldKeyByKey) {
    next.stateDir = "/elsewhere";
    runner().url = "https://other.example.org";
    runner().token = Secret("glrt-new");
    runner().tls = {"/ca.pem", "/cert.pem", "/key.pem"};
    runner().backend = "there";
    backend().workDir = "/other";
    backend().slots = 99;
    backend().slurm = {"/conf", "/bin", "short", "physics", "normal", {"--mem=4G"}};
    backend().htcondor.schedd = "s@x";
    backend().htcondor.condorConfig = "/condor_config";
    backend().htcondor.fileTransfer = true;
    backend().htcondor.spool = true;
    backend().runAs.usual = "";
    backend().trustedJobs = true;

    const auto reload = planReload(now, next);

    EXPECT_TRUE(reload.config == now);
    std::vector<std::string> keys;
    for (const auto& line : reload.later) {
        EXPECT_TRUE(line.ends_with(" changes when the service is started again")) << line;
        EXPECT_EQ(line.find("glrt-"), std::string::npos);
        keys.push_back(line.substr(0, line.find(' ')));
    }
    EXPECT_THAT(
        keys, UnorderedElementsAre(
                  "state_dir", "runners.pool.url", "runners.pool.token", "runners.pool.tls_ca_file",
                  "runners.pool.tls_cert_file", "runners.pool.tls_key_file", "runners.pool.backend",
                  "backends.here.work_dir", "backends.here.slots", "backends.here.partition",
                  "backends.here.account", "backends.here.qos", "backends.here.submit_options",
                  "backends.here.slurm_conf", "backends.here.bin_dir", "backends.here.schedd",
                  "backends.here.condor_config", "backends.here.file_transfer",
                  "backends.here.spool", "backends.here.run_as", "backends.here.trusted_jobs"));
}

TEST_F(ReloadTest, HomeOfTheProjectWaitsAsLongAsFilesAreCopied) {
    now.backends[0].type = "htcondor";
    now.backends[0].htcondor.fileTransfer = true;
    next = now;
    backend().htcondor.fileTransfer = false;
    backend().site = {.shellInit = "module load gcc", .home = payload::Site::Home::Project};

    const auto reload = planReload(now, next);

    EXPECT_EQ(reload.config.backends[0].site, payload::Site{.shellInit = "module load gcc"});
    EXPECT_THAT(reload.later,
                ElementsAre("backends.here.file_transfer changes when the service is started again",
                            "backends.here.home changes when the service is started again"));
}

TEST_F(ReloadTest, ARunnerThatIsGoneClaimsNothingUntilItComesBack) {
    auto other = runner();
    next.runners.clear();
    const auto gone = planReload(now, next);
    ASSERT_EQ(gone.config.runners.size(), 1U);
    EXPECT_EQ(gone.config.runners[0].limit, 0);
    EXPECT_THAT(gone.later, ElementsAre("runners.pool claims nothing any more, and goes when the "
                                        "service is started again"));

    next.runners.push_back(other);
    EXPECT_EQ(planReload(gone.config, next).config.runners[0].limit, 10);
}

TEST_F(ReloadTest, CachesEndAtOnceWhereAnotherProjectComesToTheirAccount) {
    now.runners[0].cacheDir = "/caches";
    now.runners[0].access.allowedProjects = {"physics/a"};
    next = now;
    EXPECT_EQ(planReload(now, next).config.runners[0].cacheDir, "/caches");
    backend().runAs.projects = {{"physics/b", "ciphys"}};
    runner().access.allowedProjects = {"physics/a", "physics/b"};

    const auto reload = planReload(now, next);

    EXPECT_EQ(reload.config.runners[0].cacheDir, "");
    EXPECT_THAT(
        reload.later,
        ElementsAre("backends.here.project_run_as changes when the service is started again",
                    "runners.pool keeps no caches until the service is started again: jobs "
                    "of several projects run as the account ci"));
}

TEST_F(ReloadTest, NewRunnersAndBackendsBegin) {
    auto more = backend();
    more.name = "there";
    next.backends.push_back(more);
    auto second = runner();
    second.name = "second";
    second.backend = "there";
    next.runners.push_back(second);

    const auto reload = planReload(now, next);

    EXPECT_TRUE(reload.config == next);
    EXPECT_THAT(reload.later, IsEmpty());
}

TEST_F(ReloadTest, ANewRunnerHasOnlyWhatItsBackendHasUntilTheRestart) {
    backend().container.run = {"podman"};
    auto second = runner();
    second.name = "second";
    second.hasContainers = true;
    next.runners.push_back(second);

    const auto reload = planReload(now, next);

    EXPECT_THAT(reload.later, ElementsAre(HasSubstr("container_command")));
    EXPECT_FALSE(reload.config.runners.at(1).hasContainers);
}

/// Two values of every key that a configuration can hold beside `name`, `backend` and `token`.
const std::map<std::string_view, std::pair<const char*, const char*>> kValues{
    {"concurrent", {"5", "6"}},
    {"check_interval", {"5", "6"}},
    {"state_dir", {"\"/state\"", "\"/other\""}},
    {"log_level", {"\"info\"", "\"debug\""}},
    {"retention", {"\"1 day\"", "\"2 days\""}},
    {"min_free_space", {"\"1 GiB\"", "\"2 GiB\""}},
    {"url", {"\"https://a\"", "\"https://b\""}},
    {"limit", {"5", "6"}},
    {"output_limit", {"5", "6"}},
    {"artifact_limit", {"\"1 GiB\"", "\"2 GiB\""}},
    {"environment", {"[\"A=b\"]", "[\"A=c\"]"}},
    {"debug_trace_disabled", {"false", "true"}},
    {"allowed_projects", {"[\"a/b\"]", "[\"a/c\"]"}},
    {"banned_projects", {"[\"a/b\"]", "[\"a/c\"]"}},
    {"banned_users", {"[\"ada\"]", "[\"bob\"]"}},
    {"cache_dir", {"\"/caches\"", "\"/other-caches\""}},
    {"cache_limit", {"\"1 GiB\"", "\"2 GiB\""}},
    {"cache_age", {"\"1 day\"", "\"2 days\""}},
    {"work_dir", {"\"/jobs\"", "\"/tasks\""}},
    {"poll_interval", {"5", "6"}},
    {"max_pending", {"5", "6"}},
    {"pending_limit", {"5", "6"}},
    {"minimum_run_time", {"5", "6"}},
    {"infrastructure_retries", {"5", "6"}},
    {"slots", {"5", "6"}},
    {"run_as", {"\"ci\"", "\"ci2\""}},
    {"trusted_jobs", {"false", "true"}},
    {"allowed_images", {"[\"a:*\"]", "[\"b:*\"]"}},
    {"image", {"\"fail\"", "\"ignore\""}},
    {"container_command",
     {"[\"a\", \"{binds}\", \"{image}\"]", "[\"b\", \"{binds}\", \"{image}\"]"}},
    {"container_pull", {"[\"a\", \"{image}\"]", "[\"b\", \"{image}\"]"}},
    {"container_stop", {"[\"a\"]", "[\"b\"]"}},
    {"container_binds", {"[\"/a\"]", "[\"/b\"]"}},
    {"shell_init", {"\"a\"", "\"b\""}},
    {"scratch", {"\"/a\"", "\"/b\""}},
    {"min_scratch", {"\"1 GiB\"", "\"2 GiB\""}},
    {"home", {"\"real\"", "\"private\""}},
    {"builds_dir", {"\"/a\"", "\"/b\""}},
    {"seed", {"5", "6"}},
    {"faults", {"0.5", "0.6"}},
    {"partition", {"\"a\"", "\"b\""}},
    {"account", {"\"a\"", "\"b\""}},
    {"qos", {"\"a\"", "\"b\""}},
    {"submit_options", {"[\"--mem=1G\"]", "[\"--mem=2G\"]"}},
    {"slurm_conf", {"\"/a\"", "\"/b\""}},
    {"schedd", {"\"a\"", "\"b\""}},
    {"condor_config", {"\"/a\"", "\"/b\""}},
    {"file_transfer", {"false", "true"}},
    {"spool", {"false", "true"}},
    {"credentials", {"\"/a\"", "\"/b\""}},
    {"job_type", {"\"a\"", "\"b\""}},
    {"cpu_time_factor", {"0.5", "0.6"}},
    {"sites", {"[\"a\"]", "[\"b\"]"}},
    {"banned_sites", {"[\"a\"]", "[\"b\"]"}},
    {"tags", {"[\"a\"]", "[\"b\"]"}},
    {"platform", {"\"a\"", "\"b\""}},
    {"reruns", {"\"kill\"", "\"allow\""}},
    {"queue", {"\"a\"", "\"b\""}},
    {"bin_dir", {"\"/a\"", "\"/b\""}},
    {"project_run_as", {"[\"g/*=ci\"]", "[\"h/*=ci\"]"}},
    {"cpus", {"1", "2"}},
    {"max_cpus", {"4", "8"}},
    {"memory", {"\"1 GiB\"", "\"2 GiB\""}},
    {"max_memory", {"\"4 GiB\"", "\"8 GiB\""}},
    {"disk", {"\"1 GiB\"", "\"2 GiB\""}},
    {"max_disk", {"\"4 GiB\"", "\"8 GiB\""}},
    {"gpus", {"0", "1"}},
    {"max_gpus", {"1", "2"}},
    {"wall_time", {"60", "90"}},
    {"max_wall_time", {"3600", "7200"}},
    {"queues", {"[\"a\"]", "[\"b\"]"}},
    {"accounts", {"[\"a\"]", "[\"b\"]"}},
    {"project_accounts", {"[\"g/*=a\"]", "[\"g/*=b\"]"}},
    {"preset", {"\"sge\"", "\"sge\""}},
    {"command_environment", {"[\"A=b\"]", "[\"A=c\"]"}},
    {"submit", {"[\"a\"]", "[\"b\"]"}},
    {"submit_id", {"\"a(?<id>b)\"", "\"b(?<id>b)\""}},
    {"submit_refused", {"\"a\"", "\"b\""}},
    {"submit_full", {"\"a\"", "\"b\""}},
    {"status", {"[\"a\"]", "[\"b\"]"}},
    {"status_job", {"\"a(?<id>a)(?<name>a)(?<state>a)\"", "\"b(?<id>a)(?<name>a)(?<state>a)\""}},
    {"status_other", {"\"a\"", "\"b\""}},
    {"status_empty", {"\"a\"", "\"b\""}},
    {"status_json", {"\"a\"", "\"b\""}},
    {"status_members", {"[\"state=a\", \"name=a\"]", "[\"state=a\", \"name=b\"]"}},
    {"failed_states", {"\"a\"", "\"b\""}},
    {"held_states", {"\"a\"", "\"b\""}},
    {"pending_states", {"\"a\"", "\"b\""}},
    {"running_states", {"\"a\"", "\"b\""}},
    {"ended_states", {"\"a\"", "\"b\""}},
    {"result", {"[\"a\"]", "[\"b\"]"}},
    {"result_end", {"\"a(?<exit>b)\"", "\"b(?<exit>b)\""}},
    {"result_none", {"\"a\"", "\"b\""}},
    {"result_wall_time", {"\"a\"", "\"b\""}},
    {"result_memory", {"\"a\"", "\"b\""}},
    {"result_node", {"\"a\"", "\"b\""}},
    {"cancel", {"[\"a\"]", "[\"b\"]"}},
    {"cancel_gone", {"\"a\"", "\"b\""}},
};

/// That not every batch system can be asked for.
constexpr std::array<std::string_view, 11> kResourceKeys{
    "cpus", "max_cpus", "memory",   "max_memory",       "disk",  "max_disk",
    "gpus", "max_gpus", "accounts", "project_accounts", "queues"};

/// As `kValues` has it, with the second value for `changed`.
Config configWith(std::string_view changed) {
    const auto section = [&](SectionKind kind, const std::string& type = "local") {
        std::string lines;
        for (const auto& key : knownKeys()) {
            const auto has = [&](const auto& keys) {
                return std::find(keys.begin(), keys.end(), key.name) != keys.end();
            };
            const bool isSlurms =
                key.name == "submit_options" || key.name == "bin_dir" || has(kResourceKeys);
            const std::string_view itsType = !key.type.empty() ? key.type
                                             : isSlurms        ? "slurm"
                                                               : "local";
            if (const auto known = kValues.find(key.name);
                known != kValues.end() && key.section == kind && itsType == type) {
                lines += std::string(key.name) + " = " +
                         (key.name == changed ? known->second.second : known->second.first) + "\n";
            }
        }
        return lines;
    };
    const gridbridge::testing::ConfigFolder folder;
    folder.write("config.toml", section(SectionKind::Top) +
                                    "[[runners]]\nname = \"pool\"\ntoken = \"glrt-x\"\n"
                                    "backend = \"here\"\n" +
                                    section(SectionKind::Runner) +
                                    "[backends.here]\ntype = \"local\"\n" +
                                    section(SectionKind::Backend) +
                                    "[backends.sim]\ntype = \"simulated\"\n"
                                    "work_dir = \"/simulated\"\n" +
                                    section(SectionKind::Backend, "simulated") +
                                    "[backends.cluster]\ntype = \"slurm\"\nrun_as = \"ci\"\n"
                                    "work_dir = \"/shared\"\n" +
                                    section(SectionKind::Backend, "slurm") +
                                    "[backends.pool]\ntype = \"htcondor\"\nrun_as = \"ci\"\n"
                                    "work_dir = \"/pool\"\n" +
                                    section(SectionKind::Backend, "htcondor") +
                                    "[backends.farm]\ntype = \"command\"\nrun_as = \"ci\"\n"
                                    "work_dir = \"/farm\"\n" +
                                    section(SectionKind::Backend, "command") +
                                    "[backends.grid]\ntype = \"diracx\"\n"
                                    "work_dir = \"/grid\"\n" +
                                    section(SectionKind::Backend, "diracx arc") +
                                    section(SectionKind::Backend, "diracx") +
                                    "[backends.ce]\ntype = \"arc\"\nwork_dir = \"/ce\"\n"
                                    "url = \"https://ce\"\ntoken_file = \"/token\"\n" +
                                    section(SectionKind::Backend, "arc"));
    const auto accounts = [](const std::string& name) {
        return std::optional(static_cast<uid_t>(1000 + name.size()));
    };
    auto config = loadConfig(folder.file(), Host{0, accounts});
    config.file = "config.toml";
    config.runners.at(0).tokenPlace = {};
    config.runners.at(0).tokenFile.clear();
    return config;
}

TEST(ReloadOfEveryKey, ChangesWhatHoldsOrSaysThatItWaits) {
    const auto now = configWith("");
    for (const auto& key : knownKeys()) {
        const std::string name(key.name);
        if (name == "name" || name == "backend" || name == "type" || name.ends_with("_file") ||
            name == "token" || name == "preset" || name == "container") {
            continue;  // Tested by hand above; a preset is only what other keys do not say.
        }
        ASSERT_EQ(kValues.count(key.name), 1U) << "give this test two values of " << name;
        const auto next = configWith(key.name);
        ASSERT_FALSE(next == now) << name;
        const auto reload = planReload(now, next);
        if (reload.later.empty()) {
            EXPECT_TRUE(reload.config == next) << name << " is forgotten in silence";
        } else {
            EXPECT_TRUE(reload.config == now) << name;
            EXPECT_EQ(reload.later.size(), name == "url" ? 2U : 1U);  // Of runners and backends.
        }
    }
}

}  // namespace
}  // namespace gridbridge::app
