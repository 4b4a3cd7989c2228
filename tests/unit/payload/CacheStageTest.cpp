// What jobs keep in `cache` and find again.
#include <memory>
#include <thread>

#include "tests/unit/payload/CacheJobs.h"

namespace gridbridge::payload {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CacheStageTest : public CacheJobs {};

TEST_F(CacheStageTest, MissThenHitWithModesTimesAndLinks) {
    const auto first = run(job({"mkdir lib; echo made >lib/tool; chmod 750 lib/tool",
                                "ln -s tool lib/link; touch -d @1580644800 lib/tool"}));
    EXPECT_THAT(first, AllOf(HasSubstr("Checking cache for k...\nWARNING: Cache file does not "
                                       "exist\nFailed to extract cache\n"),
                             HasSubstr("Creating cache k...\nCreated cache\n")));
    EXPECT_THAT(sections_, AllOf(HasSubstr(":restore_cache\r"), HasSubstr(":archive_cache\r")));
    struct stat state {};
    ASSERT_EQ(::stat(archive().c_str(), &state), 0);
    EXPECT_EQ(state.st_mode & 07777U, 0600U);

    const auto second = run(job({"stat -c '%n %a %Y' lib/tool; readlink lib/link; cat lib/link"}));
    EXPECT_THAT(second, AllOf(HasSubstr("Checking cache for k...\nSuccessfully extracted cache\n"),
                              HasSubstr("lib/tool 750 1580644800\ntool\nmade\n"),
                              HasSubstr("Archive is up to date!\nCreated cache\n")));
}

TEST_F(CacheStageTest, IsWrittenAgainOnlyWhenAFileIsNewer) {
    run(job({"mkdir lib; echo one >lib/a; echo one >lib/b"}));
    const auto inode = [&] {
        struct stat state {};
        EXPECT_EQ(::stat(archive().c_str(), &state), 0);
        return state.st_ino;
    };
    const auto before = inode();
    EXPECT_THAT(run(job({"cat lib/a"})), HasSubstr("up to date"));
    EXPECT_EQ(inode(), before);

    EXPECT_THAT(run(job({"echo two >lib/a"})), Not(HasSubstr("up to date")));
    EXPECT_THAT(run(job({"cat lib/a lib/b"})), HasSubstr("two\none\n"));
    EXPECT_EQ(filesBelow(caches()), 1U) << "no part of a file is left";
}

TEST_F(CacheStageTest, FallbackKeysAreTriedInOrderAndOnlyTheMainKeyIsWritten) {
    run(job({"mkdir lib; echo old >lib/a"}, {.key = "old", .paths = {"lib/"}}));

    const auto text = run(job({"cat lib/a; echo new >lib/a"},
                              {.key = "new", .paths = {"lib/"}, .fallbackKeys = {"none", "old"}}));

    EXPECT_THAT(text, HasSubstr("Checking cache for none...\nWARNING: Cache file does not exist\n"
                                "Failed to extract cache\nChecking cache for old...\nSuccessfully "
                                "extracted cache\n"));
    EXPECT_THAT(text, HasSubstr("\nold\n"));
    EXPECT_THAT(run(job({"cat lib/a"}, {.key = "new", .paths = {"lib/"}})), HasSubstr("\nnew\n"));
    EXPECT_THAT(run(job({"cat lib/a"}, {.key = "old", .paths = {"lib/"}})), HasSubstr("\nold\n"));
    EXPECT_FALSE(std::filesystem::exists(archive("none")));
}

TEST_F(CacheStageTest, PolicyPullMakesNoFolderAndPushFetchesNothing) {
    const auto pull =
        run(job({"mkdir lib; touch lib/a"}, {.key = "k", .paths = {"lib/"}, .policy = "pull"}));
    EXPECT_THAT(pull, HasSubstr("Not uploading cache k due to policy"));
    EXPECT_TRUE(std::filesystem::is_empty(caches()));

    run(job({"mkdir lib; touch lib/a"}));
    const auto push = run(
        job({"ls lib || echo nothing-there"}, {.key = "k", .paths = {"lib/"}, .policy = "push"}));
    EXPECT_THAT(sections_, HasSubstr("\nNo files to cache." + std::string(32, ' ') + "\033[0;m \n"))
        << "in a column, as the tool of GitLab's runner";
    EXPECT_THAT(push, AllOf(HasSubstr("Not downloading cache k due to policy"),
                            HasSubstr("\nnothing-there\n"), HasSubstr("No files to cache.\n"),
                            Not(HasSubstr("Created cache"))));
}

TEST_F(CacheStageTest, UnknownPolicyFailsTheJobBeforeTheScript) {
    const auto text =
        run(job({"echo script-ran"}, {.key = "k", .paths = {"a"}, .policy = "maybe"}), "failed");
    EXPECT_THAT(text, AllOf(HasSubstr("ERROR: unknown cache policy: maybe"),
                            Not(HasSubstr("\nscript-ran\n"))));
}

TEST_F(CacheStageTest, WhenDecidesAfterHowTheJobEnded) {
    for (const auto& [when, failing, saved] :
         {std::tuple("on_success", true, false), std::tuple("on_failure", true, true),
          std::tuple("on_failure", false, false), std::tuple("always", true, true),
          std::tuple("always", false, true)}) {
        SCOPED_TRACE(when);
        const auto key = std::string(when) + (failing ? "-failing" : "");
        run(job({"mkdir lib; touch lib/a", failing ? "exit 3" : "true"},
                {.key = key, .paths = {"lib/"}, .when = when}),
            failing ? "failed" : "success");
        EXPECT_EQ(std::filesystem::exists(archive(key)), saved);
        EXPECT_EQ(sections_.find(":archive_cache_on_failure\r") != std::string::npos,
                  failing && saved);
    }
}

TEST_F(CacheStageTest, PathsComeFromVariablesOfTheScriptAndNotFromOutside) {
    std::ofstream(top_ / "outside") << "secret";
    auto wanted =
        job({"mkdir -p lib other; echo 1 >lib/a; echo 2 >other/b",
             "echo WHERE=other >>\"$GITLAB_ENV\""},
            {.key = "k", .paths = {"lib/*", "$WHERE", (top_ / "outside").string(), "../../.."}});
    EXPECT_THAT(run(wanted), HasSubstr("is not a subpath of project directory"));

    const auto text = run(job({"find . -type f | sort"}));
    EXPECT_THAT(text, HasSubstr("\n./lib/a\n./other/b\n"));
    EXPECT_THAT(text, Not(HasSubstr("outside")));
}

TEST_F(CacheStageTest, NodeThatRunsJobsAsAnotherAccountHasNoCache) {
    context_.cache.account = "another";
    EXPECT_THAT(run(job({"mkdir lib; touch lib/a"})),
                AllOf(HasSubstr("WARNING: jobs run as " + accountOfThisTest() +
                                " here, not as another\nFailed to extract cache\n"),
                      HasSubstr("\nFailed to create cache\n")));
    EXPECT_TRUE(std::filesystem::is_empty(caches()));
}

TEST_F(CacheStageTest, CacheThatTheScratchHasNoRoomForTwiceIsNotPlacedInPart) {
    run(job({"mkdir lib; for n in 1 2 3; do head -c 1000000 /dev/urandom >lib/$n; done"}));
    const auto text = runOn("size=5m,mode=1777", job({"ls lib || echo nothing-there"}), "success");
    if (!text) {
        GTEST_SKIP() << kRootOnly;
    }
    EXPECT_THAT(*text,
                AllOf(HasSubstr("KiB, and there are"), HasSubstr("\nFailed to extract cache\n"),
                      HasSubstr("\nnothing-there\n")));
}

TEST_F(CacheStageTest, CacheThatIsPlacedInPartFailsTheJobBeforeTheScript) {
    run(job({"mkdir lib; for n in $(seq 300); do echo $n >lib/$n; done"}));
    // Room for their bytes, but not for so many files twice.
    const auto text = runOn("size=50m,nr_inodes=450,mode=1777", job({"echo script-ran"}), "failed");
    if (!text) {
        GTEST_SKIP() << kRootOnly;
    }
    EXPECT_THAT(*text, AllOf(HasSubstr("ERROR: a cache is in the project folder in part only"),
                             Not(HasSubstr("\nscript-ran\n"))));
}

TEST_F(CacheStageTest, FullFolderIsSweptAndSavingTriedOnceMore) {
    if (::mount("tmpfs", caches().c_str(), "tmpfs", 0, "size=1m,mode=1777") != 0) {
        GTEST_SKIP() << kRootOnly;
    }
    const auto big = [](const std::string& key) {
        return job({"mkdir lib; head -c 700000 /dev/urandom >lib/a"},
                   {.key = key, .paths = {"lib/"}});
    };
    run(big("old"));
    const auto now = ::time(nullptr);
    const auto recent = run(big("new"));
    setTime(archive("old"), now - 90000, now - 90000);
    const auto swept = run(big("new"));
    const bool hasNew = std::filesystem::exists(archive("new"));
    EXPECT_EQ(::umount2(caches().c_str(), MNT_DETACH), 0);

    EXPECT_THAT(recent, HasSubstr("\nFailed to create cache\n"));
    EXPECT_THAT(swept, HasSubstr("\nCreated cache\n"));
    EXPECT_TRUE(hasNew);
}

TEST_F(CacheStageTest, UnreadableArchiveIsReadAgainAndAMissingOneIsNot) {
    plant("k", "echo garbage >\"$A\"");
    auto thrice = job({"true"}, {.key = "k", .paths = {"lib/"}, .fallbackKeys = {"none"}});
    setVariable(thrice, "RESTORE_CACHE_ATTEMPTS", "3");
    const auto text = run(thrice);
    EXPECT_EQ(countOf("Retrying...", text), 2U);
    auto unknown = job({"true"}, {.key = "k", .paths = {"a"}, .policy = "maybe"});
    setVariable(unknown, "RESTORE_CACHE_ATTEMPTS", "3");
    EXPECT_THAT(run(unknown, "failed"), Not(HasSubstr("Retrying...")));
}

TEST_F(CacheStageTest, LogGetsNoMoreThanALittleOfWhatTarSays) {
    plant("old", "mkdir lib; touch -d @9000000000 lib/x; tar -czf \"$A\" lib");
    EXPECT_THAT(run(job({"ls lib"}, {.key = "old", .paths = {"none"}})),
                AllOf(HasSubstr("\nx\n"), Not(HasSubstr("in the future"))));
    plant("k",
          "for n in $(seq 100); do touch f$n; done; tar -cf x.tar f*; "
          "tar -rf x.tar --transform 's,$,/x,' f*; gzip <x.tar >\"$A\"");
    const auto text = run(job({"true"}, {.key = "k", .paths = {"none"}}));
    EXPECT_EQ(countOf("Cannot open", text), 20U) << text;
}

TEST_F(CacheStageTest, HostileArchiveWritesNothingOutsideAndOnlyWarns) {
    const auto victim = top_ / "victim";
    const std::vector<std::string> archives{
        "ln -s \"$V\" lib; tar -cf x.tar lib; rm lib; mkdir lib; touch lib/x; tar -rf x.tar lib/x; "
        "gzip <x.tar >\"$A\"",
        "mkdir d; touch x; tar -czf \"$A\" --transform 's,^x,../../../../../../../..'\"$V\"'/x,' "
        "-P x",
        "touch x; tar -czf \"$A\" --transform 's,^x,'\"$V\"'/x,' -P x",
        "mkfifo lib; tar -czf \"$A\" lib",
        "mkdir lib; echo in >lib/x; chmod 000 lib; tar -czf \"$A\" lib; chmod 700 lib",
        "echo garbage >\"$A\"",
        "head -c 100000 /dev/urandom >lib; tar -cz lib | head -c 50000 >\"$A\"",
        "mkfifo \"$A\"",
        "mkdir \"$A\"; touch \"$A/x\"",
        "tar -czf \"$V.tar.gz\" . ; ln -s \"$V.tar.gz\" \"$A\""};
    for (const auto& command : archives) {
        SCOPED_TRACE(command);
        std::filesystem::remove_all(caches() / "7");
        std::filesystem::create_directory(victim);
        plant("k", command);

        // As an earlier job of the project may have left it in the sources.
        const auto text = run(job({"echo script-ran; rm -rf lib; mkdir lib; echo new >lib/a"}));

        EXPECT_THAT(text, HasSubstr("\nscript-ran\n"));
        EXPECT_TRUE(std::filesystem::is_empty(victim));
        EXPECT_THAT(text, HasSubstr("\nCreated cache\n"));
        EXPECT_THAT(run(job({"cat lib/a"})), HasSubstr("\nnew\n"));
    }
}

TEST_F(CacheStageTest, ArchiveDoesNotWriteThroughALinkOfAnEarlierOne) {
    const auto victim = top_ / "victim";
    std::filesystem::create_directory(victim);
    plant("first", "ln -s \"$V\" lib; tar -czf \"$A\" lib");
    plant("second", "mkdir lib; echo in >lib/x; tar -czf \"$A\" lib/x");
    auto both = job({"cat lib/x"}, {.key = "first", .paths = {"none"}});
    both.cache.push_back({.key = "second", .paths = {"none"}});

    EXPECT_THAT(run(both), HasSubstr("\nin\n"));

    EXPECT_TRUE(std::filesystem::is_empty(victim));
}

TEST_F(CacheStageTest, FolderOfAnotherAccountOrBehindALinkIsNotEntered) {
    run(job({"mkdir lib; touch lib/a"}));
    std::filesystem::rename(caches() / "7", top_ / "elsewhere");
    std::filesystem::create_directory_symlink(top_ / "elsewhere", caches() / "7");
    EXPECT_THAT(
        run(job({"mkdir lib; touch lib/b"})),
        AllOf(HasSubstr("is no folder of the account of this job"),
              HasSubstr("\nFailed to extract cache\n"), HasSubstr("\nFailed to create cache\n")));
    std::filesystem::remove(caches() / "7");
    std::filesystem::rename(top_ / "elsewhere", caches() / "7");
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown((caches() / "7").c_str(), 12345, 12345), 0);
        EXPECT_THAT(run(job({"mkdir lib; touch lib/b"})),
                    AllOf(HasSubstr("is no folder of the account of this job"),
                          HasSubstr("\nFailed to create cache\n")));
    }
}

TEST_F(CacheStageTest, MissingFolderOfCachesOnlyWarns) {
    std::filesystem::remove(caches());
    EXPECT_THAT(run(job({"mkdir lib; touch lib/a"})),
                AllOf(HasSubstr("there is no folder " + caches().string() + " on this node"),
                      HasSubstr("\nFailed to create cache\n")));
    EXPECT_FALSE(std::filesystem::exists(caches()));
}

TEST_F(CacheStageTest, TooLargeACacheOnlyWarnsAndTheOldOneStays) {
    run(job({"mkdir lib; echo small >lib/a"}));
    context_.cache.limit = 64 * 1024;
    const auto text = run(job({"head -c 300000 /dev/urandom >lib/b"}));
    EXPECT_THAT(text, HasSubstr("\nFailed to create cache\n"));
    EXPECT_EQ(filesBelow(caches()), 1U) << "no part of a file is left";
    EXPECT_THAT(run(job({"cat lib/a; ls lib"})), HasSubstr("\nsmall\n"));
}

TEST_F(CacheStageTest, LeastRecentlyUsedGoFirstThenTheOldAndNothingElse) {
    context_.cache.limit = 300 * 1024;
    context_.cache.account = accountOfThisTest();
    const auto cached = [](const std::string& key) {
        return job({"mkdir -p lib; head -c 100000 /dev/urandom >lib/a"},
                   {.key = key, .paths = {"lib/"}});
    };
    const auto now = ::time(nullptr);
    run(cached("a"));
    run(cached("b"));
    setTime(archive("a"), now - 2000, now - 2000);
    setTime(archive("b"), now - 1000, now - 3000);
    std::ofstream(caches() / accountOfThisTest() / "7" / "mine") << "kept";
    std::ofstream(archive("a").parent_path() / ".12345678.part") << "under way";
    std::ofstream(archive("b").parent_path() / ".12345678.part") << "left";
    setTime(archive("b").parent_path() / ".12345678.part", now - 90000, now - 90000);

    run(cached("c"));
    EXPECT_EQ(filesBelow(caches()), 6U - 1U) << "all three have room";
    run(cached("d"));

    EXPECT_FALSE(std::filesystem::exists(archive("a"))) << "the one used last longest ago";
    EXPECT_TRUE(std::filesystem::exists(archive("b")));
    EXPECT_TRUE(std::filesystem::exists(archive("d")));
    EXPECT_TRUE(std::filesystem::exists(archive("a").parent_path() / ".12345678.part"));
    EXPECT_TRUE(std::filesystem::exists(caches() / accountOfThisTest() / "7" / "mine"));

    context_.cache.age = std::chrono::seconds(3600);
    setTime(archive("b"), now - 7200, now - 7200);
    setTime(archive("c"), now - 60, now - 7200);
    run(cached("d"));
    EXPECT_FALSE(std::filesystem::exists(archive("b")));
    EXPECT_TRUE(std::filesystem::exists(archive("c"))) << "it has been used since it was made";
}

TEST_F(CacheStageTest, SeveralWritersAtOnceLeaveOneWholeCache) {
    std::vector<std::unique_ptr<ScriptRun>> runs;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        const auto digit = std::to_string(i);
        runs.push_back(std::make_unique<ScriptRun>(
            job({"mkdir -p lib; rm -f lib/*; for n in 1 2 3; do echo " + digit +
                 " >lib/$n; done; head -c 2000000 /dev/urandom >lib/big"}),
            context_));
        threads.emplace_back([&run = *runs.back()] { run.run(); });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_THAT(run(job({"cat lib/? | uniq | wc -l"})),
                AllOf(HasSubstr("Successfully extracted cache"), HasSubstr("\n1\n")));
    EXPECT_EQ(filesBelow(caches()), 1U);
}

TEST_F(CacheStageTest, FourCachesAreKeptAsGitLabAllowsAndNoMore) {
    auto five = job({"for n in 0 1 2 3 4; do echo $n >file$n; done"});
    five.cache.clear();
    for (const std::string n : {"0", "1", "2", "3", "4"}) {
        five.cache.push_back({.key = "k" + n, .paths = {"file" + n}});
    }
    run(five);
    EXPECT_EQ(filesBelow(caches()), 4U);
    EXPECT_FALSE(std::filesystem::exists(archive("k4")));
    EXPECT_THAT(makeScript(five, context_)->warnings,
                ::testing::ElementsAre("more than 4 caches, skipping the others"));
}

TEST_F(CacheStageTest, JobOfNoProjectHasNoCache) {
    auto nobodys = job({"true"});
    nobodys.projectId = 0;
    EXPECT_THAT(makeScript(nobodys, context_)->warnings,
                ::testing::ElementsAre("Cache is not supported by this runner, skipping"));
}

}  // namespace
}  // namespace gridbridge::payload
