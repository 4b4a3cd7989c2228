#include <gmock/gmock.h>

#include "backends/htcondor/HTCondorCommands.h"

namespace gridbridge {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string describe(const HTCondorConfig& config = {}, const std::string& label = "p:j:ada",
                     const std::filesystem::path& parent = "/shared/ci") {
    const BatchJob first{.key = {"gb-a-1-1"},
                         .account = "ci",
                         .inputs = {},
                         .outputs = {},
                         .loader = {},
                         .deadline = WallTime(std::chrono::seconds(1000)),
                         .label = label};
    auto second = first;
    second.key = {"gb-a-2-1"};
    return submitDescription(config, std::vector<const BatchJob*>{&first, &second}, parent);
}

TEST(HTCondorCommands, ManyJobsAreOneCluster) {
    const auto text = describe();

    EXPECT_TRUE(
        text.ends_with("queue GbKey, GbEnd, GbLabel from (\n"
                       "gb-a-1-1 1180 p:j:ada\n"
                       "gb-a-2-1 1180 p:j:ada\n"
                       ")\n"));
    EXPECT_THAT(text, HasSubstr("\ninitialdir = /shared/ci/$(GbKey)\n"));
    EXPECT_THAT(text, HasSubstr("\nMY.GridbridgeKey = \"$(GbKey)\"\n"));
}

TEST(HTCondorCommands, AJobIsStartedAtMostOnce) {
    const auto text = describe({.submitOptions = {"requirements = Arch == \"X86_64\" || Small"}});

    EXPECT_THAT(text, HasSubstr("\nrequirements = (NumShadowStarts ?: 0) == 0 && "
                                "(Arch == \"X86_64\" || Small)\n"));
    EXPECT_THAT(text, HasSubstr("\nperiodic_remove = (JobStatus == 1 && (NumShadowStarts ?: 0) > "
                                "0) || "));
}

TEST(HTCondorCommands, FilesAreCopiedOnlyWhereTheNodesDoNotSeeThem) {
    const auto shared = describe();
    const auto copied = describe({.fileTransfer = true});

    EXPECT_THAT(shared, HasSubstr("\nshould_transfer_files = NO\n"));
    EXPECT_THAT(shared, HasSubstr("\narguments = in/loader.sh\n"));
    EXPECT_THAT(shared, Not(HasSubstr("stream")));
    EXPECT_THAT(copied, HasSubstr("\nshould_transfer_files = YES\n"));
    EXPECT_THAT(copied, HasSubstr("\narguments = in/follower.sh\n"));
    EXPECT_THAT(copied, HasSubstr("\noutput = out/log.stream\n"));
    EXPECT_THAT(copied, HasSubstr("\ntransfer_input_files = in, out\n"));
    EXPECT_THAT(copied, HasSubstr("\ntransfer_output_files = out\n"));
}

TEST(HTCondorCommands, OnlyTheStreamOfALocalScheddIsLive) {
    EXPECT_THAT(describe({.fileTransfer = true}), HasSubstr("\nstream_output = true\n"));
    EXPECT_THAT(describe({.spool = true}), Not(HasSubstr("stream_output")));
}

TEST(HTCondorCommands, WhatGoesThroughASpoolIsCopiedAndStaysThereUntilItIsFetched) {
    const auto text = describe({.schedd = "s@x", .spool = true});

    EXPECT_THAT(text, HasSubstr("\ntransfer_input_files = in, out\n"));
    EXPECT_THAT(text, HasSubstr("\nleave_in_queue = JobStatus == 4 && time() - CompletionDate < "
                                "864000\n"));
    EXPECT_THAT(submitCommand({.schedd = "s@x", .spool = true}, "/f"),
                ElementsAre("condor_submit", "-name", "s@x", "-spool", "-terse", "/f"));
    EXPECT_THAT(fetchCommand("s@x", "gb-a-1-1", "/w/in"),
                ElementsAre("flock", "--nonblock", "--conflict-exit-code", "75", "/w/in",
                            "condor_transfer_data", "-name", "s@x", "-constraint",
                            "member(GridbridgeKey, {\"gb-a-1-1\"}) && JobStatus == 4"));
}

TEST(HTCondorCommands, OnlyWhatStillWaitsForItsFilesIsRemovedAsNeverSent) {
    const std::vector<std::string> keys{"gb-a-1-1"};

    EXPECT_THAT(removeCommand("s@x", keys, Removal::Unsent),
                ElementsAre("condor_rm", "-name", "s@x", "-reason",
                            "gridbridge: its files were never all sent", "-constraint",
                            "member(GridbridgeKey, {\"gb-a-1-1\"}) && JobStatus == 5 && "
                            "HoldReasonCode == 16"));
}

TEST(HTCondorCommands, TheSitesLinesAreBeforeOurs) {
    const auto text = describe({.submitOptions = {"request_memory = 4 GB", "+Site = \"x\""}});

    EXPECT_TRUE(text.starts_with("request_memory = 4 GB\n+Site = \"x\"\nuniverse = vanilla\n"));
}

TEST(HTCondorCommands, WhatJobsAskedForIsBehindTheSitesLinesWhereTheLastOneCounts) {
    const BatchJob job{.key = {"gb-a-1-1"},
                       .account = "ci",
                       .inputs = {},
                       .outputs = {},
                       .loader = {},
                       .deadline = WallTime(std::chrono::seconds(1000)),
                       .label = "l",
                       .resources = {.cpus = 4,
                                     .memory = (std::int64_t{4} << 30) + 1,
                                     .disk = std::int64_t{10} << 30,
                                     .gpus = 1,
                                     .account = "group_physics.cms"}};

    const auto text = submitDescription({.submitOptions = {"request_memory = 2 GB"}},
                                        std::vector<const BatchJob*>{&job}, "/shared");

    EXPECT_TRUE(
        text.starts_with("request_memory = 2 GB\nrequest_cpus = 4\n"
                         "request_memory = 4097\nrequest_disk = 10485760\n"
                         "request_gpus = 1\naccounting_group = group_physics.cms\n"
                         "universe = vanilla\n"))
        << text;
    EXPECT_EQ(resourceLines({.wallTime = std::chrono::seconds(9), .queue = "long"}), "");
}

TEST(HTCondorCommands, AJobThatAsksForNoGpuTakesBackTheSites) {
    const BatchJob job{.key = {"gb-a-1-1"},
                       .account = "ci",
                       .inputs = {},
                       .outputs = {},
                       .loader = {},
                       .deadline = WallTime(std::chrono::seconds(1000)),
                       .label = "l",
                       .resources = {.gpus = 0}};

    const auto text = submitDescription({.submitOptions = {"request_gpus = 1"}},
                                        std::vector<const BatchJob*>{&job}, "/shared");

    EXPECT_TRUE(text.starts_with("request_gpus = 1\nrequest_gpus = undefined\nuniverse")) << text;
}

TEST(HTCondorCommands, NothingIsTakenForTheSubmitLanguage) {
    const auto text = describe({}, "$(X)\n queue 5", "/shared/$(ENV)");

    EXPECT_THAT(text, HasSubstr("initialdir = /shared/$(DOLLAR)(ENV)/$(GbKey)\n"));
    EXPECT_THAT(text, HasSubstr("gb-a-1-1 1180 __X___queue_5\n"));
    EXPECT_THAT(text, Not(HasSubstr("$(X)")));
}

TEST(HTCondorCommands, LinesOnWhichPromisesRestAreTheServicesOwn) {
    for (const char* good :
         {"request_memory = 4 GB", "Request_GPUs=1", "requirements = Arch == \"X86_64\"",
          "accounting_group = physics", "job_lease_duration = 300", "+Queue = \"short\"",
          "MY.WantScratch = true", "rank = Mips"}) {
        EXPECT_TRUE(isHTCondorSubmitOption(good)) << good;
    }
    for (const char* bad :
         {"", "queue", "queue 5", "executable = /bin/true", "request_memory",
          "request_memory =", "+GridbridgeKey = \"x\"", "MY.PeriodicRemove = false",
          "MY.Requirements = true", "+LeaveJobInQueue = true", "leave_in_queue = true",
          "max_retries = 3", "hold = true", "request_memory = 1\nqueue", "requirements == true",
          "log = /tmp/x", "+ = 1", "environment = A=b"}) {
        EXPECT_FALSE(isHTCondorSubmitOption(bad)) << bad;
    }
}

TEST(HTCondorCommands, OnlyJobsOfThoseKeysAreRemovedAndNoneThatHasEnded) {
    const std::vector<std::string> keys{"gb-a-1-1", "gb-a-2-1"};

    EXPECT_THAT(removeCommand("", keys, Removal::NotEnded),
                ElementsAre("condor_rm", "-reason", "gridbridge: no longer wanted", "-constraint",
                            "member(GridbridgeKey, {\"gb-a-1-1\",\"gb-a-2-1\"}) && JobStatus != "
                            "4"));
    EXPECT_THAT(removeCommand("", keys, Removal::Waiting).back(),
                HasSubstr("(JobStatus == 1 || JobStatus == 5)"));
}

TEST(HTCondorCommands, TheQueueIsAskedForAllOfOursOrForSome) {
    const std::vector<std::string> keys{"gb-a-1-1"};

    EXPECT_THAT(queueCommand(""), Contains("GridbridgeKey isnt undefined"));
    EXPECT_THAT(queueCommand("", keys), Contains("member(GridbridgeKey, {\"gb-a-1-1\"})"));
}

TEST(HTCondorCommands, EveryCommandGoesToItsSchedd) {
    const std::vector<std::string> keys{"gb-a-1-1"};
    for (const auto& words :
         {submitCommand({.schedd = "s@x"}, "/f"), queueCommand("s@x"), historyCommand("s@x", keys),
          removeCommand("s@x", keys, Removal::NotEnded)}) {
        ASSERT_GE(words.size(), 3U);
        EXPECT_EQ(words[1], "-name") << words[0];
        EXPECT_EQ(words[2], "s@x") << words[0];
    }
    EXPECT_THAT(submitCommand({}, "/f"), ElementsAre("condor_submit", "-terse", "/f"));
}

}  // namespace
}  // namespace gridbridge
