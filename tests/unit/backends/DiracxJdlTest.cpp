#include <gmock/gmock.h>

#include "backends/diracx/DiracxJdl.h"

namespace gridbridge {
namespace {

using ::testing::HasSubstr;

constexpr WallTime kNow{std::chrono::hours(480'000)};

BatchJob job() {
    BatchJob made;
    made.key = {"gb-abcdefgh-12-1"};
    made.outputs = {"log", "status", "artifacts.0.tar.gz"};
    made.deadline = kNow + std::chrono::hours(1);
    made.label = "a \"label\"; Owner = \"root\"";
    return made;
}

std::string jdl(const DiracxConfig& config, const BatchJob& made) {
    const auto text = diracxJdl(config, made, {"SB:SE|/S3/a", "SB:SE|/S3/b"}, kNow);
    return text ? *text : text.error().message;
}

TEST(DiracxJdl, HoldsKeyGroupSandboxesOutputsAndTimeAndNothingElse) {
    EXPECT_EQ(
        jdl({}, job()),
        "JobName = \"gb-abcdefgh-12-1\";\n"
        "JobGroup = \"gb-abcdefgh\";\n"
        "JobType = \"User\";\n"
        "Executable = \"gridbridge-wrapper.sh\";\n"
        "StdOutput = \"batch.log\";\n"
        "StdError = \"batch.err\";\n"
        "InputSandbox = {\"SB:SE|/S3/a\", \"SB:SE|/S3/b\"};\n"
        "OutputSandbox = {\"log\", \"status\", \"artifacts.0.tar.gz\", \"batch.log\", \"exit\"};\n"
        "CPUTime = 3600;\n");
    EXPECT_EQ(unusualInJdl({}, job()), "");
}

TEST(DiracxJdl, PlacementComesFromConfigurationAndResources) {
    DiracxConfig config;
    config.sites = {"LCG.A.org", "LCG.B.org"};
    config.bannedSites = {"LCG.C.org"};
    config.tags = {"GPU"};
    config.platform = "x86_64-el9";
    config.cpuTimeFactor = 2.5;
    auto made = job();
    made.resources.cpus = 4;
    made.resources.memory = (std::int64_t{2} << 30) + 1;
    made.resources.wallTime = std::chrono::minutes(10);

    const auto text = jdl(config, made);

    EXPECT_THAT(text, HasSubstr("CPUTime = 1500;\n"
                                "Site = {\"LCG.A.org\", \"LCG.B.org\"};\n"
                                "BannedSites = \"LCG.C.org\";\n"
                                "Tags = \"GPU\";\n"
                                "Platform = \"x86_64-el9\";\n"
                                "NumberOfProcessors = 4;\n"
                                "Memory = 2049;\n"));
    EXPECT_EQ(unusualInJdl(config, made),
              "Site = {\"LCG.A.org\", \"LCG.B.org\"}, BannedSites = \"LCG.C.org\", Tags = \"GPU\", "
              "Platform = \"x86_64-el9\", NumberOfProcessors = 4, Memory = 2049");
}

TEST(DiracxJdl, WhatItsParserWouldMisreadIsRefused) {
    for (const char* name : {"a\"b", "a;b", "a\nb", "%j", ""}) {
        auto made = job();
        made.outputs = {name};
        EXPECT_THAT(jdl({}, made), HasSubstr("no plain one")) << name;
        EXPECT_FALSE(isDiracxWord(name)) << name;
    }
    auto made = job();
    made.key = {"gb-" + std::string(40, 'a') + "-1-1"};
    EXPECT_THAT(jdl({}, made), HasSubstr("DIRAC cannot take a job of that name"));
    EXPECT_FALSE(isDiracxWord("0123"));
    EXPECT_TRUE(isDiracxWord("LCG.CERN.ch"));
}

}  // namespace
}  // namespace gridbridge
