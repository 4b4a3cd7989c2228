// Which runners may have caches: jobs of one account can read and change what another one wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "bridge/app/GitLabAccess.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CacheConfig : public ::testing::Test {
protected:
    static std::string runner(const std::string& name, const std::string& lines,
                              const std::string& host = "gitlab.example.org") {
        return "[[runners]]\nname = \"" + name + "\"\nurl = \"https://" + host +
               "\"\ntoken = \"glrt-" + name + "\"\nbackend = \"here\"\n" + lines;
    }
    static std::string backend(const std::string& lines) {
        return "[backends.here]\ntype = \"local\"\nwork_dir = \"/jobs\"\n" + lines;
    }
    std::vector<std::string> faults(const std::string& text) {
        return folder_.faultsOf("state_dir = \"/state\"\n" + text);
    }
    const std::string cached_ = "cache_dir = \"/caches\"\n";
    const std::string ofOne_ = cached_ + "allowed_projects = [\"physics/a\"]\n";
    const std::string asCi_ = backend("run_as = \"ci\"\n");
    gridbridge::testing::ConfigFolder folder_;
};

TEST_F(CacheConfig, AccountOfSeveralProjectsIsRefused) {
    const auto sentence = HasSubstr(
        "jobs of several projects run as the account ci, and each of them could read and change "
        "the caches of the others; name one project in allowed_projects, or give each project "
        "that is allowed an account of its own with project_run_as, or remove it");
    const auto two = cached_ + "allowed_projects = [\"physics/a\", \"physics/b\"]\n";
    const auto mapped = backend("run_as = \"ci\"\nproject_run_as = [\"physics/b=ciphys\"]\n");
    for (const auto& text :
         {runner("a", cached_) + asCi_, runner("a", two) + asCi_,
          runner("a", cached_ + "allowed_projects = [\"physics/*\"]\n") + asCi_,
          runner("a", cached_) + mapped,
          // Jobs of the second runner can read what those of the first one keep.
          runner("a", ofOne_) + runner("b", "") + asCi_,
          runner("a", ofOne_) + runner("b", "allowed_projects = [\"physics/b\"]\n") + asCi_,
          runner("a", ofOne_) +
              runner("b", "allowed_projects = [\"physics/a\"]\n", "other.example.org") + asCi_}) {
        EXPECT_THAT(faults(text), ElementsAre(sentence)) << text;
    }
    EXPECT_THAT(faults(runner("a", cached_) + asCi_),
                ElementsAre(HasSubstr("config.toml:7: runners.a.cache_dir: ")));
    EXPECT_THAT(faults(runner("a", cached_) + backend("trusted_jobs = true\n"
                                                      "project_run_as = [\"physics/*=ciphys\"]\n")),
                ElementsAre(HasSubstr("run as the account ciphys")));
    EXPECT_THAT(faults(runner("a", cached_) + backend("trusted_jobs = true\nrun_as = \"ci\"\n")),
                Contains(sentence))
        << "only the service's own account is trusted with all";
    for (const auto& text :
         {runner("a", ofOne_) + asCi_, runner("a", two) + mapped,
          runner("a", ofOne_) + runner("b", "allowed_projects = [\"Physics/A\"]\n") + asCi_,
          runner("a", ofOne_) + runner("b", "allowed_projects = [\"physics/b\"]\n") + mapped,
          runner("a", cached_) + backend("trusted_jobs = true\n"),
          runner("a", "") + runner("b", "") + asCi_}) {
        EXPECT_THAT(faults(text), IsEmpty()) << text;
    }
}

TEST_F(CacheConfig, PatternOfAGroupSharesItsAccountToo) {
    EXPECT_THAT(
        faults(runner("a", cached_ + "allowed_projects = [\"physics/a\", \"biology/*\"]\n") +
               backend("run_as = \"ci\"\nproject_run_as = [\"biology/*=ciphys\"]\n")),
        ElementsAre(HasSubstr("run as the account ci")));
    EXPECT_THAT(
        faults(runner("a", cached_ + "allowed_projects = [\"physics/a\", \"physics/b\"]\n") +
               backend("run_as = \"ci\"\nproject_run_as = [\"physics/*=ciphys\"]\n")),
        ElementsAre(HasSubstr("run as the account ciphys")));
}

TEST_F(CacheConfig, BoundsOfNoCacheAreRefused) {
    EXPECT_THAT(faults(runner("a", "cache_limit = \"5 MiB\"\ncache_age = \"2 h\"\n") + asCi_),
                ElementsAre(HasSubstr("cache_limit: says nothing without cache_dir; remove it"),
                            HasSubstr("cache_age: says nothing without cache_dir; remove it")));
}

TEST_F(CacheConfig, FolderIsApartFromAllOthers) {
    const auto with = [&](const std::string& folder) {
        return faults(
            runner("a", "allowed_projects = [\"physics/a\"]\ncache_dir = \"" + folder + "\"\n") +
            asCi_ + "builds_dir = \"/builds\"\n");
    };
    EXPECT_THAT(with("/jobs/caches"),
                ElementsAre(HasSubstr("the folder of caches and the work folder /jobs lie within "
                                      "each other; move one of them")));
    EXPECT_THAT(with("/state/x"), ElementsAre(HasSubstr("and the state folder /state lie")));
    EXPECT_THAT(with("/"), Contains(HasSubstr("lie within each other")));
    EXPECT_THAT(with("caches"), ElementsAre(HasSubstr("cache_dir: ")));
    EXPECT_THAT(with("/builds/caches"), ElementsAre(HasSubstr("and the builds_dir /builds lie")));
    EXPECT_THAT(with("/caches"), IsEmpty());
}

TEST_F(CacheConfig, NumbersOfProjectsAreThoseOfOneServer) {
    const auto trusted = backend("trusted_jobs = true\n");
    EXPECT_THAT(faults(runner("a", cached_) + runner("b", cached_, "other.example.org") + trusted),
                ElementsAre(HasSubstr("is the folder of the runner a, whose GitLab is another; "
                                      "give each GitLab a folder of its own")));
    EXPECT_THAT(faults(runner("a", cached_) + runner("b", cached_) + trusted), IsEmpty());
}

TEST_F(CacheConfig, KeysArriveAndGitLabIsToldOfCachesOnlyWithAFolder) {
    folder_.write("config.toml",
                  "state_dir = \"/state\"\n" +
                      runner("a", ofOne_ + "cache_limit = \"5 MiB\"\ncache_age = \"2 h\"\n") +
                      runner("b", "allowed_projects = [\"physics/a\"]\n") + asCi_);
    const auto config = loadConfig(folder_.file(), folder_.host());
    EXPECT_EQ(config.runners[0].cacheDir, "/caches");
    EXPECT_EQ(config.runners[0].cacheLimit, std::uint64_t{5} << 20U);
    EXPECT_EQ(config.runners[0].cacheAge, std::chrono::hours(2));
    EXPECT_THAT(features(config.runners[0]), Contains("cache"));
    EXPECT_THAT(features(config.runners[0]), Contains("fallback_cache_keys"));
    EXPECT_THAT(features(config.runners[1]), Not(Contains(HasSubstr("cache"))));
}

}  // namespace
}  // namespace gridbridge::app
