#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/payload/Settings.h"

namespace gridbridge::payload {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Read {
    Settings settings;
    std::vector<std::string> warnings;
};

Read settingsOf(const std::vector<std::pair<std::string, std::string>>& variables,
                bool allowGitFetch = true) {
    gitlab::JobDescription job;
    job.allowGitFetch = allowGitFetch;
    job.timeout = hours(1);
    job.git.depth = 20;
    for (const auto& [key, value] : variables) {
        job.variables.push_back({.key = key, .value = value});
    }
    Read read;
    read.settings = readSettings(Variables(job), job, read.warnings);
    return read;
}

seconds scriptTimeout(const std::string& value) {
    return settingsOf({{"RUNNER_SCRIPT_TIMEOUT", value}}).settings.scriptTimeout;
}

TEST(SettingsTest, WithoutVariablesTheDefaultsHold) {
    const auto read = settingsOf({});

    EXPECT_FALSE(read.settings.debugTrace);
    EXPECT_EQ(read.settings.gitStrategy, GitStrategy::Fetch);
    EXPECT_EQ(settingsOf({}, false).settings.gitStrategy, GitStrategy::Clone);
    EXPECT_TRUE(read.settings.gitCheckout);
    EXPECT_THAT(read.settings.gitCleanFlags, ElementsAre("-ffdx"));
    EXPECT_THAT(read.settings.gitFetchFlags, ElementsAre("--prune", "--quiet"));
    EXPECT_EQ(read.settings.getSourcesAttempts, 1);
    EXPECT_TRUE(read.settings.afterScriptIgnoresErrors);
    EXPECT_EQ(read.settings.scriptTimeout, seconds(0));
    EXPECT_EQ(read.settings.afterScriptTimeout, minutes(5));
    EXPECT_THAT(read.warnings, IsEmpty());
}

TEST(SettingsTest, JobAsksForTimestamps) {
    EXPECT_FALSE(settingsOf({}).settings.timestamps);
    EXPECT_TRUE(settingsOf({{"FF_TIMESTAMPS", "true"}}).settings.timestamps);
    EXPECT_FALSE(settingsOf({{"FF_TIMESTAMPS", "0"}}).settings.timestamps);
}

TEST(SettingsTest, DurationsAreWrittenAsInGo) {
    EXPECT_EQ(scriptTimeout("90s"), seconds(90));
    EXPECT_EQ(scriptTimeout("1m30s"), seconds(90));
    EXPECT_EQ(scriptTimeout("0.5h"), minutes(30));
    EXPECT_EQ(scriptTimeout(".5m"), seconds(30));
    EXPECT_EQ(scriptTimeout("1500ms"), seconds(2));
    EXPECT_EQ(scriptTimeout("1ns"), seconds(1));
    EXPECT_EQ(scriptTimeout("2000000us"), seconds(2));
    EXPECT_EQ(scriptTimeout("0"), seconds(0));
    EXPECT_EQ(scriptTimeout("0s"), seconds(0));
}

TEST(SettingsTest, MalformedDurationIsIgnoredWithALine) {
    for (const auto* value : {"5 minutes", "abc", "5", "1d", "m", "1h30", "--1s", "infs", "1e3s",
                              "99999999999999999999h"}) {
        const auto read = settingsOf({{"RUNNER_SCRIPT_TIMEOUT", value}});
        EXPECT_EQ(read.settings.scriptTimeout, seconds(0)) << value;
        EXPECT_THAT(
            read.warnings,
            ElementsAre(std::string("Ignoring malformed RUNNER_SCRIPT_TIMEOUT timeout: ") + value));
    }
}

TEST(SettingsTest, NegativeDurationIsIgnoredWithALine) {
    const auto read = settingsOf({{"RUNNER_AFTER_SCRIPT_TIMEOUT", "-5m"}});
    EXPECT_EQ(read.settings.afterScriptTimeout, minutes(5));
    EXPECT_THAT(read.warnings,
                ElementsAre("Ignoring relative RUNNER_AFTER_SCRIPT_TIMEOUT timeout: -5m"));
}

TEST(SettingsTest, DurationBeyondTheJobsIsTheJobs) {
    const auto read = settingsOf({{"RUNNER_SCRIPT_TIMEOUT", "3h"}});
    EXPECT_EQ(read.settings.scriptTimeout, hours(1));
    EXPECT_THAT(read.warnings, ElementsAre("RUNNER_SCRIPT_TIMEOUT timeout: 3h is longer than job "
                                           "timeout. Setting to job timeout"));
}

TEST(SettingsTest, AttemptsAreClampedOrDefaultWithALine) {
    const auto many = settingsOf({{"GET_SOURCES_ATTEMPTS", "99"}});
    const auto few = settingsOf({{"GET_SOURCES_ATTEMPTS", "0"}});
    const auto text = settingsOf({{"GET_SOURCES_ATTEMPTS", "x"}});

    EXPECT_EQ(many.settings.getSourcesAttempts, 10);
    EXPECT_THAT(many.warnings, ElementsAre("GET_SOURCES_ATTEMPTS: number of attempts out of the "
                                           "range [1, 10], clamping to: 10"));
    EXPECT_EQ(few.settings.getSourcesAttempts, 1);
    EXPECT_EQ(few.warnings.size(), 1U);
    EXPECT_EQ(text.settings.getSourcesAttempts, 1);
    EXPECT_THAT(
        text.warnings,
        ElementsAre("GET_SOURCES_ATTEMPTS: expected int got \"x\", using default value: 1"));
    EXPECT_EQ(settingsOf({{"GET_SOURCES_ATTEMPTS", "3"}}).settings.getSourcesAttempts, 3);
}

TEST(SettingsTest, TimeOfACacheIsInMinutes) {
    using std::chrono::minutes;
    EXPECT_EQ(settingsOf({}).settings.cacheTimeout, minutes(10));
    EXPECT_EQ(settingsOf({{"CACHE_REQUEST_TIMEOUT", "3"}}).settings.cacheTimeout, minutes(3));
    for (const auto* odd : {"0", "-1", "1h"}) {
        EXPECT_EQ(settingsOf({{"CACHE_REQUEST_TIMEOUT", odd}}).settings.cacheTimeout, minutes(10))
            << odd;
    }
}

TEST(SettingsTest, BooleansAreGosAndOthersDefaultWithALine) {
    for (const auto* yes : {"1", "t", "T", "TRUE", "true", "True"}) {
        EXPECT_TRUE(settingsOf({{"CI_DEBUG_TRACE", yes}}).settings.debugTrace) << yes;
    }
    for (const auto* no : {"0", "f", "F", "FALSE", "false", "False"}) {
        EXPECT_FALSE(settingsOf({{"GIT_CHECKOUT", no}}).settings.gitCheckout) << no;
    }
    const auto read = settingsOf({{"GIT_CHECKOUT", "no"}});
    EXPECT_TRUE(read.settings.gitCheckout);
    EXPECT_THAT(read.warnings,
                ElementsAre("GIT_CHECKOUT: expected bool got \"no\", using default value: true"));
}

TEST(SettingsTest, UnknownStrategyIsFetchWithALine) {
    EXPECT_EQ(settingsOf({{"GIT_STRATEGY", "empty"}}).settings.gitStrategy, GitStrategy::Empty);
    EXPECT_EQ(settingsOf({{"GIT_STRATEGY", "none"}}).settings.gitStrategy, GitStrategy::None);
    EXPECT_EQ(settingsOf({{"GIT_STRATEGY", "clone"}}).settings.gitStrategy, GitStrategy::Clone);
    const auto read = settingsOf({{"GIT_STRATEGY", "x"}}, false);
    EXPECT_EQ(read.settings.gitStrategy, GitStrategy::Fetch);
    EXPECT_THAT(read.warnings, ElementsAre("GIT_STRATEGY: expected either 'clone', 'fetch', 'none' "
                                           "or 'empty' got \"x\", using default value 'fetch'"));
}

TEST(SettingsTest, SubmodulesAreAsDeepAsTheRepositoryUnlessTheJobSaysOtherwise) {
    EXPECT_EQ(settingsOf({}).settings.submoduleDepth, 20);
    EXPECT_EQ(settingsOf({{"GIT_SUBMODULE_DEPTH", "0"}}).settings.submoduleDepth, 0);
    EXPECT_EQ(settingsOf({{"GIT_SUBMODULE_DEPTH", "3"}}).settings.submoduleDepth, 3);
    EXPECT_EQ(settingsOf({{"GIT_SUBMODULE_DEPTH", "-3"}}).settings.submoduleDepth, 0);
    const auto read = settingsOf({{"GIT_SUBMODULE_DEPTH", "all"}});
    EXPECT_EQ(read.settings.submoduleDepth, 20);
    EXPECT_THAT(
        read.warnings,
        ElementsAre("GIT_SUBMODULE_DEPTH: expected int got \"all\", using default value: 20"));
}

TEST(SettingsTest, UnknownSubmoduleStrategyIsSaid) {
    const auto read = settingsOf({{"GIT_SUBMODULE_STRATEGY", "foo"}});
    EXPECT_EQ(read.settings.submodules, SubmoduleStrategy::Unknown);
    EXPECT_THAT(read.warnings, ElementsAre("GIT_SUBMODULE_STRATEGY: expected either 'normal', "
                                           "'recursive' or 'none' got \"foo\""));
}

TEST(SettingsTest, FlagsAreSplitAtWhiteSpaceAndNoneMeansNothing) {
    const auto read =
        settingsOf({{"GIT_CLEAN_FLAGS", " -ffdx  -e\tcache/ "}, {"GIT_FETCH_EXTRA_FLAGS", "none"}});
    EXPECT_THAT(read.settings.gitCleanFlags, ElementsAre("-ffdx", "-e", "cache/"));
    EXPECT_THAT(read.settings.gitFetchFlags, IsEmpty());
}

TEST(SettingsTest, LastValueCountsAfterExpansion) {
    const auto read = settingsOf(
        {{"RUNNER_SCRIPT_TIMEOUT", "1m"}, {"N", "7"}, {"RUNNER_SCRIPT_TIMEOUT", "${N}s"}});
    EXPECT_EQ(read.settings.scriptTimeout, seconds(7));
}

TEST(SettingsTest, ControlCharactersOfAValueDoNotReachTheLog) {
    const auto read = settingsOf({{"GIT_CHECKOUT", "a\n\033[31mb"}});
    EXPECT_THAT(
        read.warnings,
        ElementsAre("GIT_CHECKOUT: expected bool got \"a??[31mb\", using default value: true"));
}

}  // namespace
}  // namespace gridbridge::payload
