// What jobs keep in `cache`, in a folder that nodes share.
#include <gmock/gmock.h>

#include <fstream>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/e2e/LifeEndToEnd.h"
#include "tests/e2e/Program.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::CacheSpec;
using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;
using fakegitlab::Status;
using std::filesystem::path;
using ::testing::Contains;
using ::testing::Not;

class Caches : public LifeEndToEnd {
protected:
    Caches() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        std::filesystem::create_directory(caches_);
        service->configure("cache_dir = \"" + caches_.string() + "\"\n", "trusted_jobs = true\n");
    }
    JobSnapshot cached(std::vector<std::string> script, CacheSpec cache = {},
                       const std::string& project = "physics/detector") {
        if (cache.paths.empty()) {
            cache.paths = {"lib/"};
        }
        return run({.project = project, .script = std::move(script), .cache = {std::move(cache)}});
    }
    static void succeeded(const JobSnapshot& job) {
        EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    }
    std::vector<path> archives() const {
        std::vector<path> found;
        for (const auto& each : std::filesystem::recursive_directory_iterator(caches_)) {
            if (!each.is_directory()) {
                found.push_back(each.path());
            }
        }
        return found;
    }
    const path caches_ = folder.path / "caches";
};

TEST_F(Caches, MissThenHitOverTwoJobs) {
    const auto first = cached({"mkdir lib; echo 'made once' >lib/tool; chmod 750 lib/tool"});
    succeeded(first);
    EXPECT_TRUE(says(first, "Checking cache for default-non_protected...")) << plain(first.trace);
    EXPECT_TRUE(says(first, "Failed to extract cache\n"));
    EXPECT_TRUE(says(first, "Created cache\n"));
    EXPECT_THAT(sections(first.trace), Contains("+archive_cache"));

    const auto second = cached({"cat lib/tool; stat -c mode=%a lib/tool"});
    succeeded(second);
    EXPECT_TRUE(says(second, "Successfully extracted cache\n")) << plain(second.trace);
    EXPECT_TRUE(says(second, "made once\n"));
    EXPECT_TRUE(says(second, "mode=750\n"));
    EXPECT_THAT(sections(second.trace), Contains("+restore_cache"));

    const auto other = cached({"ls lib || echo nothing-there"}, {}, "biology/cells");
    EXPECT_TRUE(says(other, "\nnothing-there\n")) << "of another project: " << plain(other.trace);
}

TEST_F(Caches, FallbackKeysAreTriedAndGitLabGivesSuchJobsOnlyToARunnerThatHasThem) {
    succeeded(cached({"mkdir lib; echo old >lib/a"}, {.key = "main-non_protected"}));

    const auto job = cached(
        {"cat lib/a"}, {.key = "branch-non_protected", .fallbackKeys = {"main-non_protected"}});

    succeeded(job);
    EXPECT_TRUE(says(job, "\nold\n")) << plain(job.trace);
    EXPECT_EQ(archives().size(), 2U);

    ASSERT_EQ(service->stop(), 0);
    service->configure("", "trusted_jobs = true\n");
    start();
    const auto unsupported =
        gitlab->addJob({.cache = {{.paths = {"lib/"}, .fallbackKeys = {"main-non_protected"}}}});
    ASSERT_TRUE(gitlab->waitForStatus(unsupported, Status::Failed));
    EXPECT_EQ(gitlab->job(unsupported).failureReason, "runner_unsupported");
    const auto without = cached({"ls lib || echo nothing-there"});
    succeeded(without);
    EXPECT_TRUE(says(without, "Cache is not supported by this runner, skipping"));
    EXPECT_TRUE(says(without, "\nnothing-there\n"));
}

TEST_F(Caches, CacheOfProtectedBranchesIsNotReachedByAnother) {
    succeeded(cached({"mkdir lib; echo protected >lib/a"}, {.key = "main-protected"}));
    succeeded(cached({"mkdir lib; echo open >lib/a"}, {.key = "main-non_protected"}));

    const auto job = run({.script = {"ls lib || echo nothing-there"},
                          .variables = {{.key = "CACHE_FALLBACK_KEY", .value = "main-protected"}},
                          .cache = {{.key = "new-non_protected", .paths = {"lib/"}}}});

    succeeded(job);
    EXPECT_TRUE(says(job, "CACHE_FALLBACK_KEY \"main-protected\" not allowed to end in"));
    EXPECT_TRUE(says(job, "\nnothing-there\n")) << plain(job.trace);
    const auto inside = cached({"cat lib/a"}, {.key = "main-protected"});
    EXPECT_TRUE(says(inside, "\nprotected\n")) << plain(inside.trace);
}

TEST_F(Caches, PolicyPullMakesNothingAndWhenFailureIsKeptOfAFailedJob) {
    const auto pull = cached({"mkdir lib; touch lib/a"}, {.policy = "pull"});
    succeeded(pull);
    EXPECT_TRUE(says(pull, "Not uploading cache default-non_protected due to policy"));
    EXPECT_TRUE(std::filesystem::is_empty(caches_));

    const std::vector<std::string> failing{"mkdir lib; echo half >lib/a", "exit 3"};
    EXPECT_EQ(cached(failing).status, Status::Failed);
    EXPECT_TRUE(archives().empty()) << "on_success";
    const auto failed = cached(failing, {.when = "on_failure"});
    EXPECT_EQ(failed.status, Status::Failed);
    EXPECT_EQ(failed.exitCode, 3);
    EXPECT_THAT(sections(failed.trace), Contains("+archive_cache_on_failure"));

    const auto next = cached({"cat lib/a"});
    EXPECT_TRUE(says(next, "\nhalf\n")) << plain(next.trace);
}

TEST_F(Caches, HostileArchiveHarmsNothing) {
    const auto victim = folder.path / "victim";
    std::filesystem::create_directory(victim);
    succeeded(cached({"mkdir lib; touch lib/a"}));
    ASSERT_EQ(archives().size(), 1U);
    const auto archive = archives().front();
    // As a job of the project, which knows the folder, could have made it.
    const auto made = runProgram(
        {"/bin/bash", "-c",
         "cd \"$1\" && ln -s \"$2\" lib && tar -cf x.tar lib && rm lib && mkdir lib && touch lib/x "
         "&& tar -rf x.tar lib/x && gzip <x.tar >\"$3\"",
         "bash", service->stateDir().parent_path().string(), victim.string(), archive.string()});
    ASSERT_EQ(made.exitCode, 0) << made;

    const auto job = cached({"rm -rf lib; echo script-ran"});

    succeeded(job);
    EXPECT_TRUE(says(job, "\nscript-ran\n"));
    EXPECT_TRUE(std::filesystem::is_empty(victim));
    const auto after = cached({"rm -rf lib; mkdir lib; echo good >lib/a"});
    succeeded(after);
    EXPECT_TRUE(says(cached({"cat lib/a"}), "\ngood\n"));
}

TEST_F(Caches, FullDiskOnlyWarns) {
    if (::mount("tmpfs", caches_.c_str(), "tmpfs", 0, "size=256k,mode=1777") != 0) {
        GTEST_SKIP() << leftOut("a full disk of caches");
    }
    const auto job = cached({"mkdir lib; head -c 2000000 /dev/urandom >lib/a"});
    const auto left = archives().size();
    const auto small = cached({"mkdir lib; echo fits >lib/a"});
    const auto hit = cached({"cat lib/a"});
    EXPECT_EQ(::umount2(caches_.c_str(), MNT_DETACH), 0);

    succeeded(job);
    EXPECT_TRUE(says(job, "\nFailed to create cache\n")) << plain(job.trace);
    EXPECT_EQ(left, 0U) << "no part stays";
    EXPECT_TRUE(says(small, "\nCreated cache\n")) << plain(small.trace);
    EXPECT_TRUE(says(hit, "\nfits\n")) << plain(hit.trace);
}

TEST_F(Caches, Case82OnlyTheCacheStaysAndWithinItsLimit) {
    service->configure("cache_dir = \"" + caches_.string() + "\"\ncache_limit = \"1 MiB\"\n",
                       "trusted_jobs = true\n");
    const auto where = (folder.path / "where").string();
    for (int i = 0; i < 4; ++i) {
        const auto job = run(
            {.script =
                 {"mkdir lib; head -c 400000 /dev/urandom >lib/a; echo \"token=$CI_JOB_TOKEN\"; "
                  "printf '%s\\n' \"$CI_PROJECT_DIR\" \"$HOME\" >>" +
                  where},
             .cache = {{.key = "k" + std::to_string(i), .paths = {"lib/"}}}});
        succeeded(job);
        EXPECT_TRUE(says(job, "\nCreated cache\n")) << plain(job.trace);
    }

    std::uintmax_t kept = 0;
    for (const auto& archive : archives()) {
        EXPECT_EQ(archive.filename(), "cache.tar.gz");
        kept += std::filesystem::file_size(archive);
    }
    EXPECT_EQ(archives().size(), 2U);
    EXPECT_LE(kept, std::uintmax_t{1} << 20U);
    EXPECT_TRUE(says(cached({"ls lib"}, {.key = "k3"}), "Successfully extracted cache"));
    std::istringstream lines(readFile(where));
    for (std::string line; std::getline(lines, line);) {
        EXPECT_FALSE(std::filesystem::exists(line)) << line;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(service->workDir())) {
        EXPECT_TRUE(entry.path().filename() == ".local" || entry.path().filename() == ".probe")
            << entry.path();
    }
}

}  // namespace
}  // namespace gridbridge::testing
