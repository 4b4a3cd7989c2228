#include <gmock/gmock.h>

#include "bridge/core/ResourceRules.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

/// Of a batch system that can be asked for everything.
ResourceRules rules() {
    ResourceRules rules;
    rules.used = {Resource::Cpus,     Resource::Memory, Resource::Disk,   Resource::Gpus,
                  Resource::WallTime, Resource::Queue,  Resource::Account};
    return rules;
}

std::string asIs(const std::string& value) {
    return value;
}

Grant granted(const ResourceRules& rules, const Requests& requests,
              const std::string& project = "physics/detector") {
    auto grant = rules.grant(requests, project, asIs);
    EXPECT_TRUE(grant.ok()) << grant.error().message;
    return grant.ok() ? *grant : Grant{};
}

std::string refusal(const ResourceRules& rules, const Requests& requests,
                    const std::string& project = "physics/detector") {
    const auto grant = rules.grant(requests, project, asIs);
    return grant.ok() ? "" : grant.error().message;
}

TEST(ResourceRules, AJobGetsWhatItAsksFor) {
    auto lists = rules();
    lists.queues = {"short", "long"};
    lists.accounts = {"physics"};
    const auto grant = granted(lists, {{"GRIDBRIDGE_CPUS", "4"},
                                       {"GRIDBRIDGE_MEMORY", "4G"},
                                       {"GRIDBRIDGE_DISK", "512 MiB"},
                                       {"GRIDBRIDGE_GPUS", "1"},
                                       {"GRIDBRIDGE_WALLTIME", "1h30m"},
                                       {"GRIDBRIDGE_QUEUE", " long "},
                                       {"GRIDBRIDGE_ACCOUNT", "physics"}});

    const Resources expected{.cpus = 4,
                             .memory = 4 * kGiB,
                             .disk = kGiB / 2,
                             .gpus = 1,
                             .wallTime = 90min,
                             .queue = "long",
                             .account = "physics"};
    EXPECT_EQ(grant.resources, expected);
    EXPECT_THAT(grant.warnings, IsEmpty());
}

TEST(ResourceRules, AJobThatAsksForNothingGetsWhatIsUsual) {
    auto usual = rules();
    usual.cpus = {2, 8};
    usual.memory = {{}, 8 * kGiB};
    usual.wallTime = {{}, 3600};
    const auto asked = granted(usual, {{"GRIDBRIDGE_CPUS", ""}}).resources;

    EXPECT_EQ(asked.cpus, 2);
    EXPECT_EQ(asked.memory, std::nullopt) << "the batch system's own default";
    EXPECT_EQ(asked.wallTime, 1h) << "the longest that any job may have";
    usual.wallTime.usual = 600;
    EXPECT_EQ(granted(usual, {}).resources.wallTime, 10min);
    EXPECT_EQ(granted(usual, {{"GRIDBRIDGE_WALLTIME", "1h"}}).resources.wallTime, 1h);
    EXPECT_EQ(granted(rules(), {}).resources, Resources{});
}

TEST(ResourceRules, MoreThanTheMostIsRefusedWithVariableValueAndLimit) {
    auto limits = rules();
    limits.cpus.most = 8;
    limits.memory.most = 16 * kGiB;
    limits.disk.most = 1536 * kGiB / 1024;
    limits.gpus.most = 0;
    limits.wallTime.most = 5400;

    EXPECT_EQ(refusal(limits, {{"GRIDBRIDGE_CPUS", "9"}}),
              "GRIDBRIDGE_CPUS is \"9\": this runner gives at most 8");
    EXPECT_EQ(refusal(limits, {{"GRIDBRIDGE_MEMORY", "17G"}}),
              "GRIDBRIDGE_MEMORY is \"17G\": this runner gives at most 16 GiB");
    EXPECT_EQ(refusal(limits, {{"GRIDBRIDGE_DISK", "2G"}}),
              "GRIDBRIDGE_DISK is \"2G\": this runner gives at most 1536 MiB");
    EXPECT_EQ(refusal(limits, {{"GRIDBRIDGE_GPUS", "1"}}),
              "GRIDBRIDGE_GPUS is \"1\": this runner gives at most 0");
    EXPECT_EQ(refusal(limits, {{"GRIDBRIDGE_WALLTIME", "2h"}}),
              "GRIDBRIDGE_WALLTIME is \"2h\": this runner gives at most 1h30m0s");
    EXPECT_EQ(refusal(limits, {{"GRIDBRIDGE_CPUS", "8"},
                               {"GRIDBRIDGE_MEMORY", "16384M"},
                               {"GRIDBRIDGE_GPUS", "0"},
                               {"GRIDBRIDGE_WALLTIME", "90m"}}),
              "");
}

TEST(ResourceRules, WhatCannotBeReadIsRefusedWithTheFormThatCan) {
    for (const char* bad : {"many", "-1", "+1", "0", "1.5", "4 cores", "0x4", "1e3", "1000001",
                            "99999999999999999999", "4\n--uid=0", "$(id)"}) {
        EXPECT_THAT(refusal(rules(), {{"GRIDBRIDGE_CPUS", bad}}),
                    HasSubstr("\": write a whole number, like 4"))
            << bad;
    }
    EXPECT_EQ(refusal(rules(), {{"GRIDBRIDGE_MEMORY", "4096"}}),
              "GRIDBRIDGE_MEMORY is \"4096\": write a whole number with its unit, like 4G (K, M, G "
              "or T, powers of 1024)");
    EXPECT_EQ(refusal(rules(), {{"GRIDBRIDGE_WALLTIME", "90"}}),
              "GRIDBRIDGE_WALLTIME is \"90\": write a time with its units, like 1h30m, or hours, "
              "minutes and seconds, like 1:30:00");
    EXPECT_EQ(refusal(rules(), {{"GRIDBRIDGE_DISK", "1G\n+Owner"}}).find('\n'), std::string::npos);
}

TEST(ResourceRules, AmountsArePowersOf1024) {
    EXPECT_EQ(parseAmount("4G"), 4 * kGiB);
    EXPECT_EQ(parseAmount("4g"), 4 * kGiB);
    EXPECT_EQ(parseAmount("4GB"), 4 * kGiB);
    EXPECT_EQ(parseAmount("4 GiB"), 4 * kGiB);
    EXPECT_EQ(parseAmount("1K"), 1024);
    EXPECT_EQ(parseAmount("1024T"), std::int64_t{1} << 50);
    for (const char* bad : {"", "G", "4", "0G", "4P", "4GG", "4G4", "1.5G", "-4G", "1025T", "4Gi",
                            "999999999T", "9999999999K", "4G ", " 4G "}) {
        const bool trailing = std::string_view(bad) == "4G ";
        EXPECT_EQ(parseAmount(bad).has_value(), trailing) << '"' << bad << '"';
    }
}

TEST(ResourceRules, WallTimesHaveUnitsOrColons) {
    EXPECT_EQ(parseWallTime("90m"), 5400);
    EXPECT_EQ(parseWallTime("90 min"), 5400);
    EXPECT_EQ(parseWallTime("1h30m"), 5400);
    EXPECT_EQ(parseWallTime("1h 30m 5s"), 5405);
    EXPECT_EQ(parseWallTime("2d12h"), 216000);
    EXPECT_EQ(parseWallTime("1:30:00"), 5400);
    EXPECT_EQ(parseWallTime("100:00:01"), 360001);
    for (const char* bad :
         {"", "90", "1:30", "1:60:00", "1:3:00", "1:30:00:00", "30m1h", "1h1h", "0h", "0:00:00",
          "-1h", "1.5h", "1w", "400d", "h", "1h30", ":30:00", "1:30:00 "}) {
        EXPECT_EQ(parseWallTime(bad), std::nullopt) << '"' << bad << '"';
    }
}

TEST(ResourceRules, OnlyNamesOfTheListAreTaken) {
    auto lists = rules();
    lists.queues = {"short", "long"};

    for (const char* bad :
         {"gpu", "Short", "short,long", "short --uid=0", "short\nqueue 100", "-short", "*"}) {
        EXPECT_THAT(refusal(lists, {{"GRIDBRIDGE_QUEUE", bad}}),
                    HasSubstr("\": the queue may be one of: short, long"))
            << bad;
    }
    EXPECT_EQ(refusal(lists, {{"GRIDBRIDGE_ACCOUNT", "physics"}}),
              "GRIDBRIDGE_ACCOUNT is \"physics\": this runner lets no job choose its account");
}

TEST(ResourceRules, AProjectIsChargedToItsAccountAndMayChooseAmongItsOwn) {
    auto map = rules();
    map.projectAccounts = {
        {"physics/**", "phys"}, {"Physics/detector", "detector"}, {"bio/*", "bio"}};

    EXPECT_EQ(granted(map, {}).resources.account, "phys") << "the first that fits";
    EXPECT_EQ(granted(map, {}, "chem/lab").resources.account, "");
    EXPECT_EQ(granted(map, {{"GRIDBRIDGE_ACCOUNT", "detector"}}).resources.account, "detector");
    EXPECT_EQ(refusal(map, {{"GRIDBRIDGE_ACCOUNT", "bio"}}),
              "GRIDBRIDGE_ACCOUNT is \"bio\": the account may be one of: phys, detector");
    EXPECT_EQ(refusal(map, {{"GRIDBRIDGE_ACCOUNT", "phys"}}, "chem/lab"),
              "GRIDBRIDGE_ACCOUNT is \"phys\": this runner lets no job choose its account");
    map.accounts = {"common"};
    EXPECT_EQ(granted(map, {{"GRIDBRIDGE_ACCOUNT", "common"}}).resources.account, "common");
    EXPECT_EQ(granted(map, {{"GRIDBRIDGE_ACCOUNT", "common"}}, "chem/lab").resources.account,
              "common");
}

TEST(ResourceRules, WhatTheBatchSystemCannotBeAskedForIsSaidAndStillRead) {
    const auto grant = granted({}, {{"GRIDBRIDGE_MEMORY", "4G"}, {"GRIDBRIDGE_QUEUE", "long"}});

    EXPECT_EQ(grant.resources, Resources{});
    EXPECT_THAT(grant.warnings,
                ElementsAre("GRIDBRIDGE_MEMORY is \"4G\", which changes nothing: the batch system "
                            "of this runner cannot be asked for it",
                            "GRIDBRIDGE_QUEUE is \"long\", which changes nothing: the batch system "
                            "of this runner cannot be asked for it"));
    EXPECT_THAT(refusal({}, {{"GRIDBRIDGE_MEMORY", "lots"}}), HasSubstr("write a whole number"));
}

TEST(ResourceRules, AMisspeltVariableIsNamed) {
    EXPECT_THAT(granted(rules(), {{"GRIDBRIDGE_MEM", "4G"}}).warnings,
                ElementsAre("variable \"GRIDBRIDGE_MEM\" is not known and changes nothing; known "
                            "are GRIDBRIDGE_CPUS, GRIDBRIDGE_MEMORY, GRIDBRIDGE_DISK, "
                            "GRIDBRIDGE_GPUS, GRIDBRIDGE_WALLTIME, GRIDBRIDGE_QUEUE and "
                            "GRIDBRIDGE_ACCOUNT"));
}

TEST(ResourceRules, ASecretIsHiddenBeforeTheValueIsCut) {
    const std::string secret(500, 's');
    const auto hidden = [&](const std::string& value) {
        return value == secret ? "[MASKED]" : value;
    };

    const auto grant = rules().grant({{"GRIDBRIDGE_CPUS", secret}}, "", hidden);

    ASSERT_FALSE(grant.ok());
    EXPECT_EQ(grant.error().message,
              "GRIDBRIDGE_CPUS is \"[MASKED]\": write a whole number, like 4");
}

}  // namespace
}  // namespace gridbridge::core
