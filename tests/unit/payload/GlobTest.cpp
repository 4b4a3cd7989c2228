#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <unistd.h>

#include "bridge/base/Fd.h"
#include "bridge/payload/Glob.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/Utf8.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

struct Case {
    std::string pattern;
    std::string path;
    bool fits;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> list = {
        {"a.txt", "a.txt", true},
        {"a.txt", "aXtxt", false},
        {"**/*.txt", "a.txt", true},
        {"**/*.txt", "x/y/a.txt", true},
        {"**/*.txt", "x/y/a.txtx", false},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "a/xb", false},
        {"a/**", "a", true},
        {"a/**", "a/x/y", true},
        {"a/**", "ab", false},
        {"**", "x/y", true},
        {"a/**/**", "a", true},
        {"**/**/b", "b", true},
        {"*", ".hidden", true},
        {"*", "a/b", false},
        {"abc**", "abcd", true},
        {"abc**", "abc/d", false},
        {"a**/b", "ax/b", true},
        {"a**/b", "ax/y/b", false},
        {"?.c", "x.c", true},
        {"?.c", "/.c", false},
        {"?.c", "\xc3\xa4.c", true},
        {"?.c", "\xff.c", true},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[^a-c]x", "dx", true},
        {"[!a-c]x", "ax", false},
        {"[!a]x", "/x", false},
        {"[+-9]x", "0x", true},
        {"[+-9]x", "/x", false},
        {"[/]x", "/x", false},
        {"[a\\]]x", "]x", true},
        {"[\xc3\xa4-\xc3\xb6]", "\xc3\xa5", true},
        {"[.]x", ".x", true},
        {"[.]x", "ax", false},
        {"{a,b}/*.log", "b/x.log", true},
        {"{a,b}/*.log", "c/x.log", false},
        {"{a,b{c,d}}", "bd", true},
        {"{a,b{c,d}}", "b", false},
        {"a{,/x}", "a", true},
        {"a{,/x}", "a/x", true},
        {"{a,**}/x", "p/q/x", true},
        {"{[,],b}", ",", true},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"\\{a\\}", "{a}", true},
        {"a}b", "a}b", true},
        {"a+(b)|c.^$", "a+(b)|c.^$", true},
        {"it's $(x)", "it's $(x)", true},
    };
    return list;
}

TEST(GlobTest, PatternsFitAsDoublestarSays) {
    for (const auto& [pattern, path, fits] : cases()) {
        const auto glob = Glob::parse(pattern);
        ASSERT_TRUE(glob) << pattern;
        EXPECT_EQ(glob->matches(path), fits) << pattern << " on " << path;
    }
}

std::string inBash(const std::string& script, std::size_t mostBytes) {
    std::string file = std::filesystem::temp_directory_path() / "glob-test.XXXXXX";
    const Fd out(mkstemp(file.data()));
    EXPECT_EQ(write(out.get(), script.data(), script.size()), static_cast<ssize_t>(script.size()));
    FILE* pipe = popen(("bash " + shellQuoted(file)).c_str(), "r");
    std::string text(mostBytes + 1, '\0');
    text.resize(fread(text.data(), 1, text.size(), pipe));
    pclose(pipe);
    std::filesystem::remove(file);
    return text;
}

/// Which of the cases bash finds fitting with the expressions that the node gets: '0' = fits.
std::string bashVerdicts(const std::vector<Case>& list) {
    std::string script = "export LC_ALL=C\n";
    for (const auto& [pattern, path, fits] : list) {
        script += "r=" + shellQuoted("^" + Glob::parse(pattern)->expression() + "$") + "; [[ " +
                  shellQuoted(path) + " =~ $r ]]; printf %s $?\n";
    }
    return inBash(script, list.size());
}

/// The functions of a node that expands patterns itself, without what comes before and after.
std::string functionsOfTheNode() {
    auto job = jobWith({"true"});
    job.artifacts = {archiveOf({"$A"})};
    job.artifacts[0].when = "always";
    const auto made = makeScript(job, contextNow());
    for (const auto& file : made->inputs) {
        if (file.name == "collect.sh") {
            const auto begin = file.content.find("gb_find() {");
            return file.content.substr(begin, file.content.find("\n(\n") - begin) + "\n";
        }
    }
    return {};
}

/// Patterns that only the node knows: misses nothing, and has nothing too much where it says so.
void expectNodeMissesNothing(const std::vector<Case>& list) {
    auto script = "export LC_ALL=C\n" + functionsOfTheNode();
    for (const auto& [pattern, path, fits] : list) {
        script += "gb_glob " + shellQuoted(pattern) +
                  " || printf malformed\nr=\"^($gb_fits)$\"; [[ " + shellQuoted(path) +
                  " =~ $r ]]; printf %s%s $? $gb_exact\n";
    }
    const auto verdicts = inBash(script, 2 * list.size());
    ASSERT_EQ(verdicts.size(), 2 * list.size()) << verdicts;
    std::size_t exact = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const auto& [pattern, path, fits] = list[i];
        exact += std::size_t{verdicts[2 * i + 1] == '1'};
        if (fits || verdicts[2 * i + 1] == '1') {
            EXPECT_EQ(verdicts[2 * i] == '0', fits) << pattern << " on " << path;
        }
    }
    EXPECT_GE(exact, list.size() / 4);
}

/// The node misses nothing, and has nothing too much where the pattern says that it is exact.
void expectSameVerdicts(const std::vector<Case>& list) {
    const auto verdicts = bashVerdicts(list);
    ASSERT_EQ(verdicts.size(), list.size()) << verdicts;
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
        const auto& [pattern, path, fits] = list[i];
        ASSERT_THAT(verdicts[i], ::testing::AnyOf('0', '1')) << pattern;
        if (fits || Glob::parse(pattern)->exact()) {
            EXPECT_EQ(verdicts[i] == '0', fits) << pattern << " on " << path;
        }
    }
}

TEST(GlobTest, ExpressionOfTheNodeMissesNothingAndAgreesOnPlainPatterns) {
    expectSameVerdicts(cases());
}

TEST(GlobTest, ExactExpressionAgreesOnNamesInUtf8AndMostPatternsHaveOne) {
    std::string script = "export LC_ALL=C\n";
    std::vector<Case> exact;
    for (const auto& each : cases()) {
        const auto text = Glob::parse(each.pattern)->exactExpression();
        if (!text.empty() && isValidUtf8(each.path)) {
            exact.push_back(each);
            script += "r=" + shellQuoted("^" + text + "$") + "; [[ " + shellQuoted(each.path) +
                      " =~ $r ]]; printf %s $?\n";
        }
    }
    EXPECT_GE(exact.size(), cases().size() * 3 / 4);
    const auto verdicts = inBash(script, exact.size());
    ASSERT_EQ(verdicts.size(), exact.size()) << verdicts;
    for (std::size_t i = 0; i < exact.size(); ++i) {
        EXPECT_EQ(verdicts[i], exact[i].fits ? '0' : '1')
            << exact[i].pattern << " on " << exact[i].path;
    }
}

TEST(GlobTest, Case62NodeAndServiceGiveTheSameVerdictOnTheTable) {
    const std::vector<Case> table = {
        {"**/*.txt", "a.txt", true},
        {"**/*.txt", "x/.y/a.txt", true},
        {"**/*.txt", "x/a.txt/b", false},
        {"a/**/z", "a/z", true},
        {"a/**/z", "a/b/c/z", true},
        {"a/**/z", "a/bz", false},
        {"a/**", "a", true},
        {"a/**", "a/b/.c", true},
        {"a/**", "ab/c", false},
        {"**", "a/b/c", true},
        {"*.o", ".o", true},
        {"*.o", "a/b.o", false},
        {"abc**", "abc/d", false},
        {"abc**", "abcd.e", true},
        {"[a-c]/x", "b/x", true},
        {"[a-c]/x", "d/x", false},
        {"{a,b{c,d}}/x", "bd/x", true},
        {"{a,b{c,d}}/x", "b/x", false},
        {"a{,/b}", "a/b", true},
        {"\\[a\\]\\*", "[a]*", true},
        {"a+b.(c)|^$", "a+b.(c)|^$", true},
        {"a.c", "abc", false},
        // Of more than one byte, or of a class: only the service knows exactly.
        {"?.c", "\xe2\x82\xac.c", true},
        {"[!x]*", "\xc3\xa4/", false},
    };
    ASSERT_EQ(table.size(), 24U);
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto glob = Glob::parse(table[i].pattern);
        ASSERT_TRUE(glob) << table[i].pattern;
        EXPECT_EQ(glob->matches(table[i].path), table[i].fits) << table[i].pattern;
        EXPECT_EQ(glob->exact(), i < 22) << table[i].pattern;
    }
    expectSameVerdicts(table);
    expectNodeMissesNothing(table);
}

TEST(GlobTest, ExpressionOfTheNodeMissesNothingOfAThousandMadeUpPatterns) {
    const std::vector<std::string> pieces = {"a",     "b",      "/",        "/",    "*",    "**",
                                             "**/",   "/**",    "?",        "[ab]", "[!a]", "{a,b}",
                                             "{,a/}", "{**,b}", "\xc3\xa4", "\\*",  ".",    "\n"};
    const std::vector<std::string> parts = {"a", "b", "/",    "a/b", "\xc3\xa4",
                                            ".", "*", "\xa4", "\n"};
    std::mt19937 random(62);
    const auto some = [&random](const std::vector<std::string>& from) {
        std::string text;
        for (auto n = 1 + random() % 4; n > 0; --n) {
            text += from[random() % from.size()];
        }
        return text;
    };
    std::vector<Case> list;
    std::size_t fitting = 0;
    while (list.size() < 1000) {
        const auto pattern = some(pieces);
        const auto path = some(parts);
        const bool fits = Glob::parse(pattern)->matches(path);
        // Most fit nothing: one in two is to do so.
        if (fits || list.size() <= 2 * fitting) {
            fitting += std::size_t{fits};
            list.push_back({pattern, path, fits});
        }
    }
    expectSameVerdicts(list);
    expectNodeMissesNothing(list);
}

TEST(GlobTest, FolderBringsInWhatItHolds) {
    const auto build = Glob::parse("build");
    ASSERT_TRUE(build);
    EXPECT_TRUE(build->matchesTree("build"));
    EXPECT_TRUE(build->matchesTree("build/x/.y"));
    EXPECT_FALSE(build->matchesTree("builds/x"));
    EXPECT_FALSE(build->matchesTree("x/build"));
    EXPECT_TRUE(Glob::parse("*.d")->matchesTree("a.d/b/c"));
    EXPECT_FALSE(Glob::parse("a/*/c")->matchesTree("a/b"));
}

TEST(GlobTest, MalformedPatternsAreNothing) {
    for (const auto* pattern : {"[", "[]a]", "[^]", "a[b", "{a", "{a,{b}", "a\\", "[a\\"}) {
        EXPECT_FALSE(Glob::parse(pattern)) << pattern;
    }
    EXPECT_FALSE(Glob::parse(std::string(4097, 'a')));
}

TEST(GlobTest, AlternativesThatFillTheMemoryWhenWrittenOutAreNothing) {
    const std::string twice = "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}";

    EXPECT_TRUE(Glob::parse(twice + std::string(200, '?')));
    EXPECT_FALSE(Glob::parse(twice + std::string(300, '?')));
}

TEST(GlobTest, PatternsMadeToTakeForEverDoNot) {
    std::string braces;
    for (int i = 0; i < 100; ++i) {
        braces += "{a,b}";
    }
    EXPECT_FALSE(Glob::parse(braces));
    EXPECT_TRUE(Glob::parse(std::string(2000, '{') + std::string(2000, '}')));

    std::string stars;
    for (int i = 0; i < 200; ++i) {
        stars += "*a";
    }
    EXPECT_FALSE(Glob::parse(stars + "b")->matches(std::string(4000, 'a')));
}

TEST(GlobTest, FolderIsThePartBeforeTheFirstSpecialComponent) {
    EXPECT_EQ(Glob::parse("a/b/c*")->folder(), "a/b/");
    EXPECT_EQ(Glob::parse("*.c")->folder(), "");
    EXPECT_EQ(Glob::parse("a/b")->path(), "a/b");
    EXPECT_EQ(Glob::parse("a/b?")->path(), std::nullopt);
}

}  // namespace
}  // namespace gridbridge::payload
