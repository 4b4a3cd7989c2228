#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "bridge/payload/CacheKey.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CacheKeyTest : public ::testing::Test {
protected:
    CacheKeyTest() {
        job.name = "level0:lal";
        job.git.ref = "main";
    }
    std::optional<CachePlan> plan(const gitlab::CacheEntry& entry) {
        warnings.clear();
        return planCache(job, entry, Variables(job, contextNow()), warnings);
    }
    gitlab::JobDescription job = jobWith({"true"});
    std::vector<std::string> warnings;
};

TEST_F(CacheKeyTest, KeysAsPeopleWriteThem) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"level0:lal", "level0:lal"},
        {"a/b", "a/b"},
        {"../../x", "x"},
        {"a/../../x", "x"},
        {"%2e%2e/x", "x"},
        {"%2E%2e%2Fx", "x"},
        {"%252e%252e/x", "%252e%252e/x"},
        {"..\\..\\x", "x"},
        {"/etc//passwd/", "etc/passwd"},
        {"a /b \t", "a/b"},
        {".. /.. /x", "x"},
        {" a", " a"},
        {"..", ""},
        {"/ /.", ""},
        {"%2f", ""},
        {"", ""},
        {std::string(300, 'k'), std::string(300, 'k')}};
    for (const auto& [key, clean] : cases) {
        EXPECT_EQ(cleanedCacheKey(key), clean) << key;
    }
}

TEST_F(CacheKeyTest, FolderIsOneNameForAnyKeyAndAnotherForEach) {
    EXPECT_EQ(cacheFolderName("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    std::set<std::string> names;
    for (const auto& key : {std::string("a"), std::string("a/cache.tar.gz"), std::string(300, 'k'),
                            std::string("level0:lal"), std::string("\0x", 2)}) {
        names.insert(cacheFolderName(key));
        EXPECT_EQ(cacheFolderName(key).size(), 64U);
    }
    EXPECT_EQ(names.size(), 5U);
}

TEST_F(CacheKeyTest, ReferencesAreExpandedAndAChangedKeyIsTold) {
    setVariable(job, "CI_COMMIT_REF_SLUG", "feature-x");
    setVariable(job, "DIR", "../up");

    EXPECT_THAT(plan({.key = "$CI_COMMIT_REF_SLUG-non_protected"})->keys,
                ElementsAre("feature-x-non_protected"));
    EXPECT_THAT(warnings, IsEmpty());
    EXPECT_THAT(plan({.key = "$DIR-protected"})->keys, ElementsAre("up-protected"));
    EXPECT_THAT(warnings,
                ElementsAre("cache key \"../up-protected\" sanitized to \"up-protected\""));
}

TEST_F(CacheKeyTest, EmptyKeyIsJobAndRefAndOneWithNothingLeftIsSkipped) {
    EXPECT_THAT(plan({.key = ""})->keys, ElementsAre("level0:lal/main"));

    EXPECT_FALSE(plan({.key = "../.."}));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("skipping")));
}

TEST_F(CacheKeyTest, KeysAreLookedForInOrderEachOnce) {
    setVariable(job, "CACHE_FALLBACK_KEY", "last");
    const auto made = plan({.key = "k", .fallbackKeys = {"k-old", "..", "x/../k", "k-older"}});
    EXPECT_THAT(made->keys, ElementsAre("k", "k-old", "k-older", "last"));
}

TEST_F(CacheKeyTest, NoServerMakesOneLookForAMillionKeys) {
    gitlab::CacheEntry many{.key = "k"};
    for (int i = 0; i < 1000; ++i) {
        many.fallbackKeys.push_back("../" + std::to_string(i));
    }
    EXPECT_EQ(plan(many)->keys.size(), 11U);
    EXPECT_EQ(warnings.size(), 10U);
}

TEST_F(CacheKeyTest, OwnFallbackKeyOpensNoCacheOfProtectedBranches) {
    for (const std::string own : {"main-protected", "main-protected. .", "main-protected/",
                                  "main-protected/%2e", "x/..\\main-protected"}) {
        setVariable(job, "CACHE_FALLBACK_KEY", own);
        EXPECT_THAT(plan({.key = "k"})->keys, ElementsAre("k")) << own;
        EXPECT_THAT(warnings, ElementsAre(HasSubstr("not allowed to end in \"-protected\"")));
    }
    setVariable(job, "CACHE_FALLBACK_KEY", "main-non_protected");
    EXPECT_THAT(plan({.key = "k"})->keys, ElementsAre("k", "main-non_protected"));
}

TEST_F(CacheKeyTest, OwnFallbackKeyIsExpandedOnce) {
    setVariable(job, "A", "$P");
    setVariable(job, "P", "protected");
    for (const auto& [own, key] :
         {std::pair("main-$A", "main-$P"), std::pair("main-$$P", "main-$P")}) {
        setVariable(job, "CACHE_FALLBACK_KEY", own);
        EXPECT_THAT(plan({.key = "k"})->keys, ElementsAre("k", key)) << own;
    }
    setVariable(job, "CACHE_FALLBACK_KEY", "main-$P");
    EXPECT_THAT(plan({.key = "k"})->keys, ElementsAre("k"));
}

TEST_F(CacheKeyTest, KeyOfWhichThisRunnerWouldCutThePartThatProtectsIsSkipped) {
    setVariable(job, "LONG", std::string(4096 - 10, 'k') + "-protected");
    setVariable(job, "FITS", std::string(4096 - 14, 'k'));

    EXPECT_FALSE(plan({.key = "$LONG-non_protected"}));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("is too long, skipping")));
    EXPECT_THAT(plan({.key = "k", .fallbackKeys = {"$LONG-non_protected"}})->keys,
                ElementsAre("k"));
    EXPECT_THAT(plan({.key = "$FITS-non_protected"})->keys,
                ElementsAre(std::string(4096 - 14, 'k') + "-non_protected"));

    setVariable(job, "CACHE_FALLBACK_KEY", "$LONG-x");
    EXPECT_THAT(plan({.key = "k"})->keys, ElementsAre("k"));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("is too long, skipping")));
}

TEST_F(CacheKeyTest, PolicyMayComeFromAVariable) {
    setVariable(job, "POLICY", "pull");
    const auto pull = plan({.key = "k", .policy = "$POLICY"});
    EXPECT_TRUE(pull->pull && !pull->push);
    const auto push = plan({.key = "k", .policy = "push"});
    EXPECT_TRUE(!push->pull && push->push);
    EXPECT_TRUE(plan({.key = "k"})->pull && plan({.key = "k"})->push);
    EXPECT_EQ(plan({.key = "k"})->unknownPolicy, "");
    const auto unknown = plan({.key = "k", .policy = "sometimes"});
    EXPECT_EQ(unknown->unknownPolicy, "sometimes");
    EXPECT_FALSE(unknown->pull || unknown->push);
}

}  // namespace
}  // namespace gridbridge::payload
