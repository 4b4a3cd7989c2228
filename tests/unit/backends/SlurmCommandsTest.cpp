#include <gmock/gmock.h>

#include <algorithm>

#include "backends/slurm/SlurmCommands.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;

constexpr auto kNow = WallTime(1795921136s);

BatchJob job() {
    BatchJob job;
    job.key = {"gb-a1b2c3d4-17-1"};
    job.deadline = kNow + 61min + 1s;
    job.label = "physics/detector:test:ada";
    return job;
}

TEST(SlurmCommands, AJobIsSubmittedUnderItsKeyForOneRun) {
    const auto words = submitCommand({}, job(), "/shared/gb-a1b2c3d4-17-1", kNow);

    EXPECT_EQ(words.front(), "sbatch");
    EXPECT_EQ(words.back(), "/shared/gb-a1b2c3d4-17-1/in/loader.sh");
    for (const char* word :
         {"--parsable", "--job-name=gb-a1b2c3d4-17-1", "--comment=physics/detector:test:ada",
          "--no-requeue", "--open-mode=append", "--signal=B:USR1@60",
          "--output=/shared/gb-a1b2c3d4-17-1/out/batch.log"}) {
        EXPECT_THAT(words, Contains(word));
    }
}

TEST(SlurmCommands, TheTimeLimitIsBehindTheDeadlineAndNeverUnlimited) {
    auto late = job();
    late.deadline = kNow - 5h;

    EXPECT_THAT(submitCommand({}, job(), "/f", kNow), Contains("--time=65"));
    EXPECT_THAT(submitCommand({}, late, "/f", kNow), Contains("--time=3"));
}

TEST(SlurmCommands, TheSitesOptionsComeLastAndEmptyOnesNotAtAll) {
    const SlurmConfig config{.partition = "short",
                             .account = "physics",
                             .qos = "normal",
                             .submitOptions = {"--mem=4G", "--time=10"}};
    const auto words = submitCommand(config, job(), "/f", kNow);

    for (const char* word : {"--partition=short", "--account=physics", "--qos=normal"}) {
        EXPECT_THAT(words, Contains(word));
    }
    EXPECT_EQ(words[words.size() - 3], "--mem=4G");
    EXPECT_EQ(words[words.size() - 2], "--time=10");
    EXPECT_THAT(submitCommand({}, job(), "/f", kNow),
                Each(Not(::testing::StartsWith("--partition"))));
}

TEST(SlurmCommands, WhatAJobAskedForIsBehindTheSitesOptionsWhereTheLastOneCounts) {
    auto big = job();
    big.resources = {.cpus = 4,
                     .memory = (std::int64_t{4} << 30) + 1,
                     .disk = std::int64_t{10} << 30,
                     .gpus = 2,
                     .queue = "long",
                     .account = "physics"};
    const SlurmConfig config{.partition = "short", .submitOptions = {"--mem=2G"}};

    const auto words = submitCommand(config, big, "/f", kNow);

    const auto at = std::find(words.begin(), words.end(), "--mem=2G");
    ASSERT_NE(at, words.end());
    EXPECT_EQ(std::vector<std::string>(at + 1, words.end()),
              (std::vector<std::string>{"--cpus-per-task=4", "--mem=4097M", "--tmp=10240M",
                                        "--gres=gpu:2", "--partition=long", "--account=physics",
                                        "/f/in/loader.sh"}));
}

TEST(SlurmCommands, AJobThatAsksForNoGpuTakesBackTheSites) {
    auto none = job();
    none.resources.gpus = 0;
    auto two = job();
    two.resources.gpus = 2;
    const SlurmConfig config{.submitOptions = {"--gres=gpu:1", "--gpus=1", "--gpus-per-node=1"}};
    const auto options = [&](const BatchJob& job) {
        const auto words = submitCommand(config, job, "/f", kNow);
        return std::vector<std::string>(std::find(words.begin(), words.end(), "--gres=gpu:1"),
                                        words.end() - 1);
    };

    EXPECT_EQ(options(none), (std::vector<std::string>{"--gres=gpu:1", "--gres=none"}));
    EXPECT_EQ(options(two), (std::vector<std::string>{"--gres=gpu:1", "--gres=gpu:2"}));
    EXPECT_EQ(options(job()), config.submitOptions);
}

TEST(SlurmCommands, OfWallTimeAndDeadlineTheSmallerCounts) {
    auto brief = job();
    brief.resources.wallTime = 10min + 1s;
    EXPECT_THAT(submitCommand({}, brief, "/f", kNow), Contains("--time=14"));

    brief.resources.wallTime = 5h;
    EXPECT_THAT(submitCommand({}, brief, "/f", kNow), Contains("--time=65"));
}

TEST(SlurmCommands, AWallTimeCountsWhateverTheSitesOptionsSay) {
    const SlurmConfig config{.submitOptions = {"--time=10"}};
    const auto limits = [&](const BatchJob& job) {
        std::vector<std::string> times;
        const auto words = submitCommand(config, job, "/f", kNow);
        std::copy_if(words.begin(), words.end(), std::back_inserter(times),
                     [](const std::string& word) { return word.starts_with("--time="); });
        return times;
    };
    auto brief = job();
    brief.resources.wallTime = 30min;

    EXPECT_EQ(limits(brief), (std::vector<std::string>{"--time=10", "--time=33"}));
    EXPECT_EQ(limits(job()), (std::vector<std::string>{"--time=65", "--time=10"}));
}

TEST(SlurmCommands, OptionsOnWhichPromisesRestAreTheServicesOwn) {
    for (const char* good : {"--mem=4G", "--gres=gpu:1", "--cpus-per-task=2", "--exclusive"}) {
        EXPECT_TRUE(isSlurmSubmitOption(good)) << good;
    }
    for (const char* bad :
         {"--requeue", "--job-name=x", "--output=/dev/null", "--array=1-9", "--wrap=true", "-n4",
          "--export=ALL", "script.sh", "--mem=4G\n--requeue", "--", "", "--Mem=1", "--mem 4G "}) {
        EXPECT_FALSE(isSlurmSubmitOption(bad)) << bad;
    }
}

TEST(SlurmCommands, OnlyTheJobOfThatNameIsCancelled) {
    EXPECT_EQ(cancelCommand({"gb-a-1-1"}, {"42"}, false),
              (std::vector<std::string>{"scancel", "--name=gb-a-1-1", "42"}));
    EXPECT_THAT(cancelCommand({"gb-a-1-1"}, {"42"}, true), Contains("--state=PENDING"));
}

TEST(SlurmCommands, AccountingIsAskedForADayMoreThanNeeded) {
    const std::vector<std::string> names{"gb-a-1-1", "gb-a-2-1"};

    const auto words = historyCommand(names, kNow);

    EXPECT_THAT(words, Contains("--name=gb-a-1-1,gb-a-2-1"));
    EXPECT_THAT(words, Contains("--starttime=2026-11-28T02:58:56"));
}

}  // namespace
}  // namespace gridbridge
