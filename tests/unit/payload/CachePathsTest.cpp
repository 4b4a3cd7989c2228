// Which files a cache holds, and where they may go.
#include <sstream>

#include "tests/unit/payload/CacheJobs.h"

namespace gridbridge::payload {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class CachePathsTest : public CacheJobs {};

TEST_F(CachePathsTest, HoldsWhatPathsNameAndNothingElse) {
    const std::string files =
        "mkdir d; touch a.json conf.json é.json d/ab d/cb d/_b d/-b d/']b' \"d/éb\" ";
    const auto kept = [&](const std::string& pattern) {
        run(job({files, "echo 'LATE=" + pattern + "' >>\"$GITLAB_ENV\""},
                {.key = "literal", .paths = {pattern}}));
        const auto literal = run(job({"find . -type f | LC_ALL=C sort"}, {.key = "literal"}));
        run(job({files, "echo 'LATE=" + pattern + "' >>\"$GITLAB_ENV\""},
                {.key = "late", .paths = {"$LATE"}}));
        const auto late = run(job({"find . -type f | LC_ALL=C sort"}, {.key = "late"}));
        std::filesystem::remove_all(caches() / "7");
        const auto found = [](const std::string& text) {
            std::string names;
            std::istringstream lines(text);
            for (std::string line; std::getline(lines, line);) {
                names += line.starts_with("./") ? line.substr(2) + " " : "";
            }
            return names;
        };
        EXPECT_EQ(found(literal), found(late)) << pattern;
        return found(literal);
    };
    EXPECT_EQ(kept("?.json"), "a.json é.json ");
    EXPECT_EQ(kept("????.json"), "conf.json ");
    EXPECT_EQ(kept("d/[!a]b"), "d/-b d/]b d/_b d/cb d/éb ");
    EXPECT_EQ(kept("d/[a-c_]b"), "d/_b d/ab d/cb ");
    EXPECT_EQ(kept("d[!a]ab"), "") << "a class fits no slash";
}

TEST_F(CachePathsTest, PatternThatTheNodeCannotTellIsSkippedWithAWarning) {
    const auto text =
        run(job({"mkdir lib; touch lib/a lib/b", "echo 'LATE=lib/[z-a]' >>\"$GITLAB_ENV\""},
                {.key = "k", .paths = {"lib/[é-ï]", "$LATE"}}));
    EXPECT_THAT(text, AllOf(HasSubstr("WARNING: lib/[é-ï]: no pattern for a cache"),
                            HasSubstr("WARNING: lib/[z-a]: no pattern for a cache"),
                            HasSubstr("No files to cache")));
}

TEST_F(CachePathsTest, WhatLiesBelowALinkIsNotSaved) {
    std::filesystem::create_directory(top_ / "outside");
    std::ofstream(top_ / "outside" / "hosts") << "of the node";
    const auto saved = run(
        job({"mkdir lib; echo in >lib/a; ln -s \"" + (top_ / "outside").string() + "\" lib/etc"},
            {.key = "k", .paths = {"lib/", "lib/etc/host*", "lib/etc/hosts"}}));
    EXPECT_THAT(saved, AllOf(HasSubstr("WARNING: lib/etc/hosts lies below a link and is left out"),
                             HasSubstr("\nCreated cache\n")));
    EXPECT_THAT(run(job({"readlink lib/etc; cat lib/a"})),
                AllOf(HasSubstr("Successfully extracted cache"),
                      HasSubstr((top_ / "outside").string() + "\nin\n")));
}

TEST_F(CachePathsTest, LinkAndFolderOfTheSourcesStay) {
    // Stands for what git brings.
    context_.site.shellInit =
        "[ ! -d \"$GB_PROJECT_DIR\" ] || [ -d \"$GB_PROJECT_DIR/real\" ] || (cd "
        "\"$GB_PROJECT_DIR\" "
        "&& mkdir real dir && echo tracked >real/x && echo tracked >dir/x && ln -s real lib)";
    auto sources = job({"readlink lib; cat real/x dir/x; ls -A real; cat other"});
    plant("k",
          "mkdir lib; echo in >lib/y; touch dir; echo in >other; tar -czf \"$A\" lib/y dir other");

    const auto text = run(sources);

    EXPECT_THAT(text, AllOf(HasSubstr("WARNING: lib of the cache is left out: the project has a "
                                      "link there"),
                            HasSubstr("WARNING: dir of the cache is left out: the project has a "
                                      "folder there"),
                            HasSubstr("\nreal\ntracked\ntracked\nx\nin\n")));
}

}  // namespace
}  // namespace gridbridge::payload
