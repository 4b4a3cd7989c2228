#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "backends/command/CommandParse.h"

namespace gridbridge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kNow = WallTime(std::chrono::seconds(1795921136));

std::string fixture(const std::string& name) {
    std::ifstream in(COMMAND_FIXTURES "/" + name);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

Finished said(const std::string& out, int exitCode = 0, const std::string& err = "") {
    return {.exitCode = exitCode, .signal = {}, .out = out, .err = err};
}

CommandParser parser(std::string_view preset) {
    return CommandParser(commandPreset(preset).value());
}

/// Name, id, state, reason, node.
std::vector<std::string> told(const Result<CommandListing>& listing) {
    EXPECT_TRUE(listing.ok()) << (listing.ok() ? "" : listing.error().message);
    if (!listing) {
        return {};
    }
    EXPECT_EQ(listing->trouble, "");
    std::vector<std::string> all;
    for (const auto& [name, job] : listing->jobs) {
        const char* const states[] = {"pending", "running", "held", "ended", "absent", "unknown"};
        all.push_back(name + " " + job.id.value + " " + states[static_cast<int>(job.state)] +
                      (job.failed ? "!" : "") + " " + job.reason + " @" + job.node);
    }
    return all;
}

TEST(CommandListing, OfGridEngine) {
    EXPECT_THAT(
        told(parser("sge").listing(said(fixture("sge-qstat-8.1.9.txt")))),
        ElementsAre("gb-abcdefgh-12341-1 1 running  @vm", "gb-abcdefgh-12345-1 5 pending qw @",
                    "gb-abcdefgh-98-1 8 ended! Eqw @", "gb-abcdefgh-99-1 7 held hqw @"));
    EXPECT_TRUE(told(parser("sge").listing(said(""))).empty());
}

TEST(CommandListing, OfPbs) {
    EXPECT_THAT(told(parser("pbs").listing(said(fixture("pbs-qstat.json")))),
                ElementsAre("gb-abcdefgh-1-1 1234.server running  @node7/0*2",
                            "gb-abcdefgh-2-1 1235.server pending Not Running: Insufficient amount "
                            "of resource: ncpus @",
                            "gb-abcdefgh-3-1 1237.server held H @"));
}

TEST(CommandListing, OfTorqueKnowsAJobByThePathOfItsOutput) {
    EXPECT_THAT(told(parser("torque").listing(said(fixture("torque-qstat.txt")))),
                ElementsAre("gb-abcdefgh-1-1 77.server running  @",
                            "gb-abcdefgh-2-1 78.server pending Q @"));
}

TEST(CommandListing, OfLsf) {
    EXPECT_THAT(
        told(parser("lsf").listing(said(fixture("lsf-bjobs.txt")))),
        ElementsAre("gb-abcdefgh-1-1 101 running  @node7", "gb-abcdefgh-2-1 102 pending PEND @-",
                    "gb-abcdefgh-3-1 103 ended EXIT @node8"));
    EXPECT_TRUE(told(parser("lsf").listing(said("", 255, "No job found\n"))).empty());
}

TEST(CommandListing, OfOar) {
    EXPECT_THAT(told(parser("oar").listing(said(fixture("oar-oarstat-2.5.9.json")))),
                ElementsAre("gb-abcdefgh-2-1 5 running R=2,W=1:33:0,J=B,N=gb-abcdefgh-2-1 "
                            "(Karma=0.000,quota_ok) @",
                            "gb-abcdefgh-3-1 6 running R=2,W=1:33:0,J=B,N=gb-abcdefgh-3-1 "
                            "(Karma=0.000,quota_ok) @",
                            "gb-abcdefgh-4-1 8 pending R=1,W=1:33:0,J=B,N=gb-abcdefgh-4-1 "
                            "(Karma=0.000,quota_ok) @",
                            "gb-abcdefgh-5-1 9 held R=1,W=1:33:0,J=B,N=gb-abcdefgh-5-1 "
                            "(Karma=0.000,quota_ok) @"));
    EXPECT_TRUE(told(parser("oar").listing(said(""))).empty());
    EXPECT_FALSE(parser("oar").listing(said("", 25, "DB connection error, exiting.\n")).ok());
}

TEST(CommandListing, OfFlux) {
    EXPECT_THAT(told(parser("flux").listing(said(fixture("flux-jobs.txt")))),
                ElementsAre("gb-abcdefgh-1-1 4096 running  @", "gb-abcdefgh-2-1 8192 pending S @",
                            "gb-abcdefgh-3-1 9216 ended CD @"));
}

TEST(CommandListing, WhatMakesNoSenseIsTroubleAndTheJobsBesideItAreBelieved) {
    const auto whole = fixture("sge-qstat-8.1.9.txt");
    const auto sge = parser("sge");
    for (const auto& [text, trouble] : std::vector<std::pair<std::string, std::string>>{
             {whole + "Wartung bis morgen\n", "makes no sense: Wartung bis morgen"},
             {"error: commlib\n" + whole, "makes no sense: error: commlib"},
             {whole.substr(0, whole.size() - 9), "cut off"},
             {whole.substr(0, whole.find("       Full jobname:     gb-abcdefgh-99-1")),
              "makes no sense:       7 0.00000"}}) {
        const auto listing = sge.listing(said(text));
        ASSERT_TRUE(listing.ok());
        EXPECT_THAT(listing->trouble, HasSubstr(trouble));
        EXPECT_TRUE(listing->jobs.contains("gb-abcdefgh-12341-1"));
    }
    auto strange = whole;
    strange.replace(strange.find("Eqw"), 3, "Xzz");
    const auto listing = sge.listing(said(strange));
    ASSERT_TRUE(listing.ok());
    EXPECT_EQ(listing->trouble, "qstat: gb-abcdefgh-98-1 has the unknown state Xzz");
    EXPECT_FALSE(listing->jobs.contains("gb-abcdefgh-98-1"));
}

TEST(CommandListing, AnAnswerWithoutSenseOrWithAnErrorConcludesNothing) {
    const auto json = fixture("pbs-qstat.json");
    for (const auto& answer :
         {parser("sge").listing(said("Wartung bis morgen\n")),
          parser("sge").listing(said("", 1, "error: commlib error: got select error\n")),
          parser("oar").listing(said("", 1)), parser("torque").listing(said("\n", 137)),
          parser("pbs").listing(said(json.substr(0, json.size() / 2))),
          parser("pbs").listing(said("{}\n")), parser("pbs").listing(said("[1]\n")),
          parser("pbs").listing(said("{\"Jobs\":[1]}\n")),
          parser("pbs").listing(said("{\"Jobs\":{\"1\":null}}\n")),
          parser("oar").listing(said(std::string(100'000, '[')))}) {
        ASSERT_FALSE(answer.ok());
        EXPECT_EQ(answer.error().kind, ErrorKind::Transient);
    }
    EXPECT_EQ(parser("sge").listing(said("", 1, "error: commlib error\n")).error().message,
              "qstat: error: commlib error");
}

TEST(CommandListing, OfTwoJobsOfOneNameTheOneThatHasNotEndedCounts) {
    for (const std::string lines :
         {"1|EXIT|gb-a-1-1|n\n2|RUN|gb-a-1-1|n\n", "2|RUN|gb-a-1-1|n\n1|EXIT|gb-a-1-1|n\n"}) {
        const auto listing = parser("lsf").listing(said(lines));
        ASSERT_TRUE(listing.ok());
        EXPECT_EQ(listing->jobs.at("gb-a-1-1").id.value, "2");
    }
}

TEST(CommandListing, AnIdThatWouldBeAnOptionOrMoveATerminalIsNone) {
    auto config = commandPreset("lsf").value();
    config.statusJob = R"(^(?<id>\S+) (?<state>\w+) (?<name>\S+)\n)";
    for (const std::string id : {"-all", "1\033[2J", "1\xC3\xA9"}) {
        const auto listing =
            CommandParser(config).listing(said(id + " RUN gb-a-1-1\n1 RUN gb-a-2-1\n"));
        ASSERT_TRUE(listing.ok());
        EXPECT_EQ(listing->jobs.count("gb-a-1-1"), 0U);
        EXPECT_EQ(listing->trouble, "bjobs: gb-a-1-1 has no id that makes sense");
    }
}

TEST(CommandSubmission, TheWholeLastLineIsAnIdOrNothingIsKnown) {
    const std::vector<std::pair<std::string, std::string>> good{
        {"sge", "12\n"},
        {"pbs", "1234.server\n"},
        {"lsf", "Job <12> is submitted to default queue <normal>.\n"},
        {"oar", "[ADMISSION RULE] Modify resource description\nOAR_JOB_ID=67\n"},
        {"flux", "f2abc\n"}};
    const std::map<std::string, std::string> ids{
        {"sge", "12"}, {"pbs", "1234.server"}, {"lsf", "12"}, {"oar", "67"}, {"flux", "f2abc"}};
    for (const auto& [preset, out] : good) {
        const auto result = parser(preset).submission(said(out), kNow);
        ASSERT_TRUE(result.ok() && result->accepted) << preset;
        EXPECT_EQ(result->accepted->id.value, ids.at(preset));
        EXPECT_EQ(result->accepted->submittedAt, kNow);
    }
    for (const auto& [preset, out] :
         std::vector<std::pair<std::string, std::string>>{{"sge", ""},
                                                          {"sge", "12"},
                                                          {"sge", "12 queued\n"},
                                                          {"sge", "12\nthank you\n"},
                                                          {"sge", "-12\n"},
                                                          {"oar", "OAR_JOB_ID=-5\n"}}) {
        const auto result = parser(preset).submission(said(out), kNow);
        ASSERT_FALSE(result.ok()) << out;
        EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    }
}

TEST(CommandSubmission, ARefusalIsToldInTheBatchSystemsOwnWords) {
    const auto refused = parser("sge").submission(
        said("", 1,
             "Unable to run job: Job was rejected because job requests unknown queue \"zork\"\n"
             "Exiting.\n"),
        kNow);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Permanent);
    EXPECT_EQ(refused.error().message,
              "Unable to run job: Job was rejected because job requests unknown queue \"zork\"");
    const auto full = parser("pbs").submission(
        said("", 38, "qsub: would exceed complex's per-user limit of jobs in 'Q' state\n"), kNow);
    ASSERT_TRUE(full.ok());
    EXPECT_TRUE(full->full);
    const auto away = parser("sge").submission(
        said("", 1, "error: commlib error: got select error (Connection refused)\n"), kNow);
    ASSERT_FALSE(away.ok());
    EXPECT_EQ(away.error().kind, ErrorKind::Uncertain);
}

TEST(CommandSubmission, OarRefusesBySentencesThatNameWhatIsWrong) {
    const std::string admission = "[ADMISSION RULE] Modify resource description\nOAR_JOB_ID=-5\n";
    const std::string why = "[ERROR] Oarsub failed, please verify your request syntax.\n";
    for (const std::string sentence :
         {"ERROR : The queue zork does not exist",
          "There are not enough resources for your request",
          "Bad resource request (ERROR:  column \"core\" does not exist",
          "[ADMISSION RULE] root and oar users are not allowed to submit jobs."}) {
        const auto answer =
            parser("oar").submission(said(admission, 8, sentence + "\n" + why), kNow);
        ASSERT_FALSE(answer.ok());
        EXPECT_EQ(answer.error().kind, ErrorKind::Permanent);
        EXPECT_EQ(answer.error().message, sentence);
    }
    EXPECT_EQ(parser("oar").submission(said("OAR_JOB_ID=\n", 8, why), kNow).error().kind,
              ErrorKind::Uncertain);
}

TEST(CommandResult, ExitCodesSignalsAndCauses) {
    const auto sge = parser("sge");
    const auto killed = sge.result(said(fixture("sge-qacct-8.1.9.txt")));
    EXPECT_EQ(killed.state, BatchState::Ended);
    EXPECT_EQ(killed.cause, EndCause::Exited);
    EXPECT_EQ(killed.signal, 9);
    EXPECT_EQ(killed.exitCode, std::nullopt);
    const auto late =
        sge.result(said("failed       37  : qmaster enforced h_rt\nexit_status  137\n"));
    EXPECT_EQ(late.cause, EndCause::WallTimeLimit);
    EXPECT_EQ(sge.result(said("failed       0\nexit_status  3\n")).exitCode, 3);
    EXPECT_EQ(sge.result(said("", 1, "error: job id 5 not found\n")).state, BatchState::Absent);
    EXPECT_EQ(parser("pbs").result(said("    Exit_status = 271\n")).signal, 15);
    for (const int noSignal : {128, 256, 999}) {
        const auto text = "    Exit_status = " + std::to_string(noSignal) + "\n";
        EXPECT_EQ(parser("pbs").result(said(text)).exitCode, noSignal);
        EXPECT_EQ(parser("pbs").result(said(text)).signal, std::nullopt);
    }
    EXPECT_EQ(parser("pbs").result(said("    Exit_status = -3\n")).cause, EndCause::NodeFailure);
    EXPECT_EQ(parser("oar").result(said(fixture("oar-terminated-2.5.9.txt"))).exitCode, 3);
    EXPECT_EQ(parser("oar").result(said(fixture("oar-walltime-2.5.9.txt"))).cause,
              EndCause::WallTimeLimit);
    EXPECT_EQ(parser("oar").result(said(fixture("oar-removed-2.5.9.txt"))).state,
              BatchState::Absent);
    EXPECT_EQ(parser("oar").result(said("    exit_code = 9 (0,9,0)\n")).signal, 9);
    EXPECT_EQ(parser("lsf").result(said("Exited with exit code 3.\n")).exitCode, 3);
    EXPECT_EQ(parser("lsf").result(said("TERM_MEMLIMIT: job killed\n")).cause,
              EndCause::MemoryLimit);
    EXPECT_EQ(parser("lsf").result(said("Done successfully.\n")).cause, EndCause::Exited);
    EXPECT_EQ(parser("flux").result(said("3 FAILED\n")).exitCode, 3);
}

TEST(CommandResult, WhatMakesNoSenseIsUnknownWithAReason) {
    const auto seen = parser("sge").result(said("", 1, "error: commlib error\n"));
    EXPECT_EQ(seen.state, BatchState::Unknown);
    EXPECT_THAT(seen.reason, HasSubstr("makes no sense: error: commlib error"));
    EXPECT_EQ(parser("oar").result(said("", 137)).state, BatchState::Unknown);
    EXPECT_EQ(parser("oar").result(said("")).state, BatchState::Absent);
}

TEST(CommandCancel, AJobThatIsNotThereIsCancelled) {
    EXPECT_TRUE(parser("sge").cancelled(said("ci has registered the job 2 for deletion\n")));
    EXPECT_TRUE(parser("sge").cancelled(said("denied: job \"999\" does not exist\n", 1)));
    EXPECT_FALSE(parser("sge").cancelled(said("", 1, "error: commlib error\n")));
}

TEST(CommandPattern, GroupsAreKnownByTheirNames) {
    const CommandPattern pattern(R"((a)|\((?:b)(?<x>[(\]]+)(?=c)(?<!z)(c)(?<y>d))");
    const auto found = pattern.find("..(b(]cd");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->groups.at("x"), "(]");
    EXPECT_EQ(found->groups.at("y"), "d");
    EXPECT_THROW(CommandPattern("(?<id>a"), std::invalid_argument);
    EXPECT_FALSE(CommandPattern("").isIn(""));
}

TEST(CommandPattern, ASearchWithoutEndFindsNothing) {
    const CommandPattern pattern("^(?<id>(?:a|a)*)*b$");
    EXPECT_FALSE(pattern.isIn(std::string(5000, 'a') + "c"));
}

TEST(CommandTemplate, WordsGetTheirValuesAndTheOptionsTheirPlace) {
    BatchJob job;
    job.key = {"gb-a-1-1"};
    job.deadline = kNow + std::chrono::minutes(90);
    const auto values = submitValues(job, "/w/gb-a-1-1", "ci", kNow);
    const std::vector<std::string> words{"qsub",
                                         "-N",
                                         "{name}",
                                         "{options}",
                                         "-l",
                                         "t={wall_time}",
                                         "{wall_seconds}",
                                         "{wall_minutes}m",
                                         "{script}",
                                         "{x}{",
                                         "{user}{output}"};
    const std::vector<std::string> options{"-q", "{name}"};

    EXPECT_THAT(
        filled(words, values, options),
        ElementsAre("qsub", "-N", "gb-a-1-1", "-q", "{name}", "-l", "t=01:33:00", "5580", "93m",
                    "/w/gb-a-1-1/in/loader.sh", "{x}{", "ci/w/gb-a-1-1/out/batch.log"));
    const std::vector<std::string_view> known{"name", "options"};
    EXPECT_EQ(unknownValue(words, known), "{wall_time}");
}

TEST(CommandTemplate, WhatAJobDidNotAskForLeavesItsWordsOut) {
    BatchJob job;
    job.key = {"gb-a-1-1"};
    job.deadline = kNow + std::chrono::hours(2);
    job.resources = {.cpus = 3,
                     .memory = std::int64_t{1} << 30,
                     .gpus = 0,
                     .wallTime = std::chrono::minutes(10),
                     .queue = "long.q"};
    const std::vector<std::string> words{"qsub",
                                         "[-pe smp {cpus}]",
                                         "[-l h_vmem={memory_mb_per_cpu}M]",
                                         "[-M {memory_mb}MB -R rusage[mem={memory_mb}]]",
                                         "[-P {account}]",
                                         "[-l d={disk_mb} -q {queue}]",
                                         "[-gpu num={gpus}]",
                                         "[-q {queue}]",
                                         "{wall_minutes}"};

    EXPECT_THAT(filled(words, submitValues(job, "/w", "ci", kNow)),
                ElementsAre("qsub", "-pe", "smp", "3", "-l", "h_vmem=342M", "-M", "1024MB", "-R",
                            "rusage[mem=1024]", "-q", "long.q", "13"));
    EXPECT_TRUE(asksFor(words, "account"));
    EXPECT_FALSE(asksFor(words, "wall_minutes"));
}

TEST(CommandTemplate, APresetAsksForWhatItsBatchSystemCanGive) {
    BatchJob job;
    job.resources = {.cpus = 2, .memory = std::int64_t{1} << 30, .queue = "q", .account = "a"};
    const auto submit = [&](const char* preset) {
        std::string text;
        const auto values = submitValues(job, "/w", "ci", kNow);
        for (const auto& word : filled(commandPreset(preset)->submit, values)) {
            text += " " + word;
        }
        return text;
    };
    EXPECT_THAT(submit("sge"), ::testing::EndsWith(" -pe smp 2 -l h_vmem=512M -q q -P a "
                                                   "/w/in/loader.sh"));
    EXPECT_THAT(submit("pbs"), ::testing::EndsWith(" -l ncpus=2 -l mem=1024mb -q q -A a "
                                                   "/w/in/loader.sh"));
    EXPECT_THAT(submit("torque"), ::testing::EndsWith(" -l nodes=1:ppn=2 -l mem=1024mb -q q -A a "
                                                      "/w/in/loader.sh"));
    EXPECT_THAT(submit("lsf"),
                ::testing::EndsWith(" -n 2 -R span[hosts=1] -M 1024MB -R rusage[mem=1024MB] -q q "
                                    "-P a /bin/sh /w/in/loader.sh"));
    EXPECT_THAT(submit("oar"), ::testing::EndsWith(" -q q --project=a /bin/sh /w/in/loader.sh"));
    EXPECT_THAT(submit("flux"),
                ::testing::EndsWith(" --cores-per-task=2 --queue=q --bank=a /bin/sh "
                                    "/w/in/loader.sh"));
}

}  // namespace
}  // namespace gridbridge
